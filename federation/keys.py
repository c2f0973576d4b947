"""Keys: own ones in files, others' as JWKS, each named by its RFC 7638 thumbprint.

Nodes have Ed25519 keys only. An anchor can be other software, so its keys may also be P-256 or RSA (protocol.md,
section 2). Small-order and non-canonical Ed25519 points are refused: a signature under one proves nothing.
"""

import functools
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cryptography.exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from federation.encoding import b64url_decode, b64url_encode, dump_json
from federation.errors import KeyFileError, TokenError

EDDSA_NAMES = ("EdDSA", "Ed25519")
MAX_KEYS = 32
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_P = 2**255 - 19
_D = (-121665 * pow(121666, -1, _P)) % _P


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that somebody else may sign with: its ``kid``, the algorithms that fit it, and its JWK."""

    kid: str
    algorithms: tuple[str, ...]
    key: Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    jwk: Mapping[str, str]


KeySet = Mapping[str, PublicKey]
"""Public keys by ``kid``."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 private key of this node."""

    private: Ed25519PrivateKey
    kid: str

    @classmethod
    def from_private(cls, private: Ed25519PrivateKey) -> "SigningKey":
        """Name the key by its thumbprint."""
        return cls(private, thumbprint(_okp(private.public_key().public_bytes_raw())))

    def public_jwk(self) -> dict[str, str]:
        """The public half as a JWK with ``kid``, ``use`` and ``alg``."""
        return _okp(self.private.public_key().public_bytes_raw()) | {"kid": self.kid, "use": "sig", "alg": "EdDSA"}

    def public_key(self) -> PublicKey:
        """The public half as others see it."""
        return PublicKey(self.kid, EDDSA_NAMES, self.private.public_key(), self.public_jwk())


def generate_key() -> SigningKey:
    """A new random Ed25519 key."""
    return SigningKey.from_private(Ed25519PrivateKey.generate())


def key_from_seed(seed: bytes) -> SigningKey:
    """The key of a 32-byte seed (RFC 8032): the same seed gives the same key."""
    return SigningKey.from_private(Ed25519PrivateKey.from_private_bytes(seed))


def thumbprint(jwk: Mapping[str, str]) -> str:
    """RFC 7638: SHA-256 over the required members in alphabetic order, as base64url."""
    required = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}[jwk["kty"]]
    return b64url_encode(hashlib.sha256(dump_json({name: jwk[name] for name in required})).digest())


def fingerprint(kid: str) -> str:
    """A key's thumbprint in hexadecimal groups of four, to be compared by another channel."""
    text = b64url_decode(kid).hex()
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def jwks_of(keys: KeySet) -> dict[str, Any]:
    """A key set as a JWKS object, ordered by ``kid``."""
    return {"keys": [dict(keys[kid].jwk) for kid in sorted(keys)]}


def key_set(*keys: SigningKey) -> KeySet:
    """The public halves of own keys."""
    return {key.kid: key.public_key() for key in keys}


def parse_jwks(value: object, *, anchor: bool = False) -> KeySet:
    """Read a JWKS object: 1 to 32 public keys, Ed25519 only, or with ``anchor`` also P-256 and RSA.

    Raises TokenError ``weak_key`` for a small-order or non-canonical point (one weak key refuses the set whole) and
    ``malformed`` for anything else, private members included.
    """
    entries = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_KEYS:
        raise TokenError("malformed", f"expected a JWKS with 1 to {MAX_KEYS} keys")
    keys = [_parse_jwk(entry, anchor) for entry in entries]
    by_kid = {key.kid: key for key in keys}
    if len(by_kid) != len(keys):
        raise TokenError("malformed", "expected each key once in a JWKS, found one twice")
    return by_kid


@functools.lru_cache(maxsize=2048)
def read_jwks(text: str, *, anchor: bool = False) -> KeySet:
    """A key set that was checked before it was stored as ``text``: read again, and not to be changed.

    Checking points costs more than all else of an unchanged pull, so the sets last used are remembered.
    """
    return MappingProxyType(dict(parse_jwks(json.loads(text), anchor=anchor)))


def _parse_jwk(jwk: object, anchor: bool) -> PublicKey:
    if not isinstance(jwk, dict) or _PRIVATE_MEMBERS & jwk.keys():
        raise TokenError("malformed", "expected a public JWK, found another value or private members")
    reader = _READERS.get(str(jwk.get("kty")))
    if reader is None or (jwk["kty"] != "OKP" and not anchor):
        raise TokenError("malformed", f"expected an Ed25519 key (kty OKP), found kty {jwk.get('kty')!r}"[:200])
    return _named(reader(jwk), jwk, anchor)


def _named(key: PublicKey, jwk: Mapping[str, Any], anchor: bool) -> PublicKey:
    """The key under the ``kid`` that its owner gave; a node's is the thumbprint, an anchor's may be any text."""
    given = jwk.get("kid", key.kid)
    if given == key.kid:
        return key
    if not anchor or not isinstance(given, str):
        raise TokenError("malformed", f"expected the kid to be the key's thumbprint {key.kid}")
    return PublicKey(given, key.algorithms, key.key, {**key.jwk, "kid": given})


