"""Following one log: from nothing, after ten thousand changes, after ten, after none.

The origin's answers are made ahead by the code that serves them, so that what is measured is the follower alone: fetch,
inflate, prove, apply in one transaction, commit durably. Beside stands the *floor*: SHA-256 of every header and payload
and the bare ``executemany`` of the rows that must be written, in one transaction on an equal database.
"""

import datetime as dt
import hashlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import sqlalchemy as sa

from benchmarks import sync_served
from benchmarks.measure import Report, Row, measured_apart
from benchmarks.nodes import NOW, copy_database, filled, found_node, make_identity, publish_units, sqlite_engine, trust
from benchmarks.origin import DirectOrigin
from directory.database import CACHE_KIB, reading, writing
from directory.index import IndexCache
from federation.entries import PAGE, Entry, parse_header, parse_payload
from federation.log import read_entries
from federation.publishing import renew_checkpoint
from sync.node import Node
from sync.pull import pull_participant

ORIGIN, FOLLOWER = make_identity("ME"), make_identity("RS")
LATER = NOW + dt.timedelta(hours=2)
"""When the follower pulls again: the origin renewed its checkpoint meanwhile."""

_ENTRY = "INSERT INTO entry (participant, seq, header, payload) VALUES (?, ?, ?, ?)"
_ERASE = "UPDATE entry SET payload = NULL WHERE participant = ? AND seq = ?"
_RECORD = (
    "INSERT INTO record (participant, record, type, seq, at, data, state, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (participant, record) DO UPDATE SET seq = excluded.seq, at = excluded.at, data = excluded.data, "
    "state = excluded.state, version = excluded.version"
)


