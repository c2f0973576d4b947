"""Signed statements, keys, chains, evidence: whatever is signed, by whomever, is read or refused with a code."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.addresses import check_announced_url, check_entity_id, parse_networks
from federation.checkpoint import make_checkpoint, read_checkpoint, verify_checkpoint
from federation.encoding import b64url_decode, b64url_encode, dump_json, parse_json
from federation.errors import FederationError
from federation.evidence import check_evidence, make_evidence, read_evidence
from federation.keys import jwks_of, key_set, parse_jwks
from federation.messages import make_message, make_receipt, parse_message, prove_message, verify_receipt
from federation.peering import make_body, read_introduction
from federation.read_tokens import make_read_token, verify_read_token
from federation.signing import (
    ANCHOR_STATEMENT,
    CHECKPOINT,
    ENTITY_STATEMENT,
    MESSAGE,
    READ_TOKEN,
    RECEIPT,
    TokenKind,
    parse_token,
    verify_token,
)
from federation.statements import (
    make_anchor_configuration,
    make_configuration,
    make_subordinate_statement,
    verify_anchor_configuration,
    verify_configuration,
    verify_subordinate_statement,
)
from federation.trust import follow_chain, parse_chain, parse_node_list, resolve_under_anchor
from tests.fuzz.attempts import Refused, attempt
from tests.fuzz.mutations import ODD_TEXTS, mutated_bytes, mutated_json, mutated_value
from tests.unit.federation.samples import ANCHOR, NOW, claims_of, forge, header_of, identity

ERRORS = (FederationError,)
ME, RS = identity("ME"), identity("RS")
assert ME.federation_key is not None
KEYS = key_set(ME.operating_key)
CONFIGURATION = make_configuration(ME, now=NOW, name="Police", contacts=["a@b.example"], readers=[RS.entity_id])
TOKENS: list[tuple[TokenKind, str]] = [
    (CHECKPOINT, make_checkpoint(ME, 3, bytes(32), NOW).token),
    (READ_TOKEN, make_read_token(ME, RS.entity_id, NOW)),
    (
        MESSAGE,
        make_message(
            ME, audience=RS.entity_id, jti="0" * 8 + "-0000" * 3 + "-" + "0" * 12, type_="x", body={}, now=NOW
        ),
    ),
    (ENTITY_STATEMENT, CONFIGURATION.token),
    (ANCHOR_STATEMENT, make_anchor_configuration(ANCHOR, NOW).token),
    (ANCHOR_STATEMENT, make_subordinate_statement(ANCHOR, "ME", ME.entity_id, key_set(ME.federation_key), NOW).token),
]
_PROVEN = prove_message(parse_message(TOKENS[2][1]), KEYS, issuer=ME.entity_id, audience=RS.entity_id)
TOKENS.append((RECEIPT, make_receipt(ME, _PROVEN, NOW)))
INTRODUCTION = make_body(CONFIGURATION)
EVIDENCE = make_evidence(
    make_checkpoint(ME, 3, bytes(32), NOW), make_checkpoint(ME, 3, b"\x01" * 32, NOW), [CONFIGURATION]
)


@st.composite
def tokens(draw: st.DrawFn) -> tuple[TokenKind, str | bytes]:
    """A token with its claims or header changed and signed again with the right key, or with its text changed."""
    kind, token = draw(st.sampled_from(TOKENS))
    if draw(st.booleans()):
        changed = draw(mutated_bytes([token.encode("ascii")]))
        return kind, changed
    signer = ANCHOR.key if kind is ANCHOR_STATEMENT else ME.operating_key
    signer = ME.federation_key if kind is ENTITY_STATEMENT and ME.federation_key else signer
    if draw(st.integers(0, 3)):
        claims = draw(mutated_json([claims_of(token)]))
        return kind, forge(header_of(token), claims, signer)
    return kind, forge(draw(mutated_json([header_of(token)])), claims_of(token), signer)


@given(tokens())
def test_a_token_is_read_or_refused(example: tuple[TokenKind, str | bytes]) -> None:
    kind, token = example
    parsed = attempt("tokens", parse_token, token, kind, errors=ERRORS)
    if isinstance(parsed, Refused):
        return
    assert set(kind.claims) <= parsed.claims.keys()
    party = {"issuer": ME.entity_id, "subject": None, "audience": None}
    attempt("tokens", verify_token, parsed, KEYS, NOW, **party, errors=ERRORS)


@given(tokens())
def test_every_reader_of_tokens(example: tuple[TokenKind, str | bytes]) -> None:
    _, token = example
    known = {"entity_id": ME.entity_id, "now": NOW}
    anchored = {"keys": key_set(ANCHOR.key), "now": NOW, "anchor_id": ANCHOR.entity_id}
    assert ME.federation_key is not None
    readers: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
        (read_checkpoint, (token,), {}),
        (verify_checkpoint, (token,), {"keys": KEYS, "participant": "ME", **known}),
        (verify_configuration, (token,), {"keys": None, **known}),
        (verify_configuration, (token,), {"keys": key_set(ME.federation_key), "now": NOW, "entity_id": None}),
        (verify_anchor_configuration, (token,), anchored),
        (verify_subordinate_statement, (token,), {**anchored, "entity_id": ME.entity_id}),
        (verify_read_token, (token, RS.entity_id, lambda issuer: KEYS, NOW), {}),
        (parse_message, (token,), {}),
        (
            follow_chain,
            ([token, token],),
            {"start": key_set(ME.federation_key), "held": None, "participant": "ME", **known},
        ),
    ]
    for reader, arguments, named in readers:
        text = tuple(item.decode("latin-1") if isinstance(item, bytes) else item for item in arguments)
        attempt("readers of tokens", reader, *text, errors=ERRORS, **named)
        if isinstance(token, bytes) and reader is not follow_chain:
            attempt("readers of tokens", reader, *arguments, errors=ERRORS, **named)


@given(tokens(), tokens())
def test_an_anchor_and_a_node(statement: tuple[TokenKind, str], configuration: tuple[TokenKind, str]) -> None:
    attempt(
        "resolutions",
        resolve_under_anchor,
        anchor_id=ANCHOR.entity_id,
        anchor_keys=key_set(ANCHOR.key),
        statement=statement[1],
        configuration=configuration[1],
        entity_id=ME.entity_id,
        now=NOW,
        errors=ERRORS,
    )


@given(tokens())
def test_a_receipt(example: tuple[TokenKind, str | bytes]) -> None:
    named = {"issuer": ME.entity_id, "audience": ME.entity_id, "jti": _PROVEN.jti, "tokens": [TOKENS[2][1]]}
    attempt("receipts", verify_receipt, example[1], KEYS, NOW, errors=ERRORS, **named)


@given(mutated_json([jwks_of(KEYS), jwks_of(key_set(ME.operating_key, RS.operating_key))]), st.booleans())
def test_key_sets(text: bytes, anchor: bool) -> None:
    value = attempt("key sets", parse_json, text, "JWKS", errors=ERRORS)
    keys = value if isinstance(value, Refused) else attempt("key sets", parse_jwks, value, anchor=anchor, errors=ERRORS)
    if not isinstance(keys, Refused):
        assert parse_jwks(jwks_of(keys), anchor=anchor).keys() == keys.keys()


@given(mutated_value([jwks_of(KEYS)]))
def test_key_sets_of_any_values(value: object) -> None:
    attempt("key sets", parse_jwks, value, errors=ERRORS)


@given(mutated_json([[TOKENS[3][1]] * 3, [ME.entity_id, RS.entity_id], []]))
def test_chains_and_lists_of_nodes(body: bytes) -> None:
    for parser in (parse_chain, parse_node_list):
        texts = attempt("chains and lists", parser, body, errors=ERRORS)
        assert isinstance(texts, Refused) or all(isinstance(text, str) for text in texts)


@given(mutated_json([EVIDENCE]))
def test_evidence(text: bytes) -> None:
    """A verdict on whatever a file holds; only the true evidence convicts."""
    verdict = attempt("evidence", read_evidence, text, errors=())
    if verdict.fault is None:
        assert json.loads(text)["participant"] == "ME"


@given(mutated_value([EVIDENCE]))
def test_evidence_of_any_values(value: object) -> None:
    attempt("evidence", check_evidence, value, errors=())


def test_the_true_evidence_convicts() -> None:
    assert read_evidence(dump_json(EVIDENCE)).fault is None


@given(mutated_value([INTRODUCTION]).filter(lambda body: isinstance(body, dict)))
def test_introductions(body: dict[str, Any]) -> None:
    attempt("introductions", read_introduction, body, ME.entity_id, NOW, errors=ERRORS)


@given(
    st.one_of(
        st.sampled_from(ODD_TEXTS),
        st.text(),
        mutated_bytes([b"https://spoc.example.me:8443"]).map(lambda text: text.decode("latin-1")),
    )
)
def test_urls_and_networks(text: str) -> None:
    checked = attempt("addresses", check_entity_id, text, errors=ERRORS)
    assert isinstance(checked, Refused) or checked.startswith("https://")
    attempt("addresses", check_announced_url, text, ME.entity_id, errors=ERRORS)
    attempt("addresses", parse_networks, [text], errors=ERRORS)


@given(st.one_of(mutated_json([claims_of(TOKENS[0][1]), CONFIGURATION.name, [1, {"a": [None]}]]), st.binary()))
def test_strict_json(text: bytes) -> None:
    """What is read has one meaning: written and read again it is the same, and another reader agrees."""
    value = attempt("strict JSON", parse_json, text, "text", errors=ERRORS)
    if not isinstance(value, Refused):
        assert parse_json(dump_json(value), "text", 10_000) == value
        assert json.loads(text) == value


@given(st.binary(max_size=200))
def test_base64url_has_one_spelling(data: bytes) -> None:
    text = b64url_encode(data)
    assert b64url_decode(text) == data
    assert "=" not in text


@given(st.one_of(st.text(max_size=60), mutated_bytes([b"AQIDBAUGBwgJ"]).map(lambda text: text.decode("latin-1"))))
def test_base64url(text: str) -> None:
    data = attempt("base64url", b64url_decode, text, errors=ERRORS)
    assert isinstance(data, Refused) or b64url_encode(data) == text


@pytest.mark.parametrize(("kind", "token"), TOKENS)
def test_every_sample_is_honest(kind: TokenKind, token: str) -> None:
    assert parse_token(token, kind).token == token
