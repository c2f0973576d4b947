"""What becomes of a dispute: evidence, the operator's decision, and what disputes no more (section 5, *Fork*)."""

import datetime as dt
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.disputes import Dispute, is_resolved_pair, load_disputes, load_open, resolve
from federation.disputes import open_dispute as open_dispute_row
from federation.errors import ConcurrentAppendError, FederationError
from federation.evidence import check_evidence
from federation.log import load_head
from federation.participants import load_participant
from federation.publishing import PendingChange, publish
from sync.errors import SyncError
from sync.federation_report import report
from sync.inbox import receive_statement
from sync.resolving import accept_held, accept_offered
from sync.run import Run
from sync.wanted import load_wanted
from tests import fork_checker
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode

HELD = 40
HOUR = dt.timedelta(hours=1)
Fork = Callable[[SimulatedNode], None]


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
    network.add("MK").grow(3)
    follower = make_follower(engine, network)
    assert {result.result for result in follower.pull_all().values()} == {"ok"}
    follower.pass_time(HOUR)
    return follower


def same_size(origin: SimulatedNode) -> None:
    origin.rewrite(7)


def larger(origin: SimulatedNode) -> None:
    origin.rewrite(7)
    origin.grow(4)


SIZES = pytest.mark.parametrize("fork", [same_size, larger])


def open_dispute(follower: Follower) -> Dispute:
    with reading(follower.engine) as session:
        found = load_open(session, "RS")
    assert found is not None
    return found


def all_disputes(follower: Follower) -> list[Dispute]:
    with reading(follower.engine) as session:
        return load_disputes(session)


def decide(follower: Follower, accepted: str) -> str:
    """``ok``, or the code with which the decision failed."""
    run, dispute = Run(follower.node, follower.now), open_dispute(follower)
    with reading(follower.engine) as session:
        node = load_participant(session, "RS")
    try:
        if accepted == "held":
            accept_held(run, dispute, "their duty officer was called")
        else:
            accept_offered(run, node, dispute, "their duty officer was called")
    except (FederationError, SyncError) as error:
        return error.code
    return "ok"


def forked(follower: Follower, origin: SimulatedNode, fork: Fork) -> SimulatedNode:
    """The follower finds the fork; the honest history as it was."""
    honest = origin.copy()
    fork(origin)
    assert follower.pull("RS").result == "fork"
    return honest


def heal(origin: SimulatedNode, honest: SimulatedNode) -> None:
    origin.entries = list(honest.entries)


@SIZES
def test_evidence_is_kept_with_who_showed_it(follower: Follower, origin: SimulatedNode, fork: Fork) -> None:
    held = follower.head("RS")
    forked(follower, origin, fork)
    dispute = open_dispute(follower)
    assert (dispute.held, dispute.offered) == ((held.size, held.root), (origin.size, origin.root))
    assert (dispute.shown_by, dispute.detected_at) == (origin.entity_id, follower.now)
    assert dispute.is_complete
    assert check_evidence(dispute.evidence).is_proven
    assert fork_checker.check(dict(dispute.evidence)) == origin.identity.federation_key.kid


def test_evidence_names_the_former_key_of_what_is_held(follower: Follower, origin: SimulatedNode) -> None:
    origin.rotate_operating_key("rs operating 2")
    larger(origin)
    assert follower.pull("RS").result == "fork"
    dispute = open_dispute(follower)
    assert len(dispute.evidence["configurations"]) == 2
    fork_checker.check(dict(dispute.evidence))


@SIZES
def test_lookups_answer_with_disputed_and_others_go_on(follower: Follower, origin: SimulatedNode, fork: Fork) -> None:
    before = follower.records("RS")
    forked(follower, origin, fork)
    assert follower.state("RS") == "disputed"
    assert follower.records("RS") == before
    assert follower.pull("MK").result == "ok"


def test_configurations_go_on(follower: Follower, origin: SimulatedNode) -> None:
    forked(follower, origin, same_size)
    follower.pass_time(HOUR)
    origin.renew_configuration()
    assert follower.pull("RS").result == "fork"
    assert follower.snapshot("RS").configuration == origin.configuration()


