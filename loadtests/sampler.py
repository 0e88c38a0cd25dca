"""A broker that notes, every few milliseconds of CPU, which function it is in.

`python loadtests/sampler.py OUTPUT broker-flags...`: sampling begins with SIGUSR1, and the
counts are written to OUTPUT as JSON when the broker ends. C code counts for the Python function
that called it, the event loop for the callback that it runs next.

Cost: one walk of the stack per sample, below one percent.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

# Run as a script: what is imported is below the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from broker.__main__ import main

# Of CPU time. The kernel looks at its own ticks only, which are mostly longer.
INTERVAL_S: Final = 0.001


class Sampler:
    """Counts of samples by function (file, qualified name): its own, and with those it calls."""

    def __init__(self) -> None:
        self._own: Counter[tuple[str, str]] = Counter()
        self._cumulative: Counter[tuple[str, str]] = Counter()

    def begin(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signal that begins it."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def end(self) -> None:
        """Stop sampling."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        self._own[frame.f_code.co_filename, frame.f_code.co_qualname] += 1
        active = set()
        while frame is not None:
            active.add((frame.f_code.co_filename, frame.f_code.co_qualname))
            frame = frame.f_back
        self._cumulative.update(active)

    def as_document(self) -> dict[str, list[tuple[str, str, int]]]:
        """The counts, the largest first."""
        return {
            "own": [(*function, count) for function, count in self._own.most_common()],
            "cumulative": [
                (*function, count) for function, count in self._cumulative.most_common()
            ],
        }


def run(argv: list[str]) -> int:
    """Run the broker; returns its exit code."""
    output = Path(argv[0])
    sampler = Sampler()
    signal.signal(signal.SIGUSR1, sampler.begin)
    code = main(argv[1:])
    sampler.end()
    output.write_text(json.dumps(sampler.as_document()), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
