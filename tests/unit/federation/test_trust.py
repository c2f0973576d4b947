import json
from dataclasses import replace
from typing import Any

import pytest

from federation.errors import FederationError, LogIntegrityError, TokenError
from federation.keys import KeySet, key_set
from federation.statements import NodeConfiguration, make_configuration, make_subordinate_statement
from federation.trust import (
    check_newer,
    follow_chain,
    parse_chain,
    parse_node_list,
    resolve_under_anchor,
)
from tests.unit.federation.samples import ANCHOR, DAY, NOW, SECOND, altered, identity, key

ME = identity("ME")
FIRST = key("me federation")
KEYS = key_set(FIRST)


def resolve(statement: str, configuration: str, **options: Any) -> Any:
    expected: dict[str, Any] = {
        "anchor_id": ANCHOR.entity_id,
        "anchor_keys": key_set(ANCHOR.key),
        "statement": statement,
        "configuration": configuration,
        "entity_id": ME.entity_id,
        "now": NOW,
    }
    return resolve_under_anchor(**(expected | options))


def word(participant: str = "ME", keys: KeySet = KEYS) -> str:
    return make_subordinate_statement(ANCHOR, participant, ME.entity_id, keys, NOW).token


OWN = make_configuration(ME, now=NOW).token


def test_an_anchor_vouches_for_a_node() -> None:
    vouched, claimed = resolve(word(), OWN)
    assert (vouched.participant, claimed.participant, claimed.entity_id) == ("ME", "ME", ME.entity_id)


@pytest.mark.parametrize(
    ("statement", "configuration", "options", "code"),
    [
        pytest.param(word("RS"), OWN, {}, "wrong_participant", id="another code granted than claimed"),
        pytest.param(word(keys=key_set(key("other"))), OWN, {}, "unknown_key", id="other keys vouched for"),
        pytest.param(altered(word(), FIRST), OWN, {}, "unknown_key", id="a node vouches for itself"),
        pytest.param(
            altered(word(), ANCHOR.key, iss="https://other.example"), OWN, {}, "wrong_issuer", id="another anchor"
        ),
        pytest.param(
            word(), OWN, {"entity_id": "https://spoc.example.rs"}, "wrong_participant", id="about another node"
        ),
        pytest.param(word(), OWN, {"now": NOW + 31 * DAY}, "expired", id="both expired"),
        pytest.param(word(), OWN, {"now": NOW + 8 * DAY}, "expired", id="the configuration expired"),
        pytest.param(OWN, word(), {}, "wrong_issuer", id="the wrong way round"),
    ],
)
def test_trust_needs_both_words(statement: str, configuration: str, options: dict[str, Any], code: str) -> None:
    with pytest.raises(TokenError) as refusal:
        resolve(statement, configuration, **options)
    assert refusal.value.code == code


def issued(
    after: int, federation: str = "me federation", listed: tuple[str, ...] = (), days: int = 7
) -> NodeConfiguration:
    """A configuration ``after`` seconds from now, signed by one key and listing others beside it."""
    signer = replace(ME, federation_key=key(federation))
    others = key_set(*[key(name) for name in listed])
    return make_configuration(signer, now=NOW + after * SECOND, other_federation_keys=others, lifetime=days * DAY)


@pytest.mark.parametrize(("held", "offered"), [(None, issued(0)), (issued(0), issued(1)), (issued(0), issued(86_400))])
def test_a_newer_configuration_replaces(held: NodeConfiguration | None, offered: NodeConfiguration) -> None:
    assert check_newer(held, offered) == "newer"


def test_the_same_bytes_are_the_same() -> None:
    assert check_newer(issued(0), issued(0)) == "same"


@pytest.mark.parametrize(
    "offered",
    [issued(-1), issued(-86_400), issued(0, listed=("new",))],
    ids=["a second older", "a day older", "same second"],
)
def test_an_older_or_other_configuration_is_rollback(offered: NodeConfiguration) -> None:
    with pytest.raises(LogIntegrityError) as refusal:
        check_newer(issued(0), offered)
    assert refusal.value.code == "rollback"


