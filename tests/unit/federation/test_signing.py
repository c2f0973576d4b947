import base64
import datetime as dt
import hashlib
import hmac
import json
import tracemalloc
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from federation.encoding import b64url_encode, dump_json
from federation.errors import TokenError
from federation.keys import EDDSA_NAMES, KeySet, PublicKey, key_set, parse_jwks
from federation.merkle import EMPTY_ROOT
from federation.signing import (
    ANCHOR_STATEMENT,
    CHECKPOINT,
    ENTITY_STATEMENT,
    MESSAGE,
    READ_TOKEN,
    RECEIPT,
    TokenKind,
    parse_token,
    read_kid,
    sign,
    verify_token,
)
from tests.unit.federation.samples import NOW, SECOND, forge, key

IAT = int(NOW.timestamp())
ISSUER, AUDIENCE = "https://spoc.example.me", "https://spoc.example.rs"
KEY = key("me operating")
KEYS = key_set(KEY)
HASH = b64url_encode(EMPTY_ROOT)
JTI = "0b54f6a8-5f6e-4f0e-9d55-0f9e54a3c111"
STATEMENT = {"iss": ISSUER, "sub": ISSUER, "iat": IAT, "exp": IAT + 60, "jwks": {"keys": []}, "metadata": {}}
CLAIMS: dict[str, tuple[TokenKind, dict[str, Any]]] = {
    "checkpoint": (
        CHECKPOINT,
        {"iss": ISSUER, "sub": "ME", "size": 0, "root": HASH, "iat": IAT, "exp": IAT + 172_800},
    ),
    "read token": (READ_TOKEN, {"iss": ISSUER, "aud": AUDIENCE, "iat": IAT, "exp": IAT + 300}),
    "message": (
        MESSAGE,
        {"iss": ISSUER, "aud": AUDIENCE, "jti": JTI, "iat": IAT, "exp": IAT + 60, "type": "node.left", "body": {}},
    ),
    "receipt": (RECEIPT, {"iss": ISSUER, "aud": AUDIENCE, "iat": IAT, "jti": JTI, "digest": HASH}),
    "entity statement": (ENTITY_STATEMENT, STATEMENT),
    "anchor statement": (ANCHOR_STATEMENT, STATEMENT),
}
KINDS = sorted(CLAIMS)
POINT, POINTED = CLAIMS["checkpoint"]


def check(
    token: str | bytes, kind: TokenKind = POINT, now: dt.datetime = NOW, keys: KeySet = KEYS, **options: Any
) -> Any:
    """All steps, in the way every statement of this kind is checked."""
    expected: dict[str, Any] = {"issuer": ISSUER}
    if "sub" in kind.claims:
        expected["subject"] = "ME" if kind is CHECKPOINT else ISSUER
    if "aud" in kind.claims:
        expected["audience"] = AUDIENCE
    return verify_token(parse_token(token, kind), keys, now, **(expected | options))


def code_of(token: str | bytes, kind: TokenKind = POINT, **options: Any) -> str:
    with pytest.raises(TokenError) as refusal:
        check(token, kind, **options)
    return refusal.value.code


def header(**members: object) -> dict[str, Any]:
    return {"alg": "EdDSA", "kid": KEY.kid, "typ": POINT.typ} | members


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_round_trips(name: str) -> None:
    kind, claims = CLAIMS[name]
    token = sign(claims, KEY, kind.typ)
    assert check(token, kind) == claims
    assert check(token.encode(), kind) == claims
    assert read_kid(token) == KEY.kid
    assert json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "==")).keys() == {"alg", "typ", "kid"}


def test_signing_is_deterministic() -> None:
    assert sign(POINTED, KEY, POINT.typ) == sign(POINTED, KEY, POINT.typ)


@pytest.mark.parametrize("name", EDDSA_NAMES)
def test_both_names_of_the_algorithm_are_accepted(name: str) -> None:
    assert check(forge(header(alg=name), POINTED, KEY)) == POINTED


# -- step 1: length


@pytest.mark.parametrize("name", KINDS)
def test_length_is_checked_first_and_exactly(name: str) -> None:
    kind, _ = CLAIMS[name]
    assert code_of(b"\xff" * (kind.max_bytes + 1), kind) == "too_large"
    assert code_of("!" * (kind.max_bytes + 1), kind) == "too_large"
    assert code_of("!" * kind.max_bytes, kind) == "malformed"


