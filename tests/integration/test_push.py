"""Telling peers what is new, and pulling what they told: the work that cannot wait (protocol.md, section 7)."""

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.own_configuration import KeyChanges, renew_configuration
from federation.publishing import PendingChange, publish
from federation.statements import read_configuration
from sync.errors import LeaseLostError
from sync.express import Express
from sync.lease import LIFETIME, acquire
from sync.push import load_behind, load_pushed, push_now
from sync.transport import ENTITY_STATEMENT, Response
from sync.wanted import NEWCOMERS, REFRESH, load_wanted, want_pull, want_refresh
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork, problem
from tests.simulators.node_simulator import SimulatedNode, duty_officer, named_key
from tests.unit.federation.samples import header_of

SECOND = dt.timedelta(seconds=1)
QUIET = 3
"""Queries of a tick with nothing to do: the outbox, the counters, the wanted pulls."""


def away(url: str) -> None:
    """The database does not answer the thread that asks this URL."""
    raise sa.exc.OperationalError("SELECT 1", {}, Exception("the connection was lost"))


class Hands:
    """An express lane whose clocks stand until the test moves them, and which is waited for after each tick."""

    def __init__(self, follower: Follower) -> None:
        self.follower = follower
        self.seconds = 1000.0
        self.express = Express(follower.node, lambda: follower.now, lambda: self.seconds)

    def tick(self, times: int = 1, after: float = 0) -> None:
        """Let so many seconds pass, then tick and wait for the threads' work, so many times."""
        self.seconds += after
        self.follower.now += dt.timedelta(seconds=after)
        for _ in range(times):
            self.express.tick(None)
            self.wait()

    def wait(self) -> None:
        for future in [*self.express._pushing.values(), *self.express._pulling.values()]:
            future.exception(timeout=30)


class RememberingNetwork(SimulatedNetwork):
    """Its nodes take a configuration only where they know its signer: from the first, or from one taken before."""

    def post(self, url: str, body: bytes, **options: Any) -> Response:
        if options["content_type"] == ENTITY_STATEMENT:
            offered = read_configuration(body.decode())
            known = [read_configuration(each.decode()) for each in self._find(url).taken if is_configuration(each)]
            if known and offered.kid not in known[-1].federation_keys:
                return problem(401, "unknown_key")
            if known and offered.issued_at <= known[-1].issued_at:
                return problem(400, "rollback")
        return super().post(url, body, **options)


def is_configuration(token: bytes) -> bool:
    return bool(header_of(token.decode())["typ"] == "entity-statement+jwt")


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def peer(network: SimulatedNetwork) -> SimulatedNode:
    return network.add("RS")


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork, peer: SimulatedNode) -> Follower:
    follower = make_follower(engine, network)
    follower.pull_all()
    return follower


@pytest.fixture
def hands(follower: Follower) -> Iterator[Hands]:
    hands = Hands(follower)
    yield hands
    hands.express.close()


def save(follower: Follower, number: int) -> str:
    """Publish a record of the own country; the new checkpoint."""
    with writing(follower.engine) as session:
        change = PendingChange(f"member/m-{number}", "put", duty_officer(number))
        return publish(session, follower.node.identity, [change], follower.now).token


def own_configuration(follower: Follower) -> str:
    configuration = follower.snapshot("ME").configuration
    assert configuration is not None
    return configuration