@dataclass(frozen=True)
class Stage:
    """An origin that has changes, with its answers prepared, and a follower's database from before them."""

    name: str
    origin: DirectOrigin
    held: Path
    entries: Sequence[Entry]
    superseded: Sequence[int]
    """Numbers of the entries whose payload the new ones erase."""


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock and of the processor, and bytes received."""

    elapsed: float
    processor: float
    received: int


def run(report: Report) -> None:
    for records in (100_000,) if report.quick else (100_000, 1_000_000):
        with tempfile.TemporaryDirectory(prefix="veza-bench-") as name:
            _run(report, Path(name), records)
    cache = CACHE_KIB / 1024
    for records in (10_000, 100_000) if report.quick else (10_000, 100_000, 1_000_000):
        peak = float(measured_apart("benchmarks.sync_memory", str(filled(records))))
        what, unit, goal = f"memory of a first sync of {records:,} at its peak", "MiB more than before", "flat"
        report.add(Row(what, goal, unit, peak, met=peak <= 1.5 * cache, note=f"SQLite's page cache: {cache:.0f} MiB"))
    sync_served.run(report)


def _run(report: Report, folder: Path, records: int) -> None:
    rounds = 1 if records > 100_000 else 3 if report.quick else 7  # a round with a million takes two minutes
    empty, held = folder / "empty.db", folder / "held.db"
    with sqlite_engine(empty) as engine:
        found_node(engine, FOLLOWER)
        trust(engine, ORIGIN)
    with sqlite_engine(filled(records)) as engine:
        first = _stage(f"first sync of {records:,}", engine, empty, 0, records, ())
        compare(report, first, held, rounds, 3.0, IndexCache())
    for changes in (0, 10, 10_000):
        with sqlite_engine(copy_database(filled(records), folder / "changed.db")) as engine:
            numbers = range(0, records, records // changes) if changes else range(0)
            publish_units(engine, ORIGIN, numbers, version=1)
            with writing(engine) as session:
                renew_checkpoint(session, ORIGIN, LATER)
            stage = _stage(f"{changes:,} changes into {records:,}", engine, held, records, changes, numbers)
            if changes == 10_000:
                compare(report, stage, folder / "round.db", rounds, 2.5)
            else:
                measure(report, stage, folder / "round.db", 5 * rounds)


def _stage(name: str, engine: sa.Engine, held: Path, size: int, new: int, superseded: Sequence[int]) -> Stage:
    starts = [size, *range((size // PAGE + 1) * PAGE, size + new, PAGE)] if new else []
    origin = DirectOrigin(engine, ORIGIN).prepare(starts)
    with reading(engine) as session:
        entries = read_entries(session, ORIGIN.participant, size, size + new) if new else []
    return Stage(name, origin, held, entries, superseded)


def compare(
    report: Report, stage: Stage, target: Path, rounds: int, most: float, index: IndexCache | None = None
) -> None:
    """A pull beside its floor, each on a fresh copy of the follower's database; a pull's result is left in ``target``.

    With an index, which was current before, also until a web process finds in it what the last pull brought.
    """
    rounds_done: list[tuple[float, float, float]] = []
    with sqlite_engine(target) as engine:
        for _ in range(rounds):
            renew(stage, engine)
            beside = floor(stage, engine)
            ours = pull(stage, engine)
            rounds_done.append((ours.elapsed, beside, ours.processor))
        indexed = 0.0 if index is None else refresh(index, engine)
    ratio = statistics.median(elapsed / beside for elapsed, beside, _ in rounds_done)
    elapsed, beside, processor = (statistics.median(values) for values in zip(*rounds_done, strict=True))
    goal, note = f"≤ {most:g} × the floor", f"{processor:.3g} s of processor time"
    report.add(Row(stage.name, goal, "s", elapsed, beside, "floor", ratio, met=ratio <= most, note=note))
    if index is not None:
        total, note = elapsed + indexed, f"{indexed:.3g} s of it the index of one web process, from empty"
        what = f"{stage.name}, searchable"
        report.add(Row(what, goal, "s", total, beside, "floor", total / beside, total <= most * beside, note))


def refresh(index: IndexCache, engine: sa.Engine) -> float:
    """Seconds until an index has caught up with the database."""
    with reading(engine) as session:
        start = time.perf_counter()
        index.refresh(session)
        return time.perf_counter() - start


def measure(report: Report, stage: Stage, target: Path, rounds: int) -> None:
    """A pull that is too small to be compared with anything; the first one only warms the process up."""
    with sqlite_engine(target) as engine:
        _, *costs = [pull(stage, engine) for _ in range(rounds + 1)]
    elapsed = statistics.median(cost.elapsed for cost in costs) * 1000
    processor = statistics.median(cost.processor for cost in costs) * 1000
    met = elapsed <= 15 if stage.entries else processor <= 10
    goal = "≤ 15 ms" if stage.entries else "≤ 10 ms of processor time"
    note = f"{processor:.3g} ms of processor time; answers of {costs[0].received:,} bytes, without HTTP headers"
    report.add(Row(stage.name, goal, "ms", elapsed, met=met, note=note))


def pull(stage: Stage, engine: sa.Engine, now: dt.datetime = LATER) -> Cost:
    """What one pull costs a process that runs already, into a database as it was before the changes."""
    renew(stage, engine)
    node = Node(engine, lambda: FOLLOWER, stage.origin)
    with reading(engine) as session:
        session.execute(sa.text("SELECT 1"))
    start, processor = time.perf_counter(), time.process_time()
    result = pull_participant(node, ORIGIN.participant, now)
    cost = Cost(time.perf_counter() - start, time.process_time() - processor, result.bytes)
    if result.result != "ok":  # it would be quick, and prove nothing
        raise SystemExit(f"the pull failed: {result.result}: {result.detail}")
    return cost


def renew(stage: Stage, engine: sa.Engine) -> None:
    """Put the follower's database back; the engine stays, as what it has learned of statements belongs to a process."""
    engine.dispose()
    copy_database(stage.held, Path(engine.url.database or ""))


def floor(stage: Stage, engine: sa.Engine) -> float:
    """Seconds of what no follower can go below."""
    code, at = ORIGIN.participant, "2026-11-21 20:00:00.000000"
    start_seq = parse_header(stage.entries[0].header).seq
    entries = [(code, seq, entry.header, entry.payload) for seq, entry in enumerate(stage.entries, start_seq)]
    records = [
        (code, parse_header(entry.header).record, "unit", seq, at, _data(entry), "live", seq)
        for seq, entry in enumerate(stage.entries, start_seq)
    ]
    with engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        start = time.perf_counter()
        for _, _, header, payload in entries:
            hashlib.sha256(header).digest()
            hashlib.sha256(payload or b"").digest()
        driver.execute("BEGIN IMMEDIATE")
        driver.executemany(_ENTRY, entries)
        driver.executemany(_RECORD, records)
        driver.executemany(_ERASE, [(code, seq) for seq in stage.superseded])
        driver.execute("COMMIT")
        return time.perf_counter() - start


def _data(entry: Entry) -> str:
    assert entry.payload is not None
    return orjson.dumps(parse_payload(entry.payload)).decode()
