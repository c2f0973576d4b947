"""Three real nodes under everything that happens to them, beside a model that is a list.

AA publishes; BB and CC follow it, and each other's copies are relayed. Writers crash at any statement, disks come back
from old copies, keys are rotated, origins fall silent, superseded payloads are erased. After each step every stored
byte verifies, what a follower holds is a beginning of what AA signed, no size has two roots, and a lookup says what the
model says.
"""

import datetime as dt
import shutil
import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy.orm import Session

from directory.database import make_engine, reading, writing
from directory.store import load_records
from federation.identity import Identity
from federation.keys import key_set
from federation.log import create_log, erase_superseded, load_head
from federation.own_node import hold_back
from federation.participants import bind_participant, load_configuration, store_configuration
from federation.publishing import PendingChange, publish, renew_checkpoint
from federation.statements import make_configuration
from federation.verification import verify_logs
from sync.node import Node, NodeSettings
from sync.own_log import settle_own_log
from sync.pull import PullResult, pull_participant
from sync.repair import repair
from tests.conftest import create_tables
from tests.fuzz.attempts import count
from tests.fuzz.held_network import HeldNetwork
from tests.records import make_member
from tests.simulators.node_simulator import NOW, named_identity, named_key

CODES = ("AA", "BB", "CC")
FOLLOWERS = st.sampled_from(CODES[1:])
SLUGS = st.sampled_from(["m-1", "m-2", "m-3"])
SECOND = dt.timedelta(seconds=1)


class CrashError(Exception):
    """The process ends here: the transaction under way is rolled back."""


class Crash:
    """Lets the writer of an engine crash at one of its statements, the commit included."""

    def __init__(self, engine: sa.Engine, statements: int) -> None:
        self._engine = engine
        self._left = statements

    def __enter__(self) -> None:
        sa.event.listen(self._engine, "before_cursor_execute", self._execute)
        sa.event.listen(self._engine, "commit", self._step)

    def __exit__(self, *error: object) -> None:
        sa.event.remove(self._engine, "before_cursor_execute", self._execute)
        sa.event.remove(self._engine, "commit", self._step)

    def _execute(self, *arguments: object) -> None:
        self._step(None)

    def _step(self, connection: object) -> None:
        self._left -= 1
        if self._left == 0:
            raise CrashError


def begin(session: Session, own: Identity, others: list[Identity]) -> None:
    assert own.federation_key is not None
    create_log(session, own.participant, own=True)
    bind_participant(session, own.participant, own.entity_id, "own", key_set(own.federation_key))
    store_configuration(session, make_configuration(own, now=NOW))
    renew_checkpoint(session, own, NOW)
    for other in others:
        assert other.federation_key is not None
        bind_participant(session, other.participant, other.entity_id, "peering", key_set(other.federation_key))
        store_configuration(session, make_configuration(other, now=NOW))