class TestPush:
    def test_first_push_has_configuration_then_checkpoint(
        self, hands: Hands, follower: Follower, peer: SimulatedNode
    ) -> None:
        hands.tick(2)
        head = follower.head("ME")
        assert peer.taken == [own_configuration(follower).encode(), (head.checkpoint or "").encode()]

    def test_nothing_new_is_pushed_once(self, hands: Hands, network: SimulatedNetwork, peer: SimulatedNode) -> None:
        hands.tick(2)
        network.forget_requests()
        hands.tick(5, after=2)
        assert network.requests == []

    def test_saved_record_is_pushed_to_every_peer(
        self, hands: Hands, follower: Follower, network: SimulatedNetwork
    ) -> None:
        peers = [network.add(f"ORG{number}") for number in range(16)]
        follower.pull_all()
        hands.tick(2)
        token = save(follower, 1)
        hands.tick(after=2)
        assert {node.taken[-1] for node in peers} == {token.encode()}

    def test_many_changes_cost_one_push_a_second(self, hands: Hands, follower: Follower, peer: SimulatedNode) -> None:
        hands.tick(2)
        hands.tick(after=2)
        peer.taken.clear()
        for number in range(10):
            newest = save(follower, number)
            hands.tick(after=0.15)
        hands.tick(2, after=1)
        assert peer.taken[-1] == newest.encode()
        assert len(peer.taken) <= 3

    def test_peer_that_does_not_answer_delays_no_other_and_is_tried_with_growing_pauses(
        self, hands: Hands, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
    ) -> None:
        other = network.add("MK")
        follower.pull_all()
        hands.tick(2)
        peer.online = False
        token = save(follower, 1)
        hands.tick(2, after=2)
        assert other.taken[-1] == token.encode()
        attempts = []
        for second in range(70):
            before = network.asked("//rs.example")
            hands.tick(2, after=1)
            if network.asked("//rs.example") > before:
                attempts.append(second)
        pauses = [later - earlier for earlier, later in pairwise(attempts)]
        assert pauses == sorted(pauses)
        assert pauses[-1] >= 16
        peer.online = True
        hands.tick(3, after=600)
        assert peer.taken[-1] == token.encode()

    @pytest.mark.parametrize(("status", "code"), [(403, "unknown_participant"), (503, "busy"), (400, "fork")])
    def test_refused_push_is_sent_again(
        self, hands: Hands, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode, status: int, code: str
    ) -> None:
        network.refuse("//rs.example/federation/v1/checkpoints", status, code)
        hands.tick(2)
        with reading(follower.engine) as session:
            assert {pushed.failures for pushed in load_pushed(session).values()} == {1}
        network.faults.clear()
        hands.tick(3, after=2)
        assert len(peer.taken) == 2

    def test_removed_key_is_pushed_until_it_is_taken(
        self, hands: Hands, follower: Follower, peer: SimulatedNode
    ) -> None:
        hands.tick(2)
        peer.online = False
        with writing(follower.engine) as session:
            renew_configuration(session, follower.node.identity, name="new", now=follower.now)
        newest = own_configuration(follower)
        hands.tick(20, after=5)
        peer.online = True
        hands.tick(3, after=600)
        assert newest.encode() in peer.taken

    def test_peer_that_missed_a_change_of_federation_keys_gets_the_chain(self, engine: sa.Engine) -> None:
        """Else it would refuse a removed key's end for as long as it does not fetch the chain itself."""
        network = RememberingNetwork()
        peer, follower = network.add("RS"), make_follower(engine, network)
        follower.pull_all()
        push_now(follower.node, follower.now)
        held = peer.taken[:]
        own, second = follower.node.identity, named_key("second federation")
        with writing(engine) as session:
            changes = KeyChanges(new_federation=second)
            renew_configuration(session, own, name="ME", now=follower.now, changes=changes)
            own = replace(own, federation_key=second)
            changes = KeyChanges(signer=second.kid)
            renew_configuration(session, own, name="ME", now=follower.now, changes=changes)
        push_now(follower.node, follower.now)
        assert own_configuration(follower).encode() in peer.taken[len(held) :]
        assert behind(follower) == []

    def test_node_that_is_trusted_no_more_is_told_nothing(
        self, hands: Hands, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
    ) -> None:
        network.anchor.not_listed.add(peer.entity_id)
        follower.pull_all()
        save(follower, 1)
        hands.tick(3, after=2)
        assert peer.taken == []

    def test_former_leader_does_not_write_what_it_pushed(
        self, hands: Hands, follower: Follower, engine: sa.Engine
    ) -> None:
        with writing(engine) as session:
            fence = acquire(session, "worker", "first", follower.now)
        with writing(engine) as session:
            acquire(session, "worker", "second", follower.now + 2 * LIFETIME)
        hands.express.tick(fence)
        hands.wait()
        with pytest.raises(LeaseLostError):
            hands.express.tick(fence)
        with reading(engine) as session:
            assert load_pushed(session) == {}

    def test_database_that_is_away_for_a_moment_ends_no_pushes(
        self, hands: Hands, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
    ) -> None:
        """A push reads the database in its own thread: what that raises is raised once."""
        network.faults["/federation/v1/checkpoints"] = away  # type: ignore[assignment]
        hands.tick()
        network.faults.clear()
        with pytest.raises(sa.exc.OperationalError):
            hands.tick(after=2)
        hands.tick(2, after=2)
        assert peer.taken[-1] == (follower.head("ME").checkpoint or "").encode()

    def test_push_under_way_is_waited_for_without_looking_again(
        self, hands: Hands, follower: Follower, network: SimulatedNetwork, statements: Callable[[], list[str]]
    ) -> None:
        asked, release = threading.Event(), threading.Event()

        def hold(url: str) -> None:
            asked.set()
            release.wait(30)

        network.faults["/federation/v1/checkpoints"] = hold  # type: ignore[assignment]
        hands.express.tick(None)
        assert asked.wait(30)
        hands.express.tick(None)
        before = len(statements())
        for _ in range(5):
            hands.express.tick(None)
        assert len(statements()) - before == 5 * QUIET
        release.set()


