"""A second, independent implementation of the federation protocol, version 1.

It is written from the text of the protocol alone, with the standard library and ``cryptography``, and shares no code
with the product: where the two disagree, the text or one of them is wrong. It follows a remote log and judges it byte
for byte, it serves a log of its own, and it can be the anchor of both.

    second_node.py keys   --config FILE              make missing keys, print the public ones
    second_node.py follow --config FILE              verify the remote logs, print a JSON report (exit 1: deviations)
    second_node.py serve  --config FILE [--port P]   be an origin, a peer, a relay of what is held, an anchor if asked
    second_node.py check  --evidence FILE            check evidence of two histories (exit 0: it proves them)

The configuration is one JSON object; file names in it are relative to its own folder.

    participant      own code                        url              own entity identifier
    port             where to listen (loopback)      control_port     commands (loopback only), see ``Control``
    keys             private keys, made if missing   state            own log and configurations, made if missing
    held             folder of the followed logs     allow_insecure   http and private addresses are accepted
    anchor           {"url", "jwks"}                 peers            [{"url", "participant", "thumbprint"}], pinned
    follow           "all", or a list as peers       relays           base URLs also asked for each followed log
    document         directory document to publish   readers          entity identifiers that may read through relays
    open_logs        serve without tokens            probes           false: ask nothing that must be refused
    push             false: push to nobody           erase_after      seconds a superseded payload stays (3600)
    gossip           how many peers a follower asks for the checkpoint they hold (3)
    recover          true: at the start, ask the peers for the own log and take it back
    ca_file          CA bundle for https             trust_cache      seconds a binding is believed unasked (60)
    anchor_service   {"subordinates": [{"url", "participant", "jwks"}], "alg": "EdDSA"}: be an anchor at <url>/anchor
                     (without "jwks" the keys that the node shows at its first statement are taken: for tests only)
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import http.client
import ipaddress
import itertools
import json
import os
import re
import secrets
import socket
import ssl
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

Json = dict[str, Any]

PAGE = 256
HEADER_LIMIT = 1024
PAYLOAD_LIMIT = 64 * 1024
TOKEN_LIMIT = 64 * 1024
RESPONSE_LIMIT = 40 * 1024 * 1024
DEPTH_LIMIT = 32
TEXT_LIMIT = 300
KEYS_LIMIT = 32
CHAIN_LIMIT = 256
PROPOSALS = 50
SKEW = 300
DAY = 86400
ENTITY_TYPE = "application/entity-statement+jwt"
PARTICIPANT = re.compile(r"[A-Z]{2}|[A-Z][A-Z0-9]{2,11}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
RECORD = re.compile(r"[a-z]{1,20}/[a-z0-9][a-z0-9-]{0,62}")
OPERATION = re.compile(r"[a-z]{1,20}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
RECORD_TYPES = {"participant", "agency", "unit", "member", "rota", "outage"}
UNKNOWN_TYPE = "expected a record type of version 1"
PLURALS = {"agencies": "agency", "units": "unit", "members": "member", "rotas": "rota", "outages": "outage"}

STATUS = {
    400: "malformed bad_header bad_request bad_entry wrong_type wrong_issuer wrong_audience wrong_participant expired "
    "not_yet_valid weak_key rollback fork unsupported_version",
    401: "bad_signature unknown_key unauthenticated",
    403: "forbidden not_a_party unknown_participant participant_taken key_reused insecure_url",
    404: "not_found out_of_range",
    409: "wrong_state jti_conflict conflict",
    412: "stale_version",
    413: "too_large",
    428: "precondition_required",
    429: "rate_limited",
    503: "busy storage_full clock_implausible",
}
STATUS_OF = {code: status for status, codes in STATUS.items() for code in codes.split()}


class Refusal(Exception):  # noqa: N818 - what the protocol calls it
    """Something that the protocol refuses, with its problem code."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


def short(value: object, limit: int = 160) -> str:
    """A value as it can stand in a message."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def clock() -> int:
    """The present, in whole seconds."""
    return int(time.time())


# ---------------------------------------------------------------- bytes and JSON (section 1)


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: object, what: str = "a value") -> bytes:
    """The bytes of canonical, unpadded base64url."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise Refusal("malformed", f"{what}: expected unpadded base64url, found {short(text)}")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(data) != text:
        raise Refusal("malformed", f"{what}: expected canonical base64url {b64(data)}, found {text}")
    return data


def _members(pairs: list[tuple[str, Any]]) -> Json:
    found: Json = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"expected each member once, found {name!r} twice")
        found[name] = value
    return found


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) >= 2**53:
        raise ValueError(f"expected an integer below 2^53, found {short(digits)}")
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"expected a finite number, found {short(digits)}")
    return value


def _constant(name: str) -> object:
    raise ValueError(f"expected strict JSON, found {name}")


def _depth(text: str) -> int:
    """How deep the brackets of a JSON text nest, those in strings not counted."""
    deepest = level = 0
    for mark in re.findall(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text, re.DOTALL):
        if mark in "[{":
            level += 1
            deepest = max(deepest, level)
        elif mark in "]}":
            level -= 1
    return deepest


