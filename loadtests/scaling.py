"""One notification end to end, with few and with many subscriptions that do not match.

Two populations, each update of which leads to one notification whatever their size: devices, each
subscribed to by its id, and thresholds, of which an update exceeds one.

    python loadtests/scaling.py --output FILE --plot FILE
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

# Run as a script: what is imported is below the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from loadtests.curve import parse_arguments, run
from loadtests.populations import Devices, Thresholds

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)


def main(argv: list[str]) -> int:
    """Measure, print; returns the exit code."""
    arguments, sizes = parse_arguments(__doc__, argv, SIZES)
    return run(
        "scaling",
        arguments,
        sizes,
        {Devices.name: Devices, Thresholds.name: Thresholds},
        {},
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