def test_a_token_of_10_mb_costs_no_memory() -> None:
    token = b"A" * 10_000_000
    tracemalloc.start()
    assert code_of(token) == "too_large"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


# -- step 2: form

GOOD = sign(POINTED, KEY, POINT.typ)
PARTS = GOOD.split(".")


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="nothing"),
        pytest.param(".".join(PARTS[:2]), id="two parts"),
        pytest.param(GOOD + ".", id="four parts"),
        pytest.param("..", id="three empty parts"),
        pytest.param(f".{PARTS[1]}.{PARTS[2]}", id="no header"),
        pytest.param(f"{PARTS[0]}..{PARTS[2]}", id="no claims"),
        pytest.param(GOOD + "=", id="a padded signature"),
        pytest.param(GOOD + "==", id="a twice padded signature"),
        pytest.param(f"{PARTS[0]}=.{PARTS[1]}.{PARTS[2]}", id="a padded header"),
        pytest.param(GOOD + "\n", id="a line break after it"),
        pytest.param(" " + GOOD, id="a space before it"),
        pytest.param(GOOD[:-1] + "é", id="a character beyond ASCII"),
        pytest.param(GOOD.encode()[:-1] + b"\xff", id="a byte beyond ASCII"),
        pytest.param(GOOD.replace("-", "+").replace("_", "/") + "+", id="the other alphabet"),
        pytest.param(forge(b"[]", POINTED, KEY), id="a header that is a list"),
        pytest.param(forge(b"null", POINTED, KEY), id="a header that is null"),
        pytest.param(forge(b'{"alg":"EdDSA"', POINTED, KEY), id="a header cut short"),
        pytest.param(forge(b'{"alg":"EdDSA","alg":"EdDSA"}', POINTED, KEY), id="a member of the header twice"),
        pytest.param(forge(b"[" * 5000, POINTED, KEY), id="a header nested 5,000 deep"),
        pytest.param(forge(header(), b'"claims"', KEY), id="claims that are a text"),
        pytest.param(forge(header(), b"[" * 5000, KEY), id="claims nested 5,000 deep"),
        pytest.param(forge(header(), b"\xff\xfe", KEY), id="claims in no Unicode"),
        *[
            pytest.param(forge(header(kid=kid), POINTED, KEY), id=f"kid {kid!r}"[:30])
            for kid in (5, None, [], {}, True, "me\0key")
        ],
    ],
)
def test_another_form_is_malformed(token: str | bytes) -> None:
    assert code_of(token) == "malformed"


@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": key("attacker").public_jwk()},
        {"jku": "https://attacker.example/jwks"},
        {"x5u": "https://attacker.example/x5u"},
        {"x5c": ["AAAA"]},
        {"x5t": "AAAA"},
        {"crit": ["x"]},
        {"crit": []},
        {"b64": False},
        {"b64": False, "crit": ["b64"]},
        {"cty": "JWT"},
        {"zip": "DEF"},
        {"iss": ISSUER},
        {"": ""},
    ],
    ids=lambda extra: "+".join(extra) or "empty name",
)
def test_a_header_with_more_is_refused_before_anything_else(extra: dict[str, Any]) -> None:
    assert code_of(forge(header(typ="other", alg="none") | extra, {}, key("attacker"))) == "bad_header"


@pytest.mark.parametrize("missing", ["alg", "typ", "kid"])
def test_a_header_with_less_is_refused(missing: str) -> None:
    members = header()
    del members[missing]
    assert code_of(forge(members, POINTED, KEY)) == "bad_header"


@pytest.mark.parametrize(
    "number",
    ["NaN", "Infinity", "-Infinity", "1e400", "9" * 5000, "9223372036854775808", "9007199254740992"],
    ids=lambda text: text[:12],
)
def test_numbers_without_one_reading_are_malformed(number: str) -> None:
    claims = dump_json(POINTED).replace(b'"size":0', f'"size":{number}'.encode())
    assert code_of(forge(header(), claims, KEY)) == "malformed"


# -- step 3: typ


@pytest.mark.parametrize(
    "typ",
    [
        "JWT",
        "",
        None,
        5,
        [],
        "veza-Checkpoint+jwt",
        "application/veza-checkpoint+jwt",
        "veza-checkpoint+jwt ",
        READ_TOKEN.typ,
    ],
    ids=repr,
)
def test_another_type_is_refused(typ: object) -> None:
    assert code_of(forge(header(typ=typ, alg="none"), {}, KEY)) == "wrong_type"


