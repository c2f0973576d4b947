"""Messages and receipts as signed statements: what counts as the same content, and what a receipt proves."""

import json
from pathlib import Path
from typing import Any

import pytest

from federation.clock import from_timestamp
from federation.errors import TokenError
from federation.keys import key_set, parse_jwks
from federation.messages import (
    LIFETIME,
    Message,
    content_digest,
    make_message,
    make_receipt,
    new_jti,
    parse_message,
    prove_message,
    read_times,
    sign_receipt_anew,
    token_digest,
    verify_receipt,
)
from federation.signing import RECEIPT, sign
from tests.unit.federation.samples import HOUR, NOW, SECOND, claims_of, header_of, identity

ME, RS = identity("ME"), identity("RS")
JTI = "0b54f6a8-5f6e-4f0e-9d55-0f9e54a3c111"
BODY = {"participant": "ME", "configuration": "a.b.c"}
RECEIPTS = json.loads((Path(__file__).parents[2] / "vectors" / "receipts.json").read_text())


def message(**changes: Any) -> str:
    arguments = {"audience": RS.entity_id, "jti": JTI, "type_": "peering.proposed", "body": BODY, "now": NOW}
    return make_message(ME, **(arguments | changes))


def proven(token: str, audience: str = RS.entity_id) -> Message:
    return prove_message(parse_message(token), key_set(*ME.operating_keys), issuer=ME.entity_id, audience=audience)


def refusal(receipt: str | bytes, **changes: Any) -> str:
    arguments = {"issuer": RS.entity_id, "audience": ME.entity_id, "jti": JTI, "tokens": [message()]}
    with pytest.raises(TokenError) as refused:
        verify_receipt(receipt, key_set(*RS.operating_keys), NOW, **(arguments | changes))
    return refused.value.code


def test_a_message_says_who_to_whom_what_and_until_when() -> None:
    token = message()
    assert claims_of(token) == {
        "iss": ME.entity_id,
        "aud": RS.entity_id,
        "jti": JTI,
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + LIFETIME).timestamp()),
        "type": "peering.proposed",
        "body": BODY,
    }
    assert header_of(token) == {"alg": "EdDSA", "typ": "veza-message+jwt", "kid": ME.operating_key.kid}
    assert read_times(token) == (NOW, NOW + LIFETIME)
    found = proven(token)
    assert (found.issuer, found.audience, found.jti, found.type) == (
        ME.entity_id,
        RS.entity_id,
        JTI,
        "peering.proposed",
    )
    assert (found.body, found.token) == (BODY, token)


def test_each_new_message_has_a_name_of_its_own() -> None:
    assert parse_message(message(jti=new_jti())).claims["jti"] != new_jti()


def test_the_content_is_the_same_however_often_it_is_signed() -> None:
    reordered = dict(reversed(BODY.items()))
    assert proven(message(now=NOW + HOUR, body=reordered)).content == proven(message()).content


@pytest.mark.parametrize(
    "other",
    [
        (ME.entity_id, "peering.proposed", BODY),
        (RS.entity_id, "peering.refused", BODY),
        (RS.entity_id, "peering.proposed", BODY | {"participant": "MK"}),
        (RS.entity_id, "peering.proposed", BODY | {"more": None}),
        (RS.entity_id, "peering.proposed", {"participant": "ME"}),
    ],
)
def test_other_content_is_told_apart(other: tuple[str, str, dict[str, Any]]) -> None:
    assert content_digest(*other) != content_digest(RS.entity_id, "peering.proposed", BODY)


def test_types_of_values_are_told_apart() -> None:
    digests = {content_digest("a", "t", {"x": value}) for value in (1, "1", True, None, [1], {"1": 1})}
    assert len(digests) == 6


def test_who_is_not_meant_proves_nothing() -> None:
    with pytest.raises(TokenError) as refused:
        proven(message(), audience=ME.entity_id)
    assert refused.value.code == "wrong_audience"


def test_a_receipt_proves_when_the_message_was_held() -> None:
    receipt = make_receipt(RS, proven(message()), NOW + SECOND)
    assert claims_of(receipt) == {
        "iss": RS.entity_id,
        "aud": ME.entity_id,
        "iat": int(NOW.timestamp()) + 1,
        "jti": JTI,
        "digest": token_digest(message()),
    }
    held = verify_receipt(
        receipt,
        key_set(*RS.operating_keys),
        NOW,
        issuer=RS.entity_id,
        audience=ME.entity_id,
        jti=JTI,
        tokens=[message(now=NOW + HOUR), message()],
    )
    assert held == NOW + SECOND


def test_a_receipt_signed_anew_says_the_same_under_the_new_key() -> None:
    receipt = make_receipt(RS, proven(message()), NOW)
    rotated = identity("RS", "rs operating 2")
    renewed = sign_receipt_anew(rotated, receipt)
    assert claims_of(renewed) == claims_of(receipt)
    assert header_of(renewed)["kid"] == rotated.operating_key.kid
    assert sign_receipt_anew(RS, receipt) == receipt


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"jti": new_jti()}, "malformed"),
        ({"tokens": []}, "malformed"),
        ({"tokens": [message(now=NOW + HOUR)]}, "malformed"),
        ({"issuer": ME.entity_id}, "wrong_issuer"),
        ({"audience": RS.entity_id}, "wrong_audience"),
    ],
)
def test_a_receipt_for_something_else_proves_nothing(changes: dict[str, Any], code: str) -> None:
    assert refusal(make_receipt(RS, proven(message()), NOW), **changes) == code


@pytest.mark.parametrize("claims", [{"exp": 1}, {"digest": ...}, {"digest": "short"}, {"jti": "x"}, {"iat": "now"}])
def test_what_is_no_receipt_is_refused(claims: dict[str, Any]) -> None:
    whole = claims_of(make_receipt(RS, proven(message()), NOW)) | claims
    stated = {name: value for name, value in whole.items() if value is not ...}
    assert refusal(sign(stated, RS.operating_key, RECEIPT.typ)) == "malformed"


@pytest.mark.parametrize("case", RECEIPTS["cases"], ids=lambda case: case["name"])
def test_the_vectors_of_receipts(case: dict[str, Any]) -> None:
    found = "ok"
    try:
        verify_receipt(
            case["token"],
            parse_jwks(RECEIPTS["keys"]),
            from_timestamp(RECEIPTS["now"]),
            issuer=RECEIPTS["issuer"],
            audience=RECEIPTS["audience"],
            jti=RECEIPTS["jti"],
            tokens=RECEIPTS["sent"],
        )
    except TokenError as error:
        found = error.code
    assert found == case["expect"] or (case["expect"] == "refused" and found != "ok")
