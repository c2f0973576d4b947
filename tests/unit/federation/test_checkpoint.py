import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.checkpoint import (
    Checkpoint,
    compare_checkpoint,
    make_checkpoint,
    read_checkpoint,
    verify_checkpoint,
)
from federation.encoding import b64url_encode
from federation.errors import ClockError, LogIntegrityError, TokenError
from federation.head import Head
from federation.keys import key_set
from federation.merkle import EMPTY_ROOT, Frontier
from tests.unit.federation.samples import DAY, HOUR, NOW, SECOND, altered, identity, key

ME = identity("ME")
ROOT, OTHER_ROOT = bytes(32), b"\x01" * 32
KEYS = key_set(ME.operating_key)


def verify(token: str, **options: Any) -> Checkpoint:
    expected: dict[str, Any] = {"entity_id": ME.entity_id, "participant": "ME", "keys": KEYS, "now": NOW}
    return verify_checkpoint(token, **(expected | options))


def head(size: int = 100, root: bytes = ROOT, issued_at: dt.datetime | None = NOW) -> Head:
    return Head("ME", False, size, root, Frontier(), "held", issued_at, NOW + DAY, NOW, None)


def offered(size: int = 100, root: bytes = ROOT, issued_at: dt.datetime = NOW) -> Checkpoint:
    return make_checkpoint(ME, size, root, issued_at)


@given(
    st.integers(1, 2**53 - 1),
    st.binary(min_size=32, max_size=32),
    st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2026, 12, 31)),
)
def test_a_checkpoint_round_trips(size: int, root: bytes, at: dt.datetime) -> None:
    now = at.replace(tzinfo=dt.UTC)
    made = make_checkpoint(ME, size, root, now)
    assert verify(made.token, now=now) == made == read_checkpoint(made.token)
    assert (made.size, made.root, made.issued_at) == (size, root, now.replace(microsecond=0))
    assert made.expires_at - made.issued_at == 48 * HOUR


@pytest.mark.parametrize(
    ("now", "last", "expected"),
    [
        (NOW, None, NOW),
        (NOW, NOW, NOW),
        (NOW, NOW - DAY, NOW),
        (NOW, NOW + 300 * SECOND, NOW + 300 * SECOND),
    ],
)
def test_iat_is_never_below_the_last(now: dt.datetime, last: dt.datetime | None, expected: dt.datetime) -> None:
    assert make_checkpoint(ME, 1, ROOT, now, last).issued_at == expected


def test_a_clock_that_went_back_signs_nothing() -> None:
    with pytest.raises(ClockError):
        make_checkpoint(ME, 1, ROOT, NOW, NOW + 301 * SECOND)


def test_an_empty_log_has_one_root() -> None:
    assert verify(make_checkpoint(ME, 0, EMPTY_ROOT, NOW).token).size == 0
    token = altered(offered().token, ME.operating_key, size=0)
    with pytest.raises(TokenError, match="malformed"):
        read_checkpoint(token)
    with pytest.raises(TokenError, match="malformed"):
        verify(token, keys={})


@pytest.mark.parametrize(
    ("options", "code"),
    [
        pytest.param({"entity_id": "https://spoc.example.rs"}, "wrong_issuer", id="served by another node"),
        pytest.param({"participant": "RS"}, "wrong_participant", id="in place of another log's"),
        pytest.param({"keys": {}}, "unknown_key", id="a revoked key"),
        pytest.param(
            {"keys": key_set(key("me federation"))}, "unknown_key", id="the federation key is no operating key"
        ),
        pytest.param({"now": NOW + 3 * DAY}, "expired", id="frozen"),
        pytest.param({"now": NOW - DAY}, "not_yet_valid", id="from the future"),
    ],
)
def test_what_is_not_the_origins_word_is_refused(options: dict[str, Any], code: str) -> None:
    with pytest.raises(TokenError) as refusal:
        verify(offered().token, **options)
    assert refusal.value.code == code


def test_a_relayed_checkpoint_may_be_expired_and_no_more() -> None:
    assert verify(offered().token, now=NOW + 300 * DAY, relayed=True).size == 100
    with pytest.raises(TokenError, match="not_yet_valid"):
        verify(offered().token, now=NOW - DAY, relayed=True)
    with pytest.raises(TokenError, match="unknown_key"):
        verify(altered(offered().token, key("stolen")), relayed=True)


@pytest.mark.parametrize(
    ("held", "new", "standing"),
    [
        pytest.param(head(), offered(), "fresh", id="the same"),
        pytest.param(head(), offered(issued_at=NOW + HOUR), "fresh", id="renewed"),
        pytest.param(head(issued_at=None), offered(issued_at=NOW - DAY), "fresh", id="nothing accepted yet"),
        pytest.param(head(), offered(101), "ahead", id="larger"),
        pytest.param(head(), offered(101, OTHER_ROOT, NOW - DAY), "ahead", id="larger, whatever its iat"),
        pytest.param(head(0, EMPTY_ROOT, None), offered(1), "ahead", id="the first"),
    ],
)
@pytest.mark.parametrize("relayed", [False, True])
def test_a_checkpoint_that_agrees(held: Head, new: Checkpoint, standing: str, relayed: bool) -> None:
    assert compare_checkpoint(held, new, relayed=relayed) == standing


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(offered(99), id="one entry less"),
        pytest.param(offered(99, issued_at=NOW + DAY), id="one entry less, newly signed"),
        pytest.param(make_checkpoint(ME, 0, EMPTY_ROOT, NOW + DAY), id="an empty log"),
        pytest.param(offered(issued_at=NOW - SECOND), id="the same size, a second older"),
    ],
)
def test_an_older_checkpoint_is_rollback_at_the_origin_and_nothing_from_a_relay(new: Checkpoint) -> None:
    with pytest.raises(LogIntegrityError) as refusal:
        compare_checkpoint(head(), new)
    assert refusal.value.code == "rollback"
    assert compare_checkpoint(head(), new, relayed=True) == "older"


@pytest.mark.parametrize("relayed", [False, True])
@pytest.mark.parametrize("age", [-DAY, dt.timedelta(), DAY], ids=["older", "of the same second", "newer"])
def test_two_roots_at_one_size_are_a_fork_wherever_they_come_from(age: dt.timedelta, relayed: bool) -> None:
    with pytest.raises(LogIntegrityError) as refusal:
        compare_checkpoint(head(), offered(100, OTHER_ROOT, NOW + age), relayed=relayed)
    assert refusal.value.code == "fork"
    assert ROOT.hex() in refusal.value.detail
    assert OTHER_ROOT.hex() in refusal.value.detail


def test_another_claim_is_refused_even_when_signed() -> None:
    token = altered(offered().token, ME.operating_key, witness=b64url_encode(ROOT))
    with pytest.raises(TokenError, match="no other claims"):
        read_checkpoint(token)
