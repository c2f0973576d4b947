"""Fifty peers on real sockets, ten of them hostile, each in its own way; and the node that meets them, as a process.

    python -m tests.abuse.crowd FOLDER PORT

is that node: it pulls all fifty once and prints what came of it, how long it took and how much memory, as JSON.
"""

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from directory.database import make_engine, reading, writing
from federation.keys import key_set
from federation.participants import bind_participant
from federation.verification import verify_logs
from sync.client import HttpTransport
from tests.abuse import wire
from tests.abuse.attacked import forget_peak, memory
from tests.conftest import create_tables
from tests.simulators.follower import make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW, named_key
from tests.simulators.raw_server import Answer
from tests.simulators.socket_network import LOOPBACK, SocketNetwork

CODES = [f"P{number:02}" for number in range(50)]
HOSTS = [f"{code.lower()}.example" for code in CODES]
ENTRIES_EACH = 300
SECONDS = 4.0
"""A token's and a page's; of a hostile peer, none costs more than a few of these."""
BUDGET = 180.0
"""For the whole run, on a busy machine: fifty peers that each use up all their time one after the other take longer."""

HOSTILE: dict[str, tuple[str, Answer, set[str]]] = {
    "P00": ("/checkpoint", wire.endless, {"too_large"}),
    "P05": ("/checkpoint", wire.dripping, {"timeout"}),
    "P10": ("/entries", wire.bomb, {"too_large"}),
    "P15": ("/checkpoint", wire.silent, {"timeout"}),
    "P20": ("/checkpoint", wire.headed(("Location", "https://p01.example/"), status="302 X"), {"redirect_refused"}),
    "P30": ("/entries", wire.dripping, {"timeout"}),
    "P35": ("/entries", wire.endless, {"too_large"}),
}
"""Code → where it misbehaves, how, and what may be said of it."""
LYING = {"P25": "fork", "P40": "unknown_key", "P45": "bad_entry"}
FORKING, HELD_OF_IT = "P25", 200
"""The node holds so much of it already, and then meets another history."""


def named_network(port: int) -> SimulatedNetwork:
    """Fifty nodes with names and keys that follow from their codes."""
    network = SimulatedNetwork()
    network.listen_on(port)
    for code in CODES:
        network.add(code, enrolled=False)
    return network


class Crowd:
    """The fifty, while ``with`` lasts."""

    def __init__(self, folder: Path) -> None:
        self._sockets = SocketNetwork(folder, HOSTS)
        self.port = self._sockets.server.port
        self._sockets.network = named_network(self.port)
        self.expected = {code: expected for code, (_, _, expected) in HOSTILE.items()}
        self.expected |= {code: {expected} for code, expected in LYING.items()}
        self.good = [code for code in CODES if code not in self.expected]

    def __enter__(self) -> Self:
        nodes = {node.participant: node for node in self._sockets.network.nodes.values()}
        for node in nodes.values():
            node.grow(ENTRIES_EACH)
            node.checkpoint_token = node.served_checkpoint()
        for code, (part, answer, _) in HOSTILE.items():
            self._sockets.hostile[f"{nodes[code].entity_id}/federation/v1/logs/{code}{part}"] = answer
        nodes[FORKING].rewrite(0)
        nodes[FORKING].checkpoint_token = None
        nodes["P40"].signing_key, nodes["P40"].checkpoint_token = named_key("thief"), None
        nodes["P45"].page_lie = lambda start, page: b"[]\n" * len(page)
        self._sockets.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sockets.__exit__(kind, error, trace)


def meet(folder: Path, port: int) -> dict[str, object]:
    """Pull everybody once."""
    url = f"sqlite:///{folder / 'node.db'}"
    create_tables(url)
    network = named_network(port)
    transport = HttpTransport(ca_file=str(folder / "cert.pem"), resolve=lambda host, port: ["127.0.0.1"])
    follower = make_follower(make_engine(url), network)
    with writing(follower.engine) as session:
        session.connection().exec_driver_sql("DELETE FROM anchor")
        for node in network.nodes.values():
            assert node.identity.federation_key is not None
            keys = key_set(node.identity.federation_key)
            bind_participant(session, node.participant, node.entity_id, "peering", keys, allowed_networks=[LOOPBACK])
    next(node for node in network.nodes.values() if node.participant == FORKING).grow(HELD_OF_IT)
    assert follower.pull(FORKING).result == "ok"
    limited = follower.using(transport).limited(
        token_seconds=SECONDS, page_seconds=SECONDS, gossip_seconds=SECONDS, relay_seconds=SECONDS
    )
    forget_peak()
    idle, began = memory("VmRSS"), time.monotonic()
    results = limited.pull_all()
    told: dict[str, object] = {
        "results": {code: result.result for code, result in results.items()},
        "seconds": round(time.monotonic() - began, 1),
        "budget": BUDGET,
        "idle": idle,
        "peak": memory("VmHWM"),
    }
    with reading(follower.engine) as session:
        told["findings"] = [str(each) for each in verify_logs(session)]
    assert limited.now == NOW
    return told


if __name__ == "__main__":
    print(json.dumps(meet(Path(sys.argv[1]), int(sys.argv[2]))))
