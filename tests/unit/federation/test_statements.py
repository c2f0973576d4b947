import json
from typing import Any

import pytest

from federation.encoding import b64url_encode
from federation.errors import ClockError, FederationError, KeyFileError, TokenError
from federation.identity import Identity
from federation.keys import jwks_of, key_set
from federation.statements import (
    NodeConfiguration,
    make_anchor_configuration,
    make_configuration,
    make_subordinate_statement,
    read_configuration,
    verify_anchor_configuration,
    verify_configuration,
    verify_subordinate_statement,
)
from tests.unit.federation.samples import ANCHOR, DAY, NOW, SECOND, altered, claims_of, identity, key

ME = identity("ME")
FEDERATION = key("me federation")
KEYS = key_set(FEDERATION)
MADE = make_configuration(
    ME,
    now=NOW,
    name="Montenegro",
    contacts=["duty@spoc.example.me"],
    authority_hints=[ANCHOR.entity_id],
    readers=["https://spoc.example.xk"],
)


def verify(token: str, **options: Any) -> NodeConfiguration:
    expected: dict[str, Any] = {"keys": KEYS, "now": NOW, "entity_id": ME.entity_id, "participant": "ME"}
    return verify_configuration(token, **(expected | options))


def code_of(token: str, **options: Any) -> str:
    with pytest.raises(FederationError) as refusal:
        verify(token, **options)
    return refusal.value.code


def with_node(**members: object) -> str:
    """The configuration with other members of ``veza_node`` (``...`` removes one)."""
    metadata = claims_of(MADE.token)["metadata"]
    node = {name: value for name, value in (metadata["veza_node"] | members).items() if value is not ...}
    return altered(MADE.token, FEDERATION, metadata=metadata | {"veza_node": node})


def test_a_configuration_says_what_the_specification_asks() -> None:
    claims = claims_of(MADE.token)
    assert claims["iss"] == claims["sub"] == "https://spoc.example.me"
    assert claims["exp"] - claims["iat"] == 7 * 86_400
    assert claims["authority_hints"] == ["https://anchor.example.org"]
    assert claims["metadata"] == {
        "federation_entity": {"organization_name": "Montenegro", "contacts": ["duty@spoc.example.me"]},
        "veza_node": {
            "protocol": 1,
            "participant": "ME",
            "jwks": {"keys": [ME.operating_key.public_jwk()]},
            "log": "https://spoc.example.me/federation/v1/logs/ME",
            "messages": "https://spoc.example.me/federation/v1/messages",
            "checkpoints": "https://spoc.example.me/federation/v1/checkpoints",
            "readers": ["https://spoc.example.xk"],
        },
    }


def test_a_configuration_round_trips() -> None:
    assert verify(MADE.token) == read_configuration(MADE.token) == MADE
    assert MADE.federation_keys.keys() == {FEDERATION.kid}
    assert MADE.operating_keys.keys() == {ME.operating_key.kid}
    assert MADE.readers == ("https://spoc.example.xk",)


@pytest.mark.parametrize(("keys", "entity_id", "participant"), [(None, None, None), (None, ME.entity_id, "ME")])
def test_a_proposal_is_checked_by_its_own_key(keys: None, entity_id: str | None, participant: str | None) -> None:
    assert verify(MADE.token, keys=keys, entity_id=entity_id, participant=participant) == MADE
    forged = altered(MADE.token, key("attacker"))
    assert code_of(forged, keys=keys, entity_id=entity_id) == "unknown_key"


@pytest.mark.parametrize("later", [0, 1, 86_400])
def test_a_new_one_comes_a_second_after_the_last(later: int) -> None:
    made = make_configuration(ME, now=NOW + later * SECOND, not_before=NOW)
    assert made.issued_at == NOW + max(later, 1) * SECOND


def test_a_node_cannot_configure_itself_without_its_key_or_with_a_wrong_clock() -> None:
    with pytest.raises(KeyFileError, match="federation key"):
        make_configuration(Identity("ME", ME.entity_id, None, ME.operating_key), now=NOW)
    with pytest.raises(ClockError):
        make_configuration(ME, now=NOW, not_before=NOW + DAY)