class TestWanted:
    def ask(self, follower: Follower, token: str) -> None:
        with writing(follower.engine) as session:
            want_pull(session, "RS", token, follower.now)

    def wanted(self, follower: Follower) -> dict[str, str]:
        with reading(follower.engine) as session:
            return load_wanted(session)

    def test_pushed_checkpoint_is_pulled_and_forgotten(
        self, hands: Hands, follower: Follower, peer: SimulatedNode
    ) -> None:
        peer.grow(3)
        self.ask(follower, peer.served_checkpoint().decode())
        hands.tick()
        assert self.wanted(follower) == {}
        follower.check_holds(peer)

    def test_refresh_asks_anchor_and_origin(
        self, hands: Hands, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
    ) -> None:
        follower.pass_time(SECOND)
        peer.rotate_federation_key("rs federation 2")
        network.anchor.enrol(peer)
        peer.grow(1)
        with writing(follower.engine) as session:
            want_refresh(session, "RS", follower.now)
        assert self.wanted(follower) == {"RS": REFRESH}
        hands.tick()
        assert self.wanted(follower) == {}
        follower.check_holds(peer)

    def test_failing_pull_is_not_repeated_at_every_tick(
        self, hands: Hands, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
    ) -> None:
        peer.grow(3)
        self.ask(follower, peer.served_checkpoint().decode())
        peer.online = False
        hands.tick()
        network.forget_requests()
        hands.tick(5)
        assert network.asked("/entries") == 0
        assert follower.status("RS").last_result == "unreachable"

    def test_database_that_is_away_for_a_moment_ends_no_pulls(
        self, hands: Hands, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
    ) -> None:
        hands.tick(2)
        peer.grow(3)
        with writing(follower.engine) as session:
            want_refresh(session, NEWCOMERS, follower.now)
        network.faults["anchor"] = away  # type: ignore[assignment]
        hands.tick()
        network.faults.clear()
        with pytest.raises(sa.exc.OperationalError):
            hands.tick()
        hands.tick()
        assert NEWCOMERS not in self.wanted(follower)

    def test_pull_that_waits_delays_neither_pushes_nor_other_pulls(
        self, hands: Hands, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
    ) -> None:
        other = network.add("MK")
        follower.pull_all()
        hands.tick(2)
        release, asked = threading.Event(), threading.Event()

        def hold(url: str) -> None:
            asked.set()
            release.wait(30)

        network.faults["//rs.example/federation/v1/logs/RS/entries"] = hold  # type: ignore[assignment]
        for node in (peer, other):
            node.grow(2)
            with writing(follower.engine) as session:
                want_pull(session, node.participant, node.served_checkpoint().decode(), follower.now)
        token = save(follower, 1)
        hands.seconds += 2
        hands.express.tick(None)
        assert asked.wait(30)
        for future in [*hands.express._pushing.values(), hands.express._pulling["MK"]]:
            future.result(timeout=30)
        assert other.taken[-1] == token.encode()
        follower.check_holds(other)
        assert follower.head("RS").size == 0
        release.set()
        hands.tick(2)
        follower.check_holds(peer)


def test_nothing_to_do_costs_three_queries(
    hands: Hands, follower: Follower, engine: sa.Engine, statements: Callable[[], list[str]]
) -> None:
    hands.tick(3, after=2)
    before = len(statements())
    hands.tick()
    assert len(statements()) - before == QUIET


@pytest.fixture
def statements(engine: sa.Engine) -> Callable[[], list[str]]:
    seen: list[str] = []

    def note(*arguments: object) -> None:
        if str(arguments[2]).startswith(("SELECT", "UPDATE", "INSERT", "DELETE")):
            seen.append(str(arguments[2]))

    sa.event.listen(engine, "before_cursor_execute", note)
    return lambda: seen


# -- from a command


def behind(follower: Follower) -> list[str]:
    with reading(follower.engine) as session:
        return load_behind(session, "ME", follower.now)


def test_a_command_tells_everybody_and_the_worker_tells_who_was_down(
    hands: Hands, follower: Follower, network: SimulatedNetwork, peer: SimulatedNode
) -> None:
    """A configuration that removes a key waits for a peer that is down, however many others follow it."""
    other = network.add("MK")
    follower.pull_all()
    assert behind(follower) == ["MK", "RS"]
    other.online = False
    push_now(follower.node, follower.now)
    assert peer.taken[0] == own_configuration(follower).encode()
    assert behind(follower) == ["MK"]
    hands.tick(3, after=700)
    with writing(follower.engine) as session:
        renew_configuration(session, follower.node.identity, name="newer", now=follower.now)
    assert behind(follower) == ["MK", "RS"]
    hands.tick(3, after=2)
    assert behind(follower) == ["MK"]
    other.online = True
    hands.tick(3, after=700)
    assert behind(follower) == []
    assert own_configuration(follower).encode() in other.taken
