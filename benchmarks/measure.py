"""Timing that survives a noisy machine: interleaved rounds, medians, ratios; every row says its goal."""

import gc
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One measured line. ``ours`` and ``beside`` are medians in ``unit``; ``ratio`` is ours / beside, pair by pair."""

    name: str
    goal: str
    unit: str
    ours: float
    beside: float | None = None
    beside_name: str = ""
    ratio: float | None = None
    met: bool | None = None
    note: str = ""


@dataclass
class Report:
    """Rows of one run, printed as they come and written at the end."""

    quick: bool
    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        print(format_row(row), flush=True)

    def write(self) -> Path:
        RESULTS.mkdir(exist_ok=True)
        target = RESULTS / ("quick.json" if self.quick else "full.json")
        document = {
            "machine": machine(),
            "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
            "rows": [asdict(row) for row in self.rows],
        }
        target.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return target


def format_row(row: Row) -> str:
    """One row of the table in docs/performance.md."""
    beside = "" if row.beside is None else f"{row.beside_name} {_figure(row.beside)}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f} ×"
    met = {None: "", True: "met", False: "missed"}[row.met]
    return f"| {row.name} | {row.goal} | {_figure(row.ours)} {row.unit} | {beside} | {ratio} | {met} | {row.note} |"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call, with the collector quiet."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_of(work: Callable[[], object], rounds: int) -> float:
    return statistics.median(seconds(work) for _ in range(rounds))


def side_by_side(ours: Callable[[], object], beside: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Medians of both and of their ratio, in interleaved rounds so that drift hits both alike."""
    pairs = [(seconds(ours), seconds(beside)) for _ in range(rounds)]
    return (
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
        statistics.median(a / b for a, b in pairs),
    )


def per_call(work: Callable[[], object], calls: int) -> Callable[[], None]:
    def loop() -> None:
        for _ in range(calls):
            work()

    return loop


def peak_memory_mib() -> float:
    """The most memory this process ever had resident; getrusage would count its parent's before the exec, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measured_apart(module: str, *arguments: str) -> str:
    """What ``python -m module`` prints, run as a process of its own so that this one's memory does not count."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    processor = subprocess.run(
        ["/bin/sh", "-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "processor": processor or platform.machine(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in ("flask", "sqlalchemy", "granian", "marshmallow", "cryptography", "orjson")},
    }
