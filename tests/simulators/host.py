"""A node with its key files on one host: the part of a real node that changes its keys, without a web server."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from directory.database import reading, writing
from federation.checkpoint import read_checkpoint
from federation.identity import create_identity
from federation.key_directory import KeyDirectory
from federation.keys import key_set
from federation.listed_keys import ListedKeys, load_listed
from federation.log import create_log, load_head
from federation.own_configuration import renew_configuration
from federation.participants import bind_participant, configurations_chain, load_configuration
from federation.publishing import PendingChange, publish, renew_checkpoint
from federation.statements import NodeConfiguration
from federation.trusted_anchor import trust_anchor
from federation.verification import verify_logs
from sync.key_changes import (
    FederationRotation,
    Revocation,
    revoke_key,
    rotate_federation_key,
    rotate_operating_key,
)
from sync.node import Node, NodeSettings
from sync.own_configuration import renew_own_configuration
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW, SimulatedNode, duty_officer

ENTITY_ID = "https://me.example"


@dataclass(slots=True)
class Host:
    """One host of the node ME; ``now`` is moved by the test."""

    engine: sa.Engine
    keys: KeyDirectory
    network: SimulatedNetwork
    now: dt.datetime = NOW

    @property
    def node(self) -> Node:
        return Node(self.engine, self.keys.load, self.network, NodeSettings(name="Montenegro"))

    @property
    def configuration(self) -> NodeConfiguration:
        with reading(self.engine) as session:
            found = load_configuration(session, "ME")
        assert found is not None
        return found

    @property
    def signer(self) -> str:
        """The federation key that signed the newest configuration."""
        return self.configuration.kid

    def operating(self) -> list[str]:
        """This host's listed operating keys, the signing one first."""
        self.keys.look_again()
        return [key.kid for key in self.keys.load().operating_keys]

    def files(self) -> set[str]:
        return {path.name for path in self.keys.path.iterdir()}

    def pass_time(self, time: dt.timedelta) -> None:
        self.now += time
        self.network.set_time(self.now)

    def rotate(self) -> str:
        return rotate_operating_key(self.node, self.keys, self.now)

    def rotate_federation(self) -> FederationRotation:
        return rotate_federation_key(self.node, self.keys, self.now)

    def revoke(self, kid: str) -> Revocation:
        return revoke_key(self.node, self.keys, kid, self.now)

    def renew(self) -> None:
        """The worker's daily renewal."""
        renew_own_configuration(self.node, self.now, None)

    def save(self) -> str:
        """Publish a record; the key that signed the checkpoint."""
        with writing(self.engine) as session:
            head = load_head(session, "ME")
            assert head is not None
            change = PendingChange(f"member/m-{head.size}", "put", duty_officer(head.size))
            return publish(session, self.node.identity, [change], self.now).kid

    def checkpoint_signer(self) -> str:
        with reading(self.engine) as session:
            head = load_head(session, "ME")
        assert head is not None
        assert head.checkpoint is not None
        return read_checkpoint(head.checkpoint).kid

    def chain(self) -> list[str]:
        with reading(self.engine) as session:
            return configurations_chain(session, "ME")

    def check_whole(self) -> None:
        """One history, no half-done change, and whatever the node shows verifies."""
        configuration = self.configuration
        assert set(self.operating()) <= configuration.operating_keys.keys()
        assert self.checkpoint_signer() in configuration.operating_keys
        assert not [name for name in self.files() if not name.endswith(".pem")]
        with reading(self.engine) as session:
            assert list(verify_logs(session)) == []


def make_host(engine: sa.Engine, path: Path, network: SimulatedNetwork, passphrase: bytes | None = None) -> Host:
    """A node as ``veza init`` leaves it; it trusts no anchor."""
    made = create_identity(path / "keys", "ME", ENTITY_ID, passphrase)
    assert made.federation_key is not None
    with writing(engine) as session:
        bind_participant(session, "ME", ENTITY_ID, "own", key_set(made.federation_key))
        create_log(session, "ME", own=True)
        renew_configuration(session, made, name="Montenegro", now=NOW)
        renew_checkpoint(session, made, NOW)
    return open_host(engine, path / "keys", network, passphrase)


def open_host(engine: sa.Engine, keys: Path, network: SimulatedNetwork, passphrase: bytes | None = None) -> Host:
    """A host of the node whose key directory is ``keys``."""

    def load(known: ListedKeys | None) -> ListedKeys | None:
        with reading(engine) as session:
            return load_listed(session, "ME", known)

    return Host(engine, KeyDirectory(keys, "ME", ENTITY_ID, passphrase, load), network)


def trust_the_anchor(host: Host) -> None:
    """Use the network's anchor, which vouches for the keys that the node lists now."""
    with writing(host.engine) as session:
        trust_anchor(session, host.network.anchor.entity_id, host.network.anchor.keys)
    host.network.anchor.enrolled[ENTITY_ID] = ("ME", host.configuration.federation_keys)


def simulate(host: Host) -> SimulatedNode:
    """The node as others fetch it, as it is now: its configuration, its chain and its empty log."""
    shown = SimulatedNode(host.keys.load(), host.now)
    shown._configuration = ((shown.identity, shown.authority_hints, shown.readers), host.configuration.token)
    shown.chain = host.chain()
    host.network.nodes[ENTITY_ID] = shown
    return shown
