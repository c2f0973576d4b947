"""``python -m benchmarks.sync_memory RECORDS``: how many MiB a first sync adds to a process at its peak."""

import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

from benchmarks.measure import peak_memory_mib
from benchmarks.nodes import NOW, found_node, publish_units, sqlite_engine, trust
from benchmarks.origin import DirectOrigin
from benchmarks.sync import FOLLOWER, ORIGIN
from sync.node import Node
from sync.pull import pull_participant


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="veza-bench-") as folder:
        origin, follower = Path(folder) / "origin.db", Path(folder) / "follower.db"
        maker = get_context("spawn").Process(target=make, args=(origin, follower, int(sys.argv[1])))
        maker.start()
        maker.join()
        with sqlite_engine(origin) as engine, sqlite_engine(follower) as follower_engine:
            node = Node(follower_engine, FOLLOWER, DirectOrigin(engine, ORIGIN))
            before = peak_memory_mib()
            assert pull_participant(node, ORIGIN.participant, NOW).result == "ok"
            print(peak_memory_mib() - before)


def make(origin: Path, follower: Path, records: int) -> None:
    """Both databases, in a process of its own: what it takes must not count."""
    with sqlite_engine(origin) as engine:
        found_node(engine, ORIGIN)
        publish_units(engine, ORIGIN, range(records))
    with sqlite_engine(follower) as engine:
        found_node(engine, FOLLOWER)
        trust(engine, ORIGIN)


if __name__ == "__main__":
    main()
