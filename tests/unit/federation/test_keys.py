import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from federation.encoding import b64url_encode
from federation.errors import KeyFileError, TokenError
from federation.keys import (
    fingerprint,
    generate_key,
    jwks_of,
    key_from_seed,
    key_set,
    load_key,
    parse_jwks,
    read_jwks,
    save_key,
    thumbprint,
)
from tests.unit.federation.samples import key

P = 2**255 - 19
# The y of the eight small-order points: 1, -1, 0 and the two of order 8; and what is equal to them modulo p.
ORDER_8 = (
    2707385501144840649318225287225658788936804267575313519463743609750303021,
    P - 2707385501144840649318225287225658788936804267575313519463743609750303021,
)


def okp(y: int, sign: int = 0, **members: object) -> dict[str, Any]:
    return {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode((y | sign << 255).to_bytes(32, "little"))} | members


def jwks(*keys: object) -> dict[str, Any]:
    return {"keys": list(keys)}


def test_thumbprint_is_that_of_rfc_8037() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "ignored": "x"}
    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_key_set_round_trip() -> None:
    keys = key_set(key("a"), key("b"))
    assert parse_jwks(json.loads(json.dumps(jwks_of(keys)))).keys() == keys.keys() == {key("a").kid, key("b").kid}


def test_a_stored_key_set_is_read_as_it_was_checked_and_cannot_be_changed() -> None:
    text = json.dumps(jwks_of(key_set(key("a"), key("b"))))
    read = read_jwks(text)
    assert jwks_of(read) == jwks_of(key_set(key("a"), key("b")))
    assert read_jwks(text) is read
    with pytest.raises(TypeError):
        read["other"] = read[key("a").kid]  # type: ignore[index]


def test_the_same_seed_gives_the_same_key_and_others_differ() -> None:
    assert key_from_seed(bytes(32)).kid == key_from_seed(bytes(32)).kid != generate_key().kid


def test_a_fingerprint_is_the_thumbprint_in_hexadecimal() -> None:
    assert fingerprint("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").startswith("0001 0203 0405")


@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param(okp(1), id="neutral element"),
        pytest.param(okp(P - 1), id="order 2"),
        pytest.param(okp(0), id="order 4"),
        pytest.param(okp(0, 1), id="order 4, other sign"),
        *[pytest.param(okp(y, sign), id=f"order 8 {y % 7} {sign}") for y in ORDER_8 for sign in (0, 1)],
        pytest.param(okp(P), id="0 written as p"),
        pytest.param(okp(P + 1), id="1 written as p + 1"),
        pytest.param(okp(2**255 - 1), id="the largest coordinate"),
        pytest.param(okp(1, 1), id="x = 0 with a sign"),
        pytest.param(okp(2), id="off the curve"),
    ],
)
def test_weak_keys_are_refused(jwk: dict[str, Any]) -> None:
    with pytest.raises(TokenError) as refusal:
        parse_jwks(jwks(jwk))
    assert refusal.value.code == "weak_key"


def test_one_weak_key_refuses_the_set_whole() -> None:
    with pytest.raises(TokenError, match="weak_key"):
        parse_jwks(jwks(key("good").public_jwk(), okp(1)))


GOOD = key("good").public_jwk()
RSA_2048 = rsa.generate_private_key(65537, 2048)
P_256 = ec.generate_private_key(ec.SECP256R1())


def rsa_jwk(private: rsa.RSAPrivateKey) -> dict[str, Any]:
    return RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)


def ec_jwk(private: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    return ECAlgorithm.to_jwk(private.public_key(), as_dict=True)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="nothing"),
        pytest.param([GOOD], id="a list"),
        pytest.param({"keys": GOOD}, id="an object of keys"),
        pytest.param(jwks(), id="no key"),
        pytest.param(jwks(*[key(str(n)).public_jwk() for n in range(33)]), id="33 keys"),
        pytest.param(jwks(GOOD, GOOD), id="a key twice"),
        pytest.param(jwks("key"), id="a text"),
        pytest.param(jwks(GOOD | {"d": "AA"}), id="a private key"),
        pytest.param(jwks({"kty": "oct", "k": "AAAA"}), id="a symmetric key"),
        pytest.param(jwks({"kty": ["OKP"]}), id="kty as a list"),
        pytest.param(jwks(GOOD | {"crv": "Ed448"}), id="another curve"),
        pytest.param(jwks(GOOD | {"kid": "other"}), id="a kid that is not the thumbprint"),
        pytest.param(jwks(GOOD | {"kid": 5}), id="a kid that is no text"),
        pytest.param(jwks(GOOD | {"x": GOOD["x"] + "="}), id="padded base64url"),
        pytest.param(jwks(GOOD | {"x": GOOD["x"][:-2]}), id="31 bytes"),
        pytest.param(jwks(GOOD | {"x": 5}), id="x as a number"),
        pytest.param(jwks({"kty": "OKP", "crv": "Ed25519"}), id="no x"),
        pytest.param(jwks(rsa_jwk(RSA_2048)), id="RSA for a node"),
        pytest.param(jwks(ec_jwk(P_256)), id="P-256 for a node"),
    ],
)
def test_what_is_no_set_of_ed25519_keys_is_malformed(value: object) -> None:
    with pytest.raises(TokenError) as refusal:
        parse_jwks(value)
    assert refusal.value.code == "malformed"


