"""Nodes in memory that speak the protocol as an origin, a relay or an anchor, and misbehave when told to.

What a node says is signed when it is fetched, so a test edits plain attributes. Everything honest comes from
``federation``; every lie is a method or an attribute whose name says what it does.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from federation.checkpoint import Checkpoint, make_checkpoint, read_checkpoint
from federation.encoding import b64url_encode, dump_json
from federation.entries import Entry, encode_page, make_delete, make_put, page_end
from federation.identity import AnchorIdentity, Identity
from federation.keys import KeySet, SigningKey, key_from_seed, key_set
from federation.merkle import Frontier, leaf_hash
from federation.signing import CHECKPOINT, sign
from federation.statements import (
    CONFIGURATION_LIFETIME,
    make_anchor_configuration,
    make_configuration,
    make_subordinate_statement,
)

NOW = dt.datetime(2026, 11, 21, 20, 0, 0, tzinfo=dt.UTC)
SALT = bytes(16)


def named_key(name: str) -> SigningKey:
    """The same key for the same name."""
    return key_from_seed(hashlib.sha256(name.encode()).digest())


def named_identity(participant: str) -> Identity:
    """A node at ``https://<code>.example`` with keys that follow from its code."""
    name = participant.lower()
    return Identity(
        participant, f"https://{name}.example", named_key(f"{name} federation"), named_key(f"{name} operating")
    )


def duty_officer(number: int = 1, **members: object) -> dict[str, Any]:
    """The smallest record that follows every rule."""
    return {"name": f"Duty officer {number}", **members}


PageLie = Callable[[int, list[Entry]], "list[Entry] | bytes"]


@dataclass(slots=True)
class SimulatedNode:
    """One participant's node: its keys, its log, what it relays, and its lies."""

    identity: Identity
    now: dt.datetime = NOW
    entries: list[Entry] = field(default_factory=list)
    authority_hints: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    relayed: dict[str, "SimulatedNode"] = field(default_factory=dict)
    """Copies of other nodes, by participant: what this node relays of them."""
    online: bool = True
    signing_key: SigningKey | None = None
    """Signs checkpoints in place of the operating key that the configuration lists."""
    checkpoint_claims: dict[str, Any] = field(default_factory=dict)
    """Claims that every checkpoint carries in place of the true ones (``...`` leaves one out)."""
    checkpoint_token: bytes | None = None
    """What is served as the checkpoint, whatever the log is."""
    checkpoint_lifetime: dt.timedelta = dt.timedelta(hours=48)
    configuration_token: bytes | None = None
    """What is served as the configuration."""
    chain: list[str] = field(default_factory=list)
    """The configurations with which the federation keys changed."""
    page_lie: PageLie | None = None
    """Gets the start and the honest entries of a page, gives what is served."""
    taken: list[bytes] = field(default_factory=list)
    """Statements that were posted here and taken."""
    _configuration: tuple[object, str] | None = None

    @property
    def participant(self) -> str:
        return self.identity.participant

    @property
    def entity_id(self) -> str:
        return self.identity.entity_id

    @property
    def size(self) -> int:
        return len(self.entries)

    @property
    def root(self) -> bytes:
        return self.frontier().root()

    def frontier(self, size: int | None = None) -> Frontier:
        return Frontier().extend(leaf_hash(entry.header) for entry in self.entries[:size])

    # Honest work

    def publish(self, record: str, data: Mapping[str, Any] | None = None) -> None:
        """Put a record, and erase the payload that it supersedes."""
        entry = make_put(self.size, record, data if data is not None else duty_officer(self.size), self.now, SALT)
        self._supersede(record)
        self.entries.append(entry)

    def delete(self, record: str) -> None:
        """Delete a record, and erase its payload."""
        self._supersede(record)
        self.entries.append(make_delete(self.size, record, self.now))

    def grow(self, number: int, start: int | None = None) -> None:
        """Publish so many new records."""
        first = self.size if start is None else start
        for position in range(first, first + number):
            self.entries.append(make_put(self.size, f"member/m-{position}", duty_officer(position), self.now, SALT))

    def checkpoint(self, now: dt.datetime | None = None) -> Checkpoint:
        """The checkpoint over the log as it is, whatever is served."""
        return make_checkpoint(self.identity, self.size, self.root, now or self.now, None, self.checkpoint_lifetime)

    def configuration(self) -> str:
        """The configuration, the same bytes until something in it changes."""
        content = (self.identity, self.authority_hints, self.readers)
        if self._configuration is None or self._configuration[0] != content:
            self._configuration = (content, self.sign_configuration())
        return self._configuration[1]

    def sign_configuration(self, lifetime: dt.timedelta = CONFIGURATION_LIFETIME, **changes: Any) -> str:
        """A new configuration, issued now."""
        arguments: dict[str, Any] = {
            "now": self.now,
            "authority_hints": self.authority_hints,
            "readers": self.readers,
            "lifetime": lifetime,
        }
        return make_configuration(self.identity, **(arguments | changes)).token

    def renew_configuration(self) -> None:
        """Sign the configuration anew."""
        self._configuration = None

    def rotate_operating_key(self, name: str) -> None:
        """Use another operating key; the configuration lists it and no longer the old one."""
        self.identity = Identity(self.participant, self.entity_id, self.identity.federation_key, named_key(name))

    def rotate_federation_key(self, name: str) -> None:
        """Change the federation key in two steps, each signed by a key that the one before lists."""
        new = named_key(name)
        if not self.chain:
            self.chain.append(self.configuration())
        self.now += dt.timedelta(seconds=1)
        self.chain.append(self.sign_configuration(other_federation_keys=key_set(new)))
        self.now += dt.timedelta(seconds=1)
        self.identity = Identity(self.participant, self.entity_id, new, self.identity.operating_key)
        self._configuration = None
        self.chain.append(self.configuration())

    def copy(self) -> "SimulatedNode":
        """The node as it is now, to be relayed or to diverge."""
        return SimulatedNode(
            self.identity,
            self.now,
            list(self.entries),
            self.authority_hints,
            self.readers,
            chain=list(self.chain),
            _configuration=self._configuration,
        )

    # Lies

    def roll_back_to(self, size: int) -> None:
        """Forget everything after the first ``size`` entries."""
        del self.entries[size:]

    def rewrite(self, seq: int) -> None:
        """Replace entry ``seq`` as if it had always been another one."""
        self.entries[seq] = make_put(seq, f"member/m-{seq}", duty_officer(seq + 9000), self.now, SALT)

    def freeze(self) -> None:
        """Serve today's checkpoint for ever."""
        self.checkpoint_token = self.served_checkpoint()

    def withhold_payload(self, seq: int) -> None:
        """Serve entry ``seq`` without its payload."""
        self.lie_about_entry(seq, lambda entry: Entry(entry.header, None))

    def tamper_with_header(self, seq: int) -> None:
        """Serve entry ``seq`` with one letter of its header changed."""
        self.lie_about_entry(seq, lambda entry: Entry(entry.header.replace(b"member/m-", b"member/n-"), entry.payload))

    def tamper_with_payload(self, seq: int) -> None:
        """Serve entry ``seq`` with another payload than its header covers."""
        self.lie_about_entry(seq, lambda entry: Entry(entry.header, (entry.payload or b"") + b" "))

    def lie_about_entry(self, seq: int, change: Callable[[Entry], Entry]) -> None:
        """Serve entry ``seq`` changed."""

        def lie(start: int, page: list[Entry]) -> list[Entry]:
            return [change(entry) if start + number == seq else entry for number, entry in enumerate(page)]

        self.page_lie = lie

    # What is served

    def served_checkpoint(self) -> bytes:
        """The checkpoint as it leaves the node."""
        if self.checkpoint_token is not None:
            return self.checkpoint_token
        issued = int(self.now.timestamp())
        claims = {
            "iss": self.entity_id,
            "sub": self.participant,
            "size": self.size,
            "root": b64url_encode(self.root),
            "iat": issued,
            "exp": issued + int(self.checkpoint_lifetime.total_seconds()),
        }
        shown = {name: value for name, value in (claims | self.checkpoint_claims).items() if value is not ...}
        return sign(shown, self.signing_key or self.identity.operating_key, CHECKPOINT.typ).encode("ascii")

    def served_page(self, start: int) -> bytes | None:
        """The page from ``start``; None where there is none."""
        if not 0 <= start < self.size:
            return None
        honest = self.entries[start : page_end(start, self.size)]
        served = honest if self.page_lie is None else self.page_lie(start, honest)
        return served if isinstance(served, bytes) else encode_page(served)

    def served_chain(self) -> bytes:
        """The configurations with which the federation keys changed, then the current one."""
        current = self.configuration()
        return dump_json(self.chain if current in self.chain[-1:] else [*self.chain, current])

    def _supersede(self, record: str) -> None:
        mark = f'"record":"{record}"'.encode()
        self.entries = [Entry(entry.header, None) if mark in entry.header else entry for entry in self.entries]


