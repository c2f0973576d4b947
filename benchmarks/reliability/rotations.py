"""A year of key changes while a peer was away: 12 federation keys and 52 operating keys, followed in one sync."""

import tempfile
import time
from pathlib import Path

from benchmarks.nodes import sqlite_engine
from benchmarks.reliability.figures import Options, show
from directory.database import reading
from federation.participants import load_configuration, load_configurations
from sync.transport import Response
from tests.conftest import create_tables
from tests.integration.test_key_history import DAY, follow, rotate_for_a_year
from tests.simulators.follower import make_follower
from tests.simulators.host import make_host, simulate
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import named_identity


class CountedNetwork(SimulatedNetwork):
    """Also counts the bytes of the bodies that it answered, uncompressed."""

    served = 0

    def serve(self, url: str, bearer: str | None = None) -> Response:
        response = super().serve(url, bearer)
        self.served += len(response.body)
        return response


def run(options: Options) -> None:
    for trust in ("anchor", "peering"):
        with tempfile.TemporaryDirectory(prefix="veza-bench-") as name:
            _run(Path(name), trust)


def _run(folder: Path, trust: str) -> None:
    network = CountedNetwork()
    for name in ("host", "follower"):
        create_tables(f"sqlite:///{folder / name}.db")
    with sqlite_engine(folder / "host.db") as origin, sqlite_engine(folder / "follower.db") as engine:
        host = make_host(origin, folder, network)
        follower = make_follower(engine, network, named_identity("RS"))
        follow(follower, host, trust)
        rotate_for_a_year(host, trust)
        host.check_whole()
        shown = simulate(host)
        shown.grow(3)
        follower.pass_time(364 * DAY)
        network.forget_requests()
        network.served, began = 0, time.perf_counter()
        result = follower.pull_all(["ME"])["ME"]
        seconds = time.perf_counter() - began
        assert (result.result, result.size) == ("ok", 3), result
        with reading(engine) as session:
            assert load_configuration(session, "ME") == host.configuration
            kept = len(load_configurations(session, "ME"))
    show("rotations", f"{trust}: configurations in the chain served, kept by the peer", f"{len(host.chain())}, {kept}")
    show(
        "rotations",
        f"{trust}: requests, kB of bodies uncompressed",
        f"{len(network.requests)}, {network.served / 1000:.1f}",
    )
    show("rotations", f"{trust}: the one sync, without a network", f"{seconds:.2f} s")
