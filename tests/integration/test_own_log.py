"""One's own log, compared with what the peers hold of it (protocol.md, section 5; abuse.md F24, C43)."""

import datetime as dt
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.disputes import load_disputes, resolve
from federation.entries import make_put
from federation.errors import ClockError, FederationError
from federation.evidence import check_evidence
from federation.identity import Identity
from federation.keys import key_set
from federation.log import load_head, read_entries
from federation.own_configuration import renew_configuration
from federation.own_node import hold_back, load_own_node, refuse_clock
from federation.participants import load_configuration
from federation.publishing import PendingChange, publish, renew_checkpoint
from sync.errors import ElsewhereError
from sync.own_log import Comparison, compare_own_log, settle_own_log
from sync.transport import JSON
from tests.simulators.follower import Follower, make_follower, pin
from tests.simulators.network import SimulatedNetwork, answer
from tests.simulators.node_simulator import NOW, SALT, SimulatedNode, duty_officer, named_key

MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def here(engine: sa.Engine, network: SimulatedNetwork) -> Follower:
    """ME with a log of 300 entries, so that what is missing crosses pages."""
    follower = make_follower(engine, network)
    save(follower, range(300))
    return follower


@pytest.fixture
def peers(here: Follower, network: SimulatedNetwork) -> list[SimulatedNode]:
    """Three peers that hold ME's log as it is now."""
    nodes = [network.add(code, enrolled=False) for code in ("RS", "MK", "AL")]
    for node in nodes:
        pin(here, node)
        node.relayed["ME"] = mirror(here)
    return nodes


def save(here: Follower, numbers: Sequence[int], at: dt.datetime = NOW) -> None:
    with writing(here.engine) as session:
        changes = [PendingChange(f"member/m-{number}", "put", duty_officer(number)) for number in numbers]
        publish(session, here.node.identity, changes, at)


def mirror(here: Follower) -> SimulatedNode:
    """What a peer holds of ME: the log and the chain of configurations."""
    with reading(here.engine) as session:
        head, configuration = load_head(session, "ME"), load_configuration(session, "ME")
        assert head is not None
        assert configuration is not None
        entries = read_entries(session, "ME", 0, head.size) if head.size else []
    return SimulatedNode(here.node.identity, here.now, list(entries), chain=[configuration.token])


def grow(copy: SimulatedNode, number: int) -> None:
    """Entries that ME has signed and lost since."""
    for _ in range(number):
        seq = copy.size
        copy.entries.append(make_put(seq, f"member/m-{seq + 5000}", duty_officer(seq), NOW, SALT))


def start(here: Follower, reason: str = "starting") -> None:
    with writing(here.engine) as session:
        hold_back(session, reason)  # type: ignore[arg-type]


def compare(here: Follower, **arguments: bool) -> Comparison:
    return compare_own_log(here.node, here.now, **arguments)


def held_back(here: Follower) -> str | None:
    with reading(here.engine) as session:
        return load_own_node(session).held_back


def refusal(here: Follower) -> str:
    """The code with which nothing can be saved now."""
    before = here.snapshot("ME")
    with pytest.raises(FederationError) as caught:
        save(here, [9999], here.now)
    assert here.snapshot("ME") == before
    return caught.value.code


