"""Gossip: what peers hold is compared at each sync, and believed for the origin's signature alone (section 7)."""

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from directory.database import reading
from federation.disputes import load_disputes, load_heard
from federation.errors import FederationError
from federation.evidence import check_evidence
from federation.merkle import EMPTY_ROOT
from sync.errors import PeerUnreachableError
from sync.inbox import receive_statement
from sync.transport import JWT, Response
from tests import fork_checker
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork, answer
from tests.simulators.node_simulator import SimulatedNode, named_key

HELD = 60
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
PEERS = ("MK", "AL", "XK")


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def origin(network: SimulatedNetwork) -> SimulatedNode:
    origin = network.add("RS")
    origin.grow(HELD)
    return origin


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork, origin: SimulatedNode) -> Follower:
    """Follows RS, and three others that may be asked about it."""
    for code in PEERS:
        network.add(code)
    follower = make_follower(engine, network)
    assert {result.result for result in follower.pull_all().values()} == {"ok"}
    follower.pass_time(HOUR)
    network.forget_requests()
    return follower


def shows(network: SimulatedNetwork, name: str, origin: SimulatedNode) -> SimulatedNode:
    """The node ``name`` holds the origin's log as it is now."""
    copy = origin.copy()
    network.nodes[f"https://{name.lower()}.example"].relayed[origin.participant] = copy
    return copy


def disputes(follower: Follower) -> list[tuple[int, int, bool]]:
    """Sizes held and offered, and whether the evidence proves the fork, by two checkers."""
    with reading(follower.engine) as session:
        found = load_disputes(session)
    for dispute in found:
        assert check_evidence(dispute.evidence).is_proven == dispute.is_complete
        if dispute.is_complete:
            fork_checker.check(dict(dispute.evidence))
    return [(dispute.held[0], dispute.offered[0], dispute.is_complete) for dispute in found]


def same_size(copy: SimulatedNode) -> None:
    copy.rewrite(50)


def larger(copy: SimulatedNode) -> None:
    copy.rewrite(50)
    copy.grow(7)


def smaller(copy: SimulatedNode) -> None:
    copy.rewrite(30)
    copy.roll_back_to(45)


def last_of_a_smaller(copy: SimulatedNode) -> None:
    copy.rewrite(44)
    copy.roll_back_to(45)


FORKS: dict[str, Callable[[SimulatedNode], None]] = {
    "C04 same size": same_size,
    "larger": larger,
    "smaller, never seen": smaller,
    "smaller in its last entry": last_of_a_smaller,
}


@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_split_view_is_found_in_one_round_with_its_proof(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, fork: Callable[[SimulatedNode], None]
) -> None:
    other = shows(network, "AL", origin)
    fork(other)
    before = follower.snapshot("RS")
    results = follower.pull_all()
    assert results["RS"].result == "fork"
    assert {results[code].result for code in PEERS} == {"ok"}
    assert replace(follower.snapshot("RS"), issued_at=None, checkpoint=None) == replace(
        before, issued_at=None, checkpoint=None
    )
    assert follower.head("RS").disputed == other.served_checkpoint().decode()
    assert follower.state("RS") == "disputed"
    assert disputes(follower) == [(HELD, other.size, True)]
    follower.check_logs()