def strict_json(data: bytes, what: str = "JSON", *, nul: bool = False) -> Any:
    """The value of strict JSON: UTF-8, no duplicate members, no NaN, bounded depth, valid Unicode."""
    try:
        text = data.decode("utf-8")
        if _depth(text) > DEPTH_LIMIT:
            raise ValueError(f"expected at most {DEPTH_LIMIT} levels, found more")
        value = json.loads(
            text, object_pairs_hook=_members, parse_int=_integer, parse_float=_real, parse_constant=_constant
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")
        if not nul and "\\u0000" in json.dumps(value).replace("\\\\", ""):
            raise ValueError("expected no NUL, found one")
    except (ValueError, RecursionError) as error:
        raise Refusal("malformed", f"{what}: {short(str(error))}") from error
    return value


def strict_object(data: bytes, what: str = "JSON") -> Json:
    """A strict JSON object."""
    value = strict_json(data, what)
    if not isinstance(value, dict):
        raise Refusal("malformed", f"{what}: expected a JSON object, found {type(value).__name__}")
    return value


def compact(value: object) -> bytes:
    """JSON that escapes only what JSON requires."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def instant(seconds: int) -> str:
    """An instant in the form of section 1."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_instant(text: object) -> int:
    """The seconds of an instant in the form of section 1."""
    if not isinstance(text, str) or not INSTANT.fullmatch(text):
        raise Refusal("malformed", f"expected an instant such as 2026-11-21T20:00:00Z, found {short(text)}")
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise Refusal("malformed", f"expected a date that exists, found {text}") from error


# ---------------------------------------------------------------- Merkle tree (section 4), by RFC 6962's definition


def leaf_hash(header: bytes) -> bytes:
    """The leaf of one entry: it covers the header only."""
    return hashlib.sha256(b"\x00" + header).digest()


def merkle_root(headers: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not headers:
        return hashlib.sha256(b"").digest()

    def mth(low: int, high: int) -> bytes:
        if high - low == 1:
            return leaf_hash(headers[low])
        split = 1 << ((high - low - 1).bit_length() - 1)
        return hashlib.sha256(b"\x01" + mth(low, low + split) + mth(low + split, high)).digest()

    return mth(0, len(headers))


def inclusion_path(headers: Sequence[bytes], index: int) -> list[bytes]:
    """PATH of RFC 9162, section 2.1.3.1, word for word."""
    if len(headers) <= 1:
        return []
    split = 1 << ((len(headers) - 1).bit_length() - 1)
    if index < split:
        return [*inclusion_path(headers[:split], index), merkle_root(headers[split:])]
    return [*inclusion_path(headers[split:], index - split), merkle_root(headers[:split])]


def proven_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root to which a path leads from one leaf (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        raise Refusal("root_mismatch", f"expected an entry below {size}, found {index}")
    low, high, found = index, size - 1, leaf
    for step in path:
        if high == 0:
            raise Refusal("root_mismatch", f"expected a shorter path for entry {index} of {size}")
        if low % 2 == 1 or low == high:
            found = hashlib.sha256(b"\x01" + step + found).digest()
            while low % 2 == 0 and low != 0:
                low, high = low // 2, high // 2
        else:
            found = hashlib.sha256(b"\x01" + found + step).digest()
        low, high = low // 2, high // 2
    if high != 0:
        raise Refusal("root_mismatch", f"expected a longer path for entry {index} of {size}")
    return found


# ---------------------------------------------------------------- keys (section 2)

FIELD = 2**255 - 19
CURVE_D = (-121665 * pow(121666, -1, FIELD)) % FIELD
REQUIRED = {"OKP": ("crv", "kty", "x"), "EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}


def thumbprint(jwk: Json) -> str:
    """The RFC 7638 thumbprint of a public key."""
    names = REQUIRED.get(jwk.get("kty", ""))
    if names is None or not all(isinstance(jwk.get(name), str) for name in names):
        raise Refusal("malformed", f"expected a public JWK of kind OKP, EC or RSA, found members {sorted(jwk)}")
    canonical = json.dumps({name: jwk[name] for name in sorted(names)}, separators=(",", ":"))
    return b64(hashlib.sha256(canonical.encode()).digest())


def fingerprint_words(kid: str, english: Sequence[str]) -> list[str]:
    """A thumbprint as 24 words: BIP-39's English list over its 32 bytes, with their checksum (section 1)."""
    data = unb64(kid, "thumbprint")
    number = int.from_bytes(data + hashlib.sha256(data).digest()[:1], "big")
    return [english[number >> 11 * place & 2047] for place in range(23, -1, -1)]


def check_point(raw: bytes) -> None:
    """Refuse Ed25519 points that are no point, not canonical or of small order (``weak_key``)."""
    if len(raw) != 32:
        raise Refusal("malformed", f"expected an Ed25519 key of 32 bytes, found {len(raw)}")
    number = int.from_bytes(raw, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= FIELD:
        raise Refusal("weak_key", "expected a canonical point, found y not below 2^255-19")
    square = (y * y - 1) * pow(CURVE_D * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if (x * x - square) % FIELD:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    if (x * x - square) % FIELD:
        raise Refusal("weak_key", "expected a point of the curve, found none")
    if x == 0 and sign:
        raise Refusal("weak_key", "expected a canonical point, found a signed zero")
    for _ in range(3):
        cross = CURVE_D * x * x * y * y
        x, y = (
            2 * x * y * pow(1 + cross, -1, FIELD) % FIELD,
            (y * y + x * x) * pow(1 - cross, -1, FIELD) % FIELD,
        )
    if (x, y) == (0, 1):
        raise Refusal("weak_key", "expected a point of large order, found one of small order")


def _check_ed25519(jwk: Json, signature: bytes, message: bytes) -> None:
    ed25519.Ed25519PublicKey.from_public_bytes(unb64(jwk["x"])).verify(signature, message)


def _check_es256(jwk: Json, signature: bytes, message: bytes) -> None:
    if len(signature) != 64:
        raise InvalidSignature
    x, y = (int.from_bytes(unb64(jwk[name]), "big") for name in "xy")
    pair = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key().verify(pair, message, ec.ECDSA(hashes.SHA256()))


def _rsa_key(jwk: Json) -> rsa.RSAPublicKey:
    n, e = (int.from_bytes(unb64(jwk[name]), "big") for name in "ne")
    return rsa.RSAPublicNumbers(e, n).public_key()


def _check_rs256(jwk: Json, signature: bytes, message: bytes) -> None:
    _rsa_key(jwk).verify(signature, message, padding.PKCS1v15(), hashes.SHA256())


def _check_ps256(jwk: Json, signature: bytes, message: bytes) -> None:
    _rsa_key(jwk).verify(signature, message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


CHECKERS: dict[str, tuple[str, Callable[[Json, bytes, bytes], None]]] = {
    "EdDSA": ("OKP", _check_ed25519),
    "Ed25519": ("OKP", _check_ed25519),
    "ES256": ("EC", _check_es256),
    "RS256": ("RSA", _check_rs256),
    "PS256": ("RSA", _check_ps256),
}
NODE_ALGORITHMS = frozenset({"EdDSA", "Ed25519"})
ANCHOR_ALGORITHMS = frozenset(CHECKERS)
CURVES = {"OKP": "Ed25519", "EC": "P-256"}
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}


def public_keys(jwks: object, what: str, *, anchor: bool = False) -> dict[str, Json]:
    """The keys of a JWKS by thumbprint, each of them sound."""
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        raise Refusal("malformed", f"{what}: expected a JWKS with at least one key, found {short(jwks)}")
    if len(keys) > KEYS_LIMIT:
        raise Refusal("malformed", f"{what}: expected at most {KEYS_LIMIT} keys, found {len(keys)}")
    found: dict[str, Json] = {}
    for jwk in keys:
        kid = thumbprint(jwk)
        kind = jwk["kty"]
        if kind not in (CURVES | {"RSA": ""} if anchor else {"OKP"}) or jwk.get("crv", "") != CURVES.get(kind, ""):
            raise Refusal("malformed", f"{what}: expected keys of curve Ed25519, found {kind} {jwk.get('crv')}")
        if kind == "OKP":
            check_point(unb64(jwk["x"], f"{what}: x"))
        if PRIVATE_MEMBERS & jwk.keys():
            raise Refusal("malformed", f"{what}: expected public keys only, found private members in {kid}")
        if jwk.get("kid", kid) != kid:
            raise Refusal("malformed", f"{what}: expected kid {kid} (the thumbprint), found {short(jwk['kid'])}")
        if kid in found:
            raise Refusal("malformed", f"{what}: expected each key once, found {kid} twice")
        found[kid] = jwk
    return found


class Signer:
    """One private key, kept as a JWK."""

    def __init__(self, jwk: Json) -> None:
        self.jwk = jwk
        self.alg: str = jwk["alg"]
        kind = {"EdDSA": "OKP", "ES256": "EC"}.get(self.alg, "RSA")
        self.public: Json = {name: jwk[name] for name in REQUIRED[kind]}
        self.kid = thumbprint(self.public)
        self.public["kid"] = self.kid

    @classmethod
    def new(cls, alg: str = "EdDSA") -> Signer:
        """A fresh key."""

        def number(value: int, size: int | None = None) -> str:
            return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))

        if alg == "EdDSA":
            raw = ed25519.Ed25519PrivateKey.generate()
            public = b64(raw.public_key().public_bytes_raw())
            return cls({"kty": "OKP", "crv": "Ed25519", "x": public, "d": b64(raw.private_bytes_raw()), "alg": alg})
        if alg == "ES256":
            pair = ec.generate_private_key(ec.SECP256R1()).private_numbers()
            x, y = pair.public_numbers.x, pair.public_numbers.y
            curve = {"kty": "EC", "crv": "P-256", "x": number(x, 32), "y": number(y, 32)}
            return cls({**curve, "d": number(pair.private_value, 32), "alg": alg})
        if alg not in ("RS256", "PS256"):
            raise SystemExit(f"expected alg EdDSA, ES256, RS256 or PS256, found {alg}")
        secret = rsa.generate_private_key(65537, 2048).private_numbers()
        names = {"n": secret.public_numbers.n, "e": secret.public_numbers.e, "d": secret.d, "p": secret.p}
        rest = {"q": secret.q, "dp": secret.dmp1, "dq": secret.dmq1, "qi": secret.iqmp}
        return cls({"kty": "RSA", "alg": alg} | {name: number(value) for name, value in (names | rest).items()})

    def _sign(self, message: bytes) -> bytes:
        secret = {name: unb64(value) for name, value in self.jwk.items() if name not in ("kty", "crv", "alg", "kid")}
        if self.alg == "EdDSA":
            return ed25519.Ed25519PrivateKey.from_private_bytes(secret["d"]).sign(message)
        parts = {name: int.from_bytes(value, "big") for name, value in secret.items()}
        if self.alg == "ES256":
            key = ec.derive_private_key(parts["d"], ec.SECP256R1())
            r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        numbers = rsa.RSAPublicNumbers(parts["e"], parts["n"])
        chain = (parts["p"], parts["q"], parts["d"], parts["dp"], parts["dq"], parts["qi"])
        private = rsa.RSAPrivateNumbers(*chain, numbers).private_key()
        if self.alg == "RS256":
            return private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return private.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())

    def token(self, typ: str, claims: Json, **header: Any) -> str:
        """A JWS of these claims; ``header`` overrides or adds header members (for probes)."""
        head = {"alg": self.alg, "typ": typ, "kid": self.kid} | header
        signed = f"{b64(compact(head))}.{b64(compact(claims))}"
        return f"{signed}.{b64(self._sign(signed.encode()))}"


# ---------------------------------------------------------------- tokens (section 2)


@dataclass(frozen=True)
class Kind:
    """What one kind of token must be."""

    typ: str
    limit: int
    claims: dict[str, type]
    closed: bool


_TIMES: dict[str, type] = {"iat": int, "exp": int}
CHECKPOINT = Kind(
    "veza-checkpoint+jwt", 8192, {"iss": str, "sub": str, "size": int, "root": str, **_TIMES}, closed=True
)
READ = Kind("veza-read+jwt", 8192, {"iss": str, "aud": object, **_TIMES}, closed=True)
RECEIPT = Kind(
    "veza-receipt+jwt", 8192, {"iss": str, "aud": object, "iat": int, "jti": str, "digest": str}, closed=True
)
MESSAGE = Kind(
    "veza-message+jwt",
    32768,
    {"iss": str, "aud": object, "jti": str, **_TIMES, "type": str, "body": dict},
    closed=False,
)
STATEMENT = Kind(
    "entity-statement+jwt",
    65536,
    {"iss": str, "sub": str, **_TIMES, "jwks": dict, "metadata": dict},
    closed=False,
)


@dataclass(frozen=True)
class Token:
    """A token whose form and claims were checked (steps 1 to 5), but not yet its signature."""

    raw: str
    kind: Kind
    header: Json
    claims: Json
    signature: bytes

    def integer(self, name: str) -> int:
        """A claim that step 5 found to be an integer."""
        return int(self.claims[name])


def _split(raw: str) -> tuple[Json, Json, bytes]:
    parts = raw.split(".")
    if len(parts) != 3:
        raise Refusal("malformed", f"expected three parts, found {len(parts)}: {short(raw, 60)}")
    names = ("the header", "the claims", "the signature")
    head, body, signature = (unb64(part, name) for part, name in zip(parts, names, strict=True))
    header = strict_object(head, "the header")
    if set(header) != {"alg", "typ", "kid"}:
        raise Refusal("bad_header", f"expected exactly alg, kid and typ, found {short(header)}")
    if not isinstance(header["kid"], str):
        raise Refusal("malformed", f"expected kid as a text, found {short(header['kid'])}")
    return header, strict_object(body, "the claims"), signature


def _is_fault(kind: Kind, name: str, value: Any) -> bool:
    """Whether a claim is not of its type; ``aud`` is judged by step 9."""
    wanted = kind.claims[name]
    if wanted is not object and type(value) is not wanted:
        return True
    if name in ("root", "digest"):
        return len(unb64(value, name)) != 32
    if name == "jti":
        return not UUID.fullmatch(value)
    if wanted is int:
        return not 0 <= value < 2**53
    return wanted is str and not 1 <= len(value) <= TEXT_LIMIT


def _check_claims(kind: Kind, claims: Json) -> None:
    missing = sorted(kind.claims.keys() - claims.keys())
    if missing or (kind.closed and set(claims) != set(kind.claims)):
        raise Refusal("malformed", f"expected the claims {sorted(kind.claims)}, found {sorted(claims)}")
    for name in kind.claims:
        if _is_fault(kind, name, claims[name]):
            raise Refusal(
                "malformed", f"claim {name}: expected {kind.claims[name].__name__}, found {short(claims[name])}"
            )
    if "exp" in kind.claims and claims["exp"] <= claims["iat"]:
        raise Refusal("malformed", f"expected exp after iat {claims['iat']}, found {claims['exp']}")
    if kind is CHECKPOINT and claims["size"] == 0 and claims["root"] != b64(merkle_root([])):
        raise Refusal("malformed", f"expected the root of an empty log, found {claims['root']}")


def parse(raw: str, kind: Kind, algorithms: frozenset[str] = NODE_ALGORITHMS) -> Token:
    """Steps 1 to 5."""
    if len(raw.encode("utf-8", "replace")) > kind.limit:
        raise Refusal("too_large", f"{kind.typ}: expected at most {kind.limit} bytes, found {len(raw)}")
    header, claims, signature = _split(raw)
    if header["typ"] != kind.typ:
        raise Refusal("wrong_type", f"expected typ {kind.typ}, found {short(header['typ'])}")
    if not isinstance(header["alg"], str) or header["alg"] not in algorithms or not signature:
        found = header["alg"] if signature else "no signature"
        raise Refusal("bad_signature", f"expected a signature with one of {sorted(algorithms)}, found {short(found)}")
    _check_claims(kind, claims)
    return Token(raw, kind, header, claims, signature)


def check_party(token: Token, iss: str, sub: str | None = None) -> None:
    """Step 6."""
    if token.claims["iss"] != iss:
        raise Refusal("wrong_issuer", f"expected iss {iss}, found {short(token.claims['iss'])}")
    if sub is not None and token.claims["sub"] != sub:
        raise Refusal("wrong_participant", f"expected sub {sub}, found {short(token.claims['sub'])}")


def check_signature(token: Token, keys: dict[str, Json]) -> None:
    """Steps 7 and 8."""
    jwk = keys.get(token.header["kid"])
    if jwk is None:
        raise Refusal("unknown_key", f"expected a kid of {sorted(keys)}, found {short(token.header['kid'])}")
    kind, verify = CHECKERS[token.header["alg"]]
    try:
        if jwk["kty"] != kind:
            raise InvalidSignature
        verify(jwk, token.signature, token.raw.rpartition(".")[0].encode())
    except (InvalidSignature, ValueError) as error:
        raise Refusal("bad_signature", f"{token.kind.typ}: the signature by {token.header['kid']} is wrong") from error


def check_times(token: Token, now: int, *, expiry: bool = True) -> None:
    """Step 11, and the longest life of each kind."""
    iat = token.integer("iat")
    exp = int(token.claims.get("exp", now)) if "exp" in token.kind.claims else max(now, iat)
    if iat > now + SKEW:
        raise Refusal("not_yet_valid", f"expected iat at most {now + SKEW}, found {iat}")
    if expiry and exp < now - SKEW:
        raise Refusal("expired", f"expected exp at least {now - SKEW}, found {exp}")
    longest = {"veza-checkpoint+jwt": 7 * DAY, "veza-read+jwt": 300, "veza-message+jwt": DAY}.get(token.kind.typ)
    if longest is not None and int(token.claims["exp"]) - iat > longest:
        raise Refusal("malformed", f"expected exp at most {longest} s after iat, found {exp - iat} s")


def check_audience(token: Token, url: str) -> None:
    """Step 9: one text, and the one expected."""
    if token.claims["aud"] != url:
        raise Refusal("wrong_audience", f"expected aud {url}, found {short(token.claims['aud'])}")


def content_of(claims: Json) -> bytes:
    """What makes two messages the same (section 8): ``aud``, ``type`` and ``body`` as JSON values."""
    return json.dumps([claims["aud"], claims["type"], claims["body"]], sort_keys=True).encode()


def check_receipt(
    raw: str, keys: dict[str, Json], *, iss: str, aud: str, jti: str, sent: Iterable[str], now: int
) -> Json:
    """The claims of a receipt that counts for a message sent as these tokens (section 8)."""
    token = parse(raw, RECEIPT)
    check_party(token, iss)
    check_signature(token, keys)
    check_audience(token, aud)
    check_times(token, now)
    digests = {b64(hashlib.sha256(one.encode()).digest()) for one in sent}
    if token.claims["jti"] != jti or token.claims["digest"] not in digests:
        raise Refusal("malformed", f"expected a receipt for {jti} as it was sent, found one for {token.claims['jti']}")
    return token.claims


# ---------------------------------------------------------------- HTTP as a client


@dataclass(frozen=True)
class Response:
    """An answer, decompressed."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body as a token; bytes that are no ASCII cannot be one."""
        return self.body.decode("ascii", "replace")

    def problem(self) -> str:
        """The problem code of the answer, or what stands in its place."""
        try:
            found = strict_object(self.body)
        except Refusal:
            return f"status {self.status}, no problem object"
        return str(found.get("type", f"status {self.status}, no type")).removeprefix("urn:veza:problem:")


def check_identifier(url: str, *, insecure: bool) -> None:
    """The form of an entity identifier (section 1)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refusal("insecure_url", f"expected a URL, found {short(url)}") from error
    if parts.scheme not in (("https", "http") if insecure else ("https",)) or not parts.hostname:
        raise Refusal("insecure_url", f"expected an https URL, found {short(url)}")
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or "?" in url or "#" in url)
    if not plain or url.endswith("/") or parts.netloc != parts.netloc.lower() or parts.netloc.endswith(":443"):
        raise Refusal(
            "insecure_url", f"expected no user info, query, fragment, trailing slash or :443, found {short(url)}"
        )
    if port is not None and port < 1024:
        raise Refusal("insecure_url", f"expected port 443 or at least 1024, found {port}")


class Web:
    """The client side of HTTP: no redirects, bounded in size and time."""

    def __init__(self, *, insecure: bool, ca_file: str | None = None) -> None:
        self.insecure = insecure
        self.ca_file = ca_file

    def _check_address(self, host: str, port: int) -> None:
        try:
            found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except OSError as error:
            raise Refusal("unreachable", f"{host}: expected an address, found {error}") from error
        bad = sorted(address for address in found if not ipaddress.ip_address(address.partition("%")[0]).is_global)
        if bad and not self.insecure:
            raise Refusal("insecure_url", f"{host}: expected public addresses, found {bad}")

    def _connect(self, url: str, timeout: float) -> tuple[http.client.HTTPConnection, str]:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._check_address(host, port)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca_file)
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=context), target
        if parts.scheme != "http" or not self.insecure:
            raise Refusal("insecure_url", f"expected https, found {short(url)}")
        return http.client.HTTPConnection(host, port, timeout=timeout), target

    def ask(
        self,
        url: str,
        *,
        body: bytes | None = None,
        media_type: str = "application/jwt",
        headers: dict[str, str] | None = None,
        limit: int = RESPONSE_LIMIT,
        timeout: float = 10.0,
    ) -> Response:
        """One request; refused are redirects, what is too large or too slow, and unknown encodings."""
        deadline = time.monotonic() + timeout
        sent = {"Accept-Encoding": "identity"} | (headers or {}) | ({"Content-Type": media_type} if body else {})
        connection, target = self._connect(url, timeout)
        try:
            connection.request("GET" if body is None else "POST", target, body=body, headers=sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            if 300 <= answer.status < 400 and answer.status != 304:
                raise Refusal("redirect_refused", f"{url}: expected an answer, found status {answer.status}")
            data = self._read(answer, url, limit, deadline)
        except TimeoutError as error:
            raise Refusal("timeout", f"{url}: expected an answer within {timeout} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise Refusal("unreachable", f"{url}: expected an answer, found {error!r}") from error
        finally:
            connection.close()
        return Response(answer.status, found, self._unpack(data, found, url, limit))

    def _read(self, answer: http.client.HTTPResponse, url: str, limit: int, deadline: float) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while piece := answer.read1(65536):
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise Refusal("too_large", f"{url}: expected at most {limit} bytes, found more")
            if time.monotonic() > deadline:
                raise Refusal("timeout", f"{url}: expected the whole body in time, found {size} bytes")
        return b"".join(pieces)

    def _unpack(self, data: bytes, headers: dict[str, str], url: str, limit: int) -> bytes:
        encoding = headers.get("content-encoding", "identity").lower()
        if encoding == "identity":
            return data
        if encoding != "gzip":
            raise Refusal("bad_response", f"{url}: expected gzip or no encoding, found {encoding}")
        try:
            unpacker = zlib.decompressobj(31)
            plain = unpacker.decompress(data, limit + 1)
        except zlib.error as error:
            raise Refusal("bad_response", f"{url}: expected gzip, found {error}") from error
        if len(plain) > limit:
            raise Refusal("too_large", f"{url}: expected at most {limit} bytes decompressed, found more")
        if not unpacker.eof:
            raise Refusal("bad_response", f"{url}: expected whole gzip data, found a part")
        return plain


# ---------------------------------------------------------------- the report


@dataclass
class Report:
    """Every check made, and what deviates."""

    participant: str = ""
    url: str = ""
    checks: list[Json] = field(default_factory=list)
    observations: list[str] = field(default_factory=list)
    facts: Json = field(default_factory=dict)

    def check(
        self, section: str, what: str, ok: bool, expected: object = "", found: object = "", code: str | None = None
    ) -> bool:
        """Note one check; ``expected`` and ``found`` are kept where it fails."""
        entry: Json = {"section": section, "check": what, "ok": ok}
        if not ok:
            entry |= {"expected": short(expected, 400), "found": short(found, 400)}
            if code:
                entry["code"] = code
        self.checks.append(entry)
        return ok

    def require(self, section: str, what: str, ok: bool, code: str, expected: object, found: object) -> None:
        """A check without which nothing of this may be accepted."""
        if not ok:
            raise Refusal(code, f"{what}: expected {short(expected, 300)}, found {short(found, 300)}")
        self.check(section, what, ok)

    def media(self, section: str, answer: Response, expected: str, what: str) -> None:
        """Status 200 and the content type."""
        ok = answer.status == 200
        found = answer.status if ok else f"{answer.status} {answer.problem()}"
        self.require(section, f"{what}: status", ok, "bad_response", 200, found)
        self.require(section, f"{what}: content type", answer.media_type == expected, "bad_response", expected,
                     answer.media_type)  # fmt: skip

    def refused(self, refusal: Refusal) -> None:
        """The end of a run that accepts nothing."""
        self.check("9", "the run ends with data accepted", False, "acceptance", refusal.detail, refusal.code)
        self.facts["code"] = refusal.code

    def as_json(self) -> Json:
        """The report as printed."""
        deviations = [check for check in self.checks if not check["ok"]]
        return {
            "participant": self.participant,
            "url": self.url,
            "result": self.facts.get("code", "accepted"),
            "deviations": deviations,
            "observations": self.observations,
            "facts": self.facts,
            "checks": self.checks,
        }


# ---------------------------------------------------------------- configuration of this program


class Settings:
    """The configuration file."""

    def __init__(self, path: Path) -> None:
        self.file = path.resolve()
        self.folder = self.file.parent
        self.values: Json = strict_object(path.read_bytes(), str(path.name))
        self.participant: str = self.values["participant"]
        self.url: str = self.values["url"]
        self.insecure = bool(self.values.get("allow_insecure", False))
        if not PARTICIPANT.fullmatch(self.participant):
            raise SystemExit(f"expected a participant code, found {self.participant!r}")
        self.web = Web(insecure=self.insecure, ca_file=self.values.get("ca_file"))
        self.keys = KeyRing(self.path("keys", "keys.json"), self.values.get("anchor_service"))

    def path(self, name: str, default: str) -> Path:
        """A file of the configuration."""
        return self.folder / str(self.values.get(name, default))

    def peers(self) -> list[Json]:
        """Those of the configuration, then those pinned since."""
        path = self.path("pins", "pins.json")
        pinned = json.loads(path.read_text()) if path.exists() else []
        return [*self.values.get("peers", []), *pinned]

    def pin(self, peer: Json) -> None:
        """Trust a node for a code, by the federation key that the operator compared."""
        path = self.path("pins", "pins.json")
        others = json.loads(path.read_text()) if path.exists() else []
        write_private(path, [*(item for item in others if item["participant"] != peer["participant"]), peer])

    @property
    def anchor(self) -> Json | None:
        """The anchor's identifier and keys; the node's own service is its anchor where nothing else is said."""
        if "anchor" in self.values:
            return dict(self.values["anchor"])
        if "anchor_service" in self.values:
            return {"url": f"{self.url}/anchor", "jwks": self.keys.public("anchor")}
        return None


def write_private(path: Path, value: object) -> None:
    """Replace a file so that a crash leaves the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(json.dumps(value, ensure_ascii=False, indent=1).encode())
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)


class KeyRing:
    """Federation, operating and anchor keys; the first of each list signs."""

    def __init__(self, path: Path, anchor_service: Json | None) -> None:
        self.path = path
        kept: dict[str, list[Json]] = json.loads(path.read_text()) if path.exists() else {}
        self.rings = {use: [Signer(jwk) for jwk in jwks] for use, jwks in kept.items()}
        missing = {"federation": "EdDSA", "operating": "EdDSA"}
        if anchor_service is not None:
            missing["anchor"] = anchor_service.get("alg", "EdDSA")
        for use, alg in missing.items():
            if use not in self.rings:
                self.replace(use, [Signer.new(alg)])

    def replace(self, use: str, signers: list[Signer]) -> None:
        """Keep other keys for one use."""
        self.rings[use] = signers
        write_private(self.path, {use: [signer.jwk for signer in ring] for use, ring in self.rings.items()})

    def drop(self, kid: str) -> None:
        """Forget a key; the last of its use cannot go."""
        for use, ring in self.rings.items():
            rest = [signer for signer in ring if signer.kid != kid]
            if rest and len(rest) < len(ring):
                self.replace(use, rest)
                return
        raise Refusal("bad_request", f"expected a key that is not the only one of its use, found {short(kid)}")

    def signer(self, use: str) -> Signer:
        """The key that signs."""
        return self.rings[use][0]

    def public(self, use: str) -> Json:
        """The JWKS of one use."""
        return {"keys": [signer.public for signer in self.rings[use]]}


def read_token(settings: Settings, audience: str, now: int) -> str:
    """A token to read logs of the node ``audience``."""
    claims = {"iss": settings.url, "aud": audience, "iat": now, "exp": now + 300}
    return settings.keys.signer("operating").token(READ.typ, claims)


# ---------------------------------------------------------------- trust (section 3)


@dataclass(frozen=True)
class Configuration:
    """An entity configuration that was verified."""

    raw: str
    claims: Json
    federation: dict[str, Json]
    operating: dict[str, Json]

    @property
    def node(self) -> Json:
        """The part for this protocol."""
        return dict(self.claims["metadata"]["veza_node"])

    @property
    def participant(self) -> str:
        """The code that the node claims."""
        return str(self.node["participant"])

    @property
    def url(self) -> str:
        """The entity identifier."""
        return str(self.claims["iss"])

    def log_of(self, participant: str) -> str:
        """Where this node serves a log: its own at ``log``, those it relays beside it."""
        own = str(self.node["log"])
        return own if participant == self.participant else f"{own.rpartition('/')[0]}/{participant}"


def metadata_of(token: Token, name: str) -> Json:
    """One entity type of a statement's metadata."""
    metadata = token.claims.get("metadata")
    found = metadata.get(name) if isinstance(metadata, dict) else None
    if not isinstance(found, dict):
        raise Refusal("malformed", f"expected metadata.{name}, found {short(metadata)}")
    return found


def _refuse_policies(token: Token) -> None:
    bad = sorted({"crit", "metadata_policy", "metadata_policy_crit"} & token.claims.keys())
    if bad:
        raise Refusal("malformed", f"expected no crit and no metadata policy, found {bad}")


def read_statement(raw: str, keys: dict[str, Json], *, iss: str, sub: str, now: int) -> Token:
    """What an anchor says about itself or about a node (section 3)."""
    token = parse(raw, STATEMENT, ANCHOR_ALGORITHMS)
    check_party(token, iss, sub)
    check_signature(token, keys)
    check_times(token, now)
    _refuse_policies(token)
    return token


def _texts(value: Json, name: str) -> None:
    found = value.get(name, [])
    if not isinstance(found, list) or len(found) > 64 or not all(isinstance(item, str) for item in found):
        raise Refusal("malformed", f"{name}: expected at most 64 texts, found {short(found)}")


def read_configuration(
    raw: str,
    keys: dict[str, Json] | None,
    *,
    now: int,
    expiry: bool = True,
    url: str | None = None,
    participant: str | None = None,
) -> Configuration:
    """Verify a node's configuration with federation keys that trust established; with None, with those it lists."""
    token = parse(raw, STATEMENT)
    check_party(token, url or str(token.claims["iss"]))
    if token.claims["sub"] != token.claims["iss"]:
        raise Refusal("wrong_participant", f"expected sub to be iss, found {short(token.claims['sub'])}")
    check_signature(token, public_keys(token.claims["jwks"], "federation keys") if keys is None else keys)
    check_times(token, now, expiry=expiry)
    _refuse_policies(token)
    node = token.claims["metadata"].get("veza_node", {})
    if not isinstance(node, dict):
        raise Refusal("malformed", f"expected metadata.veza_node as an object, found {short(node)}")
    if type(node.get("protocol")) is not int or node["protocol"] != 1:
        raise Refusal("unsupported_version", f"expected protocol 1, found {short(node.get('protocol'))}")
    if token.integer("exp") - token.integer("iat") > 90 * DAY:
        raise Refusal("malformed", "expected a configuration of 90 days at most")
    if not isinstance(node.get("participant"), str) or not PARTICIPANT.fullmatch(node["participant"]):
        raise Refusal("malformed", f"expected a participant code, found {short(node.get('participant'))}")
    federation = public_keys(token.claims["jwks"], "federation keys")
    operating = public_keys(node.get("jwks"), "operating keys")
    if federation.keys() & operating.keys():
        raise Refusal(
            "key_reused", f"expected separate keys, found both uses of {sorted(federation.keys() & operating.keys())}"
        )
    for name in ("log", "messages", "checkpoints"):
        if not str(node.get(name, "")).startswith(f"{token.claims['iss']}/"):
            raise Refusal("insecure_url", f"expected {name} below {token.claims['iss']}/, found {node.get(name)}")
    entity = token.claims["metadata"].get("federation_entity", {})
    if not isinstance(entity, dict) or not isinstance(entity.get("organization_name", ""), str):
        raise Refusal("malformed", f"expected metadata.federation_entity with a name, found {short(entity)}")
    _texts(entity, "contacts")
    _texts(token.claims, "authority_hints")
    _texts(node, "readers")
    if participant is not None and node["participant"] != participant:
        raise Refusal("wrong_participant", f"expected {participant}, found {node['participant']}")
    return Configuration(raw, token.claims, federation, operating)


def follow_chain(
    tokens: Sequence[str], start: dict[str, Json], *, now: int, url: str, participant: str
) -> list[Configuration]:
    """The configurations that lead on from the federation keys held or pinned (section 3, chains)."""
    if not 1 <= len(tokens) <= CHAIN_LIMIT:
        raise Refusal("too_large", f"expected 1 to {CHAIN_LIMIT} configurations, found {len(tokens)}")
    rest = list(itertools.dropwhile(lambda raw: parse(raw, STATEMENT).header["kid"] not in start, tokens))
    if not rest:
        raise Refusal("unknown_key", f"expected a chain from {sorted(start)}, found none")
    keys, found = start, list[Configuration]()
    for number, raw in enumerate(rest, 1):
        one = read_configuration(raw, keys, now=now, expiry=number == len(rest), url=url, participant=participant)
        if found and one.claims["iat"] <= found[-1].claims["iat"]:
            raise Refusal("rollback", f"expected iat after {found[-1].claims['iat']}, found {one.claims['iat']}")
        keys = one.federation
        found.append(one)
    return found


def pinned_keys(tokens: Iterable[str], thumbprint_: str) -> dict[str, Json]:
    """The key of this thumbprint, from whichever configuration shows it: the name is the proof."""
    for raw in tokens:
        shown = public_keys(parse(raw, STATEMENT).claims["jwks"], "federation keys")
        if thumbprint_ in shown:
            return {thumbprint_: shown[thumbprint_]}
    raise Refusal("unknown_key", f"expected a configuration that lists the pinned key {thumbprint_}, found none")


# ---------------------------------------------------------------- checkpoints beside what is held (section 5)


def standing(held: Json, offered: Json, *, relayed: bool) -> str:
    """``fresh``, ``ahead``, ``older``, or the code with which the offered checkpoint is refused."""
    if offered["size"] > held["size"]:
        return "ahead"
    if offered["size"] == held["size"]:
        if offered["root"] != held["root"]:
            return "fork"
        if offered["iat"] >= held["iat"]:
            return "fresh"
    return "older" if relayed else "rollback"


# ---------------------------------------------------------------- evidence of two histories (section 5, fork)

EVIDENCE = {"participant", "held", "offered", "configurations", "headers", "proofs"}


def make_evidence(
    participant: str, held: tuple[str, Sequence[bytes]], offered: tuple[str, Sequence[bytes]], shown: Sequence[str]
) -> Json:
    """What proves that two checkpoints contradict each other, from the headers of both histories."""
    found: Json = {"participant": participant, "held": held[0], "offered": offered[0], "configurations": list(shown)}
    sizes = [parse(token, CHECKPOINT).integer("size") for token, _ in (held, offered)]
    found |= {"headers": [], "proofs": {"held": [], "offered": []}}
    if sizes[0] != sizes[1]:
        mine, theirs = held[1][: sizes[0]], offered[1][: sizes[1]]
        seq = next(seq for seq, (one, other) in enumerate(zip(mine, theirs, strict=False)) if one != other)
        found["headers"] = [[seq, mine[seq].decode(), theirs[seq].decode()]]
        found["proofs"] = {
            "held": [b64(step) for step in inclusion_path(mine, seq)],
            "offered": [b64(step) for step in inclusion_path(theirs, seq)],
        }
    return found


def _evidence_members(value: object) -> Json:
    if not isinstance(value, dict) or set(value) != EVIDENCE:
        raise Refusal("malformed", f"expected exactly {sorted(EVIDENCE)}, found {short(value)}")
    tokens, proofs = value["configurations"], value["proofs"]
    if not isinstance(proofs, dict) or set(proofs) != {"held", "offered"}:
        raise Refusal("malformed", f"expected proofs of held and offered, found {short(proofs)}")
    if not isinstance(tokens, list) or not tokens:
        raise Refusal("malformed", "expected the configurations that hold the keys, found none")
    if not all(isinstance(text, str) for text in (value["participant"], value["held"], value["offered"], *tokens)):
        raise Refusal("malformed", "expected the participant and the tokens as texts")
    return value


def _divergence(evidence: Json) -> tuple[int, list[tuple[bytes, list[bytes]]]]:
    """The number, and for held and offered the header with its path."""
    try:
        ((seq, mine, theirs),) = evidence["headers"]
        paths = [[unb64(step) for step in evidence["proofs"][side]] for side in ("held", "offered")]
        headers = [mine.encode(), theirs.encode()]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Refusal("malformed", f"expected one [seq, header, header] and two paths, found {error!r}") from error
    if type(seq) is not int:
        raise Refusal("malformed", f"expected seq as a whole number, found {short(seq)}")
    return seq, list(zip(headers, paths, strict=True))


def check_evidence(value: object) -> Json:
    """What the evidence proves, from its bytes alone; a Refusal says why it proves nothing."""
    evidence = _evidence_members(value)
    keys: dict[str, Json] | None = None
    operating: dict[str, Json] = {}
    first: Configuration | None = None
    for raw in evidence["configurations"]:
        at = parse(raw, STATEMENT).integer("iat")
        one = read_configuration(
            raw, keys, now=at, expiry=False, url=first and first.url, participant=evidence["participant"]
        )
        first, keys = first or one, one.federation
        operating |= one.operating
    assert first is not None
    tokens = [parse(evidence[side], CHECKPOINT) for side in ("held", "offered")]
    for token in tokens:
        check_party(token, first.url, first.participant)
        check_signature(token, operating)
        check_times(token, token.integer("iat"), expiry=False)
    sizes, roots = ([token.claims[name] for token in tokens] for name in ("size", "root"))
    if sizes[0] == sizes[1]:
        if roots[0] == roots[1]:
            raise Refusal("root_mismatch", f"expected two roots at size {sizes[0]}, found one")
    else:
        seq, sides = _divergence(evidence)
        if seq >= min(sizes) or sides[0][0] == sides[1][0]:
            raise Refusal("root_mismatch", f"expected two headers in one place of both logs, found entry {seq}")
        for (header, path), size, root in zip(sides, sizes, roots, strict=True):
            if b64(proven_root(leaf_hash(header), seq, size, path)) != root:
                raise Refusal("root_mismatch", f"expected a path to the root at size {size}, found another root")
    kid = parse(first.raw, STATEMENT).header["kid"]
    return {"participant": first.participant, "url": first.url, "sizes": sizes, "federation_key": kid}


@dataclass(frozen=True)
class Target:
    """A node to follow: its identifier and code; pinned by a thumbprint, or under the anchor."""

    url: str
    participant: str
    thumbprint: str | None = None

    @classmethod
    def of(cls, value: Json) -> Target:
        """From the configuration."""
        return cls(value["url"], value["participant"], value.get("thumbprint"))


class Trust:
    """What the anchor and the operator say about other nodes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.web = settings.web

    def _statement(self, raw: str, sub: str, report: Report, now: int) -> Token:
        anchor = self.settings.anchor
        assert anchor is not None
        keys = public_keys(anchor["jwks"], "the anchor's keys", anchor=True)
        token = read_statement(raw, keys, iss=anchor["url"], sub=sub, now=now)
        report.check("3", f"anchor: statement about {sub} verified", True)
        return token

    def anchor_endpoints(self, report: Report, now: int) -> Json:
        """The list and fetch endpoints that the anchor announces."""
        anchor = self.settings.anchor
        if anchor is None:
            raise Refusal("unknown_participant", "expected an anchor or a pinned key, found neither")
        answer = self.web.ask(f"{anchor['url']}/.well-known/openid-federation", limit=TOKEN_LIMIT)
        report.media("3", answer, ENTITY_TYPE, "anchor configuration")
        token = self._statement(answer.text, anchor["url"], report, now)
        report.check("3", "anchor: no intermediates", "authority_hints" not in token.claims, "no authority_hints",
                     token.claims.get("authority_hints"))  # fmt: skip
        entity = metadata_of(token, "federation_entity")
        for name in ("federation_list_endpoint", "federation_fetch_endpoint"):
            found = entity.get(name)
            report.require("3", f"anchor: {name}", isinstance(found, str), "malformed", "a URL", found)
            report.check("1", f"anchor: {name} below its identifier", str(found).startswith(f"{anchor['url']}/"),
                         f"{anchor['url']}/…", found, "insecure_url")  # fmt: skip
        return entity

    def anchor_list(self, report: Report, endpoints: Json) -> list[str]:
        """The entity identifiers that the anchor lists."""
        answer = self.web.ask(endpoints["federation_list_endpoint"], limit=RESPONSE_LIMIT)
        report.media("3", answer, "application/json", "anchor list")
        found = strict_json(answer.body, "the anchor's list")
        ok = isinstance(found, list) and all(isinstance(item, str) for item in found)
        report.require("3", "anchor list: an array of identifiers", ok, "malformed", "an array of strings", found)
        return list(found)

    def anchor_statement(self, url: str, report: Report, endpoints: Json, now: int) -> Token:
        """The subordinate statement about one node."""
        answer = self.web.ask(f"{endpoints['federation_fetch_endpoint']}?sub={quote(url, safe='')}", limit=TOKEN_LIMIT)
        if answer.status == 404:
            error = strict_object(answer.body, "the anchor's 404").get("error")
            report.check("3", "anchor: 404 says not_found", error == "not_found", "not_found", error)
            raise Refusal("unknown_participant", f"expected a statement about {url}, found 404 {error}")
        report.media("3", answer, ENTITY_TYPE, "anchor statement")
        token = self._statement(answer.text, url, report, now)
        life = token.integer("exp") - token.integer("iat")
        report.check("3", "anchor statement: lives 30 days at most", life <= 30 * DAY, 30 * DAY, life)
        return token

    def _anchored(self, target: Target, report: Report, now: int) -> dict[str, Json]:
        endpoints = self.anchor_endpoints(report, now)
        listed = self.anchor_list(report, endpoints)
        report.require("3", "anchor: the node is listed", target.url in listed, "unknown_participant", target.url,
                       listed)  # fmt: skip
        token = self.anchor_statement(target.url, report, endpoints, now)
        granted = metadata_of(token, "veza_node").get("participant")
        report.require("3", "anchor: the code granted", granted == target.participant, "wrong_participant",
                       target.participant, granted)  # fmt: skip
        return public_keys(token.claims["jwks"], "keys of the subordinate statement")

    def _pinned(self, target: Target, raw: str, chain: list[str], now: int) -> dict[str, Json]:
        """The keys to which the chain of configurations leads from the key pinned."""
        tokens = chain if raw in chain else [*chain, raw]
        start = pinned_keys(tokens, target.thumbprint or "")
        if parse(raw, STATEMENT).header["kid"] in start:
            return start
        followed = follow_chain(tokens, start, now=now, url=target.url, participant=target.participant)
        return followed[-2].federation if len(followed) > 1 and followed[-1].raw == raw else followed[-1].federation

    def bind(self, target: Target, report: Report, now: int, chain: Sequence[str] = ()) -> Configuration:
        """Fetch a node's configuration and verify it by the anchor, or by the key pinned."""
        check_identifier(target.url, insecure=self.settings.insecure)
        anchored = None if target.thumbprint else self._anchored(target, report, now)
        answer = self.web.ask(f"{target.url}/.well-known/openid-federation", limit=TOKEN_LIMIT)
        report.media("3", answer, ENTITY_TYPE, "entity configuration")
        keys = self._pinned(target, answer.text, list(chain), now) if anchored is None else anchored
        found = read_configuration(answer.text, keys, now=now)
        report.require("2", "entity configuration: iss and sub", found.url == target.url, "wrong_issuer", target.url,
                       found.url)  # fmt: skip
        report.require("3", "entity configuration: participant", found.participant == target.participant,
                       "wrong_participant", target.participant, found.participant)  # fmt: skip
        return found

    def lookup(self, url: str, now: int) -> Configuration:
        """Who a stranger is: pinned, or listed by the anchor."""
        report = Report()
        for value in self.settings.peers():
            if value["url"] == url and value.get("thumbprint"):
                return self.bind(Target.of(value), report, now, self.chain(url, value["participant"], Report()))
        endpoints = self.anchor_endpoints(report, now)
        if url not in self.anchor_list(report, endpoints):
            raise Refusal("unknown_participant", f"expected a node that the anchor lists, found {short(url)}")
        statement = self.anchor_statement(url, report, endpoints, now)
        return self.bind(Target(url, str(metadata_of(statement, "veza_node").get("participant"))), report, now)

    def chain(self, url: str, participant: str, report: Report) -> list[str]:
        """The configurations array of a participant, as served by one node."""
        answer = self.web.ask(f"{url}/federation/v1/configurations/{participant}")
        report.media("3", answer, "application/json", "configurations")
        found = strict_json(answer.body, "the configurations")
        ok = isinstance(found, list) and bool(found) and all(isinstance(item, str) for item in found)
        report.require("3", "configurations: an array of tokens", ok, "malformed", "an array of strings", found)
        report.require("3", "configurations: 256 at most", len(found) <= 256, "too_large", 256, len(found))
        return list(found)

    def known(self, now: int) -> list[str]:
        """Every other node that is pinned here or listed by the anchor."""
        found = [str(peer["url"]) for peer in self.settings.peers()]
        if self.settings.anchor is not None:
            report = Report()
            found += self.anchor_list(report, self.anchor_endpoints(report, now))
        return [url for url in dict.fromkeys(found) if url != self.settings.url]

    def everybody(self, report: Report, now: int) -> list[Target]:
        """Every node that the anchor lists, but this one."""
        if self.settings.anchor is None:
            return [Target.of(value) for value in self.settings.peers()]
        endpoints = self.anchor_endpoints(report, now)
        targets = []
        for url in self.anchor_list(report, endpoints):
            if url != self.settings.url:
                statement = self.anchor_statement(url, report, endpoints, now)
                targets.append(Target(url, str(metadata_of(statement, "veza_node").get("participant"))))
        return targets


# ---------------------------------------------------------------- entries (sections 4 and 6)


@dataclass(frozen=True)
class Header:
    """A well-formed header."""

    seq: int
    record: str
    op: str
    at: int
    digest: str | None


def read_header(raw: bytes) -> Header:
    """A header of section 4; ``bad_entry`` where it is none."""
    try:
        value = strict_object(raw, "the header")
        at = read_instant(value.get("at"))
        if "digest" in value and len(unb64(value["digest"], "digest")) != 32:
            raise Refusal("malformed", f"expected a digest of 32 bytes, found {value['digest']}")
    except Refusal as refusal:
        raise Refusal("bad_entry", refusal.detail) from refusal
    op, names = value.get("op"), {"seq", "record", "op", "at"}
    digest = op == "put" or (op != "delete" and "digest" in value)  # a word of a newer version may have one
    ok = set(value) == (names | {"digest"} if digest else names) and isinstance(op, str) and OPERATION.fullmatch(op)
    if (
        not ok
        or type(value["seq"]) is not int
        or value["seq"] < 0
        or not isinstance(value["record"], str)
        or not RECORD.fullmatch(value["record"])
    ):
        raise Refusal("bad_entry", f"expected a header of exactly {sorted(names)}, found {short(value)}")
    if b"\n" in raw or b"\r" in raw:
        raise Refusal("bad_entry", "expected a header without line breaks, found one")
    return Header(value["seq"], value["record"], value["op"], at, value.get("digest"))


def read_line(line: bytes, seq: int) -> tuple[bytes, bytes | None]:
    """One line of a page: the exact bytes of header and payload."""
    try:
        pair = strict_json(line, f"entry {seq}", nul=True)
    except Refusal as refusal:
        raise Refusal("bad_entry", refusal.detail) from refusal
    ok = isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)
    if not ok or not (pair[1] is None or isinstance(pair[1], str)):
        raise Refusal("bad_entry", f"entry {seq}: expected [header, payload or null], found {short(pair)}")
    header, payload = pair[0].encode(), None if pair[1] is None else pair[1].encode()
    if len(header) > HEADER_LIMIT or (payload is not None and len(payload) > PAYLOAD_LIMIT):
        sizes = (len(header), len(payload or b""))
        raise Refusal("too_large", f"entry {seq}: expected at most {HEADER_LIMIT} and {PAYLOAD_LIMIT}, found {sizes}")
    return header, payload


def read_page(body: bytes, count: int, most: int, start: int) -> list[tuple[bytes, bytes | None]]:
    """Check (1) of section 6: the first ``count`` entries of a page that can hold ``most``."""
    lines = body.removesuffix(b"\n").split(b"\n") if body else []
    if not count <= len(lines) <= most:
        raise Refusal("bad_range", f"entries from {start}: expected {count} to {most} lines, found {len(lines)}")
    return [read_line(line, start + number) for number, line in enumerate(lines[:count])]


def check_digests(headers: Sequence[bytes], payloads: Sequence[bytes | None]) -> None:
    """Check (3) of section 6: each payload is the one that its header covers."""
    for seq, (raw, payload) in enumerate(zip(headers, payloads, strict=True)):
        if payload is None:
            continue
        try:
            digest = strict_object(raw).get("digest")
        except Refusal:
            digest = None
        found = b64(hashlib.sha256(payload).digest())
        if digest != found:
            raise Refusal("bad_digest", f"entry {seq}: expected digest {short(digest)}, found {found}")


def write_line(header: bytes, payload: bytes | None) -> bytes:
    """One line of a page."""
    return compact([header.decode(), None if payload is None else payload.decode()]) + b"\n"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_names(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(item, str) for item in value.values())


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


NEEDED: dict[str, dict[str, Callable[[object], bool]]] = {
    "participant": {"names": _is_names, "timezone": _is_text, "languages": _is_texts, "channels": _is_object},
    "agency": {"name": _is_names, "kind": _is_text, "level": _is_text},
    "unit": {"name": _is_names, "kind": _is_text, "level": _is_text, "area": _is_texts, "crime_areas": _is_texts,
             "channels": _is_texts, "languages": _is_texts, "hours": _is_text},
    "member": {"name": lambda value: _is_text(value) or _is_names(value)},
    "rota": {"time_zone": _is_text, "layers": _is_list},
    "outage": {"channel": _is_text, "from": _is_text},
}  # fmt: skip


def read_payload(payload: bytes) -> Json:
    """The record in a payload of section 4; ``bad_entry`` where it is none."""
    try:
        value = strict_object(payload, "the payload")
        salt = unb64(value.get("salt"), "salt")
    except Refusal as refusal:
        raise Refusal("bad_entry", refusal.detail) from refusal
    data = value.get("data")
    if set(value) != {"salt", "data"} or len(salt) != 16 or not isinstance(data, dict):
        raise Refusal("bad_entry", f"expected a salt of 16 bytes and data, found {short(sorted(value))}")
    if b"\n" in payload or b"\r" in payload:
        raise Refusal("bad_entry", "expected a payload without line breaks, found one")
    return data


def check_record(participant: str, record: str, payload: bytes) -> None:
    """The payload of section 4 and the shape of its record; only what every record of a type must hold."""
    data = read_payload(payload)
    kind, _, slug = record.partition("/")
    for name, test in NEEDED[kind].items():
        if not test(data.get(name)):
            raise Refusal("bad_entry", f"{record}: member {name} is not of its shape: {short(data.get(name))}")
    if kind == "participant":
        code = data.get("country", data.get("organisation"))
        if slug != "self" or code != participant:
            raise Refusal("wrong_participant", f"expected participant/self of {participant}, found {record} of {code}")


# ---------------------------------------------------------------- a log as it is held and served


@dataclass
class Log:
    """Headers, payloads, the checkpoint over them, and the configurations that hold its keys."""

    participant: str
    origin: str = ""
    headers: list[bytes] = field(default_factory=list)
    payloads: list[bytes | None] = field(default_factory=list)
    checkpoint: str = ""
    configurations: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    superseded: dict[int, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many entries there are."""
        return len(self.headers)

    def latest(self) -> dict[str, int]:
        """The last entry of each record, by the headers that are well formed."""
        found: dict[str, int] = {}
        for seq, raw in enumerate(self.headers):
            try:
                found[read_header(raw).record] = seq
            except Refusal:
                continue
        return found

    def page(self, start: int) -> list[bytes]:
        """The lines from ``start`` to the next multiple of 256, or to the size."""
        end = min((start // PAGE + 1) * PAGE, self.size)
        return [write_line(self.headers[seq], self.payloads[seq]) for seq in range(start, end)]

    def save(self, path: Path) -> None:
        """Keep it, durably."""
        write_private(path, {
            "participant": self.participant, "origin": self.origin, "checkpoint": self.checkpoint,
            "headers": [header.decode() for header in self.headers],
            "payloads": [None if payload is None else payload.decode() for payload in self.payloads],
            "configurations": self.configurations, "accepted": self.accepted, "superseded": self.superseded,
        })  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> Log | None:
        """What is kept, if anything."""
        if not path.exists():
            return None
        kept: Json = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            kept["participant"], kept["origin"], [text.encode() for text in kept["headers"]],
            [None if text is None else text.encode() for text in kept["payloads"]], kept["checkpoint"],
            kept["configurations"], kept.get("accepted", []), {int(seq): at for seq, at in kept["superseded"].items()},
        )  # fmt: skip


# ---------------------------------------------------------------- following


@dataclass
class Fetched:
    """The entries served up to a checkpoint's size."""

    headers: list[bytes] = field(default_factory=list)
    payloads: list[bytes | None] = field(default_factory=list)


class Follower:
    """One run over one participant's log; it fetches all from 0 and compares with what was held."""

    def __init__(self, settings: Settings, target: Target, now: int) -> None:
        self.settings = settings
        self.target = target
        self.now = now
        self.trust = Trust(settings)
        self.report = Report(target.participant, target.url)
        self.path = settings.path("held", "held") / f"{target.participant}.json"
        self.held = Log.load(self.path)

    def run(self) -> Report:
        """Follow, and say what was found."""
        try:
            self._run()
        except Refusal as refusal:
            self.report.refused(refusal)
        return self.report

    def _run(self) -> None:
        configuration = self._configuration()
        base = str(configuration.node["log"])
        ending = f"/logs/{self.target.participant}"
        self.report.check("5", "log URL ends with /logs/<participant>", base.endswith(ending), f"…{ending}", base)
        token, fetched = self._settled(base, configuration)
        self._records(fetched, token)
        self._gossip(configuration, token, fetched)
        self._ask_peers(configuration, token, fetched)
        self._keep(configuration, token, fetched)
        if self.settings.values.get("probes", True):
            Prober(self, configuration, token).run()

    # ---- configuration

    def _configuration(self) -> Configuration:
        chain = self.trust.chain(self.target.url, self.target.participant, self.report)
        found = self.trust.bind(self.target, self.report, self.now, chain)
        self._published_members(found)
        self._chain(chain, found)
        held = [parse(raw, STATEMENT) for raw in (self.held.configurations[-1:] if self.held else [])]
        for last in held:
            older = found.claims["iat"] < last.claims["iat"]
            swapped = found.claims["iat"] == last.claims["iat"] and found.raw != last.raw
            self.report.require("3", "entity configuration: not older than the one held", not (older or swapped),
                                "rollback", f"iat after {last.claims['iat']}", found.claims["iat"])  # fmt: skip
        return found

    def _published_members(self, found: Configuration) -> None:
        check, claims = self.report.check, found.claims
        own = parse(found.raw, STATEMENT).header["kid"] in found.federation
        check("3", "entity configuration: signed with a key that it lists", own, sorted(found.federation), "another")
        entity = claims["metadata"].get("federation_entity")
        named = isinstance(entity, dict) and _is_text(entity.get("organization_name"))
        check("3", "entity configuration: organization_name", named, "a name", entity)
        contacts = entity.get("contacts") if isinstance(entity, dict) else None
        check("3", "entity configuration: contacts", _is_texts(contacts), "a list of strings", contacts)
        anchor = self.settings.anchor
        if anchor and not self.target.thumbprint:
            hints = claims.get("authority_hints")
            ok = isinstance(hints, list) and anchor["url"] in hints
            check("3", "entity configuration: authority_hints name the anchor", ok, anchor["url"], hints)
        life = claims["exp"] - claims["iat"]
        check("3", "entity configuration: lives 90 days at most", life <= 90 * DAY, 90 * DAY, life)
        for use, jwks in (("federation", claims["jwks"]), ("operating", found.node["jwks"])):
            unnamed = sum("kid" not in key for key in jwks["keys"])
            if unnamed:
                self.report.observations.append(f"{use} keys: {unnamed} without kid, which OpenID Federation asks for")

    def _chain(self, chain: list[str], current: Configuration) -> None:
        previous: Configuration | None = None
        for raw in chain:
            keys = previous.federation if previous else public_keys(parse(raw, STATEMENT).claims["jwks"], "jwks")
            found = read_configuration(raw, keys, now=self.now, expiry=raw == chain[-1])
            if previous:
                later = found.claims["iat"] > previous.claims["iat"]
                self.report.check("3", "configurations: oldest first, iat at least 1 s apart", later,
                                  f"after {previous.claims['iat']}", found.claims["iat"])  # fmt: skip
            ok = (found.url, found.participant) == (current.url, current.participant)
            self.report.check("3", "configurations: of this node", ok, current.url, found.url)
            previous = found
        changes = [parse(raw, STATEMENT).claims["jwks"] for raw in chain[:-1]]
        repeated = any(one == two for one, two in itertools.pairwise(changes))
        self.report.check("3", "configurations: only those with which the federation keys changed", not repeated,
                          "a change each", "equal keys in a row")  # fmt: skip
        assert previous is not None
        newer = previous.raw == current.raw or previous.claims["iat"] != current.claims["iat"]
        self.report.check("3", "configurations: the last is the current one", newer, "the same bytes", "other bytes")

    # ---- checkpoint

    def get(self, url: str, audience: str, **headers: str) -> Response:
        """A request of section 5 or 6."""
        sent = {"Authorization": f"Bearer {read_token(self.settings, audience, clock())}"} | headers
        return self.settings.web.ask(url, headers=sent, timeout=60.0)

    def _checkpoint(self, base: str, configuration: Configuration) -> Token:
        answer = self.get(f"{base}/checkpoint", configuration.url)
        self.report.media("5", answer, "application/jwt", "checkpoint")
        cached = answer.headers.get("cache-control", "")
        directives = {item.strip().lower() for item in cached.split(",")}
        self.report.check("5", "checkpoint: Cache-Control", "no-store" in directives, "no-store", cached)
        token = parse(answer.text, CHECKPOINT)
        check_party(token, configuration.url, self.target.participant)
        check_signature(token, configuration.operating)
        check_times(token, self.now)
        self.report.check("5", "checkpoint verified", True)
        age = self.now - token.integer("iat")
        self.report.check("5", "checkpoint: made at least once an hour", age <= 3600 + SKEW, "1 h at most", f"{age} s")
        life = token.integer("exp") - token.integer("iat")
        if life != 2 * DAY:
            self.report.observations.append(f"checkpoint: exp is {life} s after iat, 48 h is the default")
        return token

    def _rolled_back(self, token: Token) -> bool:
        if self.held is None:
            return False
        kept = parse(self.held.checkpoint, CHECKPOINT)
        size, held = token.integer("size"), kept.integer("size")
        return size < held or (size == held and token.integer("iat") < kept.integer("iat"))

    def _judged(self, base: str, configuration: Configuration) -> Token:
        """A checkpoint that is no rollback and no fork of the same size; a rollback counts when asked twice."""
        token = self._checkpoint(base, configuration)
        if self._rolled_back(token):
            token = self._checkpoint(base, configuration)
        self.report.require("5", "checkpoint: not older than the one held", not self._rolled_back(token), "rollback",
                            self.held and self.held.checkpoint, token.raw)  # fmt: skip
        if self.held is not None and self.held.size == token.integer("size"):
            root = parse(self.held.checkpoint, CHECKPOINT).claims["root"]
            self._same_history(root, token, configuration)
        return token

    def _same_history(
        self, held: str, token: Token, configuration: Configuration, headers: Sequence[bytes] = ()
    ) -> None:
        """The root of what is held at the size of ``token`` is the one signed there, or it is a fork."""
        if held != token.claims["root"] and self.held is not None:
            shown = [raw for raw in self.held.accepted if raw != configuration.raw]
            mine = (self.held.checkpoint, self.held.headers)
            self.report.facts["evidence"] = make_evidence(
                self.target.participant, mine, (token.raw, headers), [*shown, configuration.raw]
            )
        self.report.require("5", "checkpoint: the history held is kept", held == token.claims["root"], "fork", held,
                            token.claims["root"])  # fmt: skip

    def _settled(self, base: str, configuration: Configuration) -> tuple[Token, Fetched]:
        """Checkpoint and entries; where a payload is missing, the newest ones, as long as the log grows."""
        token = self._judged(base, configuration)
        while True:
            fetched = self._entries(base, configuration.url, token.integer("size"))
            self._root(fetched, token, configuration)
            check_digests(fetched.headers, fetched.payloads)
            self.report.check("6", "payload digests", True)
            missing = self._withheld(fetched)
            if not missing:
                break
            newer = self._judged(base, configuration)
            self.report.require("6", "current payloads are all there", newer.integer("size") > token.integer("size"),
                                "withheld_payload", "a payload", f"none for {missing[:5]}")  # fmt: skip
            token = newer
        self.report.check("6", "current payloads are all there", True)
        return token, fetched

    # ---- entries

    def _entries(self, base: str, audience: str, size: int) -> Fetched:
        fetched = Fetched()
        unescaped = 0
        while len(fetched.headers) < size:
            start = len(fetched.headers)
            answer = self.get(f"{base}/entries?start={start}", audience, **{"Accept-Encoding": "gzip"})
            if answer.status == 404:
                raise Refusal("bad_range", f"expected entries from {start} to {size}, found 404 {answer.problem()}")
            self.report.media("6", answer, "application/x-ndjson", f"entries from {start}")
            lines = answer.body.removesuffix(b"\n").split(b"\n") if answer.body else []
            wanted = min((start // PAGE + 1) * PAGE, size) - start
            most = (start // PAGE + 1) * PAGE - start
            self.report.require("6", f"entries from {start}: number of lines", wanted <= len(lines) <= most,
                                "bad_range", f"{wanted} to {most}", len(lines))  # fmt: skip
            for number, line in enumerate(lines[:wanted]):
                header, payload = read_line(line, start + number)
                fetched.headers.append(header)
                fetched.payloads.append(payload)
                unescaped += line + b"\n" != write_line(header, payload)
        if size:
            self.report.check("6", "lines escape only what JSON requires", not unescaped, "compact JSON",
                              f"{unescaped} lines that differ when written again")  # fmt: skip
        return fetched

    def _root(self, fetched: Fetched, token: Token, configuration: Configuration) -> None:
        root = b64(merkle_root(fetched.headers))
        self.report.require("4", "Merkle root", root == token.claims["root"], "root_mismatch", token.claims["root"],
                            root)  # fmt: skip
        if self.held is None:
            return
        before = parse(self.held.checkpoint, CHECKPOINT)
        prefix = b64(merkle_root(fetched.headers[: before.integer("size")]))
        if prefix != before.claims["root"]:
            self._same_history(prefix, token, configuration, fetched.headers)

    def _withheld(self, fetched: Fetched) -> list[str]:
        log = Log(self.target.participant, headers=fetched.headers)
        return [
            record
            for record, seq in log.latest().items()
            if fetched.payloads[seq] is None and read_header(fetched.headers[seq]).op == "put"
        ]

    def _entry_fault(self, seq: int, raw: bytes, payload: bytes | None) -> Refusal | None:
        try:
            header = read_header(raw)
            if header.seq != seq:
                raise Refusal("bad_entry", f"expected seq {seq}, found {header.seq}")
            if header.op not in ("put", "delete"):
                raise Refusal("bad_entry", f"expected op put or delete, found {header.op}")
            if header.record.partition("/")[0] not in RECORD_TYPES:
                raise Refusal("bad_entry", f"{UNKNOWN_TYPE}: {header.record}")
            if payload is not None:
                check_record(self.target.participant, header.record, payload)
        except Refusal as refusal:
            return refusal
        return None

    def _records(self, fetched: Fetched, token: Token) -> None:
        latest = Log(self.target.participant, headers=fetched.headers).latest()
        skipped: list[Json] = []
        stale: list[int] = []
        for seq, (raw, payload) in enumerate(zip(fetched.headers, fetched.payloads, strict=True)):
            fault = self._entry_fault(seq, raw, payload)
            if fault is not None:
                skipped.append({"seq": seq, "code": fault.code, "detail": fault.detail})
                continue
            last = latest[read_header(raw).record]
            if payload is not None and last != seq and read_header(fetched.headers[last]).at < self.now - 3600 - SKEW:
                stale.append(seq)
        faults = [item for item in skipped if not item["detail"].startswith(UNKNOWN_TYPE)]
        self.report.check("6", "each record is as section 4 and the directory say", not faults, "no fault", faults)
        self.report.check("4", "superseded payloads are erased after an hour", not stale, "null", stale[:20])
        puts = {record: seq for record, seq in latest.items() if read_header(fetched.headers[seq]).op == "put"}
        counts: dict[str, int] = {}
        for record in puts:
            counts[record.partition("/")[0]] = counts.get(record.partition("/")[0], 0) + 1
        selves = int("participant/self" in puts)
        if fetched.headers and not selves:
            self.report.observations.append("the log has no participant/self")
        self.report.facts |= {
            "size": token.integer("size"), "root": token.claims["root"], "checkpoint": token.raw, "records": counts,
            "skipped": skipped, "erased": sum(payload is None for payload in fetched.payloads),
        }  # fmt: skip

    # ---- relays and gossip (section 7)

    def _ask_peers(self, configuration: Configuration, token: Token, fetched: Fetched) -> None:
        """What up to three peers hold of this participant: older says nothing, newer that the origin withholds."""
        others = [url for url in self.trust.known(self.now) if url not in (self.target.url, self.settings.url)]
        for url in others[: int(self.settings.values.get("gossip", 3))]:
            try:
                peer = self.trust.lookup(url, self.now)
                answer = self.get(f"{peer.log_of(self.target.participant)}/checkpoint", peer.url)
                if answer.status != 200:
                    continue
                other = parse(answer.text, CHECKPOINT)
                check_party(other, configuration.url, self.target.participant)
                check_signature(other, configuration.operating)
                check_times(other, self.now, expiry=False)
            except Refusal as refusal:
                self.report.observations.append(f"peer {url}: {refusal}")
                continue
            self._compare(url, other, configuration, token, fetched)

    def _compare(self, url: str, other: Token, configuration: Configuration, token: Token, fetched: Fetched) -> None:
        size = other.integer("size")
        if size > token.integer("size"):
            self.report.observations.append(f"peer {url} holds {size} entries: the origin is withholding")
            self.report.facts["withholding"] = url
            return
        if b64(merkle_root(fetched.headers[:size])) == other.claims["root"]:
            return
        peer = self.trust.lookup(url, self.now)
        headers = self._entries(peer.log_of(self.target.participant), peer.url, size).headers if size < token.integer(
            "size") else []  # fmt: skip
        shown = [*(self.held.accepted if self.held else []), configuration.raw]
        self.report.facts["evidence"] = make_evidence(
            self.target.participant, (token.raw, fetched.headers), (other.raw, headers), list(dict.fromkeys(shown))
        )
        raise Refusal("fork", f"{url} holds another root of {self.target.participant} at size {size}")

    def _gossip(self, configuration: Configuration, token: Token, fetched: Fetched) -> None:
        for url in self.settings.values.get("relays", []):
            try:
                relay = self.trust.lookup(url, self.now)
                self._relay(relay, configuration, token, fetched)
            except Refusal as refusal:
                self.report.check("7", f"relay {url}", False, "the log byte for byte", refusal.detail, refusal.code)

    def _relay(self, relay: Configuration, origin: Configuration, token: Token, fetched: Fetched) -> None:
        base = relay.log_of(self.target.participant)
        answer = self.get(f"{base}/checkpoint", relay.url)
        if answer.status == 404:
            self.report.observations.append(f"relay {relay.url} does not hold {self.target.participant}")
            return
        self.report.media("7", answer, "application/jwt", f"checkpoint at relay {relay.url}")
        other = parse(answer.text, CHECKPOINT)
        check_party(other, origin.url, self.target.participant)
        check_signature(other, origin.operating)
        check_times(other, self.now, expiry=False)
        size = other.integer("size")
        if size > token.integer("size"):
            self.report.observations.append(f"relay {relay.url} holds {size} entries: the origin is withholding")
            return
        root = b64(merkle_root(fetched.headers[:size]))
        self._same_history(root, other, origin, fetched.headers)
        relayed = self._entries(base, relay.url, size)
        self.report.check("7", f"relay {relay.url}: headers byte for byte", relayed.headers == fetched.headers[:size],
                          "the origin's bytes", "other bytes")  # fmt: skip
        kept = Log(self.target.participant, headers=relayed.headers).latest().values()
        extra = [seq for seq, payload in enumerate(relayed.payloads) if payload is not None and seq not in kept]
        self.report.check("4", f"relay {relay.url}: current payloads only", not extra, "null", extra[:20])
        differ = [seq for seq, payload in enumerate(relayed.payloads)
                  if payload is not None and fetched.payloads[seq] not in (None, payload)]  # fmt: skip
        self.report.check("7", f"relay {relay.url}: payloads byte for byte", not differ, "equal", differ[:20])

    def _keep(self, configuration: Configuration, token: Token, fetched: Fetched) -> None:
        """Keep what was accepted: all headers, current payloads only."""
        log = Log(self.target.participant, self.target.url, fetched.headers, checkpoint=token.raw)
        current = set(log.latest().values())
        log.payloads = [payload if seq in current else None for seq, payload in enumerate(fetched.payloads)]
        chain = self.trust.chain(self.target.url, self.target.participant, Report())
        log.configurations = chain if configuration.raw == chain[-1] else [*chain[:-1], configuration.raw]
        before = self.held.accepted if self.held else chain
        log.accepted = list(dict.fromkeys([*before, *log.configurations]))
        log.save(self.path)


class Prober:
    """Questions that a node must refuse, or must answer in one way only."""

    def __init__(self, follower: Follower, configuration: Configuration, checkpoint: Token) -> None:
        self.settings = follower.settings
        self.report = follower.report
        self.get = follower.get
        self.configuration = configuration
        self.checkpoint = checkpoint
        self.base = str(configuration.node["log"])
        self.size = checkpoint.integer("size")

    def run(self) -> None:
        """All of them."""
        anonymous = self.settings.web.ask(f"{self.base}/checkpoint")
        if anonymous.status == 200:
            self.report.observations.append("the node serves without read tokens (open_logs)")
        else:
            self._refused("no read token", anonymous, 401, "unauthenticated")
            self._tokens()
        self._ranges()
        if self.size:
            self._page()
        self._posts()

    def _refused(self, what: str, answer: Response, status: int, *codes: str) -> None:
        code = answer.problem()
        self.report.check("9", f"{what}: status", answer.status == status, status, answer.status)
        self.report.check("9", f"{what}: code", code in codes, " or ".join(codes), code)
        media = "application/problem+json"
        self.report.check("9", f"{what}: content type", answer.media_type == media, media, answer.media_type)
        try:
            body = strict_object(answer.body)
        except Refusal:
            body = {}
        ok = {"type", "title", "status", "detail"} <= body.keys() and body.get("status") == answer.status
        self.report.check("9", f"{what}: members", ok, "type, title, status and detail", body)

    def _tokens(self) -> None:
        now, aud, me = clock(), self.configuration.url, self.settings.url
        signer, stranger = self.settings.keys.signer("operating"), Signer.new()
        good: Json = {"iss": me, "aud": aud, "iat": now, "exp": now + 300}
        token = signer.token(READ.typ, good)
        head, body, signature = token.split(".")
        flipped = bytes([unb64(signature)[0] ^ 1]) + unb64(signature)[1:]
        none = b64(compact({"alg": "none", "typ": READ.typ, "kid": signer.kid}))
        forged = stranger.token(READ.typ, good, kid=signer.kid)
        cases = {
            "changed signature": (f"{head}.{body}.{b64(flipped)}", "bad_signature"),
            "another key under this kid": (forged, "bad_signature"),
            "no signature": (f"{head}.{body}.", "bad_signature"),
            "alg none": (f"{none}.{body}.", "bad_signature"),
            "unknown key": (stranger.token(READ.typ, good), "unknown_key"),
            "wrong audience": (signer.token(READ.typ, good | {"aud": f"{aud}/x"}), "wrong_audience"),
            "audience as a list": (signer.token(READ.typ, good | {"aud": [aud]}), "malformed wrong_audience"),
            "expired": (signer.token(READ.typ, good | {"iat": now - 4000, "exp": now - 3700}), "expired"),
            "of the future": (signer.token(READ.typ, good | {"iat": now + 4000, "exp": now + 4300}), "not_yet_valid"),
            "exp before iat": (signer.token(READ.typ, good | {"exp": now - 1}), "malformed"),
            "extra claim": (signer.token(READ.typ, good | {"sub": me}), "malformed"),
            "fractional time": (signer.token(READ.typ, good | {"iat": now + 0.5}), "malformed"),
            "extra header member": (signer.token(READ.typ, good, jku=f"{me}/keys"), "bad_header"),
            "wrong typ": (signer.token("JWT", good), "wrong_type"),
            "padding": (f"{head}.{body}.{signature}==", "malformed"),
            "two parts": (f"{head}.{body}", "malformed"),
            "too long": (signer.token(READ.typ, good | {"iss": "x" * 6500}), "too_large"),
            "unknown reader": (signer.token(READ.typ, good | {"iss": f"{me}/nobody"}), "unauthenticated"),
            "good for too long": (signer.token(READ.typ, good | {"exp": now + 3600}), "malformed expired"),
        }
        for what, (raw, code) in cases.items():
            answer = self.settings.web.ask(f"{self.base}/checkpoint", headers={"Authorization": f"Bearer {raw}"})
            self._refused(f"read token, {what}", answer, 401, *code.split())

    def _ranges(self) -> None:
        past = self.get(f"{self.base}/entries?start={self.size + PAGE}", self.configuration.url)
        self._refused("entries beyond the size", past, 404, "out_of_range")
        other = self.base.rpartition("/")[0] + "/ZZNOBODY"
        self._refused("a log not held", self.get(f"{other}/checkpoint", self.configuration.url), 404, "not_found")
        nobody = f"{self.configuration.url}/federation/v1/configurations/ZZNOBODY"
        self._refused("configurations not held", self.settings.web.ask(nobody), 404, "not_found")
        for start in ("-1", "abc", "1.5", ""):
            found = self.get(f"{self.base}/entries?start={start}", self.configuration.url)
            self.report.observations.append(f"entries?start={start}: {found.status} {found.problem()}")

    def _page(self) -> None:
        url, aud, check = f"{self.base}/entries?start=0", self.configuration.url, self.report.check
        plain = self.get(url, aud)
        cached = plain.headers.get("cache-control", "")
        directives = {item.strip().lower() for item in cached.split(",")}
        check("6", "entries: Cache-Control", directives == {"private", "max-age=600"}, "private, max-age=600", cached)
        packed = self.get(url, aud, **{"Accept-Encoding": "gzip"})
        check("6", "entries: gzip where accepted", packed.headers.get("content-encoding") == "gzip", "gzip",
              packed.headers.get("content-encoding"))  # fmt: skip
        check("6", "entries: the same bytes with gzip", packed.body == plain.body, "equal bytes", "other bytes")
        for name, answer, encoding in (("plain", plain, "identity"), ("gzip", packed, "gzip")):
            etag = answer.headers.get("etag", "")
            if check("6", f"entries: ETag, {name}", bool(etag), "an ETag", etag):
                again = self.get(url, aud, **{"If-None-Match": etag, "Accept-Encoding": encoding})
                check("6", f"entries: If-None-Match, {name}", again.status == 304, 304, again.status)
        if self.size > 1:
            tail = self.get(f"{self.base}/entries?start=1", aud)
            ok = tail.body == plain.body.split(b"\n", 1)[1]
            check("6", "entries: a page may start anywhere", ok, "the first page without its first line", tail.body)

    def _posts(self) -> None:
        where = str(self.configuration.node["checkpoints"])
        known = self.settings.web.ask(where, body=self.checkpoint.raw.encode())
        self.report.check("7", "POST of a known checkpoint", known.status == 202, 202, f"{known.status} {known.body!r}")
        own = self.settings.web.ask(where, body=self.configuration.raw.encode(), media_type=ENTITY_TYPE)
        self.report.check("7", "POST of a known configuration", own.status == 202, 202, f"{own.status} {own.body!r}")
        self._refused("POST of no token", self.settings.web.ask(where, body=b"not a token"), 400, "malformed")
        claims = self.checkpoint.claims
        bad = Signer.new().token(CHECKPOINT.typ, claims, kid=self.checkpoint.header["kid"])
        self._refused("POST of a forged checkpoint", self.settings.web.ask(where, body=bad.encode()), 401,
                      "bad_signature")  # fmt: skip
        late = self.settings.keys.signer("operating").token(CHECKPOINT.typ, claims)
        self._refused("POST of a checkpoint by another node", self.settings.web.ask(where, body=late.encode()), 401,
                      "unknown_key")  # fmt: skip


def follow(settings: Settings) -> Json:
    """Follow all that the configuration names."""
    now = clock()
    trust = Trust(settings)
    wanted = settings.values.get("follow", "all")
    lead = Report(settings.participant, settings.url)
    reports: list[Report] = []
    try:
        targets = trust.everybody(lead, now) if wanted == "all" else [Target.of(value) for value in wanted]
        reports = [Follower(settings, target, now).run() for target in targets]
    except Refusal as refusal:
        lead.refused(refusal)
    every = ([lead] if lead.checks else []) + reports
    return {
        "at": instant(now),
        "ok": all(check["ok"] for report in every for check in report.checks),
        "checks": sum(len(report.checks) for report in every),
        "anchor": lead.as_json(),
        "nodes": [report.as_json() for report in reports],
    }


# ---------------------------------------------------------------- being an origin


def records_of(document: Json) -> dict[str, Json]:
    """The records of a directory document, by record id; the ids themselves are not repeated in the data."""
    found: dict[str, Json] = {
        "participant/self": {name: value for name, value in document.items() if name not in PLURALS}
    }
    for plural, kind in PLURALS.items():
        for item in document.get(plural, []):
            found[f"{kind}/{item['id']}"] = {name: value for name, value in item.items() if name != "id"}
    return found


class Origin:
    """The node's own log and configuration; everything that it signs is durable before it leaves."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lock = threading.RLock()
        self.path = settings.path("state", "state.json")
        self.log = Log.load(self.path) or Log(settings.participant, settings.url)
        self.changed = threading.Event()
        with self.lock:
            if not self.log.configurations or self._outdated():
                self._configure()
            if not self.log.checkpoint:
                self._sign()

    # ---- configurations: the state keeps those that changed the federation keys, then the current one

    def _metadata(self) -> Json:
        values, url = self.settings.values, self.settings.url
        node: Json = {
            "protocol": 1,
            "participant": self.settings.participant,
            "jwks": self.settings.keys.public("operating"),
            "log": f"{url}/federation/v1/logs/{self.settings.participant}",
            "messages": f"{url}/federation/v1/messages",
            "checkpoints": f"{url}/federation/v1/checkpoints",
        }
        if values.get("readers"):
            node["readers"] = values["readers"]
        name = values.get("name", f"Second node of {self.settings.participant}")
        contacts = values.get("contacts", [f"operator@{self.settings.participant.lower()}.example"])
        return {"federation_entity": {"organization_name": name, "contacts": contacts}, "veza_node": node}

    def _content(self) -> Json:
        claims: Json = {"iss": self.settings.url, "sub": self.settings.url}
        claims |= {"jwks": self.settings.keys.public("federation"), "metadata": self._metadata()}
        anchor = self.settings.anchor
        return claims | ({"authority_hints": [anchor["url"]]} if anchor else {})

    def _outdated(self) -> bool:
        claims = dict(parse(self.log.configurations[-1], STATEMENT).claims)
        age = clock() - claims.pop("iat")
        claims.pop("exp")
        return age > DAY or claims != self._content()

    def _configure(self) -> None:
        kept = self.log.configurations
        iat = clock()
        if kept:
            iat = max(iat, parse(kept[-1], STATEMENT).integer("iat") + 1)
        content = self._content() | {"iat": iat, "exp": iat + 7 * DAY}
        raw = self.settings.keys.signer("federation").token(STATEMENT.typ, content)
        shown = [parse(item, STATEMENT).claims["jwks"] for item in kept]
        if len(kept) > 1 and shown[-1] == shown[-2]:
            kept = kept[:-1]
        self.log.configurations = [*kept, raw]
        self.log.save(self.path)
        self.changed.set()

    def configuration(self) -> str:
        """The current configuration, renewed daily."""
        with self.lock:
            if self._outdated():
                self._configure()
            return self.log.configurations[-1]

    def chain(self) -> list[str]:
        """The configurations array."""
        self.configuration()
        return list(self.log.configurations)

    def rotate(self, which: str, *, keep: bool = False) -> None:
        """New operating or federation keys; a federation key is announced by the one before it. ``keep``: overlap."""
        with self.lock:
            fresh, keys = Signer.new(), self.settings.keys
            old = keys.rings.get(which, [])
            if which == "operating":
                keys.replace(which, [fresh, *old] if keep else [fresh])
                self._configure()
            elif which == "federation":
                keys.replace(which, [*old, fresh])
                self._configure()
                keys.replace(which, [fresh, *old] if keep else [fresh])
                self._configure()
            else:
                raise Refusal("bad_request", f"expected operating or federation, found {which}")
            self._sign()

    def drop(self, kid: str) -> None:
        """Revoke a key: the configuration lists it no more."""
        with self.lock:
            self.settings.keys.drop(kid)
            self._configure()
            self._sign()

    # ---- the log

    def _sign(self, at: int | None = None) -> None:
        iat = clock() if at is None else at
        if self.log.checkpoint and at is None:
            iat = max(iat, parse(self.log.checkpoint, CHECKPOINT).integer("iat"))
        claims = {"iss": self.settings.url, "sub": self.settings.participant, "size": self.log.size}
        claims |= {"root": b64(merkle_root(self.log.headers)), "iat": iat, "exp": iat + 2 * DAY}
        self.log.checkpoint = self.settings.keys.signer("operating").token(CHECKPOINT.typ, claims)
        self.log.save(self.path)
        self.changed.set()

    def checkpoint(self) -> str:
        """The newest checkpoint, at most an hour old."""
        with self.lock:
            if clock() - parse(self.log.checkpoint, CHECKPOINT).integer("iat") >= 3000:
                self._sign()
            return self.log.checkpoint

    def erase(self) -> None:
        """Erase the payloads superseded long enough ago."""
        with self.lock:
            after = int(self.settings.values.get("erase_after", 3600))
            due = [seq for seq, at in self.log.superseded.items() if clock() - at >= after]
            for seq in due:
                self.log.payloads[seq] = None
                del self.log.superseded[seq]
            if due:
                self.log.save(self.path)

    def _add(self, header: bytes, payload: bytes | None) -> None:
        self.log.headers.append(header)
        self.log.payloads.append(payload)

    def append(self, items: Iterable[Json]) -> int:
        """Append ``{"record", "data"}``, ``{"record", "delete": true}`` or raw ``{"header", "payload"}`` entries."""
        with self.lock:
            latest = self.log.latest()
            for item in items:
                seq = self.log.size
                if "header" in item:
                    payload = item.get("payload")
                    self._add(item["header"].encode(), None if payload is None else payload.encode())
                    continue
                record = str(item["record"])
                value: Json = {"seq": seq, "record": record, "op": "delete" if item.get("delete") else "put"}
                value["at"] = instant(clock())
                body = None
                if value["op"] == "put":
                    body = compact({"salt": b64(secrets.token_bytes(16)), "data": item["data"]})
                    value["digest"] = b64(hashlib.sha256(body).digest())
                if record in latest and self.log.payloads[latest[record]] is not None:
                    self.log.superseded[latest[record]] = clock()
                self._add(compact(value), body)
                latest[record] = seq
            self._sign()
            return self.log.size

    def publish(self, document: Json) -> int:
        """Append what makes the log say what the document says."""
        with self.lock:
            wanted = records_of(document)
            present: dict[str, Json] = {}
            for record, seq in self.log.latest().items():
                payload = self.log.payloads[seq]
                if read_header(self.log.headers[seq]).op == "put" and payload is not None:
                    present[record] = strict_object(payload)["data"]
            puts = [{"record": record, "data": data} for record, data in wanted.items() if present.get(record) != data]
            gone = [{"record": record, "delete": True} for record in present if record not in wanted]
            return self.append([*puts, *gone]) if puts or gone else self.log.size

    def rewrite(self, seq: int) -> None:
        """Betray: change the header of an old entry and sign the new history."""
        with self.lock:
            header = strict_object(self.log.headers[seq])
            self.log.headers[seq] = compact(header | {"at": instant(read_instant(header["at"]) - 1)})
            self._sign()

    def truncate(self, size: int) -> None:
        """Betray: forget the newest entries and sign the shorter history."""
        with self.lock:
            del self.log.headers[size:]
            del self.log.payloads[size:]
            self.log.superseded = {seq: at for seq, at in self.log.superseded.items() if seq < size}
            self._sign()

    def other_history(self) -> Log:
        """Betray: a log of the same size whose newest entry is another one, signed as the true one is."""
        with self.lock:
            header = strict_object(self.log.headers[-1])
            other = compact(header | {"at": instant(read_instant(header["at"]) - 1)})
            found = Log(self.log.participant, self.log.origin, [*self.log.headers[:-1], other], self.log.payloads)
            claims = dict(parse(self.checkpoint(), CHECKPOINT).claims) | {"root": b64(merkle_root(found.headers))}
            found.checkpoint = self.settings.keys.signer("operating").token(CHECKPOINT.typ, claims)
            found.configurations = self.log.configurations
            return found

    def take_back(self, log: Log) -> None:
        """Go on from the log that a peer held."""
        with self.lock:
            self.log = log
            self._sign()

    def expired(self) -> str:
        """Betray: the checkpoint as of three days ago, not kept."""
        claims = dict(parse(self.log.checkpoint, CHECKPOINT).claims)
        times = {"iat": clock() - 3 * DAY, "exp": clock() - DAY}
        return self.settings.keys.signer("operating").token(CHECKPOINT.typ, claims | times)

    def backdate(self, seconds: int) -> None:
        """Betray: sign a checkpoint as of the past (less than 50 minutes, or it is renewed)."""
        with self.lock:
            self._sign(clock() - seconds)


class AnchorService:
    """An OpenID Federation anchor at ``<url>/anchor``, with keys of its own."""

    def __init__(self, settings: Settings, origin: Origin) -> None:
        self.settings = settings
        self.origin = origin
        self.url = f"{settings.url}/anchor"
        service: Json = settings.values["anchor_service"]
        self.subordinates: dict[str, Json] = {item["url"]: dict(item) for item in service.get("subordinates", [])}
        self.subordinates.setdefault(settings.url, {"url": settings.url, "participant": settings.participant})

    def _sign(self, claims: Json, days: int) -> str:
        now = clock()
        content = {"iss": self.url, "iat": now, "exp": now + days * DAY} | claims
        return self.settings.keys.signer("anchor").token(STATEMENT.typ, content)

    def configuration(self) -> str:
        """The anchor's own configuration."""
        entity = {
            "organization_name": f"Anchor of {self.settings.participant}",
            "federation_list_endpoint": f"{self.url}/list",
            "federation_fetch_endpoint": f"{self.url}/fetch",
        }
        jwks = self.settings.keys.public("anchor")
        return self._sign({"sub": self.url, "jwks": jwks, "metadata": {"federation_entity": entity}}, 7)

    def statement(self, sub: str) -> str | None:
        """The statement about one node, if the anchor vouches for it."""
        item = self.subordinates.get(sub)
        if item is None:
            return None
        if sub == self.settings.url:
            jwks = self.settings.keys.public("federation")
        else:
            jwks = item.get("jwks") or self._shown(sub)
            item["jwks"] = jwks
        metadata = {"veza_node": {"participant": item["participant"]}}
        return self._sign({"sub": sub, "jwks": jwks, "metadata": metadata}, 30)

    def _shown(self, sub: str) -> Json:
        answer = self.settings.web.ask(f"{sub}/.well-known/openid-federation", limit=TOKEN_LIMIT)
        jwks = parse(answer.text, STATEMENT).claims["jwks"]
        read_configuration(answer.text, public_keys(jwks, "federation keys"), now=clock())
        return {"keys": jwks["keys"]}


class Visitors:
    """Other nodes that read, push or write: bound by trust, and believed for a while."""

    def __init__(self, settings: Settings, origin: Origin) -> None:
        self.settings = settings
        self.origin = origin
        self.trust = Trust(settings)
        self.known: dict[str, tuple[float, Configuration]] = {}
        self.lock = threading.Lock()

    def get(self, url: str, *, kid: str | None = None) -> Configuration:
        """A node's configuration; asked for again when it is old, or does not list ``kid``."""
        if url == self.settings.url:
            jwks = public_keys(self.settings.keys.public("federation"), "own keys")
            return read_configuration(self.origin.configuration(), jwks, now=clock())
        with self.lock:
            asked, found = self.known.get(url, (0.0, None))
        age = time.monotonic() - asked
        listed = found is not None and (kid is None or kid in found.operating)
        if found is not None and age < self.settings.values.get("trust_cache", 60) and (listed or age < 2):
            return found
        found = self.trust.lookup(url, clock())
        with self.lock:
            for other, (_, known) in self.known.items():
                if known.participant == found.participant and other != url:
                    raise Refusal("participant_taken", f"expected {other} for {found.participant}, found {url}")
            self.known[url] = (time.monotonic(), found)
        return found

    def verified(self, raw: str, kind: Kind) -> tuple[Token, Configuration]:
        """Steps 1 to 9 and 11 for a token of another node."""
        token = parse(raw, kind)
        party = self.get(token.claims["iss"], kid=token.header["kid"])
        if kind is CHECKPOINT:
            check_party(token, party.url, party.participant)
        check_signature(token, party.operating)
        if kind is not CHECKPOINT and token.claims["aud"] != self.settings.url:
            raise Refusal("wrong_audience", f"expected aud {self.settings.url}, found {short(token.claims['aud'])}")
        check_times(token, clock())
        return token, party


PEERING = ("peering.proposed", "peering.approved", "peering.refused")


class MessageBox:
    """Messages on arrival (section 8): verified, kept and answered, a repeat with the first receipt (in memory)."""

    def __init__(
        self,
        url: str,
        participant: str,
        signers: Callable[[], Sequence[Signer]],
        bound: Callable[[str, str], Configuration],
        *,
        insecure: bool,
    ) -> None:
        self.url = url
        self.participant = participant
        self.signers = signers
        self.bound = bound
        self.insecure = insecure
        self.lock = threading.Lock()
        self.kept: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.conflicts: list[str] = []
        self.messages: list[Json] = []
        self.proposals: dict[str, Json] = {}
        self.answers: dict[str, str] = {}
        self.new: list[int] = []

    def receive(self, raw: str, now: int) -> str:
        """The receipt of a message."""
        token = parse(raw, MESSAGE)
        claims = token.claims
        sender, stranger = self._sender(token, now)
        check_signature(token, sender.operating)
        check_audience(token, self.url)
        key = (claims["iss"], claims["jti"])
        with self.lock:
            if key in self.kept:
                return self._again(key, raw, content_of(claims))
            check_times(token, now)
            self._content(claims, sender, stranger, now)
            answer = {"iss": self.url, "aud": claims["iss"], "iat": now, "jti": claims["jti"]}
            answer["digest"] = b64(hashlib.sha256(raw.encode()).digest())
            self.kept[key] = (content_of(claims), self.signers()[0].token(RECEIPT.typ, answer))
            self.messages.append(claims)
            return self.kept[key][1]

    def _again(self, key: tuple[str, str], raw: str, content: bytes) -> str:
        first, receipt = self.kept[key]
        if first != content:
            self.conflicts.append(raw)
            raise Refusal("jti_conflict", f"expected the content first sent as {key[1]}, found another")
        token = parse(receipt, RECEIPT)
        if token.header["kid"] not in {signer.kid for signer in self.signers()}:
            receipt = self.signers()[0].token(RECEIPT.typ, token.claims)
            self.kept[key] = (first, receipt)
        return receipt

    def _sender(self, token: Token, now: int) -> tuple[Configuration, bool]:
        """Who sent it, and whether it is a stranger, who is believed for a proposal only."""
        claims = token.claims
        try:
            return self.bound(claims["iss"], token.header["kid"]), False
        except Refusal as refusal:
            if claims["type"] not in PEERING:
                code = "busy" if refusal.code in ("unreachable", "timeout") else "unknown_participant"
                raise Refusal(code, refusal.detail) from refusal
        return self._introduced(claims, now), True

    def _introduced(self, claims: Json, now: int) -> Configuration:
        """The configuration that a ``peering.*`` message carries, proven by itself alone."""
        body = claims["body"]
        if set(body) != {"participant", "configuration"} or not all(isinstance(text, str) for text in body.values()):
            raise Refusal("bad_request", f"expected participant and configuration as texts, found {sorted(body)}")
        found = read_configuration(
            body["configuration"], None, now=now, url=claims["iss"], participant=body["participant"]
        )
        check_identifier(found.url, insecure=self.insecure)
        return found

    def _content(self, claims: Json, sender: Configuration, stranger: bool, now: int) -> None:
        kind, body = claims["type"], claims["body"]
        if kind in PEERING:
            self._peering(kind, self._introduced(claims, now), stranger, now)
        elif kind == "contact.requested":
            for name, code in (("from", sender.participant), ("to", self.participant)):
                value = str(body.get(name))
                if not value.startswith(f"{code}:unit/"):
                    raise Refusal("wrong_participant", f"{name}: expected a unit of {code}, found {short(value)}")
        else:
            raise Refusal("bad_request", f"expected a type of {PEERING}, found {short(kind)}")

    def _peering(self, kind: str, shown: Configuration, stranger: bool, now: int) -> None:
        if shown.participant == self.participant:
            raise Refusal("participant_taken", f"expected another code than {self.participant}, found it claimed")
        self.new = [at for at in self.new if at > now - 3600]
        full = shown.url not in self.proposals and len(self.proposals) >= PROPOSALS
        if stranger and (full or len(self.new) >= 20):
            raise Refusal("rate_limited", "expected fewer new proposals, found the hour's or the list's limit")
        self.answers[shown.url] = kind
        if stranger:
            self.new.append(now)
        if stranger and kind == "peering.proposed":
            signer = parse(shown.raw, STATEMENT).header["kid"]
            found = {"participant": shown.participant, "url": shown.url, "fingerprint": signer}
            self.proposals[shown.url] = found | {"messages": shown.node["messages"]}


class Outbox:
    """Messages of this node: signed, sent, and kept with their receipts (no queue: a command asks again)."""

    def __init__(self, settings: Settings, origin: Origin) -> None:
        self.settings = settings
        self.origin = origin
        self.sent: dict[str, list[str]] = {}

    def introduction(self) -> Json:
        """The body of a ``peering.*`` message."""
        return {"participant": self.settings.participant, "configuration": self.origin.configuration()}

    def sign(self, aud: str, kind: str, body: Json, jti: str, **claims: object) -> str:
        """A message, kept before it leaves."""
        now = clock()
        content: Json = {"iss": self.settings.url, "aud": aud, "jti": jti, "iat": now, "exp": now + 3600}
        content |= {"type": kind, "body": body} | claims
        token = self.settings.keys.signer("operating").token(MESSAGE.typ, content)
        self.sent.setdefault(jti, []).append(token)
        return token

    def send(self, where: str, aud: str, kind: str, body: Json, jti: str | None = None) -> Json:
        """Send a message once; what was answered, and whether the receipt counts."""
        name = jti or str(uuid.uuid4())
        answer = self.settings.web.ask(where, body=self.sign(aud, kind, body, name).encode())
        found: Json = {"jti": name, "status": answer.status}
        if answer.status != 200:
            return found | {"code": answer.problem(), "detail": answer.text[:400]}
        shown = self.settings.web.ask(f"{aud}/.well-known/openid-federation", limit=TOKEN_LIMIT).text
        keys = read_configuration(shown, None, now=clock(), url=aud).operating
        try:
            check_receipt(
                answer.text, keys, iss=aud, aud=self.settings.url, jti=name, sent=self.sent[name], now=clock()
            )
        except Refusal as refusal:
            return found | {"code": refusal.code, "detail": refusal.detail}
        return found | {"code": "ok", "receipt": answer.text}


class Node:
    """All parts of a serving node."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.origin = Origin(settings)
        self.visitors = Visitors(settings, self.origin)
        self.inbox = MessageBox(
            settings.url,
            settings.participant,
            lambda: settings.keys.rings["operating"],
            lambda url, kid: self.visitors.get(url, kid=kid),
            insecure=settings.insecure,
        )
        self.outbox = Outbox(settings, self.origin)
        self.split: set[str] = set()
        self.anchor = AnchorService(settings, self.origin) if "anchor_service" in settings.values else None
        self.faults: set[str] = set()
        self.received: list[Json] = []
        self.pushed: list[Json] = []
        self.reads: list[Json] = []
        self.instance = secrets.token_hex(16)
        self.stopping = threading.Event()
        self.ready = threading.Event()

    def log(self, participant: str, reader: Configuration | None, *, entries: bool) -> Log:
        """The log asked for, where this reader may have it."""
        if participant == self.settings.participant:
            if not self.ready.is_set():
                raise Refusal("busy", "expected to serve this log, found that peers are still asked for it")
            self.origin.erase()
            self.origin.checkpoint()
            return self.origin.log
        held = None
        if PARTICIPANT.fullmatch(participant):
            held = Log.load(self.settings.path("held", "held") / f"{participant}.json")
        if held is None:
            raise Refusal("not_found", f"expected a participant followed here, found {short(participant)}")
        if entries and reader is not None and reader.url != held.origin:
            self._relayed(held, reader)
        return held

    def _relayed(self, held: Log, reader: Configuration) -> None:
        claims = parse(held.configurations[-1], STATEMENT).claims
        anchor = self.settings.anchor
        shared = anchor is not None and anchor["url"] in claims.get("authority_hints", [])
        named = reader.url in claims["metadata"]["veza_node"].get("readers", [])
        if not (named or (shared and anchor and anchor["url"] in reader.claims.get("authority_hints", []))):
            raise Refusal("forbidden", f"expected a reader that {held.participant} allows, found {reader.url}")

    def reader(self, authorization: str) -> Configuration | None:
        """Who reads, by the token; nobody in particular where logs are open."""
        if self.settings.values.get("open_logs"):
            return None
        scheme, _, raw = authorization.partition(" ")
        if scheme.lower() != "bearer" or not raw:
            raise Refusal("unauthenticated", "expected Authorization: Bearer with a read token, found none")
        try:
            return self.visitors.verified(raw.strip(), READ)[1]
        except Refusal as refusal:
            if refusal.code in ("unknown_participant", "participant_taken", "unreachable", "timeout", "insecure_url"):
                raise Refusal("unauthenticated", refusal.detail) from refusal
            raise

    def pushed_in(self, raw: str) -> None:
        """Verify a checkpoint or configuration that another node pushed."""
        if len(raw) > STATEMENT.limit:
            raise Refusal("too_large", f"expected at most {STATEMENT.limit} bytes, found {len(raw)}")
        if _split(raw)[0]["typ"] == STATEMENT.typ:
            token = parse(raw, STATEMENT)
            check_party(token, str(token.claims["sub"]))
            iss = token.claims["iss"]
            own = iss == self.settings.url
            found = self.visitors.get(iss) if own else self.visitors.trust.lookup(iss, clock())
            if found.raw != raw:
                read_configuration(raw, found.federation, now=clock(), expiry=False)
        else:
            token, _ = self.visitors.verified(raw, CHECKPOINT)
        self.received.append({"typ": token.header["typ"], "claims": token.claims})

    # ---- one's own log (section 5)

    def recover(self) -> list[Json]:
        """Ask the peers for the newest checkpoint of the own log, and take back what they hold beyond it."""
        answers: list[Json] = []
        for url in sorted(self._peers()):
            try:
                answers.append({"peer": url, "size": self._ask_back(self.visitors.get(url))})
            except Refusal as refusal:
                if refusal.code == "fork":
                    raise
                answers.append({"peer": url, "code": refusal.code, "detail": refusal.detail})
        return answers

    def _ask_back(self, peer: Configuration) -> int | None:
        settings, own = self.settings, self.origin.log
        base = peer.log_of(settings.participant)
        headers = {"Authorization": f"Bearer {read_token(settings, peer.url, clock())}"}
        answer = settings.web.ask(f"{base}/checkpoint", headers=headers)
        if answer.status == 404:
            return None
        Report().media("5", answer, "application/jwt", "own checkpoint")
        token = parse(answer.text, CHECKPOINT)
        check_party(token, settings.url, settings.participant)
        check_signature(token, public_keys(settings.keys.public("operating"), "own keys"))
        check_times(token, clock(), expiry=False)
        size = token.integer("size")
        found = Log(settings.participant, settings.url, checkpoint=token.raw, configurations=own.configurations)
        found.headers, found.payloads = list(own.headers[:size]), list(own.payloads[:size])
        while found.size < size:
            page = settings.web.ask(f"{base}/entries?start={found.size}", headers=headers, timeout=60.0)
            Report().media("6", page, "application/x-ndjson", "own entries")
            for line in page.body.removesuffix(b"\n").split(b"\n")[: size - found.size]:
                header, payload = read_line(line, found.size)
                found.headers.append(header)
                found.payloads.append(payload)
        if b64(merkle_root(found.headers)) != token.claims["root"]:
            raise Refusal("fork", f"{peer.url}: expected the own history, found a signed root that contradicts it")
        check_digests(found.headers, found.payloads)
        if size > own.size:
            self.origin.take_back(found)
        return size

    # ---- pushing out

    def push_forever(self) -> None:
        """Push each new checkpoint and configuration: the newest of each to every peer, until it answers 202."""
        waiting: dict[tuple[str, str], tuple[str, float, float]] = {}
        sent: set[str] = set()
        while not self.stopping.wait(0.5):
            if self.origin.changed.is_set():
                self.origin.changed.clear()
                fresh = {ENTITY_TYPE: self.origin.configuration(), "application/jwt": self.origin.checkpoint()}
                fresh = {media: raw for media, raw in fresh.items() if raw not in sent}
                sent.update(fresh.values())
                waiting |= {(url, media): (raw, 0.0, 1.0) for url in self._peers() for media, raw in fresh.items()}
            for (url, media), (raw, due, pause) in list(waiting.items()):
                if due > time.monotonic():
                    continue
                if self._push(url, media, raw):
                    del waiting[url, media]
                else:
                    waiting[url, media] = (raw, time.monotonic() + pause, min(2 * pause, 60.0))

    def _peers(self) -> set[str]:
        try:
            return set(self.visitors.trust.known(clock()))
        except Refusal as refusal:
            self.pushed.append({"to": "the anchor", "code": refusal.code})
            return {str(peer["url"]) for peer in self.settings.peers()}

    def _push(self, url: str, media: str, raw: str) -> bool:
        found: Json = {"to": url, "type": media, "digest": b64(hashlib.sha256(raw.encode()).digest())}
        try:
            where = str(self.visitors.get(url).node["checkpoints"])
            answer = self.settings.web.ask(where, body=raw.encode(), media_type=media)
            if media == ENTITY_TYPE and answer.status == 401 and answer.problem() == "unknown_key":
                for link in self.origin.chain():  # the peer has missed a change of federation keys
                    answer = self.settings.web.ask(where, body=link.encode(), media_type=media)
            found["status"] = answer.status
        except Refusal as refusal:
            found |= {"code": refusal.code, "detail": refusal.detail}
        self.pushed.append(found)
        return found.get("status") == 202


def spoil(lines: list[bytes], start: int, faults: set[str]) -> list[bytes]:
    """A page as a server in bad faith would serve it."""
    spoiled = list(lines)
    if "bad_range" in faults:
        del spoiled[-1:]
    if "bad_entry" in faults:
        spoiled[-1] = b'["only one"]\n'
    header, payload = read_line(lines[-1], start)
    if "root_mismatch" in faults:
        spoiled[-1] = write_line(header.replace(b'"seq":', b'"seq": '), payload)
    if "bad_digest" in faults:
        spoiled[-1] = write_line(header, (payload or b"") + b" ")
    if "withheld_payload" in faults:
        spoiled[-1] = write_line(header, None)
    return spoiled


FOLLOWER_FAULTS = frozenset({"bad_range", "bad_entry", "root_mismatch", "bad_digest", "withheld_payload", "expired"})
FAULTS = FOLLOWER_FAULTS | {"receipt", "deaf"}


class Handler(BaseHTTPRequestHandler):
    """What both servers of a node share."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    @property
    def node(self) -> Node:
        """The node that this server belongs to."""
        server = self.server
        assert isinstance(server, NodeServer)
        return server.node

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: the reports are enough."""

    def answer(self, status: int, media_type: str, body: bytes, **headers: str) -> None:
        """Send one answer."""
        self.send_response(status)
        if media_type:
            self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(body)

    def problem(self, refusal: Refusal, status: int | None = None) -> None:
        """Send a refusal as RFC 9457 says."""
        status = status or STATUS_OF.get(refusal.code, 400)
        body = {"type": f"urn:veza:problem:{refusal.code}", "title": refusal.code.replace("_", " ").capitalize()}
        extra = {"WWW_Authenticate": "Bearer"} if status == 401 else {}
        self.answer(status, "application/problem+json", compact(body | {"status": status, "detail": refusal.detail}),
                    **extra)  # fmt: skip

    def body(self, limit: int) -> bytes:
        """The body of a request."""
        text = self.headers.get("Content-Length", "")
        if not text.isdecimal():
            self.close_connection = True
            raise Refusal("bad_request", f"expected Content-Length, found {short(text)}")
        if int(text) > limit:
            self.close_connection = True
            raise Refusal("too_large", f"expected at most {limit} bytes, found {text}")
        return self.rfile.read(int(text))


class Public(Handler):
    """The federation side of the node."""

    def _route(self) -> tuple[list[str], dict[str, list[str]]]:
        parts = urlsplit(self.path)
        path = parts.path.removeprefix(urlsplit(self.node.settings.url).path)
        return path.strip("/").split("/"), parse_qs(parts.query, keep_blank_values=True)

    def do_GET(self) -> None:
        """Serve what can be read."""
        path, query = self._route()
        try:
            match path:
                case [".well-known", "openid-federation"]:
                    self.answer(200, ENTITY_TYPE, self.node.origin.configuration().encode())
                case ["federation", "v1", "configurations", participant]:
                    self._configurations(participant)
                case ["federation", "v1", "logs", participant, "checkpoint" | "entries" as what]:
                    self._read(participant, what, query)
                case ["anchor", *rest] if self.node.anchor is not None:
                    self._anchor(self.node.anchor, rest, query)
                case ["healthz"]:
                    self.answer(200, "application/json", compact({"instance": self.node.instance}),
                                Cache_Control="no-store")  # fmt: skip
                case _:
                    raise Refusal("not_found", f"expected a path of the protocol, found {short(self.path)}")
        except Refusal as refusal:
            self.problem(refusal)

    def _configurations(self, participant: str) -> None:
        if participant == self.node.settings.participant:
            found = self.node.origin.chain()
        else:
            found = self.node.log(participant, None, entries=False).configurations
        self.answer(200, "application/json", compact(found), Cache_Control="no-store")

    def _read(self, participant: str, what: str, query: dict[str, list[str]]) -> None:
        try:
            reader = self.node.reader(self.headers.get("Authorization", ""))
        except Refusal as refusal:
            self.problem(refusal, 401)
            return
        self.node.reads.append({"reader": reader and reader.url, "log": participant, "what": what})
        log = self.node.log(participant, reader, entries=what == "entries")
        if reader is not None and log is self.node.origin.log and reader.url in self.node.split:
            log = self.node.origin.other_history()
        if what == "checkpoint":
            expired = "expired" in self.node.faults and log is self.node.origin.log
            raw = self.node.origin.expired() if expired else log.checkpoint
            self.answer(200, "application/jwt", raw.encode(), Cache_Control="no-store")
            return
        start = query.get("start", [""])
        if len(start) != 1 or not re.fullmatch(r"0|[1-9][0-9]{0,15}", start[0]):
            raise Refusal("bad_request", f"expected one start, a whole number, found {short(start)}")
        if int(start[0]) >= log.size:
            raise Refusal("out_of_range", f"expected a start below {log.size}, found {start[0]}")
        self._page(log, int(start[0]))

    def _page(self, log: Log, start: int) -> None:
        lines = log.page(start)
        if self.node.faults:
            lines = spoil(lines, start, self.node.faults)
        body = b"".join(lines)
        headers = {"Cache_Control": "private, max-age=600", "Vary": "Accept-Encoding"}
        if re.search(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|$))", self.headers.get("Accept-Encoding", "")):
            body = gzip.compress(body, mtime=0)
            headers["Content_Encoding"] = "gzip"
        headers["ETag"] = f'"{b64(hashlib.sha256(body).digest())}"'
        if headers["ETag"] in self.headers.get("If-None-Match", ""):
            headers.pop("Content_Encoding", None)
            self.answer(304, "", b"", **headers)
        else:
            self.answer(200, "application/x-ndjson", body, **headers)

    def _anchor(self, anchor: AnchorService, rest: list[str], query: dict[str, list[str]]) -> None:
        if rest == [".well-known", "openid-federation"]:
            self.answer(200, ENTITY_TYPE, anchor.configuration().encode())
        elif rest == ["list"]:
            self.answer(200, "application/json", compact(sorted(anchor.subordinates)))
        elif rest == ["fetch"]:
            found = anchor.statement(query.get("sub", [""])[0])
            if found is None:
                error = {"error": "not_found", "error_description": "this anchor does not vouch for that entity"}
                self.answer(404, "application/json", compact(error))
            else:
                self.answer(200, ENTITY_TYPE, found.encode())
        else:
            raise Refusal("not_found", f"expected a path of the anchor, found {short(self.path)}")

    def _receipt(self, raw: str) -> str:
        receipt = self.node.inbox.receive(raw, clock())
        if "receipt" in self.node.faults:
            claims = parse(receipt, RECEIPT).claims | {"digest": b64(bytes(32))}
            return self.node.settings.keys.signer("operating").token(RECEIPT.typ, claims)
        return receipt

    def do_POST(self) -> None:
        """Take pushes and messages."""
        path, _ = self._route()
        try:
            raw = self.body(TOKEN_LIMIT).decode("utf-8", "replace")
            if "deaf" in self.node.faults:
                raise Refusal("busy", "expected to be heard, found a node that plays deaf")
            if path == ["federation", "v1", "checkpoints"]:
                self.node.pushed_in(raw)
                self.answer(202, "", b"")
            elif path == ["federation", "v1", "messages"]:
                self.answer(200, "application/jwt", self._receipt(raw).encode())
            else:
                raise Refusal("not_found", f"expected a path of the protocol, found {short(self.path)}")
        except Refusal as refusal:
            self.problem(refusal)


class Control(Handler):
    """Commands to the node, on loopback: POST a JSON object with ``do``; GET says what happened.

    ``append`` (entries), ``publish`` (document), ``rotate`` (which, keep), ``drop`` (kid), ``grant`` (url,
    participant, jwks), ``revoke`` (url), ``readers`` (urls), ``follow`` (participants: what the reports say), ``pin``
    (url, participant, thumbprint), ``propose`` (url), ``approve`` and ``refuse`` (url of a proposal; approving pins),
    ``send`` (url, type, body, jti); and to play false: ``fault`` (names, see ``FAULTS``), ``rewrite`` (seq),
    ``truncate`` (size), ``backdate`` (seconds), ``split`` (urls of readers that see another newest entry).
    """

    def do_GET(self) -> None:
        """The state of the node."""
        node = self.node
        found = {"size": node.origin.log.size, "checkpoint": node.origin.checkpoint(), "received": node.received}
        found |= {"pushed": node.pushed, "reads": node.reads, "messages": node.inbox.messages}
        found |= {"proposals": node.inbox.proposals, "answers": node.inbox.answers, "peers": node.settings.peers()}
        found |= {"conflicts": node.inbox.conflicts, "sent": node.outbox.sent}
        self.answer(200, "application/json", compact(found | {"faults": sorted(node.faults)}))

    def do_POST(self) -> None:
        """One command."""
        try:
            command = strict_object(self.body(RESPONSE_LIMIT), "the command")
            found = self._do(str(command.get("do")), command)
        except Refusal as refusal:
            self.problem(refusal)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            self.problem(Refusal("bad_request", f"expected the members of the command, found {error!r}"))
        else:
            more = found if isinstance(found, dict) else {}
            self.answer(200, "application/json", compact({"size": self.node.origin.log.size} | more))

    def _do(self, what: str, command: Json) -> object:
        node, origin = self.node, self.node.origin
        commands: dict[str, Callable[[], object]] = {
            "append": lambda: origin.append(command["entries"]),
            "publish": lambda: origin.publish(command["document"]),
            "rotate": lambda: origin.rotate(command["which"], keep=bool(command.get("keep"))),
            "drop": lambda: origin.drop(str(command["kid"])),
            "follow": lambda: self._follow(command.get("participants")),
            "pin": lambda: node.settings.pin({name: command[name] for name in ("url", "participant", "thumbprint")}),
            "propose": lambda: self._peering("peering.proposed", str(command["url"])),
            "approve": lambda: self._decide(str(command["url"]), approve=True),
            "refuse": lambda: self._decide(str(command["url"]), approve=False),
            "send": lambda: self._send(command),
            "split": lambda: node.split.update(command["urls"]),
            "rewrite": lambda: origin.rewrite(int(command["seq"])),
            "truncate": lambda: origin.truncate(int(command["size"])),
            "backdate": lambda: origin.backdate(int(command["seconds"])),
            "fault": lambda: self._fault(set(command["names"])),
            "readers": lambda: node.settings.values.update(readers=list(command["urls"])),
            "grant": lambda: self._grant(command),
            "revoke": lambda: self._revoke(str(command["url"])),
        }
        if what not in commands:
            raise Refusal("bad_request", f"expected one of {sorted(commands)}, found {short(what)}")
        return commands[what]()

    def _follow(self, participants: list[str] | None) -> Json:
        """Follow as the command line does, without probes; the report of each node by its code."""
        settings = Settings(self.node.settings.file)
        settings.values |= {"probes": False}
        report = follow(settings)
        nodes = [item for item in report["nodes"] if participants is None or item["participant"] in participants]
        return {"nodes": {item["participant"]: item for item in nodes}}

    def _send(self, command: Json) -> Json:
        url = str(command["url"])
        where = str(command.get("where", f"{url}/federation/v1/messages"))
        return self.node.outbox.send(where, url, str(command["type"]), command["body"], command.get("jti"))

    def _peering(self, kind: str, url: str) -> Json:
        return self._send({"url": url, "type": kind, "body": self.node.outbox.introduction()})

    def _decide(self, url: str, *, approve: bool) -> Json:
        proposal = self.node.inbox.proposals.pop(url, None)
        if proposal is None:
            raise Refusal("not_found", f"expected a proposal that waits, found none of {short(url)}")
        if approve:
            pin = {"url": url, "participant": proposal["participant"], "thumbprint": proposal["fingerprint"]}
            self.node.settings.pin(pin)
        return self._peering("peering.approved" if approve else "peering.refused", url)

    def _fault(self, names: set[str]) -> None:
        if names - FAULTS:
            raise Refusal("bad_request", f"expected faults of {sorted(FAULTS)}, found {sorted(names)}")
        self.node.faults = names

    def _anchor(self) -> AnchorService:
        if self.node.anchor is None:
            raise Refusal("bad_request", "expected an anchor_service in the configuration, found none")
        return self.node.anchor

    def _grant(self, command: Json) -> None:
        kept: Json = {name: command[name] for name in ("url", "participant", "jwks") if name in command}
        self._anchor().subordinates[str(kept["url"])] = kept

    def _revoke(self, url: str) -> None:
        self._anchor().subordinates.pop(url, None)


class NodeServer(ThreadingHTTPServer):
    """A threaded server that knows its node."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, handler: type[Handler], node: Node) -> None:
        self.node = node
        super().__init__(("127.0.0.1", port), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; everything else is."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def serve(settings: Settings, port: int | None) -> None:
    """Serve until interrupted; one line of JSON on standard output says that it is ready."""
    check_identifier(settings.url, insecure=settings.insecure)
    node = Node(settings)
    servers = [NodeServer(port or int(settings.values["port"]), Public, node)]
    if "control_port" in settings.values:
        servers.append(NodeServer(int(settings.values["control_port"]), Control, node))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    asked = node.recover() if settings.values.get("recover") else []
    if "document" in settings.values:
        node.origin.publish(strict_object(settings.path("document", "").read_bytes(), "the document"))
    node.ready.set()
    if settings.values.get("push", True):
        threading.Thread(target=node.push_forever, daemon=True).start()
    print(json.dumps({"ready": settings.url, "size": node.origin.log.size, "asked": asked}), flush=True)
    try:
        node.stopping.wait()
    except KeyboardInterrupt:
        node.stopping.set()


def check(path: Path) -> int:
    """Say what a file of evidence proves."""
    try:
        found = check_evidence(strict_json(path.read_bytes(), path.name))
    except Refusal as refusal:
        print(json.dumps({"proven": False, "code": refusal.code, "detail": refusal.detail}))
        return 1
    print(json.dumps({"proven": True} | found))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="An independent implementation of the federation protocol.")
    parser.add_argument("command", choices=("keys", "follow", "serve", "check"))
    parser.add_argument("--config", type=Path)
    parser.add_argument("--evidence", type=Path)
    parser.add_argument("--port", type=int)
    chosen = parser.parse_args(arguments)
    if chosen.command == "check":
        return check(chosen.evidence)
    settings = Settings(chosen.config)
    if chosen.command == "serve":
        serve(settings, chosen.port)
        return 0
    if chosen.command == "keys":
        print(json.dumps({use: settings.keys.public(use) for use in settings.keys.rings}, indent=1))
        return 0
    report = follow(settings)
    print(json.dumps(report, ensure_ascii=False, indent=1))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