class TestHeldBack:
    @pytest.mark.parametrize("reason", ["starting", "restored", "clock", "elsewhere"])
    def test_nothing_is_saved_or_signed(self, here: Follower, reason: str) -> None:
        start(here, reason)
        assert refusal(here) == "busy"
        with pytest.raises(FederationError, match="busy"), writing(here.engine) as session:
            renew_checkpoint(session, here.node.identity, here.now)
        with pytest.raises(FederationError, match="busy"), writing(here.engine) as session:
            renew_configuration(session, here.node.identity, name="", now=here.now + DAY)

    def test_a_reason_that_another_took_the_place_of_is_not_ended(self, here: Follower, network, peers) -> None:
        start(here)

        def restore(url: str) -> None:
            start(here, "restored")

        network.faults["/checkpoint"] = restore  # type: ignore[assignment]
        compare(here)
        assert held_back(here) == "restored"

    def test_what_is_not_held_back_is_not_compared(self, here: Follower, network, peers) -> None:
        assert compare(here).released
        assert network.requests == []

    def test_without_peers_it_is_instant(self, here: Follower, network) -> None:
        start(here)
        assert compare(here).released
        assert network.requests == []
        save(here, [9999], here.now)

    def test_a_clock_that_is_refused_asks_nobody(self, here: Follower, network, peers) -> None:
        start(here)
        with writing(here.engine) as session:
            refuse_clock(session, "jumped: in this test")
        with pytest.raises(ClockError):
            compare(here)
        assert network.requests == []
        assert held_back(here) == "starting"


class TestNoneAhead:
    def test_equal_logs_are_signed_on(self, here: Follower, peers) -> None:
        start(here)
        found = compare(here)
        assert (found.released, found.asked, found.answered, found.taken) == (True, 3, 3, 0)
        save(here, [9999], here.now)

    def test_peers_that_are_behind_change_nothing(self, here: Follower, peers) -> None:
        for peer, size in zip(peers, (0, 7, 299), strict=True):
            peer.relayed["ME"].roll_back_to(size)
        start(here)
        before = here.snapshot("ME")
        assert compare(here).answered == 3
        assert here.snapshot("ME") == before

    def test_a_peer_that_holds_no_log_has_answered(self, here: Follower, peers) -> None:
        for peer in peers:
            peer.relayed.clear()
        start(here, "restored")
        found = compare(here)
        assert (found.released, found.answered) == (True, 3)

    def test_an_expired_checkpoint_is_an_answer(self, here: Follower, peers) -> None:
        here.now += 30 * DAY
        start(here, "restored")
        assert compare(here).answered == 3

    @pytest.mark.parametrize("code", ["unreachable", "timeout", "bad_response"])
    def test_none_answers_and_it_signs(self, here: Follower, network, peers, code: str) -> None:
        network.fail("/federation/", code)
        start(here)
        found = compare(here)
        assert (found.released, found.answered) == (True, 0)
        save(here, [9999], here.now)


class TestNoAnswer:
    """After a restore only a verified checkpoint, or 404, lets the node sign again."""

    def check_waits(self, here: Follower) -> None:
        start(here, "restored")
        found = compare(here)
        assert (found.released, found.answered) == (False, 0)
        assert "--alone" in found.detail
        assert refusal(here) == "busy"

    @pytest.mark.parametrize("code", ["unreachable", "timeout", "bad_response", "too_large", "redirect_refused"])
    def test_silence(self, here: Follower, network, peers, code: str) -> None:
        network.fail("/federation/", code)
        self.check_waits(here)

    @pytest.mark.parametrize(
        ("status", "code"), [(401, "unknown_key"), (403, "forbidden"), (503, "busy"), (404, "out_of_range")]
    )
    def test_another_refusal(self, here: Follower, network, peers, status: int, code: str) -> None:
        network.refuse("/checkpoint", status, code)
        self.check_waits(here)

    def test_anothers_checkpoint_or_one_that_this_node_did_not_sign(self, here: Follower, peers) -> None:
        first, second, third = (peer.relayed["ME"] for peer in peers)
        first.signing_key = named_key("somebody else")
        second.checkpoint_token = peers[0].served_checkpoint()
        third.checkpoint_claims = {"sub": "RS"}
        self.check_waits(here)

    def test_no_peer_at_all(self, here: Follower) -> None:
        self.check_waits(here)

    def test_until_one_answers(self, here: Follower, network, peers) -> None:
        network.fail("/federation/", "unreachable")
        self.check_waits(here)
        del network.faults["/federation/"]
        network.fail("//rs.example", "timeout")
        network.fail("//mk.example", "timeout")
        assert compare(here).released
        save(here, [9999], here.now)

    def test_unless_the_operator_says_that_none_can_be_asked(self, here: Follower, network, peers) -> None:
        network.fail("/federation/", "unreachable")
        self.check_waits(here)
        assert compare(here, alone=True).released
        save(here, [9999], here.now)

    def test_a_peer_that_is_ahead_counts_though_the_operator_says_so(self, here: Follower, peers) -> None:
        grow(peers[1].relayed["ME"], 5)
        start(here, "restored")
        assert compare(here, alone=True).taken == 5

    def test_one_that_hangs_is_not_waited_for(self, here: Follower, network, peers, monkeypatch) -> None:
        monkeypatch.setattr("sync.own_log._ASKING_SECONDS", 0.5)
        over = threading.Event()
        network.faults["//rs.example"] = lambda url: over.wait(60)
        start(here, "restored")
        began = time.monotonic()
        found = compare(here)
        over.set()
        assert (found.released, found.answered) == (True, 2)
        assert time.monotonic() - began < 10