@pytest.mark.parametrize(
    ("token", "options", "code"),
    [
        pytest.param(MADE.token, {"entity_id": "https://spoc.example.rs"}, "wrong_issuer", id="another node's"),
        pytest.param(
            altered(MADE.token, FEDERATION, sub="https://spoc.example.rs"), {}, "wrong_participant", id="about another"
        ),
        pytest.param(MADE.token, {"participant": "RS"}, "wrong_participant", id="another code"),
        pytest.param(with_node(participant="RS"), {}, "wrong_participant", id="claims another code"),
        pytest.param(altered(MADE.token, key("rs federation")), {}, "unknown_key", id="another's federation key"),
        pytest.param(altered(MADE.token, ME.operating_key), {}, "unknown_key", id="signed by the operating key"),
        pytest.param(
            altered(MADE.token, ME.operating_key), {"keys": None}, "unknown_key", id="operating key, nobody vouching"
        ),
        pytest.param(MADE.token, {"now": NOW + 8 * DAY}, "expired", id="expired"),
        pytest.param(MADE.token, {"now": NOW - DAY}, "not_yet_valid", id="from the future"),
        pytest.param(with_node(protocol=2), {}, "unsupported_version", id="version 2"),
        pytest.param(with_node(protocol="1"), {}, "unsupported_version", id="version as a text"),
        pytest.param(with_node(protocol=True), {}, "unsupported_version", id="version true"),
        pytest.param(with_node(protocol=...), {}, "unsupported_version", id="no version"),
        pytest.param(altered(MADE.token, FEDERATION, metadata={}), {}, "unsupported_version", id="no node at all"),
        pytest.param(
            altered(MADE.token, FEDERATION, metadata={"veza_node": []}), {}, "malformed", id="a node that is a list"
        ),
        pytest.param(with_node(participant=5), {}, "malformed", id="a code that is no text"),
        pytest.param(with_node(participant=...), {}, "malformed", id="no code"),
        pytest.param(with_node(jwks=...), {}, "malformed", id="no operating keys"),
        pytest.param(with_node(jwks={"keys": []}), {}, "malformed", id="an empty set of operating keys"),
        pytest.param(with_node(readers="https://spoc.example.xk"), {}, "malformed", id="readers as a text"),
        pytest.param(with_node(readers=[5]), {}, "malformed", id="readers that are no texts"),
        pytest.param(with_node(readers=["x"] * 65), {}, "malformed", id="65 readers"),
        pytest.param(
            altered(MADE.token, FEDERATION, authority_hints={"a": 1}), {}, "malformed", id="hints that are no list"
        ),
        pytest.param(altered(MADE.token, FEDERATION, crit=["x"]), {}, "malformed", id="crit"),
        pytest.param(altered(MADE.token, FEDERATION, metadata_policy={}), {}, "malformed", id="metadata policy"),
        pytest.param(
            altered(MADE.token, FEDERATION, exp=claims_of(MADE.token)["iat"] + 91 * 86_400),
            {},
            "malformed",
            id="91 days",
        ),
        pytest.param(altered(MADE.token, FEDERATION, jwks={"keys": []}), {}, "malformed", id="no federation key"),
        pytest.param(
            with_node(jwks=jwks_of(KEYS | key_set(ME.operating_key))), {}, "key_reused", id="one key for both purposes"
        ),
        pytest.param(
            with_node(
                jwks={
                    "keys": [
                        ME.operating_key.public_jwk(),
                        {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(bytes(32))},
                    ]
                }
            ),
            {},
            "weak_key",
            id="one weak operating key",
        ),
        *[
            pytest.param(with_node(**{name: url}), {}, "insecure_url", id=f"{name} {url}"[:40])
            for name in ("log", "messages", "checkpoints")
            for url in (
                "https://evil.example/x",
                "http://spoc.example.me/x",
                "javascript:alert(1)",
                "http://169.254.169.254/",
                None,
                ...,
            )
        ],
    ],
)
def test_what_breaks_a_rule_is_refused(token: str, options: dict[str, Any], code: str) -> None:
    assert code_of(token, **options) == code


@pytest.mark.parametrize("insecure", [False, True])
def test_http_is_for_demos(insecure: bool) -> None:
    demo = Identity("ME", "http://127.0.0.1:8100", FEDERATION, ME.operating_key)
    token = make_configuration(demo, now=NOW).token
    if insecure:
        assert verify(token, entity_id=demo.entity_id, insecure_urls=True).entity_id == demo.entity_id
    else:
        assert code_of(token, entity_id=demo.entity_id) == "insecure_url"


def test_members_of_a_newer_version_are_ignored() -> None:
    assert verify(with_node(new={"a": [1]})).participant == "ME"