def test_an_anchor_may_have_other_keys_under_names_of_its_own() -> None:
    keys = parse_jwks(jwks(GOOD, rsa_jwk(RSA_2048) | {"kid": "anchor-1"}, ec_jwk(P_256)), anchor=True)
    assert keys["anchor-1"].algorithms == ("PS256", "RS256")
    assert {key.algorithms for key in keys.values()} == {("PS256", "RS256"), ("ES256",), ("EdDSA", "Ed25519")}
    assert parse_jwks(jwks_of(keys), anchor=True).keys() == keys.keys()


@pytest.mark.parametrize(
    ("jwk", "code"),
    [
        pytest.param(ec_jwk(P_256) | {"crv": "P-384"}, "malformed", id="P-384"),
        pytest.param(ec_jwk(P_256) | {"x": b64url_encode(bytes(32))}, "weak_key", id="a point off P-256"),
        pytest.param(rsa_jwk(RSA_2048) | {"e": "Aw"}, "weak_key", id="exponent 3"),
        pytest.param(rsa_jwk(RSA_2048) | {"n": b64url_encode(b"\xff" * 128)}, "weak_key", id="1024 bits"),
        pytest.param(
            rsa_jwk(RSA_2048) | {"n": b64url_encode(b"\xff" * 255 + b"\xfe")}, "weak_key", id="an even modulus"
        ),
        pytest.param(rsa_jwk(RSA_2048) | {"d": "Aw"}, "malformed", id="private"),
        pytest.param(GOOD | {"kid": 7}, "malformed", id="a kid that is no text"),
    ],
)
def test_an_anchors_keys_are_judged_too(jwk: dict[str, Any], code: str) -> None:
    with pytest.raises(TokenError) as refusal:
        parse_jwks(jwks(jwk), anchor=True)
    assert refusal.value.code == code


@pytest.mark.parametrize("passphrase", [None, b"a long passphrase"])
def test_a_key_file_round_trip(tmp_path: Path, passphrase: bytes | None) -> None:
    path = tmp_path / "key.pem"
    save_key(path, key("a"), passphrase)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path, passphrase).kid == key("a").kid


def pem(private: Any) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", "PEM", id="empty"),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "PEM", id="damaged"),
        pytest.param(pem(P_256), "Ed25519", id="P-256"),
        pytest.param(pem(Ed448PrivateKey.generate()), "Ed25519", id="Ed448"),
        pytest.param(pem(x25519.X25519PrivateKey.generate()), "Ed25519", id="X25519"),
    ],
)
def test_a_file_that_holds_no_ed25519_key_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=expected):
        load_key(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.pem"
    save_key(path, key("a"))
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_key(path)


@pytest.mark.parametrize(("saved", "given"), [(b"right", b"wrong"), (b"right", None), (None, b"needless")])
def test_the_passphrase_must_fit(tmp_path: Path, saved: bytes | None, given: bytes | None) -> None:
    save_key(tmp_path / "key.pem", key("a"), saved)
    with pytest.raises(KeyFileError, match="passphrase"):
        load_key(tmp_path / "key.pem", given)


def test_a_key_is_never_overwritten_and_a_missing_one_is_named(tmp_path: Path) -> None:
    save_key(tmp_path / "key.pem", key("a"))
    with pytest.raises(KeyFileError, match="cannot write"):
        save_key(tmp_path / "key.pem", key("b"))
    with pytest.raises(KeyFileError, match=r"other\.pem: cannot read"):
        load_key(tmp_path / "other.pem")
    assert load_key(tmp_path / "key.pem").kid == key("a").kid