class TestAhead:
    @pytest.mark.parametrize("reason", ["starting", "restored", "clock"])
    def test_the_entries_are_taken_back_and_signed_on(self, here: Follower, peers, reason: str) -> None:
        grow(peers[1].relayed["ME"], 300)
        grow(peers[2].relayed["ME"], 20)
        start(here, reason)
        found = compare(here)
        assert (found.released, found.taken) == (True, 300)
        assert here.head("ME").size == 600
        assert here.head("ME").root == peers[1].relayed["ME"].root
        assert "member/m-5599" in here.records("ME")
        here.check_logs()
        save(here, [9999], here.now)
        assert here.head("ME").size == 601
        here.check_logs()

    def test_a_second_comparison_finds_nothing_more(self, here: Follower, peers) -> None:
        grow(peers[0].relayed["ME"], 3)
        for _ in range(2):
            start(here)
            found = compare(here)
        assert (found.released, found.taken) == (True, 0)

    def test_another_source_is_used_where_the_first_gives_bad_entries(self, here: Follower, peers) -> None:
        first, second, _ = (peer.relayed["ME"] for peer in peers)
        grow(first, 9)
        grow(second, 9)
        first.tamper_with_header(305)
        start(here)
        assert compare(here).released
        assert here.head("ME").size == 309
        here.check_logs()

    @pytest.mark.parametrize("lie", ["tamper_with_header", "tamper_with_payload", "withhold_payload"])
    def test_while_they_cannot_be_had_nothing_is_signed(self, here: Follower, peers, lie: str) -> None:
        ahead = peers[2].relayed["ME"]
        grow(ahead, 9)
        getattr(ahead, lie)(305)
        start(here)
        before = here.snapshot("ME")
        found = compare(here)
        assert not found.released
        assert "al.example" in found.detail
        assert here.snapshot("ME") == before
        assert refusal(here) == "busy"
        ahead.page_lie = None
        assert compare(here).released
        assert here.head("ME").size == 309

    def test_not_even_when_the_operator_says_so(self, here: Follower, network, peers) -> None:
        grow(peers[0].relayed["ME"], 9)
        network.fail("/entries", "timeout")
        start(here, "restored")
        assert not compare(here, alone=True).released

    def test_entries_beyond_what_a_revoked_key_signed_are_not_taken(self, here: Follower, peers) -> None:
        """What the newest configuration does not list verifies nothing any more."""
        ahead = peers[0].relayed["ME"]
        ahead.signing_key = named_key("stolen")
        grow(ahead, 9)
        start(here)
        assert compare(here).released
        assert here.head("ME").size == 300