def test_the_content_is_judged_after_the_signature() -> None:
    node = claims_of(MADE.token)["metadata"]["veza_node"] | {"protocol": 2}
    assert code_of(altered(MADE.token, key("attacker"), metadata={"veza_node": node})) == "unknown_key"


def test_an_expired_one_from_a_relay_may_be_read() -> None:
    assert verify(MADE.token, now=NOW + 100 * DAY, relayed=True) == MADE


# -- anchors

ANCHOR_KEYS = key_set(ANCHOR.key)
ANCHOR_MADE = make_anchor_configuration(ANCHOR, NOW)
WORD = make_subordinate_statement(ANCHOR, "ME", ME.entity_id, KEYS, NOW)


def test_an_anchors_configuration_round_trips() -> None:
    options: dict[str, Any] = {"keys": ANCHOR_KEYS, "now": NOW, "anchor_id": ANCHOR.entity_id}
    assert verify_anchor_configuration(ANCHOR_MADE.token, **options) == ANCHOR_MADE
    assert ANCHOR_MADE.list_url == "https://anchor.example.org/list"
    assert ANCHOR_MADE.fetch_url == "https://anchor.example.org/fetch"


def entity(**members: object) -> dict[str, Any]:
    return {"federation_entity": claims_of(ANCHOR_MADE.token)["metadata"]["federation_entity"] | members}


@pytest.mark.parametrize(
    ("token", "code"),
    [
        pytest.param(altered(ANCHOR_MADE.token, key("attacker")), "unknown_key", id="a key of nobody"),
        pytest.param(altered(ANCHOR_MADE.token, ANCHOR.key, iss="https://other.example"), "wrong_issuer", id="another"),
        pytest.param(
            altered(ANCHOR_MADE.token, ANCHOR.key, sub="https://other.example"), "wrong_participant", id="about another"
        ),
        pytest.param(altered(ANCHOR_MADE.token, ANCHOR.key, crit=[]), "malformed", id="crit"),
        pytest.param(altered(ANCHOR_MADE.token, ANCHOR.key, metadata={}), "malformed", id="no endpoints"),
        pytest.param(
            altered(ANCHOR_MADE.token, ANCHOR.key, metadata=entity(federation_list_endpoint=5)),
            "malformed",
            id="a number",
        ),
        pytest.param(
            altered(ANCHOR_MADE.token, ANCHOR.key, metadata=entity(federation_list_endpoint="http://10.0.0.1/x")),
            "insecure_url",
            id="inside",
        ),
        pytest.param(
            altered(ANCHOR_MADE.token, ANCHOR.key, metadata=entity(federation_fetch_endpoint="file:///x")),
            "insecure_url",
            id="a file",
        ),
    ],
)
def test_a_bad_anchor_configuration_is_refused(token: str, code: str) -> None:
    with pytest.raises(FederationError) as refusal:
        verify_anchor_configuration(token, keys=ANCHOR_KEYS, now=NOW, anchor_id=ANCHOR.entity_id)
    assert refusal.value.code == code


def test_an_anchors_word_round_trips_for_30_days() -> None:
    read = verify_subordinate_statement(
        WORD.token, keys=ANCHOR_KEYS, now=NOW + 30 * DAY, anchor_id=ANCHOR.entity_id, entity_id=ME.entity_id
    )
    assert read == WORD
    assert (read.participant, read.federation_keys.keys()) == ("ME", {FEDERATION.kid})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://other.example"}, "wrong_issuer"),
        ({"sub": "https://spoc.example.rs"}, "wrong_participant"),
        ({"metadata_policy": {"veza_node": {}}}, "malformed"),
        ({"crit": ["constraints"]}, "malformed"),
        ({"metadata": {}}, "malformed"),
        ({"metadata": {"veza_node": {"participant": None}}}, "malformed"),
        ({"jwks": {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(b"\x01" + bytes(31))}]}}, "weak_key"),
        ({"exp": int(NOW.timestamp()) - 301, "iat": int(NOW.timestamp()) - 400}, "expired"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_a_bad_word_of_an_anchor_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(TokenError) as refusal:
        verify_subordinate_statement(
            altered(WORD.token, ANCHOR.key, **changes),
            keys=ANCHOR_KEYS,
            now=NOW,
            anchor_id=ANCHOR.entity_id,
            entity_id=ME.entity_id,
        )
    assert refusal.value.code == code
