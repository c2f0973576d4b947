"""Saving one record: validate, append to the log, sign, apply to the read model, commit; at several sizes of the log.

Beside stands one bare durable commit of one row on the same database: what no program can go below.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa

from benchmarks.measure import Report, Row
from benchmarks.nodes import (
    NOW,
    copy_database,
    filled,
    found_node,
    make_identity,
    postgres,
    publish_units,
    put,
    sqlite_engine,
)
from directory.database import make_engine, writing
from federation.publishing import publish
from tests.postgres import PostgresServer

IDENTITY = make_identity("ME")
BARE = "bare"


def run(report: Report) -> None:
    sizes = (1_000, 100_000) if report.quick else (1_000, 100_000, 1_000_000)
    with tempfile.TemporaryDirectory(prefix="veza-bench-") as folder, ExitStack() as stack:
        copies = {size: copy_database(filled(size), Path(folder) / f"{size}.db") for size in sizes}
        measure(report, "SQLite", {size: stack.enter_context(sqlite_engine(path)) for size, path in copies.items()})
    sizes = (1_000, 10_000) if report.quick else (1_000, 100_000)
    with postgres() as server, ExitStack() as stack:
        if server is not None:
            engines = {size: stack.enter_context(postgres_engine(stack, server, size)) for size in sizes}
            measure(report, "PostgreSQL, fsync off", engines)


def measure(report: Report, name: str, engines: dict[int, sa.Engine]) -> None:
    """Append to each log in turn, new records and changed ones half and half."""
    rounds, appends = (5, 40) if report.quick else (9, 100)
    for engine in engines.values():
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE TABLE {BARE} (number INTEGER PRIMARY KEY, payload TEXT)")
        append(engine, min(engines), -1, appends)  # statements are compiled once per process
    rates: dict[int, list[float]] = {size: [] for size in engines}
    bare: list[float] = []
    for number in range(rounds):
        for size, engine in engines.items():
            rates[size].append(appends / append(engine, size, number, appends))
        bare.append(appends / commit_rows(engines[min(engines)], number, appends))
    least = statistics.median(bare)
    for size in engines:
        rate = statistics.median(rates[size])
        what = f"append, {name}, log of {size:,}"
        report.add(Row(what, "≥ 300/s", "/s", rate, least, "bare commit of a row", rate / least, met=rate >= 300))
    small, large = min(engines), max(engines)
    ratio = statistics.median(a / b for a, b in zip(rates[small], rates[large], strict=True))
    report.add(
        Row(
            f"time of one append, {name}, log of {large:,} beside {small:,}",
            "flat (≤ 1.25 ×)",
            "ms",
            1000 / statistics.median(rates[large]),
            1000 / statistics.median(rates[small]),
            f"{small:,}:",
            ratio,
            met=ratio <= 1.25,
        )
    )


def append(engine: sa.Engine, size: int, number: int, appends: int) -> float:
    """Seconds of so many publications of one record each."""
    fresh = range(size + number * appends, size + number * appends + appends // 2)
    changed = range(number * appends, number * appends + appends - len(fresh))
    changes = [put("ME", each) for each in fresh] + [put("ME", each, number + 1) for each in changed]
    start = time.perf_counter()
    for change in changes:
        with writing(engine) as session:
            publish(session, IDENTITY, [change], NOW)
    return time.perf_counter() - start


def commit_rows(engine: sa.Engine, number: int, rows: int) -> float:
    """Seconds of so many transactions that insert one row of a record's size."""
    insert = sa.text(f"INSERT INTO {BARE} VALUES (:number, :payload)")
    with engine.connect().execution_options(veza_writing=True) as connection:
        start = time.perf_counter()
        for row in range(number * rows, (number + 1) * rows):
            with connection.begin():
                connection.execute(insert, {"number": row, "payload": "x" * 600})
        return time.perf_counter() - start


@contextmanager
def postgres_engine(stack: ExitStack, server: PostgresServer, size: int) -> Iterator[sa.Engine]:
    """A database of a server with so many units in its log."""
    engine = make_engine(stack.enter_context(server.database()))
    try:
        found_node(engine, IDENTITY)
        publish_units(engine, IDENTITY, range(size))
        yield engine
    finally:
        engine.dispose()