def test_an_expired_checkpoint_accuses_while_its_key_is_listed(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    other = shows(network, "AL", origin)
    other.rewrite(50)
    other.freeze()
    follower.pass_time(dt.timedelta(days=5))
    assert follower.pull("RS").result == "fork"


def test_a_checkpoint_whose_key_is_no_longer_listed_accuses_nobody(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    other = shows(network, "AL", origin)
    other.rewrite(50)
    other.freeze()
    origin.rotate_operating_key("rs operating 2")
    assert follower.pull("RS").result == "ok"
    assert follower.state("RS") == "fresh"


def test_rotating_a_key_never_legalises_a_rewritten_history(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    """What is held counts whatever its key."""
    origin.rotate_operating_key("rs operating 2")
    origin.rewrite(50)
    origin.grow(3)
    assert follower.pull("RS").result == "fork"
    assert disputes(follower) == [(HELD, HELD + 3, True)]


HARMLESS: dict[str, Callable[[SimulatedNode], object]] = {
    "signed with another's key": lambda copy: copy.rotate_operating_key("al operating") or copy.rewrite(50),
    "another's bytes": lambda copy: setattr(copy, "checkpoint_token", b"nonsense"),
    "altered in one letter": lambda copy: (
        copy.freeze() or setattr(copy, "checkpoint_token", copy.checkpoint_token[:-9] + b"AAAAAAAAA")
    ),
    "an honest older one": lambda copy: copy.roll_back_to(20),
    "an older one at the same size": lambda copy: setattr(copy, "now", copy.now - HOUR / 2),
    "an empty log": lambda copy: copy.roll_back_to(0),
    "of tomorrow": lambda copy: setattr(copy, "now", copy.now + 24 * HOUR),
    "of another node": lambda copy: copy.checkpoint_claims.update(iss="https://al.example"),
    "without entries": lambda copy: copy.grow(3) or setattr(copy, "page_lie", lambda start, page: b""),
    "with altered entries": lambda copy: copy.grow(3) or copy.tamper_with_header(HELD + 1),
}


@pytest.mark.parametrize("lie", HARMLESS.values(), ids=HARMLESS)
def test_what_a_relay_merely_says_accuses_nobody(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, lie: Callable[[SimulatedNode], object]
) -> None:
    for name in PEERS:
        lie(shows(network, name, origin))
    result = follower.pull("RS")
    assert (result.result, result.source) == ("ok", origin.entity_id)
    assert follower.head("RS").size == HELD
    assert disputes(follower) == []
    follower.check_holds(origin)


@pytest.mark.parametrize("code", ["unreachable", "timeout", "bad_response", "too_large", "redirect_refused"])
def test_peers_that_fail_cost_the_run_nothing(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, code: str
) -> None:
    for name in PEERS:
        network.fail(f"{name.lower()}.example/federation/v1/logs/RS", code)
    origin.grow(2)
    result = follower.pull("RS")
    assert (result.result, result.entries) == ("ok", 2)
    assert follower.state("RS") == "fresh"


def test_up_to_three_are_asked_and_others_each_time(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    for number in range(6):
        network.add(f"ORG{number}")
    follower.pull_all()
    rounds = []
    for seed in (1, 1, 2, 3, 4):
        network.forget_requests()
        node = replace(follower.node, chance=random.Random(seed))
        assert Follower(node, network, follower.now).pull("RS").result == "ok"
        asked = {url for _, url in network.requests if url.endswith("/logs/RS/checkpoint")} - {
            f"{origin.entity_id}/federation/v1/logs/RS/checkpoint"
        }
        assert len(asked) == 3
        rounds.append(asked)
    assert rounds[0] == rounds[1]
    assert len(set(map(frozenset, rounds))) > 2


def test_a_peer_that_was_silent_is_not_waited_for(follower: Follower, network: SimulatedNetwork) -> None:
    network.nodes["https://al.example"].online = False
    follower.pull("AL")
    network.forget_requests()
    follower.pull("RS")
    assert network.asked("al.example/federation/v1/logs/RS") == 0
    assert network.asked("mk.example/federation/v1/logs/RS") == 1


class TimedNetwork(SimulatedNetwork):
    """Notes how long each answer may take at most."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[tuple[str, float]] = []

    def get(self, url: str, **limits: object) -> Response:  # type: ignore[override]
        self.seconds.append((url, float(str(limits["seconds"]))))
        return super().get(url, **limits)  # type: ignore[arg-type]


def test_a_peer_may_take_a_few_seconds_and_no_more(engine: sa.Engine) -> None:
    """T02: a dripping peer costs a run its limit once, while the origin is asked beside it."""
    network = TimedNetwork()
    network.add("RS").grow(3)
    network.add("MK").relayed["RS"] = network.nodes["https://rs.example"].copy()
    follower = make_follower(engine, network)
    follower.pull_all()
    follower.limited(gossip_seconds=0.25).pull("RS")
    relayed = [
        seconds for url, seconds in network.seconds if url.startswith("https://mk.example/federation/v1/logs/RS")
    ]
    assert relayed[-1] == 0.25
    assert max(relayed) <= follower.node.limits.gossip_seconds < follower.node.limits.token_seconds


class TestWithholding:
    """A peer that holds more than the origin shows is a source; the origin is asked again before it is blamed."""

    def test_data_are_taken_and_the_origin_is_shown(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        newest = origin.copy()
        newest.grow(5)
        shows(network, "AL", newest)
        network.forget_requests()
        result = follower.pull("RS")
        assert (result.result, result.source, result.entries) == ("ok", "https://al.example", 5)
        assert network.asked("rs.example/federation/v1/logs/RS/checkpoint") == 2
        assert follower.state("RS") == "withholding"
        follower.check_holds(newest)

        assert follower.pull("RS").result == "rollback"  # still less than what is held
        assert follower.state("RS") == "withholding"

        origin.grow(5)
        assert follower.pull("RS").result == "ok"
        assert follower.state("RS") == "fresh"
        follower.check_holds(origin)

    def test_origin_that_shows_it_when_asked_again_is_not_blamed(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        """The checkpoint came to the peer while the origin was being asked."""
        stale = [origin.served_checkpoint()]
        origin.grow(5)
        shows(network, "AL", origin)
        network.faults["rs.example/federation/v1/logs/RS/checkpoint"] = lambda url: _jwt(stale.pop()) if stale else None
        result = follower.pull("RS")
        assert (result.result, result.source, result.entries) == ("ok", origin.entity_id, 5)
        assert follower.state("RS") == "fresh"

    def test_origin_that_is_silent_when_asked_again_is_not_blamed(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        newest = origin.copy()
        newest.grow(5)
        shows(network, "MK", newest)
        shown = [origin.served_checkpoint()]

        def silent(url: str) -> Response:
            if not shown:
                raise PeerUnreachableError("timeout", "no second answer")
            return _jwt(shown.pop())

        network.faults["rs.example/federation/v1/logs/RS/checkpoint"] = silent
        assert follower.pull("RS").entries == 5
        assert follower.status("RS").withholding is False

    def test_origin_that_shows_nothing_withholds_nothing(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        newest = origin.copy()
        newest.grow(5)
        shows(network, "AL", newest)
        origin.online = False
        assert follower.pull("RS").entries == 5
        assert follower.status("RS").withholding is False

    def test_it_shows_though_nobody_gives_the_entries(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        newest = origin.copy()
        newest.grow(5)
        shows(network, "AL", newest)
        network.refuse("al.example/federation/v1/logs/RS/entries", 403, "forbidden")
        before = follower.snapshot("RS")
        assert follower.pull("RS").result == "ok"
        assert follower.snapshot("RS").size == before.size
        assert follower.state("RS") == "withholding"

    def test_rolled_back_origin_withholds_what_peers_hold(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        shows(network, "AL", origin)
        origin.roll_back_to(40)
        assert follower.pull("RS").result == "rollback"
        assert follower.state("RS") == "withholding"

    def test_a_dispute_is_worse(self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode) -> None:
        newest = origin.copy()
        newest.grow(5)
        shows(network, "AL", newest)
        follower.pull("RS")
        origin.rewrite(3)
        origin.grow(9)
        assert follower.pull("RS").result == "fork"
        assert follower.state("RS") == "disputed"


def _jwt(body: bytes) -> Response:
    return answer(body, JWT)


class TestSmallerSizes:
    """Roots at other sizes are worked out at most once a minute per participant; until then they are kept."""

    def post(self, follower: Follower, node: SimulatedNode) -> str:
        try:
            receive_statement(follower.node, node.served_checkpoint(), follower.now)
        except FederationError as error:
            return error.code
        return "ok"

    def heard(self, follower: Follower) -> int:
        with reading(follower.engine) as session:
            return len(load_heard(session, "RS", 10_000))

    def test_honest_ones_are_remembered_as_true(self, follower: Follower, origin: SimulatedNode) -> None:
        older = origin.copy()
        older.roll_back_to(33)
        assert self.post(follower, older) == "ok"
        assert self.heard(follower) == 0
        older.rewrite(20)
        assert self.post(follower, older) == "fork"  # known by now: another root there needs no work

    def test_a_posted_one_is_a_fork(self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode) -> None:
        other = origin.copy()
        smaller(other)
        before = follower.snapshot("RS")
        assert self.post(follower, other) == "fork"
        assert network.requests == []
        assert follower.snapshot("RS") == before
        assert disputes(follower) == [(HELD, 45, False)]
        shows(network, "AL", other)  # somebody serves that history by the next sync
        assert follower.pull("RS").result == "fork"
        assert disputes(follower) == [(HELD, 45, True)]

    def test_within_a_minute_it_waits_and_the_next_sync_finds_it(
        self, follower: Follower, origin: SimulatedNode
    ) -> None:
        honest, other = origin.copy(), origin.copy()
        honest.roll_back_to(30)
        smaller(other)
        assert self.post(follower, honest) == "ok"
        follower.pass_time(MINUTE / 2)
        assert self.post(follower, other) == "ok"
        assert self.heard(follower) == 1
        assert self.post(follower, other) == "ok"
        assert self.heard(follower) == 1
        follower.pass_time(MINUTE)
        assert follower.pull("RS").result == "fork"
        assert follower.state("RS") == "disputed"

    def test_one_that_waited_while_its_key_was_removed_accuses_nobody(
        self, follower: Follower, origin: SimulatedNode
    ) -> None:
        honest, other = origin.copy(), origin.copy()
        honest.roll_back_to(30)
        smaller(other)
        self.post(follower, honest)
        self.post(follower, other)
        follower.pass_time(HOUR)
        origin.rotate_operating_key("rs operating 2")
        assert follower.pull("RS").result == "ok"
        assert self.heard(follower) == 0

    def test_a_flood_is_kept_within_bounds(self, follower: Follower, origin: SimulatedNode) -> None:
        other = origin.copy()
        other.grow(200)
        for size in range(HELD + 1, HELD + 120):
            ahead = other.copy()
            ahead.roll_back_to(size)
            assert self.post(follower, ahead) == "ok"
        assert self.heard(follower) <= 64

    def test_an_expired_post_is_a_fork_all_the_same(self, follower: Follower, origin: SimulatedNode) -> None:
        other = origin.copy()
        other.rewrite(5)
        other.freeze()
        origin.freeze()
        follower.pass_time(dt.timedelta(days=3))
        assert self.post(follower, origin) == "expired"
        assert self.post(follower, other) == "fork"

    def test_empty_log_is_a_prefix_of_every_log(self, follower: Follower, origin: SimulatedNode) -> None:
        empty = origin.copy()
        empty.roll_back_to(0)
        assert empty.root == EMPTY_ROOT
        assert self.post(follower, empty) == "ok"
        assert self.heard(follower) == 0

    def test_one_that_is_overtaken_is_compared_when_the_log_gets_there(
        self, follower: Follower, origin: SimulatedNode
    ) -> None:
        """Two that are both ahead, and cannot both be true."""
        other = origin.copy()
        other.grow(3, start=900)
        assert self.post(follower, other) == "ok"
        origin.grow(5)
        assert self.post(follower, origin) == "ok"
        assert follower.pull("RS").result == "fork"
        assert follower.head("RS").size == HELD + 5
        assert disputes(follower)[0][:2] == (HELD + 5, HELD + 3)

    def test_stranger_to_the_key_is_kept_by_nobody(self, follower: Follower, origin: SimulatedNode) -> None:
        origin.signing_key = named_key("thief")
        origin.rewrite(3)
        assert self.post(follower, origin) == "unknown_key"
        assert (self.heard(follower), disputes(follower)) == (0, [])


class TestPassingOn:
    """Who finds a fork tells every other peer once."""

    def taken(self, network: SimulatedNetwork) -> dict[str, list[str]]:
        found = {node.participant: [token.decode() for token in node.taken] for node in network.nodes.values()}
        return {code: tokens for code, tokens in found.items() if tokens}

    def test_both_checkpoints_go_to_every_peer_but_the_accused(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        other = shows(network, "AL", origin)
        other.rewrite(50)
        assert follower.pull("RS").result == "fork"
        both = [follower.head("RS").checkpoint, other.served_checkpoint().decode()]
        assert self.taken(network) == dict.fromkeys(PEERS, both)

    def test_once(self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode) -> None:
        origin.rewrite(50)
        for _ in range(3):
            assert follower.pull("RS").result == "fork"
            follower.pass_time(HOUR)
        assert {code: len(tokens) for code, tokens in self.taken(network).items()} == dict.fromkeys(PEERS, 2)

    def test_peer_that_refuses_or_is_gone_hinders_nobody(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        network.nodes["https://mk.example"].online = False
        network.refuse("xk.example/federation/v1/checkpoints", 400, "fork")
        origin.rewrite(50)
        assert follower.pull("RS").result == "fork"
        assert set(self.taken(network)) == {"AL"}

    def test_what_was_posted_is_passed_on_by_the_next_pull(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        other = origin.copy()
        other.rewrite(50)
        assert TestSmallerSizes().post(follower, other) == "fork"
        assert (self.taken(network), network.requests) == ({}, [])
        assert follower.pull("RS").result == "fork"
        assert set(self.taken(network)) == set(PEERS)
