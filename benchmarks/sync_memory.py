"""``python -m benchmarks.sync_memory ORIGIN``: the MiB that a first sync of that database adds at its peak."""

import sys
import tempfile
from pathlib import Path

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
        found_node(engine, FOLLOWER)
        trust(engine, ORIGIN)
        node = Node(engine, FOLLOWER, DirectOrigin(origin, ORIGIN))
        before = peak_memory_mib()
        result = pull_participant(node, ORIGIN.participant, NOW)
        assert result.result == "ok", result.detail
        print(peak_memory_mib() - before)


if __name__ == "__main__":
    main()
