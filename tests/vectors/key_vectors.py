"""Vectors of sections 2 and 3: fingerprints in words, keys that prove nothing, chains of configurations."""

import datetime as dt
from dataclasses import replace
from typing import Any

from federation.encoding import b64url_decode, b64url_encode
from federation.keys import jwks_of, key_set
from federation.statements import make_configuration
from tests.unit.federation.samples import NOW, altered, key
from tests.vectors.cases import FEDERATION, IAT, ME, RS, Case, spoiled

P = 2**255 - 19
_LEGAL = "legal winner thank year wave sausage worth useful " * 3
_LETTER = "letter advice cage absurd amount doctor acoustic avoid " * 3
_PUBLISHED = {
    "00" * 32: "abandon " * 23 + "art",
    "7f" * 32: _LEGAL.rpartition(" useful")[0] + " title",
    "80" * 32: _LETTER.rpartition(" avoid")[0] + " bless",
    "ff" * 32: "zoo " * 23 + "vote",
}
"""BIP-39's published examples for 256 bits."""
_ORDER_8 = (
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)


def fingerprints() -> dict[str, Any]:
    """Section 3: what two operators read to each other."""
    examples = [
        {"thumbprint": b64url_encode(bytes.fromhex(text)), "hex": text, "words": words.split()}
        for text, words in _PUBLISHED.items()
    ]
    federation = {
        "jwk": {name: FEDERATION.public_jwk()[name] for name in ("kty", "crv", "x")},
        "thumbprint": FEDERATION.kid,
        "hex": b64url_decode(FEDERATION.kid).hex(),
        "words": _ME_WORDS.split(),
    }
    return {
        "about": "protocol.md, section 3: the words of a thumbprint are BIP-39's English words over its 32 bytes",
        "words_sha256": "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda",
        "examples": [*examples, federation],
    }


_ME_WORDS = (
    "decade curtain blouse carry ivory distance increase vibrant alpha logic display desk "
    "story bus emerge drift slow other clever eye father april approve ankle"
)
"""Computed once with another program than ours (BIP-39 over the bytes of ``hex``), and kept."""


def keys() -> dict[str, Any]:
    """Section 2: sets of keys, of which one weak key refuses all."""

    def okp(x: bytes | str, **members: object) -> dict[str, Any]:
        return {"kty": "OKP", "crv": "Ed25519", "x": x if isinstance(x, str) else b64url_encode(x)} | members

    def number(value: int) -> bytes:
        return value.to_bytes(32, "little")

    good = okp("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    sign = 1 << 255
    weak = {
        "the neutral element": number(1),
        "order 2": number(P - 1),
        "order 4": number(0),
        "order 4, the other one": number(sign),
        "order 8": bytes.fromhex(_ORDER_8[0]),
        "order 8, negative": number(int.from_bytes(bytes.fromhex(_ORDER_8[0]), "little") | sign),
        "order 8, another": bytes.fromhex(_ORDER_8[1]),
        "order 8, another, negative": number(int.from_bytes(bytes.fromhex(_ORDER_8[1]), "little") | sign),
        "y is p": number(P),
        "y is p + 1": number(P + 1),
        "y is p + 3, of a good point": number(P + 3),
        "all bits set": b"\xff" * 32,
        "zero with a sign": number(1 | sign),
        "no point": number(2),
    }
    named = [_jwks(name, [okp(point)], "weak_key") for name, point in weak.items()]
    return {
        "about": "protocol.md, section 2: a JWKS of a node, and what must be said of it",
        "jwks": [
            _jwks("the key of RFC 8037", [good], "ok", kids=[kid]),
            _jwks(
                "with its name, use and algorithm",
                [good | {"kid": kid, "use": "sig", "alg": "EdDSA"}],
                "ok",
                kids=[kid],
            ),
            *named,
            _jwks("a weak key beside a good one", [good, okp(weak["order 8"])], "weak_key"),
            _jwks("31 bytes", [okp(bytes([9] * 31))], "malformed"),
            _jwks("padding", [good | {"x": good["x"] + "="}], "malformed"),
            _jwks("a kid that is not the thumbprint", [good | {"kid": "a"}], "malformed"),
            _jwks("another curve", [okp(bytes([9] * 32), crv="X25519")], "malformed"),
            _jwks("a private key", [good | {"d": "AAAA"}], "malformed"),
            _jwks("a symmetric key", [{"kty": "oct", "k": "AAAA"}], "malformed"),
            _jwks("no key", [], "malformed"),
        ],
    }


def _jwks(name: str, listed: list[dict[str, Any]], expect: str, **other: object) -> Case:
    return {"name": name, "jwks": {"keys": listed}, "expect": expect} | other


def chains() -> dict[str, Any]:
    """Section 3: configurations, oldest first, from the key pinned; expiry counts for the last only."""
    start, day = NOW - dt.timedelta(days=257), dt.timedelta(days=1)
    ring = [FEDERATION, *(key(f"me federation {number}") for number in range(2, 259))]

    def link(number: int, **changes: object) -> str:
        """Signed with one key, and listing the next."""
        node = replace(ME, federation_key=ring[number])
        at = start + number * day
        made = make_configuration(node, now=at, other_federation_keys=key_set(ring[number + 1])).token
        return altered(made, ring[number], **changes) if changes else made

    tokens = [link(number) for number in range(257)]
    good = tokens[252:]
    weak = {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(b"\x01" + bytes(31))}
    same = int((start + 253 * day).timestamp())

    def chain(name: str, items: list[str], expect: str, pinned: int = 252) -> Case:
        return {"name": name, "tokens": items, "pinned": jwks_of(key_set(ring[pinned])), "expect": expect}

    def run(name: str, part: list[int], expect: str, pinned: int) -> Case:
        return {"name": name, "slice": part, "pinned": jwks_of(key_set(ring[pinned])), "expect": expect}

    return {
        "about": "protocol.md, section 3: chains of ME, followed from the key pinned at `now`; a `slice` is of `long`",
        "now": IAT,
        "entity_id": ME.entity_id,
        "participant": "ME",
        "long": tokens,
        "chains": [
            run("256 links", [1, 257], "ok", 1),
            run("257 links", [0, 257], "too_large", 0),
            run("256 links, pinned in the middle", [1, 257], "ok", 100),
            chain("five links", good, "ok"),
            chain("a link is missing", [*good[:2], *good[3:]], "unknown_key"),
            chain("pinned to another key", good, "unknown_key", pinned=3),
            chain("a forged link", [good[0], spoiled(good[1]), *good[2:]], "bad_signature"),
            chain(
                "a link of another node",
                [good[0], link(253, iss=RS.entity_id, sub=RS.entity_id), *good[2:]],
                "wrong_issuer",
            ),
            chain(
                "a link with a weak key",
                [good[0], link(253, jwks={"keys": [ring[253].public_jwk(), weak]})],
                "weak_key",
            ),
            chain("two links of one second", [good[0], good[1], link(254, iat=same)], "rollback"),
            run("the last is expired", [0, 3], "expired", 0),
            chain("no link", [], "too_large"),
        ],
    }
