"""A real node's database that follows simulated ones, with what must hold after every refusal in one place."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from directory.database import reading, writing
from directory.store import load_records, load_skipped
from federation.head import Head
from federation.identity import Identity
from federation.keys import key_set
from federation.log import create_log, load_head
from federation.merkle import EMPTY_ROOT
from federation.own_configuration import renew_configuration
from federation.participants import bind_participant, load_participant
from federation.publishing import renew_checkpoint
from federation.trusted_anchor import trust_anchor
from federation.verification import verify_logs
from sync.federation_report import report
from sync.node import Node, NodeSettings
from sync.pull import PullResult, pull_all, pull_participant
from sync.status import Status, load_status
from sync.transport import Limits, PeerTransport
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW, SimulatedNode, named_identity


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a node holds of one participant: the invariants of a refusal compare two of them."""

    size: int
    root: bytes
    issued_at: dt.datetime | None
    checkpoint: str | None
    configuration: str | None
    records: tuple[tuple[str, str, int], ...]


@dataclass(slots=True)
class Follower:
    """The node under test."""

    node: Node
    network: SimulatedNetwork
    now: dt.datetime = NOW

    @property
    def engine(self) -> sa.Engine:
        return self.node.engine

    def pull(self, participant: str) -> PullResult:
        return pull_participant(self.node, participant, self.now)

    def pull_all(self, codes: Sequence[str] | None = None) -> dict[str, PullResult]:
        return {result.participant: result for result in pull_all(self.node, self.now, codes)}

    def pass_time(self, time: dt.timedelta) -> None:
        """Let time pass here and everywhere."""
        self.now += time
        self.network.set_time(self.now)

    def using(self, transport: PeerTransport) -> "Follower":
        """The same database behind another transport."""
        return Follower(replace(self.node, transport=transport), self.network, self.now)

    def limited(self, spool: Path | None = None, **limits: float) -> "Follower":
        """The same database with other limits."""
        settings = replace(self.node.settings, limits=replace(Limits(), **limits), spool=spool)  # type: ignore[arg-type]
        return Follower(replace(self.node, settings=settings), self.network, self.now)

    def head(self, participant: str) -> Head:
        with reading(self.engine) as session:
            head = load_head(session, participant)
        assert head is not None
        return head

    def status(self, participant: str) -> Status:
        with reading(self.engine) as session:
            status = load_status(session, participant)
        assert status is not None
        return status

    def state(self, participant: str) -> str:
        """The participant's state as it is shown."""
        with reading(self.engine) as session:
            return next(str(row["state"]) for row in report(session, self.now) if row["participant"] == participant)

    def records(self, participant: str) -> dict[str, object]:
        """What the read model shows of a participant."""
        with reading(self.engine) as session:
            return {record.record: record.data for record in load_records(session, participant)}

    def skipped(self, participant: str) -> dict[int, str]:
        with reading(self.engine) as session:
            return {skipped.seq: skipped.code for skipped in load_skipped(session, participant)}

    def snapshot(self, participant: str) -> Snapshot:
        with reading(self.engine) as session:
            head = load_head(session, participant)
            node = load_participant(session, participant)
            records = load_records(session, participant)
        held = node.configuration if node else None
        return Snapshot(
            size=head.size if head else 0,
            root=head.root if head else EMPTY_ROOT,
            issued_at=head.issued_at if head else None,
            checkpoint=head.checkpoint if head else None,
            configuration=held.token if held else None,
            records=tuple((record.record, str(record.data), record.seq) for record in records),
        )

    def check_logs(self) -> None:
        """Every stored byte still proves what is held."""
        with reading(self.engine) as session:
            assert list(verify_logs(session)) == []

    def check_holds(self, origin: SimulatedNode) -> None:
        """Everything that the origin has is held, and proven."""
        head = self.head(origin.participant)
        assert (head.size, head.root) == (origin.size, origin.root)
        self.check_logs()


def make_follower(engine: sa.Engine, network: SimulatedNetwork, identity: Identity | None = None) -> Follower:
    """A node in ``engine`` that trusts the network's anchor."""
    own = identity or named_identity("ME")
    with writing(engine) as session:
        create_log(session, own.participant, own=True)
        assert own.federation_key is not None
        bind_participant(session, own.participant, own.entity_id, "own", key_set(own.federation_key))
        renew_configuration(session, own, name="", now=NOW, authority_hints=[network.anchor.entity_id])
        renew_checkpoint(session, own, NOW)
        trust_anchor(session, network.anchor.entity_id, network.anchor.keys)
    return Follower(Node(engine, lambda: own, network, NodeSettings()), network)


def pin(follower: Follower, node: SimulatedNode) -> None:
    """Trust a node by peering, as an operator does who compared its fingerprint."""
    assert node.identity.federation_key is not None
    with writing(follower.engine) as session:
        keys = key_set(node.identity.federation_key)
        bind_participant(session, node.participant, node.entity_id, "peering", keys)
