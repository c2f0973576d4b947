"""A node under attack, and what must hold after every refusal (abuse.md, I1 to I8).

The node follows RS, of which it holds 100 entries, and two bystanders, MK and HR. An attack is a function that makes a
copy of RS misbehave. Around each: what is held, row by row, is the same; lookups answer the same bytes; the refusal is
counted once; the bystanders were synced in the same run; memory and time stayed bounded; the logs prove themselves; and
what was logged names nobody's key, token or telephone number. At the end the honest RS comes back and is synced.
"""

import datetime as dt
import functools
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa

from directory.answers import to_json
from directory.database import reading
from directory.index import IndexCache
from directory.lookup import lookup, parse_query
from directory.policy import Policy, load_policy
from federation.log import load_head
from federation.refusals import load_refusals
from sync.federation_report import log_facts
from sync.pull import PullResult
from tests.records import make_agency, make_member, make_participant, make_rota, make_unit
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode, named_identity

HELD = 100
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
MIB = 1024 * 1024
BOUNDED_SECONDS = 30
"""No attack takes the time of the tests; what takes long is limited by settings, which each test makes small."""
_HELD_TABLES = ("log", "entry", "configuration", "record", "participant", "skipped")
_MAY_MOVE = {"disputed", "statement_expires_at"}
"""The anchor renews its word at each run, whatever the origin says."""
_SECRETS = re.compile(r"eyJ[\w-]{10,}\.[\w-]{10,}|PRIVATE KEY|\+999\d{5,}|@me\.spoc\.example|Duty officer")

Attack = Callable[[SimulatedNode], None]
Picture = dict[str, list[tuple[object, ...]]]


@functools.cache
def _policy() -> Policy:
    return load_policy()


def publish_directory(node: SimulatedNode) -> None:
    """A country that can be looked up: one unit with a rota of two."""
    channels = {code: {"connected": True, "max": "RESTRICTED"} for code in ("siena", "i247")}
    node.publish("participant/self", make_participant(country=node.participant, channels=channels))
    node.publish("agency/police", make_agency())
    node.publish("unit/spoc", make_unit(agency="police", rota="spoc-rota", area=[node.participant]))
    for number in (1, 2):
        node.publish(f"member/duty-{number}", make_member(unit="spoc"))
    node.publish("rota/spoc-rota", make_rota())


