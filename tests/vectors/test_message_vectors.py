"""The program answers as the vectors of messages, receipts, fingerprints and evidence ask."""

import json
from typing import Any

import pytest

from federation.evidence import check_evidence, read_evidence
from federation.keys import parse_jwks, thumbprint
from federation.messages import Message, parse_message, prove_message, verify_receipt
from federation.signing import check_times
from federation.words import fingerprint_words, parse_fingerprint
from tests.vectors.test_vectors import answer, cases, load, now_of


def _proven(vectors: Any, token: str) -> Message:
    """Steps 1 to 9 with the keys of the file."""
    keys = parse_jwks(vectors["keys"])
    return prove_message(parse_message(token), keys, issuer=vectors["issuer"], audience=vectors["audience"])


@pytest.mark.parametrize("item", [item for item in cases("messages") if item.values[0]["expect"] != "bad_request"])
def test_messages(item: Any) -> None:
    vectors = load("messages")

    def take() -> None:
        _proven(vectors, item["token"])
        check_times(parse_message(item["token"]), now_of(vectors))

    assert answer(take) == item["expect"]


@pytest.mark.parametrize("item", cases("messages", "repeats"))
def test_repeats_are_told_by_their_content(item: Any) -> None:
    vectors = load("messages")
    first = _proven(vectors, item["first"])
    found = answer(_proven, vectors, item["token"])
    if found == "ok" and _proven(vectors, item["token"]).content != first.content:
        found = "jti_conflict"
    assert found == item["expect"]


@pytest.mark.parametrize("item", cases("receipts"))
def test_receipts(item: Any) -> None:
    vectors = load("receipts")
    found = answer(
        verify_receipt,
        item["token"],
        parse_jwks(vectors["keys"]),
        now_of(vectors),
        issuer=vectors["issuer"],
        audience=vectors["audience"],
        jti=vectors["jti"],
        tokens=vectors["sent"],
    )
    assert found == item["expect"] or (item["expect"] == "refused" and found != "ok")


@pytest.mark.parametrize("item", load("fingerprints")["examples"], ids=lambda item: item["hex"][:8])
def test_fingerprints(item: Any) -> None:
    assert list(fingerprint_words(item["thumbprint"])) == item["words"]
    assert parse_fingerprint(" ".join(item["words"])) == parse_fingerprint(item["hex"]) == item["thumbprint"]
    if "jwk" in item:
        assert thumbprint(item["jwk"]) == item["thumbprint"]


@pytest.mark.parametrize("item", cases("disputes", "evidence"))
def test_evidence(item: Any) -> None:
    found = check_evidence(item["evidence"])
    assert found == read_evidence(json.dumps(item["evidence"]))
    assert found.is_proven == (item["expect"] == "ok"), found.fault
    if found.is_proven:
        assert found.rests_on == load("disputes")["fingerprint"]