@pytest.mark.parametrize("given", KINDS)
@pytest.mark.parametrize("asked", KINDS)
def test_no_kind_passes_for_another(given: str, asked: str) -> None:
    (kind, claims), (other, _) = CLAIMS[given], CLAIMS[asked]
    if kind.typ != other.typ:
        assert code_of(sign(claims, KEY, kind.typ), other) in {"wrong_type", "too_large"}


# -- step 4: algorithm

ED25519_PUBLIC = KEY.private.public_key()
SECRETS = {
    "raw": ED25519_PUBLIC.public_bytes_raw(),
    "pem": ED25519_PUBLIC.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    "der": ED25519_PUBLIC.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
    "jwk": dump_json(KEY.public_jwk()),
}
SECRETS["pem with CRLF"] = SECRETS["pem"].replace(b"\n", b"\r\n")


@pytest.mark.parametrize("secret", sorted(SECRETS))
def test_the_public_key_is_no_hmac_secret(secret: str) -> None:
    text = ".".join(b64url_encode(dump_json(value)) for value in (header(alg="HS256"), POINTED))
    mac = hmac.digest(SECRETS[secret], text.encode(), hashlib.sha256)
    assert code_of(f"{text}.{b64url_encode(mac)}") == "bad_signature"


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "", None, 5, [], "eddsa", "Ed448", "ES256", "RS256"], ids=repr
)
@pytest.mark.parametrize("signature", [True, False], ids=["signed", "empty signature"])
def test_another_algorithm_is_refused_before_the_claims(alg: object, signature: bool) -> None:
    token = forge(header(alg=alg), {}, KEY)
    assert code_of(token if signature else token.rsplit(".", 1)[0] + ".") == "bad_signature"


def test_an_empty_signature_is_refused_even_with_the_right_algorithm() -> None:
    assert code_of(f"{PARTS[0]}.{PARTS[1]}.") == "bad_signature"


# -- step 5: claims


@pytest.mark.parametrize(("name", "claim"), [(name, claim) for name in KINDS for claim in CLAIMS[name][0].claims])
def test_every_claim_is_required(name: str, claim: str) -> None:
    kind, claims = CLAIMS[name]
    less = {name: value for name, value in claims.items() if name != claim}
    assert code_of(sign(less, key("unlisted"), kind.typ), kind) == "malformed"


WRONG = [None, True, "", 1.5, [], -1, "x" * 301]


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:8])
@pytest.mark.parametrize(
    ("name", "claim"),
    [
        (name, claim)
        for name in KINDS
        for claim in CLAIMS[name][0].claims
        if claim not in ("aud", "body", "jwks", "metadata")
    ],
)
def test_every_claim_has_its_type(name: str, claim: str, value: object) -> None:
    kind, claims = CLAIMS[name]
    assert code_of(sign(claims | {claim: value}, key("unlisted"), kind.typ), kind) == "malformed"


@pytest.mark.parametrize("size", [-1, 1.0, "101", "0101", True, 1e2, None, [], 2**53])
def test_a_size_is_an_integer(size: object) -> None:
    assert code_of(sign(POINTED | {"size": size}, KEY, POINT.typ)) == "malformed"


@pytest.mark.parametrize(
    "root",
    [
        b64url_encode(bytes(31)),
        b64url_encode(bytes(33)),
        EMPTY_ROOT.hex().upper(),
        HASH + "=",
        HASH[:-1] + "V",
        "",
        None,
    ],
)
def test_a_root_is_32_bytes_in_one_spelling(root: object) -> None:
    assert code_of(sign(POINTED | {"root": root}, KEY, POINT.typ)) == "malformed"


@pytest.mark.parametrize("jti", ["", "1", JTI.upper(), f"{{{JTI}}}", JTI.replace("-", ""), JTI + "\n", 5])
def test_a_jti_is_a_uuid_in_one_spelling(jti: object) -> None:
    kind, claims = CLAIMS["message"]
    assert code_of(sign(claims | {"jti": jti}, KEY, kind.typ), kind) == "malformed"