class TestConfigurations:
    def test_newer_own_ones_are_taken_first(self, here: Follower, peers) -> None:
        """The key was rotated after the copy was made: only the newer configuration lists what signs the log now."""
        old = here.node.identity
        new = Identity("ME", old.entity_id, old.federation_key, named_key("me rotated"))
        ahead = SimulatedNode(new, NOW + DAY, list(peers[0].relayed["ME"].entries))
        ahead.chain = [*peers[0].relayed["ME"].chain, ahead.configuration()]
        grow(ahead, 4)
        peers[0].relayed["ME"] = ahead
        here.now += DAY
        start(here, "restored")
        found = compare(here)
        assert (found.released, found.taken) == (True, 4)
        assert here.snapshot("ME").configuration == ahead.configuration()
        with reading(here.engine) as session:
            configuration = load_configuration(session, "ME")
        assert configuration is not None
        assert configuration.operating_keys.keys() == {new.operating_key.kid}

    def test_a_rotated_federation_key_is_followed(self, here: Follower, peers) -> None:
        ahead = peers[1].relayed["ME"]
        ahead.now += DAY
        ahead.rotate_federation_key("me federation, new")
        here.now += 2 * DAY
        start(here)
        compare(here)
        with reading(here.engine) as session:
            configuration = load_configuration(session, "ME")
        assert configuration is not None
        assert configuration.federation_keys.keys() == key_set(named_key("me federation, new")).keys()

    def test_one_that_the_own_keys_did_not_sign_is_not(self, here: Follower, peers) -> None:
        before = here.snapshot("ME").configuration
        forged = replace(here.node.identity, federation_key=named_key("forger"))
        peers[0].relayed["ME"].chain = [SimulatedNode(forged, NOW + MINUTE).configuration()]
        here.now += DAY
        start(here)
        assert compare(here).answered == 3
        assert here.snapshot("ME").configuration == before


class TestContradiction:
    def check_disputed(self, here: Follower) -> None:
        start(here)
        before = here.snapshot("ME")
        found = compare(here)
        assert "veza dispute" in found.detail
        assert here.snapshot("ME") == before
        assert held_back(here) is None
        assert here.head("ME").disputed is not None
        assert refusal(here) == "busy"
        with reading(here.engine) as session:
            (dispute,) = load_disputes(session, "ME")
        assert check_evidence(dict(dispute.evidence)).is_proven

    def test_another_root_at_the_same_size(self, here: Follower, peers) -> None:
        peers[0].relayed["ME"].rewrite(299)
        self.check_disputed(here)

    def test_another_history_that_is_longer(self, here: Follower, peers) -> None:
        peers[1].relayed["ME"].rewrite(7)
        grow(peers[1].relayed["ME"], 30)
        self.check_disputed(here)

    def test_another_history_that_is_shorter(self, here: Follower, peers) -> None:
        peers[2].relayed["ME"].rewrite(7)
        peers[2].relayed["ME"].roll_back_to(200)
        self.check_disputed(here)

    def test_after_entries_were_taken_back_from_another(self, here: Follower, peers) -> None:
        grow(peers[0].relayed["ME"], 9)
        peers[1].relayed["ME"].rewrite(299)
        start(here)
        compare(here)
        assert here.head("ME").size == 309
        assert refusal(here) == "busy"

    def test_configurations_go_on(self, here: Follower, peers) -> None:
        peers[0].relayed["ME"].rewrite(299)
        start(here)
        compare(here)
        with writing(here.engine) as session:
            renew_configuration(session, here.node.identity, name="", now=here.now + DAY)

    def test_what_the_operator_has_decided_disputes_no_more(self, here: Follower, peers) -> None:
        peers[0].relayed["ME"].rewrite(299)
        self.check_disputed(here)
        with writing(here.engine) as session:
            (dispute,) = load_disputes(session, "ME")
            resolve(session, dispute, "held", "the other came from a copy", here.now)
        start(here)
        assert compare(here).released
        save(here, [9999], here.now)


def test_a_node_that_runs_elsewhere_asks_no_peer(here: Follower, network, peers) -> None:
    start(here)
    body = b'{"status":"ok","participant":"ME","instance":"' + b"x" * 43 + b'"}'
    network.faults["me.example/healthz"] = lambda url: answer(body, JSON)
    with pytest.raises(ElsewhereError, match="stop one of the two"):
        settle_own_log(here.node, here.now)
    assert network.asked("/federation/") == 0
    assert held_back(here) == "elsewhere"