class TestAcceptHeld:
    @SIZES
    def test_the_held_history_goes_on(self, follower: Follower, origin: SimulatedNode, fork: Fork) -> None:
        honest, before = forked(follower, origin, fork), follower.snapshot("RS")
        assert decide(follower, "held") == "ok"
        assert follower.snapshot("RS") == before
        assert follower.head("RS").disputed is None
        heal(origin, honest)
        origin.grow(6)
        follower.pass_time(HOUR)
        assert follower.pull("RS").result == "ok"
        assert follower.state("RS") == "fresh"
        follower.check_holds(origin)

    @SIZES
    def test_that_pair_disputes_no_more_and_is_not_taken_either(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, fork: Fork
    ) -> None:
        honest, before = forked(follower, origin, fork), follower.snapshot("RS")
        offered = origin.served_checkpoint()
        assert decide(follower, "held") == "ok"
        assert follower.pull("RS").result == "fork"  # from the origin it is refused, and disputes nothing
        assert (follower.snapshot("RS"), follower.head("RS").disputed) == (before, None)
        assert len(all_disputes(follower)) == 1
        if fork is same_size:
            receive_statement(follower.node, offered, follower.now)
        network.nodes["https://mk.example"].relayed["RS"] = origin.copy()
        heal(origin, honest)
        origin.grow(9)
        follower.pass_time(HOUR)
        assert follower.pull("RS").result == "ok"  # a peer still shows what was refused
        assert follower.head("RS").disputed is None

    def test_another_fork_is_a_new_dispute(self, follower: Follower, origin: SimulatedNode) -> None:
        forked(follower, origin, same_size)
        decide(follower, "held")
        origin.rewrite(8)
        assert follower.pull("RS").result == "fork"
        assert [dispute.accepted for dispute in all_disputes(follower)] == ["held", None]
        assert follower.state("RS") == "disputed"

    def test_decided_once(self, follower: Follower, origin: SimulatedNode) -> None:
        forked(follower, origin, same_size)
        dispute = open_dispute(follower)
        with writing(follower.engine) as session:
            resolve(session, dispute, "held", "first", follower.now)
        with pytest.raises(ConcurrentAppendError), writing(follower.engine) as session:
            resolve(session, dispute, "offered", "second", follower.now)
        assert [(each.accepted, each.reason) for each in all_disputes(follower)] == [("held", "first")]


FAILURES: dict[str, tuple[Callable[[SimulatedNode], object], str]] = {
    "nobody is there": (lambda origin: setattr(origin, "online", False), "unreachable"),
    "the other history is served": (lambda origin: origin.rewrite(9), "root_mismatch"),
    "an entry is altered": (lambda origin: origin.tamper_with_header(3), "root_mismatch"),
    "a payload is altered": (lambda origin: origin.tamper_with_payload(3), "bad_digest"),
    "a payload is missing": (lambda origin: origin.withhold_payload(3), "withheld_payload"),
    "it ends early": (lambda origin: origin.roll_back_to(HELD), "bad_range"),
}


