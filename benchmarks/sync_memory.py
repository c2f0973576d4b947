"""``python -m benchmarks.sync_memory ORIGIN``: the MiB that a first sync of that database adds at its peak."""

import sqlite3
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa

from benchmarks.measure import peak_memory_mib
from benchmarks.nodes import NOW, found_node, sqlite_engine, trust
from benchmarks.origin import DirectOrigin
from benchmarks.sync import FOLLOWER, ORIGIN
from sync.node import Node
from sync.pull import pull_participant


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="veza-bench-") as folder,
        sqlite_engine(Path(sys.argv[1])) as origin,
        sqlite_engine(Path(folder) / "follower.db") as engine,
    ):
        sa.event.listen(origin, "connect", _keep_little)  # the origin is another machine's memory
        found_node(engine, FOLLOWER)
        trust(engine, ORIGIN)
        node = Node(engine, lambda: FOLLOWER, DirectOrigin(origin, ORIGIN))
        before = peak_memory_mib()
        result = pull_participant(node, ORIGIN.participant, NOW)
        assert result.result == "ok", result.detail
        print(peak_memory_mib() - before)


def _keep_little(connection: sqlite3.Connection, record: object) -> None:
    connection.execute("PRAGMA cache_size=-100")


if __name__ == "__main__":
    main()