class Federation(RuleBasedStateMachine):
    """The model: ``said`` is everything in AA's log, ``roots`` what AA signed at each size."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.folder = Path(tempfile.mkdtemp())
        self.network = HeldNetwork()
        self.identities = {code: named_identity(code) for code in CODES}
        self.engines: dict[str, sa.Engine] = {}
        self.said: list[tuple[str, str | None]] = []
        self.roots: dict[int, bytes] = {}
        self.backup_size: int | None = None
        self.keys = 0

    @initialize()
    def start(self) -> None:
        template = self.folder / "template.db"
        create_tables(f"sqlite:///{template}")
        for code, identity in self.identities.items():
            shutil.copyfile(template, self.folder / f"{code}.db")
            self.engines[code] = make_engine(f"sqlite:///{self.folder / code}.db")
            others = [other for other in self.identities.values() if other is not identity]
            with writing(self.engines[code]) as session:
                begin(session, identity, others)
            self.network.nodes[identity.entity_id] = self.node(code)
        self.remember_root()

    def node(self, code: str) -> Node:
        return Node(self.engines[code], lambda: self.identities[code], self.network, NodeSettings())

    def teardown(self) -> None:
        for engine in self.engines.values():
            engine.dispose()
        shutil.rmtree(self.folder)

    def pass_time(self, time: dt.timedelta = 2 * SECOND) -> None:
        self.now += time

    def remember_root(self) -> None:
        with reading(self.engines["AA"]) as session:
            head = load_head(session, "AA")
        assert head is not None
        assert self.roots.setdefault(head.size, head.root) == head.root, "two roots for one size"

    def save(self, slug: str, name: str | None) -> None:
        change = PendingChange(f"member/{slug}", "put", make_member(name=name))
        if name is None:
            change = PendingChange(f"member/{slug}", "delete")
        with writing(self.engines["AA"]) as session:
            publish(session, self.identities["AA"], [change], self.now)

    @rule(slug=SLUGS, number=st.integers(0, 3))
    def put(self, slug: str, number: int) -> None:
        self.pass_time()
        name = f"Duty officer {number}"
        if self.model(len(self.said)).get(slug) != name:
            self.said.append((slug, name))
        self.save(slug, name)
        self.remember_root()

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        shown = self.model(len(self.said))
        if not shown:
            return
        slug = data.draw(st.sampled_from(sorted(shown)))
        self.pass_time()
        self.said.append((slug, None))
        self.save(slug, None)
        self.remember_root()

    @rule(slug=SLUGS, statements=st.integers(1, 30))
    def crash_while_saving(self, slug: str, statements: int) -> None:
        """What was not committed was never said."""
        self.pass_time()
        name = f"Officer at {statements}"
        before = self.model(len(self.said)).get(slug)
        try:
            with Crash(self.engines["AA"], statements):
                self.save(slug, name)
        except CrashError:
            return
        if before != name:
            self.said.append((slug, name))
        self.remember_root()

    def pull(self, code: str) -> PullResult:
        self.pass_time()
        return pull_participant(self.node(code), "AA", self.now)

    @rule(code=FOLLOWERS)
    def sync(self, code: str) -> None:
        result = self.pull(code)
        assert result.result == "ok", result
        assert self.held(code) == len(self.said)

    @rule(code=FOLLOWERS, statements=st.integers(1, 40))
    def crash_while_syncing(self, code: str, statements: int) -> None:
        before = self.held(code)
        try:
            with Crash(self.engines[code], statements):
                self.pull(code)
        except CrashError:
            assert self.held(code) in (before, len(self.said))

    @rule(code=FOLLOWERS)
    def sync_from_a_relay(self, code: str) -> None:
        """AA is silent; what the other follower holds is as good, and never older than what is held."""
        other = next(each for each in CODES[1:] if each != code)
        before, relayed = self.held(code), self.held(other)
        self.network.silent = {self.identities["AA"].entity_id}
        self.pull(code)
        self.network.silent = set()
        assert self.held(code) == max(before, relayed)

    @rule()
    def renew(self) -> None:
        self.pass_time(dt.timedelta(minutes=55))
        with writing(self.engines["AA"]) as session:
            renew_checkpoint(session, self.identities["AA"], self.now)
        self.remember_root()

    @rule(kept=st.booleans())
    def rotate_the_operating_key(self, kept: bool) -> None:
        """Signed with a new key from now on; without overlap the old one is revoked."""
        self.pass_time()
        self.keys += 1
        old = self.identities["AA"]
        former = (old.operating_key,) if kept else ()
        new = Identity("AA", old.entity_id, old.federation_key, named_key(f"aa operating {self.keys}"), former)
        self.identities["AA"] = new
        self.configure()

    def configure(self) -> None:
        with writing(self.engines["AA"]) as session:
            held = load_configuration(session, "AA")
            assert held is not None
            configuration = make_configuration(self.identities["AA"], now=self.now, not_before=held.issued_at)
            store_configuration(session, configuration)
            renew_checkpoint(session, self.identities["AA"], self.now)
        self.remember_root()

    @rule()
    def erase(self) -> None:
        self.pass_time(dt.timedelta(minutes=61))
        with writing(self.engines["AA"]) as session:
            erase_superseded(session, self.now)

    @rule()
    def back_up(self) -> None:
        shutil.copyfile(self.folder / "AA.db", self.folder / "backup.db")
        self.backup_size = len(self.said)

    @precondition(lambda self: self.backup_size is not None)
    @rule()
    def restore(self) -> None:
        """The old copy takes back what a follower holds; what nobody else ever held was never said."""
        assert self.backup_size is not None
        self.pass_time()
        self.engines["AA"].dispose()
        for extra in self.folder.glob("AA.db-*"):
            extra.unlink()
        shutil.copyfile(self.folder / "backup.db", self.folder / "AA.db")
        with writing(self.engines["AA"]) as session:
            hold_back(session, "starting")  # as the first process of a node does
        settled = settle_own_log(self.node("AA"), self.now)
        assert settled.released, settled
        known = max(self.backup_size, *(self.held(code) for code in CODES[1:]))
        del self.said[known:]
        self.roots = {size: root for size, root in self.roots.items() if size <= known}
        assert self.held("AA") == known
        self.configure()  # keys made since the copy are listed again

    @precondition(lambda self: self.said)
    @rule(code=FOLLOWERS, data=st.data())
    def damage_and_repair(self, code: str, data: st.DataObject) -> None:
        """A bit flips on a follower's disk; it is set right from AA or the other follower."""
        if not self.held(code):
            return
        seq = data.draw(st.integers(0, self.held(code) - 1))
        column = data.draw(st.sampled_from(["header", "payload"]))
        self.pass_time()
        with writing(self.engines[code]) as session:
            damaged = f"UPDATE entry SET {column} = x'7b7d' WHERE participant = 'AA' AND seq = :seq"
            session.execute(sa.text(damaged), {"seq": seq})
        repaired = repair(self.node(code), self.now)
        assert repaired.remaining == [], repaired

    def held(self, code: str) -> int:
        with reading(self.engines[code]) as session:
            head = load_head(session, "AA")
        return 0 if head is None else head.size

    def model(self, size: int) -> dict[str, str]:
        shown: dict[str, str] = {}
        for slug, name in self.said[:size]:
            shown.pop(slug, None)
            if name is not None:
                shown[slug] = name
        return shown

    @invariant()
    def everything_verifies(self) -> None:
        count("federation steps")
        for engine in self.engines.values():
            with reading(engine) as session:
                assert verify_logs(session) == []

    @invariant()
    def what_is_held_was_signed(self) -> None:
        for code, engine in self.engines.items():
            with reading(engine) as session:
                head = load_head(session, "AA")
                shown: dict[str, Any] = {record.slug: record.data["name"] for record in load_records(session, "AA")}
            size = 0 if head is None else head.size
            assert head is None or size == 0 or self.roots[size] == head.root
            assert head is None or head.disputed is None
            assert shown == self.model(size), code


Federation.TestCase.settings = settings(
    max_examples=max(settings().max_examples // 8, 4), stateful_step_count=25, deadline=None
)
TestFederation = Federation.TestCase