class TestAcceptOffered:
    @SIZES
    def test_the_offered_history_takes_its_place(self, follower: Follower, origin: SimulatedNode, fork: Fork) -> None:
        forked(follower, origin, fork)
        assert decide(follower, "offered") == "ok"
        follower.check_holds(origin)
        assert follower.records("RS")["member/m-7"] == {"name": "Duty officer 9007"}
        assert len(follower.records("RS")) == origin.size
        assert follower.head("RS").disputed is None
        [dispute] = all_disputes(follower)
        assert (dispute.accepted, dispute.reason) == ("offered", "their duty officer was called")
        follower.pass_time(HOUR)
        origin.grow(2)
        assert follower.pull("RS").result == "ok"
        assert follower.state("RS") == "fresh"

    def test_former_history_disputes_no_more_however_far_the_new_one_grows(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        network.nodes["https://mk.example"].relayed["RS"] = forked(follower, origin, larger)
        assert decide(follower, "offered") == "ok"
        origin.grow(5)
        follower.pass_time(HOUR)
        assert follower.pull("RS").result == "ok"
        assert follower.head("RS").disputed is None

    def test_fetched_from_a_peer_where_the_origin_is_gone(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        forked(follower, origin, larger)
        network.nodes["https://mk.example"].relayed["RS"] = origin.copy()
        origin.online = False
        assert decide(follower, "offered") == "ok"
        follower.check_holds(origin)

    @pytest.mark.parametrize(("spoil", "code"), FAILURES.values(), ids=FAILURES)
    def test_all_or_nothing(
        self, follower: Follower, origin: SimulatedNode, spoil: Callable[[SimulatedNode], object], code: str
    ) -> None:
        forked(follower, origin, larger)
        before = follower.snapshot("RS")
        spoil(origin)
        assert decide(follower, "offered") == code
        assert follower.snapshot("RS") == before
        assert open_dispute(follower).is_open
        assert follower.state("RS") == "disputed"
        follower.check_logs()

    def test_not_where_its_key_is_no_longer_listed(self, follower: Follower, origin: SimulatedNode) -> None:
        honest = forked(follower, origin, larger)
        heal(origin, honest)
        origin.rotate_operating_key("rs operating 2")
        follower.pass_time(HOUR)
        assert follower.pull("RS").result == "ok"
        assert decide(follower, "offered") == "unknown_key"
        assert decide(follower, "held") == "ok"
        assert follower.state("RS") == "fresh"


class TestRemovedKey:
    """Where the offered one's key is removed later, the held history goes on and the dispute stays shown."""

    def test_another_fork_beside_it_is_found(self, follower: Follower, origin: SimulatedNode) -> None:
        honest = forked(follower, origin, larger)
        heal(origin, honest)
        origin.rotate_operating_key("rs operating 2")
        follower.pass_time(HOUR)
        assert follower.pull("RS").result == "ok"
        assert follower.state("RS") == "disputed"
        origin.rewrite(11)
        assert follower.pull("RS").result == "fork"
        assert [dispute.is_open for dispute in all_disputes(follower)] == [True, True]
        assert follower.head("RS").disputed == origin.served_checkpoint().decode()
        assert decide(follower, "held") == "ok"
        assert follower.state("RS") == "disputed"  # the first is still to be decided
        assert decide(follower, "held") == "ok"
        assert follower.head("RS").disputed is None


def test_pairs_are_unordered_and_of_one_participant(follower: Follower, origin: SimulatedNode) -> None:
    forked(follower, origin, same_size)
    dispute = open_dispute(follower)
    a, b, other = dispute.held, dispute.offered, (HELD, bytes(32))
    with reading(follower.engine) as session:
        assert not is_resolved_pair(session, "RS", a, b)
    decide(follower, "held")
    with reading(follower.engine) as session:
        assert is_resolved_pair(session, "RS", a, b)
        assert is_resolved_pair(session, "RS", b, a)
        assert not is_resolved_pair(session, "RS", a, other)
        assert not is_resolved_pair(session, "MK", a, b)


def test_nothing_is_open_of_a_participant_that_never_forked(follower: Follower) -> None:
    with reading(follower.engine) as session:
        assert load_open(session, "MK") is None
    assert all_disputes(follower) == []


def test_own_history_that_is_kept_is_asked_of_nobody(follower: Follower, network: SimulatedNetwork) -> None:
    """A node does not follow itself: nothing is pulled after the decision, and nothing is reported of it."""
    change = PendingChange("member/here", "put", {"name": "Only Here"})
    other = SimulatedNode(follower.node.identity, follower.now)
    other.grow(4)
    with writing(follower.engine) as session:
        publish(session, follower.node.identity, [change], follower.now)
        head = load_head(session, "ME")
        open_dispute_row(session, head, other.checkpoint(), shown_by="https://mk.example", now=follower.now)
    with reading(follower.engine) as session:
        dispute = load_open(session, "ME")
    accept_held(Run(follower.node, follower.now), dispute, "ours is the true one")
    with reading(follower.engine) as session:
        assert "ME" not in load_wanted(session)
        (own,) = [row for row in report(session, follower.now) if row["trust"] == "own"]
    assert (own["state"], own["last_result"]) == ("fresh", None)


def test_own_history_is_taken_back_from_peers_where_its_operator_says_so(
    follower: Follower, network: SimulatedNetwork
) -> None:
    """The peers hold another history of the own log: accepting it replaces the own one, and signing goes on from it."""
    identity, change = follower.node.identity, PendingChange("member/here", "put", {"name": "Only Here"})
    other = SimulatedNode(identity, follower.now)
    other.grow(4)
    network.nodes["https://mk.example"].relayed["ME"] = other
    with writing(follower.engine) as session:
        publish(session, identity, [change], follower.now)
        head = load_head(session, "ME")
        open_dispute_row(session, head, other.checkpoint(), shown_by="https://mk.example", now=follower.now)
    with pytest.raises(FederationError, match="busy"), writing(follower.engine) as session:
        publish(session, identity, [PendingChange("member/m", "put", {"name": "Not Now"})], follower.now)
    with reading(follower.engine) as session:
        dispute, node = load_open(session, "ME"), load_participant(session, "ME")
    accept_offered(Run(follower.node, follower.now), node, dispute, "the peers are right")
    head = follower.head("ME")
    assert (head.own, head.size, head.root, head.disputed) == (True, 4, other.root, None)
    with writing(follower.engine) as session:
        assert publish(session, identity, [change], follower.now).size == 5
    follower.check_logs()
