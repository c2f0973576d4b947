"""A log of a million tiny entries: followed in several runs and in one (E14), verified, and rebuilt."""

import functools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.reliability.figures import MIB, Options, load_beside, output_of, show
from benchmarks.reliability.long_origin import make_origin

_folder = tempfile.TemporaryDirectory(prefix="veza-bench-")
PARTS_OF_A_FLOOD = 4


@functools.cache
def _origin(entries: int) -> Path:
    """The folder of an origin with so many entries; made once in a run."""
    folder = Path(_folder.name) / f"origin-{entries}"
    folder.mkdir()
    began = time.monotonic()
    make_origin(folder, entries)
    show("flood", f"making the origin of {entries:,} entries (not the follower's)", f"{time.monotonic() - began:.0f} s")
    return folder


def _work(action: str, database: Path, *options: str) -> Any:  # noqa: ANN401  # what the process tells
    return json.loads(output_of("-m", "benchmarks.reliability.held_log", action, str(database), *options))


@functools.cache
def _follow(entries: int, run_entries: int | None) -> tuple[Path, Any]:
    """A database that followed the whole log, and what it took."""
    database = Path(_folder.name) / f"follower-{entries}-{run_entries}.db"
    limit = [] if run_entries is None else ["--run-entries", str(run_entries)]
    return database, _work("follow", database, "--origin", str(_origin(entries)), *limit)


def run_flood(options: Options) -> None:
    lowered = options.entries // PARTS_OF_A_FLOOD
    for name, limit in ((f"at most {lowered:,} entries a run", lowered), ("the normal limits", None)):
        _, told = _follow(options.entries, limit)
        runs, last = told["runs"], told["runs"][-1]
        assert (told["size"], last["result"]) == (options.entries, "ok"), told
        results = ", ".join(f"{run['result']} in {run['seconds']:.0f} s" for run in runs)
        show("flood", f"{options.entries:,} entries, {name}: runs", f"{results} ({load_beside()})")
        memory = max(run["mib"] for run in runs)
        show("flood", f"{name}: memory at its peak above idle", f"{memory:.0f} MiB")
        spool, database = told["spool_peak"] / MIB, told["database"] / MIB
        show("flood", f"{name}: spool at most, database afterwards", f"{spool:.0f} MiB, {database:.0f} MiB")
        held = sum(run["unchanged"] for run in runs[:-1])
        show("flood", f"{name}: runs before the last that changed no row held", f"{held} of {len(runs) - 1}")
        show("flood", f"{name}: left in the spool at the end", f"{last['kept']} bytes")


def run_verification(options: Options) -> None:
    database, _ = _follow(options.entries, None)
    for action, outcome in (("verify", "findings"), ("rebuild", "same")):
        told = _work(action, database)
        figure = f"{told['seconds']:.0f} s, {told['mib']:.0f} MiB above idle ({load_beside()})"
        show(action, f"veza {action}, {options.entries:,} entries; {outcome}: {told[outcome]}", figure)
