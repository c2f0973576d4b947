"""What was refused of others is counted: one row per peer, code and minute (abuse.md, I3)."""

import datetime as dt

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.errors import FederationError, TokenError
from federation.read_tokens import make_read_token
from federation.refusals import KEPT_FOR, Refusal, count_refusals, load_refusals, purge_refusals, record_refusal
from sync.inbox import receive_statement
from sync.jobs import keep_house
from sync.refused_posts import STEP, WRITTEN_ONE_BY_ONE, RefusedPosts
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW, named_identity, named_key

MINUTE = dt.timedelta(minutes=1)
EXPIRED = TokenError("expired", "expired long ago")
READER = named_identity("RS")
KEYS = {READER.operating_key.kid: READER.operating_key.public_key()}
TOKEN = make_read_token(READER, "https://me.example", NOW)


def refusals(engine: sa.Engine, since: dt.datetime = NOW) -> list[Refusal]:
    with reading(engine) as session:
        return load_refusals(session, since)


def record(engine: sa.Engine, code: str, now: dt.datetime, *, peer: str = "RS", detail: str = "first", count: int = 1):
    with writing(engine) as session:
        record_refusal(session, peer, code, detail, now, count)


def test_one_row_per_peer_code_and_minute_with_a_count(engine: sa.Engine) -> None:
    record(engine, "rollback", NOW + dt.timedelta(seconds=5))
    record(engine, "rollback", NOW + dt.timedelta(seconds=59), detail="second", count=3)
    record(engine, "fork", NOW)
    record(engine, "rollback", NOW, peer="MK")
    record(engine, "rollback", NOW + MINUTE)
    assert [(each.peer, each.code, each.minute, each.count, each.detail) for each in refusals(engine)] == [
        ("MK", "rollback", NOW, 1, "first"),
        ("RS", "fork", NOW, 1, "first"),
        ("RS", "rollback", NOW, 4, "first"),
        ("RS", "rollback", NOW + MINUTE, 1, "first"),
    ]
    with reading(engine) as session:
        assert count_refusals(session) == {("MK", "rollback"): 1, ("RS", "fork"): 1, ("RS", "rollback"): 5}


def test_rows_since_a_minute_are_loaded_and_older_ones_purged(engine: sa.Engine) -> None:
    record(engine, "timeout", NOW - KEPT_FOR - MINUTE)
    record(engine, "timeout", NOW - KEPT_FOR)
    record(engine, "timeout", NOW)
    assert len(refusals(engine, NOW - KEPT_FOR - MINUTE)) == 3
    assert len(refusals(engine, NOW + dt.timedelta(seconds=59))) == 1
    with writing(engine) as session:
        assert purge_refusals(session, NOW - KEPT_FOR) == 1
    assert len(refusals(engine, NOW - KEPT_FOR - MINUTE)) == 2


@pytest.mark.parametrize("hostile", ["a\x00b", "a\nb\r\n", "\ud800", "\u202eevil", "\x1b[2J", "x" * 5000])
def test_a_detail_that_quotes_a_peer_is_stored_inert(engine: sa.Engine, hostile: str) -> None:
    record(engine, "bad_response", NOW, peer=hostile, detail=hostile)
    (row,) = refusals(engine)
    assert row.detail.isprintable()
    assert row.peer.isprintable()
    assert (len(row.peer) <= 300, len(row.detail) <= 1000) == (True, True)


def test_what_a_known_key_signed_is_counted(engine: sa.Engine) -> None:
    posts = RefusedPosts()
    for _ in range(3):
        posts.note(engine, "RS", KEYS, TOKEN, EXPIRED, NOW)
    assert [(each.peer, each.code, each.count) for each in refusals(engine)] == [("RS", "expired", 3)]


@pytest.mark.parametrize(
    "token",
    [
        TOKEN[:-4] + ("AAAA" if TOKEN[-4:] != "AAAA" else "BBBB"),
        TOKEN.rpartition(".")[0] + ".",
        make_read_token(named_identity("MK"), "https://me.example", NOW),
        "",
        "a.b",
        "a.b.c",
        "é.b.c",
        b"\xff\xfe",
        "x" * 70_000,
    ],
)
def test_nothing_is_written_where_no_known_key_signed(engine: sa.Engine, token: str | bytes) -> None:
    posts = RefusedPosts()
    posts.note(engine, "RS", KEYS, token, EXPIRED, NOW)
    posts.note(engine, "RS", {}, TOKEN, EXPIRED, NOW)
    posts.note(engine, "RS", KEYS, TOKEN, TokenError("bad_signature", "by its own word"), NOW)
    assert refusals(engine) == []


