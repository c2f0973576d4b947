"""Two real nodes that reach each other in memory, for tests of messages and peering."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from directory.database import make_engine, reading, writing
from federation.mailbox import SentMessage, load_sent
from federation.participants import load_configuration, load_participant
from federation.peering import Proposal, load_own_proposals, load_proposals, pin, proposal_state, refuse
from federation.statements import NodeConfiguration
from sync.delivery import deliver
from sync.wanted import load_wanted
from tests.simulators.follower import Follower, make_follower
from tests.simulators.message_link import MessageLink
from tests.simulators.node_simulator import named_identity


@dataclass(slots=True)
class Peer(Follower):
    """A real node and its operator."""

    @property
    def code(self) -> str:
        return self.node.participant

    def configuration(self) -> NodeConfiguration:
        """Its own newest one, as anybody can fetch it."""
        with reading(self.engine) as session:
            found = load_configuration(session, self.code)
        assert found is not None
        return found

    def pin(self, other: "Peer") -> str:
        """What ``peer add`` or ``peer approve`` writes; the message's ``jti``."""
        with writing(self.engine) as session:
            return pin(session, other.configuration(), (), self.now)

    def refuse(self, other: "Peer") -> str:
        """What ``peer refuse`` writes."""
        (proposal,) = [each for each in self.proposals() if each.entity_id == other.node.identity.entity_id]
        with writing(self.engine) as session:
            return refuse(session, proposal, self.now)

    def send(self, jti: str) -> SentMessage:
        """One attempt to deliver."""
        sent = deliver(self.node, jti, self.now)
        assert sent is not None
        return sent

    def sent(self, jti: str) -> SentMessage:
        with reading(self.engine) as session:
            found = load_sent(session, jti)
        assert found is not None
        return found

    def proposals(self) -> list[Proposal]:
        with reading(self.engine) as session:
            return load_proposals(session, self.now)

    def own_proposals(self) -> dict[str, str]:
        """How this node's proposals stand, by the code they went to."""
        with reading(self.engine) as session:
            return {sent.participant: proposal_state(sent) for sent in load_own_proposals(session)}

    def wanted(self) -> set[str]:
        with reading(self.engine) as session:
            return set(load_wanted(session))

    def trusts(self, other: "Peer") -> bool:
        with reading(self.engine) as session:
            node = load_participant(session, other.code)
        return node is not None and node.is_trusted(self.now)

    def count(self, table: str) -> int:
        with reading(self.engine) as session:
            return int(session.execute(sa.text(f'SELECT count(*) FROM "{table}"')).scalar_one())


def make_peer(engine: sa.Engine, link: MessageLink, code: str) -> Peer:
    """A real node without an anchor."""
    made = make_follower(engine, link, named_identity(code))
    with writing(engine) as session:
        session.execute(sa.text("DELETE FROM anchor"))
    link.join(made.node)
    return Peer(made.node, link, link.now)


def second_engine(template: Path, folder: Path, name: str) -> sa.Engine:
    """A fresh SQLite database beside the one under test."""
    path = folder / f"{name}.db"
    shutil.copyfile(template, path)
    return make_engine(f"sqlite:///{path}")
