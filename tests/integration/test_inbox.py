"""What anybody may post: checkpoints and configurations, judged by their signature alone (protocol.md, section 7)."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.errors import FederationError
from federation.participants import end_trust
from federation.read_tokens import make_read_token
from sync.inbox import receive_statement
from sync.pull import pull_pushed
from sync.strangers import ASKED_AGAIN_AFTER
from sync.wanted import REFRESH, forget_wanted, load_wanted, want_pull
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode, named_identity, named_key

HELD = 50
HOUR = dt.timedelta(hours=1)


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
    follower = make_follower(engine, network)
    assert follower.pull_all()["RS"].result == "ok"
    follower.pass_time(HOUR)
    network.forget_requests()
    return follower


def post(follower: Follower, token: bytes | str) -> str:
    """The answer to a post: ``ok``, or the code of the refusal."""
    try:
        receive_statement(follower.node, token.encode() if isinstance(token, str) else token, follower.now)
    except FederationError as error:
        return error.code
    return "ok"


def wanted(follower: Follower) -> dict[str, str]:
    with reading(follower.engine) as session:
        return load_wanted(session)


def everything(follower: Follower) -> list[object]:
    """All rows of all tables: what a refused post must not change."""
    with reading(follower.engine) as session:
        return [
            [tuple(row) for row in session.execute(sa.text(f'SELECT * FROM "{table}"'))]
            for table in ("log", "configuration", "participant", "wanted_pull", "sync_status", "counter", "record")
        ]


class TestCheckpoint:
    def test_newer_one_is_pulled_soon_and_costs_its_entries_alone(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        origin.grow(3)
        token = origin.served_checkpoint().decode()
        assert post(follower, token) == "ok"
        assert wanted(follower) == {"RS": token}
        assert network.requests == []
        result = pull_pushed(follower.node, "RS", token, follower.now)
        assert (result.result, result.entries, result.requests) == ("ok", 3, 1)
        follower.check_holds(origin)

    def test_same_log_with_newer_time_is_stored_and_nothing_is_pulled(
        self, follower: Follower, origin: SimulatedNode
    ) -> None:
        checked_at = follower.head("RS").checked_at
        assert post(follower, origin.served_checkpoint()) == "ok"
        head = follower.head("RS")
        assert (head.issued_at, head.checked_at) == (follower.now, checked_at)
        assert wanted(follower) == {}

    def test_known_one_changes_nothing(self, follower: Follower, origin: SimulatedNode) -> None:
        token = origin.served_checkpoint()
        post(follower, token)
        before = everything(follower)
        assert post(follower, token) == "ok"
        assert everything(follower) == before

    def test_one_that_is_already_wanted_changes_nothing(self, follower: Follower, origin: SimulatedNode) -> None:
        origin.grow(3)
        newest = origin.served_checkpoint()
        origin.roll_back_to(HELD + 1)
        older = origin.served_checkpoint()
        post(follower, newest)
        before = everything(follower)
        for token in (newest, older):
            assert post(follower, token) == "ok"
        assert everything(follower) == before

    def test_still_newer_one_takes_its_place(self, follower: Follower, origin: SimulatedNode) -> None:
        for _ in range(2):
            origin.grow(3)
            post(follower, origin.served_checkpoint())
        assert wanted(follower) == {"RS": origin.served_checkpoint().decode()}

    def test_older_one_accuses_nobody(self, follower: Follower, origin: SimulatedNode) -> None:
        origin.grow(10)
        assert follower.pull("RS").result == "ok"
        origin.roll_back_to(HELD + 3)
        before = everything(follower)
        assert post(follower, origin.served_checkpoint()) == "ok"
        assert everything(follower) == before

    def test_of_the_own_log_changes_nothing(self, follower: Follower) -> None:
        own = SimulatedNode(follower.node.identity, follower.now)
        own.grow(5)
        before = everything(follower)
        assert post(follower, own.served_checkpoint()) == "ok"
        assert everything(follower) == before

    def test_of_a_log_not_held_yet_is_wanted(
        self, follower: Follower, network: SimulatedNetwork, engine: sa.Engine
    ) -> None:
        other = network.add("MK")
        other.grow(2)
        follower.pull_all()
        with writing(engine) as session:
            session.execute(sa.text("DELETE FROM log WHERE participant = 'MK'"))
        assert post(follower, other.served_checkpoint()) == "ok"
        assert wanted(follower) == {"MK": other.served_checkpoint().decode()}

    @pytest.mark.parametrize("size", [HELD, HELD - 20], ids=["at the held size", "at a size held before"])
    def test_other_root_at_a_size_that_was_accepted_is_a_fork(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, size: int
    ) -> None:
        honest = origin.copy()
        if size != HELD:  # a log that was accepted at both sizes
            other = network.add("MK")
            other.grow(size)
            follower.pull_all()
            honest = other.copy()
            other.grow(20)
            follower.pull("MK")
        honest.rewrite(5)
        before = follower.snapshot(honest.participant)
        token = honest.served_checkpoint()
        assert post(follower, token) == "fork"
        assert follower.head(honest.participant).disputed == token.decode()
        assert follower.snapshot(honest.participant) == before
        assert follower.state(honest.participant) == "disputed"
        assert wanted(follower) == {honest.participant: REFRESH}  # the worker passes it on, and completes the evidence

    def test_that_cannot_be_compared_yet_is_kept_once_and_then_costs_no_write(
        self, follower: Follower, engine: sa.Engine, origin: SimulatedNode
    ) -> None:
        """Roots are worked out once a minute; what comes meanwhile, however often signed anew, is written once."""
        for size in (HELD - 10, HELD - 20):  # the first takes the minute's turn, the second waits
            origin.roll_back_to(size)
            assert post(follower, origin.served_checkpoint()) == "ok"
        begun: list[str] = []
        sa.event.listen(engine, "before_cursor_execute", lambda *given: begun.append(str(given[2]).split()[0]))
        for second in range(1, 4):
            origin.now = follower.now - dt.timedelta(seconds=second)
            assert post(follower, origin.served_checkpoint()) == "ok"
        assert set(begun) <= {"SELECT", "BEGIN"}

    def test_second_fork_keeps_the_first_evidence(self, follower: Follower, origin: SimulatedNode) -> None:
        first, second = origin.copy(), origin.copy()
        first.rewrite(5)
        second.rewrite(6)
        assert post(follower, first.served_checkpoint()) == "fork"
        assert post(follower, second.served_checkpoint()) == "fork"
        assert follower.head("RS").disputed == first.served_checkpoint().decode()

    def test_nothing_is_wanted_of_a_disputed_log(self, follower: Follower, origin: SimulatedNode) -> None:
        fork = origin.copy()
        fork.rewrite(5)
        post(follower, fork.served_checkpoint())
        follower.pull("RS")
        with writing(follower.engine) as session:
            forget_wanted(session, "RS", REFRESH)
        origin.grow(1)
        assert post(follower, origin.served_checkpoint()) == "ok"
        assert wanted(follower) == {}


Lie = Callable[[SimulatedNode], None]

REFUSED: dict[str, tuple[Lie, str]] = {
    "another's key": (lambda node: setattr(node, "signing_key", named_key("mk operating")), "unknown_key"),
    "another's name": (lambda node: node.checkpoint_claims.update(iss="https://mk.example"), "wrong_issuer"),
    "a code that nobody has": (lambda node: node.checkpoint_claims.update(sub="XX"), "unknown_participant"),
    "size as text": (lambda node: node.checkpoint_claims.update(size="60"), "malformed"),
    "expired": (lambda node: node.checkpoint_claims.update(iat=1, exp=2), "expired"),
    "of tomorrow": (
        lambda node: node.checkpoint_claims.update(
            iat=int(node.now.timestamp()) + 86_400, exp=int(node.now.timestamp()) + 90_000
        ),
        "not_yet_valid",
    ),
    "nonsense": (lambda node: setattr(node, "checkpoint_token", b"nonsense"), "malformed"),
    "empty": (lambda node: setattr(node, "checkpoint_token", b""), "malformed"),
    "not ASCII": (lambda node: setattr(node, "checkpoint_token", b"\xff.\xff.\xff"), "malformed"),
    "of 8 KiB and more": (lambda node: setattr(node, "checkpoint_token", b"x" * 9000), "malformed"),
    "of 64 KiB and more": (lambda node: setattr(node, "checkpoint_token", b"x" * 70_000), "too_large"),
}


@pytest.mark.parametrize(("lie", "code"), REFUSED.values(), ids=REFUSED)
def test_refused_post_changes_nothing_and_dials_nobody(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, lie: Lie, code: str
) -> None:
    origin.grow(3)
    lie(origin)
    follower.pull("RS")  # an attempt a moment ago: an unknown key asks for no other
    before = everything(follower)
    network.forget_requests()
    assert post(follower, origin.served_checkpoint()) == code
    assert everything(follower) == before
    assert network.requests == []


def test_altered_signature_is_refused(follower: Follower, origin: SimulatedNode) -> None:
    origin.grow(3)
    token = origin.served_checkpoint()
    altered = token[:-10] + (b"A" if token[-10:-9] != b"A" else b"B") + token[-9:]
    before = everything(follower)
    assert post(follower, altered) == "bad_signature"
    assert everything(follower) == before


def test_long_checkpoint_is_too_large(follower: Follower, origin: SimulatedNode) -> None:
    origin.checkpoint_claims = {"pad": "x" * 9000}
    assert post(follower, origin.served_checkpoint()) == "too_large"


def test_read_token_is_no_statement(follower: Follower, origin: SimulatedNode) -> None:
    other = replace(origin.identity)
    token = make_read_token(other, "https://me.example", follower.now)
    assert post(follower, token) == "wrong_type"


def test_node_that_is_trusted_no_more_is_unknown(follower: Follower, origin: SimulatedNode) -> None:
    with writing(follower.engine) as session:
        end_trust(session, "RS", follower.now)
    origin.grow(1)
    assert post(follower, origin.served_checkpoint()) == "unknown_participant"
    assert post(follower, origin.configuration()) == "unknown_participant"


class TestUnknownKey:
    """C23: a key that the held configuration does not list asks for a refresh, once a minute at most."""

    def test_refresh_is_wanted_once(self, follower: Follower, origin: SimulatedNode) -> None:
        origin.rotate_operating_key("rs operating 2")
        origin.grow(1)
        assert post(follower, origin.served_checkpoint()) == "unknown_key"
        assert wanted(follower) == {"RS": REFRESH}
        before = everything(follower)
        for number in range(20):
            origin.signing_key = named_key(f"random {number}")
            assert post(follower, origin.served_checkpoint()) == "unknown_key"
        assert everything(follower) == before

    def test_refresh_is_not_wanted_within_a_minute_of_the_last_attempt(
        self, follower: Follower, origin: SimulatedNode
    ) -> None:
        follower.pull("RS")
        origin.signing_key = named_key("random")
        origin.grow(1)
        follower.now += ASKED_AGAIN_AFTER - dt.timedelta(seconds=1)
        assert post(follower, origin.served_checkpoint()) == "unknown_key"
        assert wanted(follower) == {}
        follower.now += dt.timedelta(seconds=1)
        assert post(follower, origin.served_checkpoint()) == "unknown_key"
        assert wanted(follower) == {"RS": REFRESH}

    def test_own_name_with_a_foreign_key_asks_for_nothing(self, follower: Follower) -> None:
        own = SimulatedNode(follower.node.identity, follower.now, signing_key=named_key("thief"))
        assert post(follower, own.served_checkpoint()) == "unknown_key"
        assert wanted(follower) == {}

    def test_checkpoint_is_not_verified_with_keys_of_an_expired_configuration(
        self, follower: Follower, origin: SimulatedNode
    ) -> None:
        follower.pass_time(dt.timedelta(days=8))
        origin.grow(1)
        assert post(follower, origin.served_checkpoint()) == "unknown_key"
        assert wanted(follower) == {"RS": REFRESH}


class TestConfiguration:
    def test_newer_one_replaces_the_held_one(self, follower: Follower, origin: SimulatedNode) -> None:
        origin.rotate_operating_key("rs operating 2")
        assert post(follower, origin.configuration()) == "ok"
        assert follower.snapshot("RS").configuration == origin.configuration()
        origin.grow(1)
        assert post(follower, origin.served_checkpoint()) == "ok"

    def test_revoked_key_is_dead_at_once(self, follower: Follower, origin: SimulatedNode) -> None:
        stolen = origin.identity.operating_key
        origin.rotate_operating_key("rs operating 2")
        post(follower, origin.configuration())
        origin.signing_key = stolen
        origin.grow(1)
        assert post(follower, origin.served_checkpoint()) == "unknown_key"

    def test_same_one_changes_nothing(self, follower: Follower, origin: SimulatedNode) -> None:
        before = everything(follower)
        assert post(follower, origin.configuration()) == "ok"
        assert everything(follower) == before

    def test_own_one_changes_nothing(self, follower: Follower) -> None:
        own = SimulatedNode(follower.node.identity, follower.now)
        before = everything(follower)
        assert post(follower, own.configuration()) == "ok"
        assert everything(follower) == before

    REFUSALS = (
        ("older", "rollback"),
        ("stolen", "unknown_key"),
        ("other code", "wrong_participant"),
        ("unknown node", "unknown_participant"),
        ("expired", "expired"),
    )

    @pytest.mark.parametrize(("kind", "code"), REFUSALS)
    def test_refused_one_changes_nothing_held(
        self, follower: Follower, origin: SimulatedNode, kind: str, code: str
    ) -> None:
        identity = origin.identity
        token = {
            "older": lambda: origin.sign_configuration(now=follower.now - 2 * HOUR),
            "stolen": lambda: SimulatedNode(
                replace(identity, federation_key=named_key("thief")), follower.now
            ).configuration(),
            "other code": lambda: SimulatedNode(replace(identity, participant="MK"), follower.now).configuration(),
            "unknown node": lambda: SimulatedNode(named_identity("XK"), follower.now).configuration(),
            "expired": lambda: origin.sign_configuration(now=follower.now - HOUR / 2, lifetime=dt.timedelta(minutes=1)),
        }[kind]()
        before = follower.snapshot("RS")
        assert post(follower, token) == code
        assert follower.snapshot("RS") == before


class TestPushedPull:
    def test_entries_from_a_peer_where_the_origin_is_silent_again(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        relay = network.add("MK")
        follower.pull_all()
        origin.grow(3)
        token = origin.served_checkpoint().decode()
        relay.relayed["RS"] = origin.copy()
        origin.online = False
        result = pull_pushed(follower.node, "RS", token, follower.now)
        assert (result.result, result.source, result.entries) == ("ok", "https://mk.example", 3)

    def test_one_that_was_pulled_meanwhile_needs_no_request(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
    ) -> None:
        origin.grow(3)
        token = origin.served_checkpoint().decode()
        follower.pull("RS")
        network.forget_requests()
        result = pull_pushed(follower.node, "RS", token, follower.now)
        assert (result.result, result.entries, network.requests) == ("ok", 0, [])

    def test_key_revoked_since_it_was_posted(self, follower: Follower, origin: SimulatedNode) -> None:
        origin.grow(3)
        token = origin.served_checkpoint().decode()
        origin.rotate_operating_key("rs operating 2")
        post(follower, origin.configuration())
        assert pull_pushed(follower.node, "RS", token, follower.now).result == "unknown_key"

    def test_configuration_expired_since_it_was_posted(self, follower: Follower, origin: SimulatedNode) -> None:
        origin.grow(3)
        token = origin.served_checkpoint().decode()
        follower.now += dt.timedelta(days=8)
        assert pull_pushed(follower.node, "RS", token, follower.now).result == "expired"

    def test_history_that_does_not_continue_what_is_held_is_a_fork(
        self, follower: Follower, origin: SimulatedNode
    ) -> None:
        origin.rewrite(5)
        origin.grow(3)
        token = origin.served_checkpoint().decode()
        assert post(follower, token) == "ok"  # that shows only with its entries
        assert pull_pushed(follower.node, "RS", token, follower.now).result == "fork"
        assert follower.head("RS").disputed == token

    def test_failure_is_recorded_and_tried_again(self, follower: Follower, origin: SimulatedNode) -> None:
        origin.grow(3)
        token = origin.served_checkpoint().decode()
        origin.online = False
        assert pull_pushed(follower.node, "RS", token, follower.now).result == "unreachable"
        assert follower.status("RS").retry_at == follower.now + dt.timedelta(minutes=1)


def test_what_was_asked_for_meanwhile_stays_wanted(engine: sa.Engine) -> None:
    now = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    with writing(engine) as session:
        want_pull(session, "RS", "first", now)
    with writing(engine) as session:
        want_pull(session, "RS", "second", now)
        forget_wanted(session, "RS", "first")
    with reading(engine) as session:
        assert load_wanted(session) == {"RS": "second"}
