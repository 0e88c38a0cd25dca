"""The experiment of E-SilboPS: notifications against the number of subscriptions.

One entity of 100 numeric attributes; each subscription has one to three ranges or equalities on
random ones of them; every update changes all attributes and matches one subscription at least.
Updates and notifications go over HTTP, and all that must arrive is counted.

    python loadtests/esilbops.py --output FILE --plot FILE

The published points are throughputs of other machines and of other software around it; CPU per
notification is what can be compared with another run here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

# Run as a script: what is imported is below the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from loadtests.curve import parse_arguments, run
from loadtests.populations import Population, Ranges

SIZES: Final = (1, 10, 100, 1_000, 10_000, 100_000, 200_000, 1_000_000)
# (subscriptions, notifications per second) as published; the curves run between and beyond.
PUBLISHED: Final = {
    "E-SilboPS": [(1, 30_000), (200_000, 2_500)],
    "Orion": [(1, 900)],
}
_UPDATES: Final = 16  # per connection; making one for a million subscriptions takes some 50 ms


def main(argv: list[str]) -> int:
    """Measure, print; returns the exit code."""
    arguments, sizes = parse_arguments(__doc__, argv, SIZES)
    return run("esilbops", arguments, sizes, {Ranges.name: _make_ranges}, PUBLISHED)


def _make_ranges(size: int) -> Population:
    return Ranges(size, _UPDATES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
