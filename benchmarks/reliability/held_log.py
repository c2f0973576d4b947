"""``python -m benchmarks.reliability.held_log follow|verify|rebuild …``: a process that does it to a long log.

It prints what it took as JSON: seconds, and memory at its peak above what the process had before.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.nodes import NOW, found_node, make_identity, sqlite_engine, trust
from benchmarks.reliability.figures import MIB
from benchmarks.reliability.long_origin import HELD, LATER, ORIGIN, LongOrigin, spooled
from directory.database import reading, writing
from sync.node import Node, NodeSettings
from sync.pull import pull_participant
from sync.repair import find_damage, rebuild_all
from sync.transport import Limits
from tests.abuse.attacked import forget_peak, memory

FOLLOWER = make_identity("RS")
_TABLES = ("log", "entry", "record", "participant", "configuration", "skipped")


def follow(origin: Path, database: Path, run_entries: int) -> dict[str, Any]:
    """Hold a little, then follow the whole log in as many runs as the limit makes of it."""
    spool = database.parent / f"{database.stem}-spool"
    transport = LongOrigin(origin, spool)
    settings = NodeSettings(spool=spool, limits=replace(Limits(), run_entries=run_entries))
    runs: list[dict[str, Any]] = []
    with sqlite_engine(database) as engine:
        found_node(engine, FOLLOWER)
        trust(engine, ORIGIN)
        node = Node(engine, lambda: FOLLOWER, transport, settings)
        assert pull_participant(node, "ME", NOW).size == HELD
        before, transport.shown = _held(engine), "whole"
        while not runs or runs[-1]["result"] == "too_large":
            runs.append(_measured(lambda: {"result": pull_participant(node, "ME", LATER).result}))
            runs[-1] |= {"unchanged": _held(engine) == before, "kept": spooled(spool)}
        size = _count(engine, "entry")
    return {"runs": runs, "size": size, "spool_peak": transport.spool_peak, "database": database.stat().st_size}


def verify(database: Path) -> dict[str, Any]:
    """``veza verify``."""
    with sqlite_engine(database) as engine:
        return _measured(lambda: {"findings": [str(each) for each in find_damage(engine, LATER)]})


def rebuild(database: Path) -> dict[str, Any]:
    """``veza rebuild``, and whether the read model is the same afterwards."""
    with sqlite_engine(database) as engine:
        before = _shown(engine)

        def work() -> dict[str, Any]:
            with writing(engine) as session:
                return {"erased": rebuild_all(session, LATER)}

        told = _measured(work)
        return told | {"same": _shown(engine) == before}


def _measured(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    forget_peak()
    idle, began = memory("VmRSS"), time.perf_counter()
    told = work()
    return told | {"seconds": time.perf_counter() - began, "mib": (memory("VmHWM") - idle) / MIB}


def _held(engine: sa.Engine) -> str:
    """A digest over every row that is held of ME, without what a look at the origin may move."""
    with reading(engine) as session:
        rows = (
            repr(row)
            for table in _TABLES
            for row in session.execute(sa.text(f"SELECT * FROM \"{table}\" WHERE participant = 'ME' LIMIT 10000"))
        )
        return _digest(rows)


def _shown(engine: sa.Engine) -> str:
    """A digest over the whole read model."""
    query = "SELECT record, type, seq, at, data, state FROM record WHERE participant = 'ME' ORDER BY record"
    with reading(engine) as session:
        return _digest(map(repr, session.execute(sa.text(query).execution_options(yield_per=1000))))


def _digest(rows: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(row.encode())
    return digest.hexdigest()


def _count(engine: sa.Engine, table: str) -> int:
    with reading(engine) as session:
        return int(session.execute(sa.text(f"SELECT count(*) FROM \"{table}\" WHERE participant = 'ME'")).scalar_one())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.held_log", description=__doc__)
    parser.add_argument("action", choices=["follow", "verify", "rebuild"])
    parser.add_argument("database", type=Path)
    parser.add_argument("--origin", type=Path)
    parser.add_argument("--run-entries", type=int, default=Limits().run_entries)
    asked = parser.parse_args()
    if asked.action == "follow":
        told = follow(asked.origin, asked.database, asked.run_entries)
    else:
        told = {"verify": verify, "rebuild": rebuild}[asked.action](asked.database)
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