# Three rotations: each next key is listed by the one before, then signs.
CHAIN = [
    issued(0),
    issued(10, listed=("k2",)),
    issued(20, "k2", listed=("k3",)),
    issued(30, "k3"),
    issued(40, "k3", listed=("k4",)),
    issued(50, "k4"),
]
TOKENS = [configuration.token for configuration in CHAIN]


def follow(tokens: list[str], start: KeySet = KEYS, held: NodeConfiguration | None = None, **options: Any) -> list[str]:
    expected: dict[str, Any] = {"entity_id": ME.entity_id, "participant": "ME", "now": NOW + 60 * SECOND}
    followed = follow_chain(tokens, start=start, held=held, **(expected | options))
    return [configuration.token for configuration in followed]


@pytest.mark.parametrize("place", range(len(CHAIN)))
def test_a_follower_sees_every_rotation_since_what_it_holds(place: int) -> None:
    held = CHAIN[place]
    assert follow(TOKENS, held.federation_keys, held) == TOKENS[place + 1 :]


def test_a_pinned_key_is_enough_to_start() -> None:
    assert follow(TOKENS) == TOKENS
    assert follow(TOKENS, key_set(key("k2"))) == TOKENS[2:]


def test_a_held_daily_renewal_that_the_chain_leaves_out_is_continued() -> None:
    renewal = issued(15, listed=("k2",))
    assert follow(TOKENS, renewal.federation_keys, renewal) == TOKENS[2:]


def test_only_the_last_must_be_in_force() -> None:
    later = NOW + 300 * DAY
    current = issued(300 * 86_400, "k4")
    assert follow([*TOKENS, current.token], now=later)[-1] == current.token
    with pytest.raises(TokenError, match="expired"):
        follow(TOKENS, now=later)
    assert follow(TOKENS, now=later, relayed=True) == TOKENS


@pytest.mark.parametrize(
    ("tokens", "start", "held", "code"),
    [
        pytest.param(TOKENS, key_set(key("other")), None, "unknown_key", id="another key pinned"),
        pytest.param(TOKENS[3:], KEYS, None, "unknown_key", id="a link missing before it"),
        pytest.param([TOKENS[0], *TOKENS[2:]], KEYS, None, "unknown_key", id="a link missing in it"),
        pytest.param([TOKENS[0], TOKENS[1], TOKENS[1]], KEYS, None, None, id="a link twice"),
        pytest.param([TOKENS[1], TOKENS[0]], KEYS, None, "rollback", id="newest first"),
        pytest.param(TOKENS[:2], CHAIN[3].federation_keys, CHAIN[3], "unknown_key", id="ends before what is held"),
        pytest.param([issued(5, "attacker").token], KEYS, None, "unknown_key", id="a key that only itself announces"),
        pytest.param(
            [TOKENS[0], altered(TOKENS[1], FIRST, iss="https://x.example", sub="https://x.example")],
            KEYS,
            None,
            "wrong_issuer",
            id="another node's link",
        ),
        pytest.param([], KEYS, None, "too_large", id="nothing"),
        pytest.param([TOKENS[0]] * 257, KEYS, None, "too_large", id="257 links"),
        pytest.param(["x"], KEYS, None, "malformed", id="no token"),
    ],
)
def test_a_broken_chain_is_refused(
    tokens: list[str], start: KeySet, held: NodeConfiguration | None, code: str | None
) -> None:
    if code is None:
        assert follow(tokens, start, held) == tokens
        return
    with pytest.raises(FederationError) as refusal:
        follow(tokens, start, held)
    assert refusal.value.code == code


@pytest.mark.parametrize("parse", [parse_chain, parse_node_list])
def test_a_list_of_texts_is_read(parse: Any) -> None:
    assert parse(b'["a","b"]') == ["a", "b"]
    assert parse(b"[]") == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed"),
        (b"{}", "malformed"),
        (b'"a"', "malformed"),
        (b"[5]", "malformed"),
        (b'["\\ud800"]', "malformed"),
        (b"[" * 100_000, "malformed"),
        (json.dumps(["a"] * 10_001).encode(), "too_large"),
    ],
    ids=lambda value: repr(value)[:20],
)
@pytest.mark.parametrize("parse", [parse_chain, parse_node_list])
def test_another_list_is_refused(parse: Any, body: bytes, code: str) -> None:
    with pytest.raises(TokenError) as refusal:
        parse(body)
    assert refusal.value.code == code