@dataclass(slots=True)
class Attacked:
    """The node under attack. ``honest`` is RS as it truly is; attacks get copies of it."""

    follower: Follower
    network: SimulatedNetwork
    honest: SimulatedNode
    logs: pytest.LogCaptureFixture
    heals: bool = True
    """Whether the next honest sync needs no person: not after a fork."""
    refused: int = field(default=0)
    """How many variants were refused."""

    @property
    def now(self) -> dt.datetime:
        return self.follower.now

    def impostor(self) -> SimulatedNode:
        """A copy of RS that answers in its place."""
        copy = self.honest.copy()
        copy.now = self.now
        self.network.nodes[self.honest.entity_id] = copy
        return copy

    def refuses(
        self, attack: Attack, code: str, follower: Follower | None = None, *, learns: bool = False
    ) -> PullResult:
        """RS misbehaves during a run over everybody; gives its result.

        With ``learns`` the node may accept a newer configuration beside what it refuses.
        """
        self.follower.pass_time(MINUTE)
        attack(self.impostor())
        with self.holding(code, learns=learns):
            run = self.follower if follower is None else follower
            run.now = self.now
            results = run.pull_all()
        result = results.pop("RS")
        assert (result.result, {each.result for each in results.values()}) == (code, {"ok"}), result
        assert self.counted("RS", code) == 1
        return result

    def refuses_any(self, attack: Attack, codes: set[str]) -> PullResult:
        """RS misbehaves in a pull of its own, and one of these comes of it; nothing held changes."""
        self.follower.pass_time(MINUTE)
        attack(self.impostor())
        before = self.picture()
        result = self.follower.pull("RS")
        assert result.result in codes, result
        assert self.picture() == before
        self.refused += 1
        return result

    def refuses_each(self, attacks: Iterable[Attack], code: str, *, learns: bool = False) -> None:
        """One after the other, each in a pull of RS alone, and the last in a run over everybody."""
        *others, last = attacks
        before = self.picture(learns=learns)
        for attack in others:
            self.follower.pass_time(MINUTE)
            attack(self.impostor())
            result = self.follower.pull("RS")
            assert (result.result, self.counted("RS", code)) == (code, 1), result
            assert self.picture(learns=learns) == before
            self.refused += 1
        self.refuses(last, code, learns=learns)

    def accepts(self, attack: Attack) -> PullResult:
        """RS does something odd that is no fault, or harms nobody else."""
        self.follower.pass_time(MINUTE)
        attack(self.impostor())
        result = self.follower.pull("RS")
        assert result.result == "ok", result
        self.honest = self.network.nodes[self.honest.entity_id]
        self.honest.checkpoint_token, self.honest.page_lie = None, None
        self.follower.check_logs()
        self.check_nothing_secret_was_logged()
        return result

    @contextmanager
    def holding(self, code: str, *, learns: bool = False) -> Iterator[None]:
        """What happens inside changes nothing that is held of RS, and stays within bounds."""
        before, answered = self.picture(learns=learns), self.looked_up()
        began = time.monotonic()
        with peak_memory_at_most(64 * MIB):
            yield
        assert time.monotonic() - began < BOUNDED_SECONDS
        after = self.picture(learns=learns)
        if code == "fork":
            assert self.is_disputed()
            self.heals = False
        changed = {table: sorted(set(after[table]) ^ set(before[table])) for table in before}
        assert not any(changed.values()), changed
        assert self.looked_up() == answered
        self.follower.check_logs()
        self.check_nothing_secret_was_logged()
        self.refused += 1

    def picture(self, participant: str = "RS", *, learns: bool = False) -> Picture:
        """Every row that is held of a participant: trust, configurations, log, and what is shown of it."""
        with reading(self.follower.engine) as session:
            return {
                table: sorted(
                    tuple(str(value) for name, value in row.items() if name not in _MAY_MOVE)
                    for row in session.execute(
                        sa.text(f'SELECT * FROM "{table}" WHERE participant = :of'), {"of": participant}
                    ).mappings()
                )
                for table in _HELD_TABLES
                if not (learns and table == "configuration")
            }

    def looked_up(self) -> bytes:
        """What an officer of MK is answered about RS, with its age but not with how the last try went."""
        with reading(self.follower.engine) as session:
            directory = IndexCache().refresh(session)
            facts = log_facts(load_head(session, "RS"), None)
        query = parse_query({"from": "MK", "country": "RS", "crime_area": "other"}, directory, self.now)
        told = to_json(lookup(query, directory, _policy(), lambda code: facts if code == "RS" else None))
        for candidate in told["candidates"]:
            candidate["freshness"].pop("state")
        assert told["candidates"]
        return orjson.dumps(told)

    def is_disputed(self) -> bool:
        """Whether the log is shown as disputed."""
        return self.follower.state("RS") == "disputed"

    def counted(self, peer: str, code: str) -> int:
        """How often something of a peer was refused with a code in this minute; there is one row for it."""
        with reading(self.follower.engine) as session:
            found = [each.count for each in load_refusals(session, self.now) if (each.peer, each.code) == (peer, code)]
        assert len(found) <= 1
        return sum(found)

    def counted_at_all(self) -> int:
        """How many refusals were counted in this minute, whoever's."""
        with reading(self.follower.engine) as session:
            return sum(each.count for each in load_refusals(session, self.now))

    def check_nothing_secret_was_logged(self) -> None:
        """No key, token, telephone number or name of a person is in what was logged."""
        for record in self.logs.records:
            found = _SECRETS.search(record.getMessage())
            assert found is None, f"{record.name} logged {found and found.group()[:30]}…"
            assert record.exc_info is None, f"{record.name} logged a trace: {record.getMessage()}"
        self.logs.clear()

    def check_heals(self) -> None:
        """The honest RS, grown meanwhile, is synced with no manual step."""
        self.follower.pass_time(MINUTE)
        self.network.faults.clear()
        self.network.nodes[self.honest.entity_id] = self.honest
        self.honest.grow(12)
        self.network.set_time(self.now)
        for node in self.network.nodes.values():
            node.renew_configuration()
        assert {each.result for each in self.follower.pull_all().values()} == {"ok"}
        self.follower.check_holds(self.honest)


def make_attacked(
    engine: sa.Engine, logs: pytest.LogCaptureFixture, network: SimulatedNetwork | None = None
) -> Attacked:
    """A node that holds 100 entries of RS and follows two bystanders."""
    logs.set_level(logging.DEBUG)
    network = network or SimulatedNetwork()
    honest = network.add("RS")
    publish_directory(honest)
    honest.grow(HELD - honest.size)
    bystander = network.add("MK")
    publish_directory(bystander)
    network.add("HR").grow(3)
    follower = make_follower(engine, network)
    assert {each.result for each in follower.pull_all().values()} == {"ok"}
    follower.pass_time(HOUR)
    return Attacked(follower, network, honest, logs)


def relay(attacked: Attacked, participant: str, of: SimulatedNode) -> SimulatedNode:
    """The node of ``participant`` relays this copy of RS."""
    node = attacked.network.nodes[named_identity(participant).entity_id]
    node.relayed["RS"] = of
    return node


@contextmanager
def peak_memory_at_most(above: int) -> Iterator[None]:
    """The process takes at most so many bytes more than it has now, also for a moment."""
    forget_peak()
    before = memory("VmHWM")
    yield
    assert memory("VmHWM") - before <= above


def forget_peak() -> None:
    """Let ``VmHWM`` begin anew from what is used now."""
    Path("/proc/self/clear_refs").write_text("5")


def memory(name: str) -> int:
    """What the kernel counts of this process, in bytes: ``VmRSS`` now, ``VmHWM`` at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