def test_a_flood_of_one_captured_token_is_written_in_steps() -> None:
    posts = RefusedPosts()
    written = [posts.due("RS", "expired", NOW) for _ in range(1000)]
    assert sum(written) == 1000
    assert sum(count > 0 for count in written) == WRITTEN_ONE_BY_ONE + 900 // STEP
    assert posts.due("RS", "expired", NOW + MINUTE) == 1


def test_failed_pulls_are_counted_under_the_participant(engine: sa.Engine) -> None:
    network = SimulatedNetwork()
    network.add("RS").grow(3)
    follower = make_follower(engine, network)
    assert follower.pull_all()["RS"].result == "ok"
    network.nodes["https://rs.example"].signing_key = named_key("thief")
    for _ in range(2):
        assert follower.pull_all()["RS"].result == "unknown_key"
    assert [(each.peer, each.code, each.count) for each in refusals(engine)] == [("RS", "unknown_key", 2)]


def test_a_refused_anchor_is_counted_under_its_identifier(engine: sa.Engine) -> None:
    network = SimulatedNetwork()
    network.add("RS")
    follower = make_follower(engine, network)
    network.anchor.signing_key = named_key("thief")
    follower.pull_all()
    assert [(each.peer, each.code, each.count) for each in refusals(engine)] == [
        (network.anchor.entity_id, "unknown_key", 1)
    ]


def test_of_a_list_of_many_bad_nodes_the_first_are_counted(engine: sa.Engine) -> None:
    network = SimulatedNetwork()
    follower = make_follower(engine, network)
    network.anchor.listed_too = [f"ftp://{number}.example" for number in range(300)]
    follower.pull_all()
    found = refusals(engine)
    assert {each.code for each in found} == {"insecure_url"}
    assert len(found) == 100


def post(follower: Follower, token: bytes) -> str:
    with pytest.raises(FederationError) as refusal:
        receive_statement(follower.node, token, follower.now)
    return refusal.value.code


def test_refused_posts_are_counted_where_their_author_signed_them(engine: sa.Engine) -> None:
    network = SimulatedNetwork()
    origin = network.add("RS")
    origin.grow(3)
    follower = make_follower(engine, network)
    assert follower.pull_all()["RS"].result == "ok"
    origin.checkpoint_claims = {"iat": int(NOW.timestamp()) + 900, "exp": int(NOW.timestamp()) + 3600}
    ahead = origin.served_checkpoint()
    assert [post(follower, ahead) for _ in range(2)] == ["not_yet_valid"] * 2
    origin.signing_key = named_key("thief")
    assert post(follower, origin.served_checkpoint()) == "unknown_key"
    assert post(follower, ahead[:-20] + b"A" * 18 + b"AA") == "bad_signature"
    assert [(each.peer, each.code, each.count) for each in refusals(engine)] == [("RS", "not_yet_valid", 2)]


def test_a_refused_configuration_is_counted_under_its_code(engine: sa.Engine) -> None:
    network = SimulatedNetwork()
    origin = network.add("RS")
    follower = make_follower(engine, network)
    assert follower.pull_all()["RS"].result == "ok"
    older = origin.sign_configuration(now=NOW - MINUTE)
    assert post(follower, older.encode()) == "rollback"
    assert [(each.peer, each.code, each.count) for each in refusals(engine)] == [("RS", "rollback", 1)]


def test_refusals_older_than_thirteen_months_are_swept_away(engine: sa.Engine) -> None:
    follower = make_follower(engine, SimulatedNetwork())
    record(engine, "timeout", NOW - KEPT_FOR - MINUTE)
    record(engine, "timeout", NOW)
    keep_house(follower.node, NOW, None)
    assert [each.minute for each in refusals(engine, NOW - 2 * KEPT_FOR)] == [NOW]