@pytest.mark.parametrize("name", ["checkpoint", "read token", "receipt"])
def test_closed_kinds_have_no_other_claims(name: str) -> None:
    kind, claims = CLAIMS[name]
    assert code_of(sign(claims | {"nbf": IAT}, KEY, kind.typ), kind) == "malformed"


@pytest.mark.parametrize("name", ["message", "entity statement"])
def test_open_kinds_keep_other_claims(name: str) -> None:
    kind, claims = CLAIMS[name]
    assert check(sign(claims | {"new": 1}, KEY, kind.typ), kind)["new"] == 1


@pytest.mark.parametrize("exp", [IAT, IAT - 1, 0])
def test_exp_comes_after_iat(exp: int) -> None:
    assert code_of(sign(POINTED | {"exp": exp}, key("unlisted"), POINT.typ)) == "malformed"


# -- steps 6 to 9: who said it, to whom


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"iss": "https://spoc.example.rs"}, "wrong_issuer"),
        ({"iss": ISSUER + "/"}, "wrong_issuer"),
        ({"iss": ISSUER.upper()}, "wrong_issuer"),
        ({"sub": "RS"}, "wrong_participant"),
        ({"sub": "me"}, "wrong_participant"),
        ({"iss": AUDIENCE, "sub": "RS"}, "wrong_issuer"),
    ],
    ids=str,
)
def test_issuer_and_subject_come_before_the_key(change: dict[str, Any], code: str) -> None:
    assert code_of(sign(POINTED | change, key("unlisted"), POINT.typ)) == code


@pytest.mark.parametrize(
    "kid",
    ["", "../../etc/passwd", "' OR 1=1 --", "\u202e", KEY.kid.lower(), KEY.kid + "A", "k" * 5000],
    ids=lambda kid: repr(kid[:12]),
)
def test_an_unknown_kid_is_refused_and_shown_harmlessly(kid: str) -> None:
    with pytest.raises(TokenError) as refusal:
        check(forge(header(kid=kid), POINTED, KEY))
    assert refusal.value.code == "unknown_key"
    assert len(refusal.value.detail) < 200
    assert refusal.value.detail.isprintable()


def test_another_participants_key_is_unknown_here() -> None:
    assert code_of(sign(POINTED, key("rs operating"), POINT.typ)) == "unknown_key"


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("ABCabc019-_.="))
def test_no_changed_character_survives(place: int, character: str) -> None:
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    if changed != GOOD:
        assert code_of(changed) in {
            "malformed",
            "bad_header",
            "wrong_type",
            "bad_signature",
            "unknown_key",
            "wrong_issuer",
            "wrong_participant",
        }


@pytest.mark.parametrize(
    "signature",
    [bytes(64), bytes(63), bytes(65), b"\xff" * 64, bytes(114), Ed448PrivateKey.generate().sign(b"x"), b"\x00"],
    ids=len,
)
def test_another_signature_is_refused(signature: bytes) -> None:
    assert code_of(f"{PARTS[0]}.{PARTS[1]}.{b64url_encode(signature)}") == "bad_signature"


def test_a_key_listed_under_a_stolen_kid_does_not_verify() -> None:
    stolen = {KEY.kid: PublicKey(KEY.kid, EDDSA_NAMES, key("attacker").private.public_key(), {})}
    assert code_of(GOOD, keys=stolen) == "bad_signature"


@pytest.mark.parametrize(
    "aud", [[AUDIENCE], [AUDIENCE, ISSUER], [], None, "", 5, ISSUER, AUDIENCE + "/", {"a": AUDIENCE}], ids=repr
)
@pytest.mark.parametrize("name", ["message", "read token", "receipt"])
def test_the_audience_is_one_string_and_comes_after_the_signature(name: str, aud: object) -> None:
    kind, claims = CLAIMS[name]
    assert code_of(sign(claims | {"aud": aud}, KEY, kind.typ), kind) == "wrong_audience"
    assert code_of(sign(claims | {"aud": aud}, key("unlisted"), kind.typ), kind) == "unknown_key"


# -- step 11: times


@pytest.mark.parametrize(("seconds", "code"), [(-300, None), (-301, "not_yet_valid"), (-86_400, "not_yet_valid")])
def test_a_statement_may_come_from_a_clock_300_s_ahead(seconds: int, code: str | None) -> None:
    now = NOW + seconds * SECOND
    if code is None:
        assert check(GOOD, now=now) == POINTED
    else:
        assert code_of(GOOD, now=now) == code