def _octets(jwk: Mapping[str, Any], member: str, length: int | None = None) -> bytes:
    text = jwk.get(member)
    data = b64url_decode(text) if isinstance(text, str) else b""
    if not data or (length is not None and len(data) != length):
        raise TokenError("malformed", f"expected {length or 'some'} bytes of base64url in the JWK member {member}")
    return data


def _read_okp(jwk: Mapping[str, Any]) -> PublicKey:
    if jwk.get("crv") != "Ed25519":
        raise TokenError("malformed", f"expected the curve Ed25519, found {jwk.get('crv')!r}"[:200])
    point = _octets(jwk, "x", 32)
    _check_point(point)
    plain = _okp(point)
    kid = thumbprint(plain)
    members = plain | {"kid": kid, "use": "sig", "alg": "EdDSA"}
    return PublicKey(kid, EDDSA_NAMES, Ed25519PublicKey.from_public_bytes(point), members)


def _read_ec(jwk: Mapping[str, Any]) -> PublicKey:
    if jwk.get("crv") != "P-256":
        raise TokenError("malformed", f"expected the curve P-256, found {jwk.get('crv')!r}"[:200])
    x, y = _octets(jwk, "x", 32), _octets(jwk, "y", 32)
    try:
        numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
        key = numbers.public_key()
    except ValueError as error:
        raise TokenError("weak_key", "expected a point on P-256, found one that is not") from error
    plain = {"kty": "EC", "crv": "P-256", "x": b64url_encode(x), "y": b64url_encode(y)}
    kid = thumbprint(plain)
    return PublicKey(kid, ("ES256",), key, plain | {"kid": kid})


def _read_rsa(jwk: Mapping[str, Any]) -> PublicKey:
    n, e = _octets(jwk, "n"), _octets(jwk, "e")
    modulus, exponent = int.from_bytes(n, "big"), int.from_bytes(e, "big")
    if not 2048 <= modulus.bit_length() <= 8192 or exponent != 65537 or not modulus & 1:
        raise TokenError("weak_key", "expected an RSA key of 2048 to 8192 bits with the exponent 65537")
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    plain = {"kty": "RSA", "n": b64url_encode(n), "e": b64url_encode(e)}
    kid = thumbprint(plain)
    return PublicKey(kid, ("PS256", "RS256"), key, plain | {"kid": kid})


_READERS = {"OKP": _read_okp, "EC": _read_ec, "RSA": _read_rsa}


def _okp(point: bytes) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(point)}


def _check_point(point: bytes) -> None:
    """Raise ``weak_key`` unless the bytes are the canonical form of a curve point outside the small subgroup."""
    sign, y = point[31] >> 7, int.from_bytes(point, "little") & (2**255 - 1)
    if y >= _P:
        raise TokenError("weak_key", "expected the canonical form of an Ed25519 point, found a coordinate above p")
    x = _recover_x(y)
    if x is None or (x == 0 and sign):
        raise TokenError("weak_key", "expected a point on the curve Ed25519, found none")
    for _ in range(3):  # eight times a small-order point is the neutral element (0, 1)
        x, y = _double(x, y)
    if (x, y) == (0, 1):
        raise TokenError("weak_key", "expected an Ed25519 point of full order, found a small-order one")


def _recover_x(y: int) -> int | None:
    """One of the two x of the points with this y (RFC 8032, section 5.1.3), None where there is none."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    return x if (x * x - square) % _P == 0 else None


def _double(x: int, y: int) -> tuple[int, int]:
    """Twice an affine point of -x² + y² = 1 + d·x²·y²."""
    product = _D * x * x * y * y
    doubled_x = 2 * x * y * pow(1 + product, -1, _P)
    doubled_y = (y * y + x * x) * pow(1 - product, -1, _P)
    return doubled_x % _P, doubled_y % _P


def save_key(path: Path, key: SigningKey, passphrase: bytes | None = None) -> None:
    """Write the key as PKCS #8 PEM with mode 0600; never over an existing file (KeyFileError)."""
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        protection = serialization.BestAvailableEncryption(passphrase)
    pem = key.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot write the key: {error.strerror}") from error
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make durable which files the directory holds: a key that is listed must not be gone after a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load_key(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """Read a key file that only its owner can open; KeyFileError says what is wrong with any other."""
    try:
        with path.open("rb") as file:
            mode, pem = stat.S_IMODE(os.fstat(file.fileno()).st_mode), file.read(64 * 1024)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot read the key: {error.strerror}") from error
    if mode & 0o077:
        raise KeyFileError(f"{path}: expected mode 0600, found {mode:04o}; run: chmod 600 {path}")
    try:
        private = serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, cryptography.exceptions.UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path}: expected a PEM private key that this passphrase opens: {error}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: expected an Ed25519 key, found {type(private).__name__}")
    return SigningKey.from_private(private)