@dataclass(slots=True)
class SimulatedAnchor:
    """An anchor: whom it lists, and what it says about each."""

    identity: AnchorIdentity = field(
        default_factory=lambda: AnchorIdentity("https://anchor.example", named_key("anchor"))
    )
    now: dt.datetime = NOW
    enrolled: dict[str, tuple[str, KeySet]] = field(default_factory=dict)
    """Code and federation keys, by entity identifier."""
    listed_too: list[str] = field(default_factory=list)
    """Entity identifiers that are listed though nothing vouches for them."""
    not_listed: set[str] = field(default_factory=set)
    """Entity identifiers that are vouched for and yet not listed."""
    not_found: set[str] = field(default_factory=set)
    """Entity identifiers that are listed and yet answered with 404."""
    signing_key: SigningKey | None = None
    """Signs in place of the anchor's own key."""
    online: bool = True

    @property
    def entity_id(self) -> str:
        return self.identity.entity_id

    @property
    def keys(self) -> KeySet:
        """What an operator fetches out of band."""
        return key_set(self.identity.key)

    def enrol(self, node: SimulatedNode, code: str | None = None) -> None:
        """Vouch for a node, for its own code or another."""
        assert node.identity.federation_key is not None
        keys = key_set(node.identity.federation_key)
        self.enrolled[node.entity_id] = (code or node.participant, keys)
        node.authority_hints = (self.entity_id,)

    def served_configuration(self) -> bytes:
        return make_anchor_configuration(self._signer(), self.now).token.encode("ascii")

    def served_list(self) -> bytes:
        listed = [entity_id for entity_id in self.enrolled if entity_id not in self.not_listed]
        return dump_json(listed + self.listed_too)

    def served_statement(self, entity_id: str) -> bytes | None:
        """The statement; None where nothing vouches for the node."""
        if entity_id not in self.enrolled or entity_id in self.not_found:
            return None
        code, keys = self.enrolled[entity_id]
        return make_subordinate_statement(self._signer(), code, entity_id, keys, self.now).token.encode("ascii")

    def _signer(self) -> AnchorIdentity:
        return AnchorIdentity(self.entity_id, self.signing_key or self.identity.key)


def checkpoint_of(token: bytes) -> Checkpoint:
    """A served checkpoint, read."""
    return read_checkpoint(token)


def lines(entries: Sequence[Entry]) -> bytes:
    """Entries as a page's bytes."""
    return encode_page(entries)
