"""Lookups: through a served node beside a constant of the same application, and in process as the directory grows."""

import datetime as dt
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import orjson

from benchmarks import wrk
from benchmarks.measure import Report, Row, median_of
from benchmarks.nodes import sqlite_engine
from benchmarks.population import NOW, REAL_UNITS, directory_of, documents, questions
from benchmarks.serving import fetch, new_node, resident_mib, served
from directory.answers import to_json
from directory.database import writing
from directory.index import Directory
from directory.lookup import lookup, parse_query
from directory.policy import Policy, load_policy
from directory.store import AppliedEntry, apply_entries
from federation.log import create_log
from web.accounts import add_user, issue_token

OWN = "ME"
QUESTIONS = 400
CONNECTIONS = 4
MOST_MEMORY_MIB = 150_000_000 / 1024**2


def run(report: Report) -> None:
    grow(report)
    if not wrk.is_installed():
        print(wrk.MISSING)
        return
    for units in (REAL_UNITS, 100_000):
        with tempfile.TemporaryDirectory(prefix="veza-bench-") as folder, serving(Path(folder), units) as node:
            measure_served(report, units, node.base, node.token)
            memory = resident_mib(node.process)
            met = memory <= MOST_MEMORY_MIB if units == REAL_UNITS else None
            goal = "≤ 150 MB" if units == REAL_UNITS else "≤ 1 GB at 1,000,000 units"
            report.add(Row(f"memory of a web process, {units:,} units", goal, "MiB", memory, met=met))


# -- in process ------------------------------------------------------------------------------------------------------


def grow(report: Report) -> None:
    """The same questions, with the same candidates, to larger and larger directories."""
    sizes = (1_000, 100_000) if report.quick else (1_000, 100_000, 1_000_000)
    rounds = 5 if report.quick else 9
    policy = load_policy()
    directories = {size: directory_of(size) for size in sizes}
    check_equal(directories, policy)
    for name, fresh in (("prepared before", False), ("for the first time", True)):
        times: dict[int, list[float]] = {size: [] for size in sizes}
        for _ in range(rounds):
            for size, directory in directories.items():
                times[size].append(ask_all(directory, policy, fresh))
        small = sizes[0]
        for size in sizes[1:]:
            ratio = statistics.median(a / b for a, b in zip(times[size], times[small], strict=True))
            report.add(
                Row(
                    f"lookup in process, {name}, {size:,} units beside {small:,}",
                    "≤ 1.25 ×",
                    "µs",
                    statistics.median(times[size]),
                    statistics.median(times[small]),
                    f"{small:,}:",
                    ratio,
                    met=ratio <= 1.25,
                )
            )


def ask_all(directory: Directory, policy: Policy, fresh: bool) -> float:
    """Microseconds of one of all questions, read from its fields and answered as JSON."""
    asked = questions(QUESTIONS)
    if fresh:
        directory.apply(())  # forgets what was prepared
    else:
        answer_all(directory, policy, asked)
    return median_of(lambda: answer_all(directory, policy, asked), 1) / len(asked) * 1e6


def answer_all(directory: Directory, policy: Policy, asked: list[dict[str, str]]) -> list[bytes]:
    return [
        orjson.dumps(to_json(lookup(parse_query(fields, directory, NOW), directory, policy, lambda code: None)))
        for fields in asked
    ]


def check_equal(directories: dict[int, Directory], policy: Policy) -> None:
    """Growth is measured fairly only where every directory gives the same answers."""
    answers = [answer_all(directory, policy, questions(QUESTIONS)) for directory in directories.values()]
    assert all(answer == answers[0] for answer in answers), "the added units changed the answers"


# -- served ----------------------------------------------------------------------------------------------------------


def measure_served(report: Report, units: int, base: str, token: str) -> None:
    """Lookups and constants in turn, all from the same worker process."""
    rounds, seconds = (3, 2) if report.quick else (7, 4)
    paths = [f"/api/v1/lookup?{urlencode(fields)}" for fields in questions(QUESTIONS)]
    load = {
        "lookup": lambda: wrk.load(base, paths, seconds, CONNECTIONS, token),
        "constant": lambda: wrk.load(base, ["/constant"], seconds, CONNECTIONS),
        "bare": lambda: wrk.load(base, ["/bare/"], seconds, CONNECTIONS),
    }
    for ask in load.values():
        ask()
    loads = [{name: ask() for name, ask in load.items()} for _ in range(rounds)]
    rates = {name: statistics.median(each[name].rate for each in loads) for name in load}
    p50, p99 = (statistics.median(getattr(each["lookup"], cut) for each in loads) for cut in ("p50", "p99"))
    for beside, name, goal in (("constant", "constant of the same app", 0.5), ("bare", "constant of a bare app", None)):
        ratio = statistics.median(each["lookup"].rate / each[beside].rate for each in loads)
        report.add(
            Row(
                f"GET /api/v1/lookup, {units:,} units",
                f"≥ {goal} ×" if goal else "",
                "/s",
                rates["lookup"],
                rates[beside],
                name,
                ratio,
                met=None if goal is None else ratio >= goal,
                note=f"p50 {p50:.3g} ms, p99 {p99:.3g} ms over {CONNECTIONS} connections",
            )
        )


@dataclass(frozen=True)
class ServedNode:
    """Where a node answers, a token for it, and its web process."""

    base: str
    token: str
    process: int


@contextmanager
def serving(folder: Path, units: int) -> Iterator[ServedNode]:
    """A node that holds so many units, with one web process."""
    data = folder / "node"
    base = new_node(data, OWN)
    token = fill(data, units)
    with served(data, base) as process:
        fetch(f"{base}/api/v1/lookup?country=RS", token)  # the first answer waits for the index
        yield ServedNode(base, token, process)


def fill(data: Path, units: int) -> str:
    """Give a node every participant's records, and an officer a token for it.

    The records go straight to the read model: whether a log proved them makes no difference to a lookup.
    """
    with sqlite_engine(data / "veza.db") as engine, writing(engine) as session:
        for document in documents(units):
            if document.participant != OWN:
                create_log(session, document.participant, own=False)
            entries = (
                AppliedEntry(seq, record, "put", NOW, record_data, None, "live")
                for seq, (record, record_data) in enumerate(document.records.items())
            )
            apply_entries(session, document.participant, entries)
        now = dt.datetime.now(dt.UTC)
        add_user(session, "bench", "correct horse battery", ["officer"], None, now)
        return issue_token(session, "bench", dt.timedelta(hours=8), now)
