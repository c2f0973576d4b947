"""Importing a directory document into an empty log, beside the bare insert of the rows that it writes."""

import statistics
import tempfile
from pathlib import Path

from benchmarks.measure import Report, Row, seconds
from benchmarks.nodes import copy_database, filled, found_node, make_identity, sqlite_engine
from benchmarks.origin import DirectOrigin
from benchmarks.population import make_unit
from benchmarks.sync import Stage, floor
from directory.database import reading
from directory.document import Document, parse_document
from federation.log import read_entries
from sync.node import Node
from tests.records import make_participant
from web.cli.importing import import_records

IDENTITY = make_identity("ME")


def run(report: Report) -> None:
    units, rounds = (10_000, 3) if report.quick else (100_000, 5)
    document = make_participant(units=[{"id": f"me-u{number}", **make_unit("ME", number)} for number in range(units)])
    with tempfile.TemporaryDirectory(prefix="veza-bench-") as name:
        empty, target = Path(name) / "empty.db", Path(name) / "round.db"
        with sqlite_engine(empty) as engine:
            found_node(engine, IDENTITY)
        with sqlite_engine(filled(units)) as engine, reading(engine) as session:
            entries = read_entries(session, "ME", 0, units)
            stage = Stage("", DirectOrigin(engine, IDENTITY), empty, entries, ())
        pairs = []
        for _ in range(rounds):
            with sqlite_engine(copy_database(empty, target)) as engine:
                beside = floor(stage, engine)
            with sqlite_engine(copy_database(empty, target)) as engine:
                node = Node(engine, IDENTITY, stage.origin)
                pairs.append((seconds(lambda node=node: import_records(node, read(document))), beside))
    ratio = statistics.median(ours / beside for ours, beside in pairs)
    ours, beside = (statistics.median(values) for values in zip(*pairs, strict=True))
    what = f"import of {units:,} units, read from JSON values"
    report.add(Row(what, "≤ 4 × the raw insert", "s", ours, beside, "hash and insert", ratio, met=ratio <= 4))


def read(document: dict[str, object]) -> Document:
    return parse_document(document, "ME")
