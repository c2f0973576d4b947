"""A log of a million tiny entries: followed in several runs and in one (E14), verified, and rebuilt."""

import functools
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.reliability.figures import MIB, ROOT, Options, load_beside, output_of, show
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


def run_readers(options: Options) -> None:
    """How long a reader of the follower's database is kept out while a quarter of the log is applied."""
    entries = options.entries // PARTS_OF_A_FLOOD
    origin, database = _origin(entries), Path(_folder.name) / "read.db"
    command = [sys.executable, "-m", "benchmarks.reliability.held_log", "follow", database, "--origin", origin]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while not database.exists():
            time.sleep(0.1)
        began = time.monotonic()
        outs = list(_times_kept_out(database, process))
        seconds = time.monotonic() - began
    assert process.returncode == 0
    figure = f"{max(outs, default=0.0):.1f} s at a time, {sum(outs):.1f} of {seconds:.1f} s ({load_beside()})"
    show("readers", f"SQLite {sqlite3.sqlite_version}, applying {entries:,} entries: a reader is kept out", figure)


def _times_kept_out(database: Path, process: "subprocess.Popen[bytes]") -> Iterator[float]:
    """The lengths of the times during which the database cannot be read, until the process ends."""
    since: float | None = None
    while process.poll() is None:
        try:
            with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=0) as reader:
                reader.execute("SELECT count(*) FROM counter").fetchone()
            reader.close()
        except sqlite3.OperationalError:
            since = since or time.monotonic()
        else:
            if since is not None:
                yield time.monotonic() - since
            since = None
        time.sleep(0.05)
    if since is not None:
        yield time.monotonic() - since


def run_verification(options: Options) -> None:
    database, _ = _follow(options.entries, None)
    for action, outcome in (("verify", "findings"), ("rebuild", "same")):
        told = _work(action, database)
        figure = f"{told['seconds']:.0f} s, {told['mib']:.0f} MiB above idle ({load_beside()})"
        show(action, f"veza {action}, {options.entries:,} entries; {outcome}: {told[outcome]}", figure)
