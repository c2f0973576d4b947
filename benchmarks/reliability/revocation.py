"""Real nodes as processes: seconds from ``veza keys revoke`` until each peer refuses the key in both of its uses.

Refused means: a checkpoint that the key signed is answered ``unknown_key`` at ``/federation/v1/checkpoints``, and no
read token that it signed opens a log. One peer is down at that moment, and comes back afterwards.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.figures import Options, load_beside, show
from federation.checkpoint import make_checkpoint
from tests.flows.federation import START_SECONDS, FlowNode, stopping
from tests.flows.test_keys import Thief, newest_checkpoint, post
from tests.waiting import eventually
from web.demo import join_nodes, sync_nodes
from web.demo_plan import DemoNode

WAIT = 120.0
PAUSE = 0.1
CODES = ("ME", "RS", "MK", "AL")
"""The anchor, the node whose key was stolen, and two more peers, of which the last is down."""


@dataclass(frozen=True)
class Round:
    """Seconds of one revocation, by peer, and of the command itself; ``returned`` from the first answer of AL on."""

    command: float
    running: dict[str, float]
    returned: float


def run(options: Options) -> None:
    with tempfile.TemporaryDirectory(prefix="veza-bench-") as folder:
        nodes = [FlowNode.at(Path(folder), code) for code in CODES]
        with stopping(nodes):
            _serve(nodes)
            rounds = [_revoke(nodes) for _ in range(1 if options.quick else options.rounds)]
    each = [seconds for measured in rounds for seconds in measured.running.values()]
    _show(f"refused at a running peer, {len(each)} times", each)
    _show("the command itself, until it told every running peer", [measured.command for measured in rounds])
    _show("refused at a peer that was down, after its first answer", [measured.returned for measured in rounds])


def _show(what: str, seconds: Sequence[float]) -> None:
    figure = f"median {statistics.median(seconds):.1f} s, worst {max(seconds):.1f} s ({load_beside()})"
    show("revocation", what, figure)


def _serve(nodes: Sequence[FlowNode]) -> None:
    for node in nodes:
        node.make()
    for node in nodes:
        node.start(wait=False)
    for node in nodes:
        eventually(node.answers, START_SECONDS)
    members = [DemoNode(node.participant, order, node.url, node.data) for order, node in enumerate(nodes)]
    join_nodes(members)
    sync_nodes(members)


def _revoke(nodes: Sequence[FlowNode]) -> Round:
    anchor, owner, running, away = nodes
    thief, peers = _KnownKey(owner), (anchor, running)
    for peer in (*peers, away):
        eventually(lambda peer=peer: thief.succeeds_at(peer), WAIT)
    away.stop()
    began, seconds = time.monotonic(), {}

    def watch(peer: FlowNode) -> None:
        eventually(lambda: thief.is_refused_by(peer), WAIT, PAUSE)
        seconds[peer.participant] = time.monotonic() - began

    watches = [threading.Thread(target=watch, args=(peer,)) for peer in peers]
    for each in watches:
        each.start()
    owner.answer("keys", "revoke", thief.kid)
    command = time.monotonic() - began
    for each in watches:
        each.join()
    assert seconds.keys() == {peer.participant for peer in peers}
    away.start(wait=False)
    eventually(away.answers, START_SECONDS)
    began = time.monotonic()
    eventually(lambda: thief.is_refused_by(away), WAIT, PAUSE)
    returned = time.monotonic() - began
    eventually(lambda: not any(key["not_taken_by"] for key in owner.answer("keys", "list")), WAIT)
    return Round(command, seconds, returned)


class _KnownKey(Thief):
    """A thief who signed one checkpoint of the true log beforehand, so that asking costs the machine little."""

    def __init__(self, owner: FlowNode) -> None:
        super().__init__(owner)
        head = newest_checkpoint(owner, owner.participant)
        self._checkpoint = make_checkpoint(self.copy, head.size, head.root, head.issued_at).token

    def succeeds_at(self, peer: FlowNode) -> bool:
        return self.read_at(peer) and self._tell(peer)[0] == 202

    def is_refused_by(self, peer: FlowNode) -> bool:
        status, answer = self._tell(peer)
        return status == 401 and "unknown_key" in answer and not self.read_at(peer)

    def _tell(self, peer: FlowNode) -> tuple[int, str]:
        return post(peer, self._checkpoint, "application/jwt")