@pytest.mark.parametrize(("seconds", "code"), [(300, None), (301, "expired"), (86_400, "expired")])
@pytest.mark.parametrize("name", [name for name in KINDS if name != "receipt"])
def test_a_statement_is_good_until_300_s_after_exp(name: str, seconds: int, code: str | None) -> None:
    kind, claims = CLAIMS[name]
    now = dt.datetime.fromtimestamp(claims["exp"] + seconds, dt.UTC)
    token = sign(claims, KEY, kind.typ)
    if code is None:
        assert check(token, kind, now=now) == claims
    else:
        assert code_of(token, kind, now=now) == code
        assert check(token, kind, now=now, relayed=True) == claims


def test_a_receipt_never_expires_and_both_clocks_stand_in_the_error() -> None:
    kind, claims = CLAIMS["receipt"]
    assert check(sign(claims, KEY, kind.typ), kind, now=NOW + 9000 * 86_400 * SECOND) == claims
    with pytest.raises(TokenError, match=f"{IAT}.*{IAT - 400}"):
        check(GOOD, now=NOW - 400 * SECOND)


@pytest.mark.parametrize(("name", "lifetime"), [("checkpoint", 7 * 86_400), ("read token", 300), ("message", 86_400)])
def test_a_lifetime_has_a_bound(name: str, lifetime: int) -> None:
    kind, claims = CLAIMS[name]
    assert check(sign(claims | {"exp": IAT + lifetime}, KEY, kind.typ), kind)["exp"] == IAT + lifetime
    assert code_of(sign(claims | {"exp": IAT + lifetime + 1}, KEY, kind.typ), kind) == "malformed"
    assert code_of(sign(claims | {"exp": IAT + lifetime + 1}, KEY, kind.typ), kind, relayed=True) == "malformed"


def test_an_expired_statement_of_ten_years_is_expired_first() -> None:
    token = sign(POINTED | {"iat": IAT - 400_000_000, "exp": IAT - 400}, KEY, POINT.typ)
    assert code_of(token) == "expired"


# -- anchors: other software, other algorithms

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ANCHOR_KEYS = parse_jwks(
    {
        "keys": [
            RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True) | {"kid": "rsa"},
            ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True) | {"kid": "ec"},
            KEY.public_jwk(),
        ]
    },
    anchor=True,
)


def anchor_token(alg: str, kid: str, private: Any) -> str:
    return jwt.encode(STATEMENT, private, alg, headers={"typ": ENTITY_STATEMENT.typ, "kid": kid})


@pytest.mark.parametrize(
    ("alg", "kid", "private"), [("ES256", "ec", EC_KEY), ("PS256", "rsa", RSA_KEY), ("RS256", "rsa", RSA_KEY)]
)
def test_only_an_anchor_may_use_other_algorithms(alg: str, kid: str, private: Any) -> None:
    token = anchor_token(alg, kid, private)
    assert check(token, ANCHOR_STATEMENT, keys=ANCHOR_KEYS) == STATEMENT
    assert code_of(token, ENTITY_STATEMENT, keys=ANCHOR_KEYS) == "bad_signature"


@pytest.mark.parametrize(
    ("alg", "kid", "private"),
    [
        pytest.param("ES256", "rsa", EC_KEY, id="ES256 under an RSA key"),
        pytest.param("RS256", "ec", RSA_KEY, id="RS256 under a P-256 key"),
        pytest.param("PS256", KEY.kid, RSA_KEY, id="PS256 under an Ed25519 key"),
        pytest.param("EdDSA", "ec", KEY.private, id="EdDSA under a P-256 key"),
        pytest.param("ES256", "ec", ec.generate_private_key(ec.SECP256R1()), id="another P-256 key"),
    ],
)
def test_an_algorithm_must_fit_its_key(alg: str, kid: str, private: Any) -> None:
    assert code_of(anchor_token(alg, kid, private), ANCHOR_STATEMENT, keys=ANCHOR_KEYS) == "bad_signature"


@pytest.mark.parametrize("alg", ["RS384", "PS512", "HS256"])
def test_an_anchor_has_four_algorithms_only(alg: str) -> None:
    secret: Any = RSA_KEY if alg != "HS256" else bytes(64)
    assert code_of(anchor_token(alg, "rsa", secret), ANCHOR_STATEMENT, keys=ANCHOR_KEYS) == "bad_signature"
