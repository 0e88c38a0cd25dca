"""What a run found: figures, the machine it ran on, and both as a table or as JSON."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

# A thousand entities in one request: beside a 204 that says nothing.
_BESIDE_PARSING: Final = "batch"
_LIBRARIES: Final = ("uvloop", "aiohttp", "orjson")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One interval of load: what was answered, and what the server spent on it."""

    requests: int
    user_s: float
    system_s: float
    elapsed_s: float

    @property
    def cpu_us(self) -> float:
        """CPU per request, in microseconds."""
        return (self.user_s + self.system_s) / self.requests * 1e6


@dataclass(slots=True)
class Series:
    """The measurements of one kind of request, one per round."""

    name: str
    measurements: list[Measurement] = field(default_factory=list)

    @property
    def median(self) -> Measurement:
        """The measurement in the middle, by CPU per request."""
        ordered = sorted(self.measurements, key=lambda measurement: measurement.cpu_us)
        return ordered[(len(ordered) - 1) // 2]


@dataclass(slots=True)
class Report:
    """The figures of one run. Times in seconds, sizes in bytes."""

    series: dict[str, Series]
    batch_entities: int
    batch_body_bytes: int
    batch_parses_s: list[float]  # CPU of orjson.loads of the body of one batch, per round
    idle_resident_bytes: int
    empty_starts_s: list[float]
    pinned: bool  # server and clients to a CPU each
    load_before: float  # what else the machine had to do: the load average of a minute
    machine: dict[str, Any]

    def ratio(self, name: str) -> float | None:
        """CPU per request as a multiple of nginx's; None without nginx, and for batches.

        The median of the rounds' ratios: a machine that slows down slows both of a round.
        """
        nginx = self.series.get("nginx")
        if nginx is None or name == _BESIDE_PARSING:
            return None
        pairs = zip(self.series[name].measurements, nginx.measurements, strict=True)
        ratios = [mine.cpu_us / other.cpu_us for mine, other in pairs if other.cpu_us]
        return statistics.median(ratios) if ratios else None

    @property
    def batch_parse_s(self) -> float:
        """The median CPU of parsing the body of one batch."""
        return statistics.median(self.batch_parses_s)

    @property
    def batch_ratio(self) -> float:
        """CPU of a batch as a multiple of parsing its body: the median of the rounds' ratios."""
        pairs = zip(self.series[_BESIDE_PARSING].measurements, self.batch_parses_s, strict=True)
        return statistics.median(batch.cpu_us / 1e6 / parse_s for batch, parse_s in pairs)

    @property
    def empty_start_s(self) -> float:
        """The median time from the start of the process until it is ready."""
        return statistics.median(self.empty_starts_s)

    def as_document(self) -> dict[str, Any]:
        """Everything, for `--output`."""
        return {
            "figures": {
                **{
                    name: {
                        "cpu_us": round(series.median.cpu_us, 2),
                        "user_us": round(series.median.user_s / series.median.requests * 1e6, 2),
                        "system_us": round(
                            series.median.system_s / series.median.requests * 1e6, 2
                        ),
                        "ratio_to_nginx": self.ratio(name),
                        "rounds": [asdict(each) for each in series.measurements],
                    }
                    for name, series in self.series.items()
                },
                "batch_entities": self.batch_entities,
                "batch_body_bytes": self.batch_body_bytes,
                "batch_parse_us": round(self.batch_parse_s * 1e6, 2),
                "batch_ratio_to_parsing": self.batch_ratio,
                "idle_resident_bytes": self.idle_resident_bytes,
                "empty_starts_s": self.empty_starts_s,
            },
            "pinned": self.pinned,
            "load_before": self.load_before,
            "machine": self.machine,
        }

    def as_table(self) -> str:
        """The medians, in Markdown."""
        lines = [
            "| what | user us | system us | CPU us | x nginx | server busy |",
            "|---|---|---|---|---|---|",
        ]
        for name, series in self.series.items():
            lines.append(_row(series, self.ratio(name)))
        lines += [
            "",
            "| what | figure |",
            "|---|---|",
            f"| orjson.loads of a batch's body ({self.batch_body_bytes} bytes) "
            f"| {self.batch_parse_s * 1e6:.0f} us |",
            f"| batch as a multiple of that | {self.batch_ratio:.2f} |",
            f"| memory of an idle broker (RSS) | {self.idle_resident_bytes / 1e6:.1f} MB |",
            f"| start of an empty broker | {self.empty_start_s:.2f} s |",
            "",
            f"Load average before the run: {self.load_before:.2f}",
            "",
            "Machine: " + ", ".join(f"{name} {value}" for name, value in self.machine.items()),
        ]
        return "\n".join(lines)


def _row(series: Series, ratio: float | None) -> str:
    median = series.median
    cells = (
        series.name,
        f"{median.user_s / median.requests * 1e6:.1f}",
        f"{median.system_s / median.requests * 1e6:.1f}",
        f"{median.cpu_us:.1f}",
        "-" if ratio is None else f"{ratio:.2f}",
        f"{(median.user_s + median.system_s) / median.elapsed_s:.0%}",
    )
    return "| " + " | ".join(cells) + " |"


def describe_machine(nginx_version: str | None) -> dict[str, Any]:
    """What the figures depend on: the kind of machine, and versions."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _read_cpu_model(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
        "nginx": nginx_version or "none",
    }


def _read_cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
