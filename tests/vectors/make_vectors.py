"""Write the vectors: examples that any implementation of the protocol must accept or refuse.

    python -m tests.vectors.make_vectors

Keys come from fixed seeds and Ed25519 is deterministic, so running this again gives the same files. Expectations are
written down here by hand, from the protocol's text; they are not taken from what the program answers.
Each file says which rule of protocol.md it exercises; ``expect`` is ``ok`` or the problem code.
"""

import datetime as dt
import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from federation.encoding import b64url_encode, dump_json
from federation.entries import make_delete, make_put
from federation.keys import jwks_of, key_set
from federation.merkle import EMPTY_ROOT
from federation.signing import CHECKPOINT, MESSAGE, READ_TOKEN, RECEIPT
from federation.statements import make_configuration, make_subordinate_statement
from tests.unit.federation.samples import ANCHOR, NOW, altered, claims_of, forge, key
from tests.vectors.cases import FEDERATION, HASH, IAT, JTI, ME, OPERATING, RS, Case, case, header
from tests.vectors.dispute_vectors import disputes, standings
from tests.vectors.key_vectors import chains, fingerprints, keys
from tests.vectors.message_vectors import messages, peering, readers, receipts

HERE = Path(__file__).parent
POINT = {"iss": ME.entity_id, "sub": "ME", "size": 1, "root": HASH, "iat": IAT, "exp": IAT + 172_800}


def point(**claims: object) -> str:
    """A checkpoint with other claims, honestly signed."""
    return forge(header(), {name: value for name, value in (POINT | claims).items() if value is not ...}, OPERATING)


def raw(claims: bytes) -> str:
    """A checkpoint with any bytes as claims, honestly signed."""
    return forge(header(), claims, OPERATING)


def checkpoints() -> dict[str, Any]:
    """Section 2 in its order, on checkpoints (section 5)."""
    good = point()
    head, body, _ = good.split(".")
    mac = hmac.digest(OPERATING.private.public_key().public_bytes_raw(), b"x", hashlib.sha256)
    cases = [
        case("an honest checkpoint", good, "ok"),
        case("under the newer name of the algorithm", forge(header(alg="Ed25519"), POINT, OPERATING), "ok"),
        case("an empty log", point(size=0, root=b64url_encode(EMPTY_ROOT)), "ok"),
        case("300 s ahead", point(iat=IAT + 300), "ok"),
        case("300 s past", point(iat=IAT - 1000, exp=IAT - 300), "ok"),
        case("seven days", point(exp=IAT + 604_800), "ok"),
        case("expired, from a relay", point(iat=IAT - 9000, exp=IAT - 8000), "ok", relayed=True),
        case("8 KiB and a byte", "A" * 8193, "too_large"),
        case("two parts", f"{head}.{body}", "malformed"),
        case("four parts", good + ".", "malformed"),
        case("padding", good + "=", "malformed"),
        case("a line break after it", good + "\n", "malformed"),
        case("a header that carries a key", forge(header(jwk=OPERATING.public_jwk()), POINT, OPERATING), "bad_header"),
        case("a header with crit", forge(header(crit=["x"]), POINT, OPERATING), "bad_header"),
        case("a header with b64", forge(header(b64=False), POINT, OPERATING), "bad_header"),
        case("a header without kid", forge({"alg": "EdDSA", "typ": CHECKPOINT.typ}, POINT, OPERATING), "bad_header"),
        case("a member twice", raw(dump_json(POINT)[:-1] + b',"size":1}'), "malformed"),
        case("NaN", raw(dump_json(POINT).replace(b'"size":1', b'"size":NaN')), "malformed"),
        case("5,000 digits", raw(dump_json(POINT).replace(b'"size":1', b'"size":' + b"1" * 5000)), "malformed"),
        case("nested 5,000 deep", raw(b"[" * 5000), "malformed"),
        case("a lone surrogate", raw(dump_json(POINT).replace(b'"ME"', b'"\\ud800"')), "malformed"),
        case("another type", forge(header("JWT"), POINT, OPERATING), "wrong_type"),
        case("no algorithm", forge(header(alg="none"), POINT, OPERATING).rsplit(".", 1)[0] + ".", "bad_signature"),
        case(
            "an HMAC",
            f"{forge(header(alg='HS256'), POINT, OPERATING).rsplit('.', 1)[0]}.{b64url_encode(mac)}",
            "bad_signature",
        ),
        case("no signature", f"{head}.{body}.", "bad_signature"),
        case("no exp", point(exp=...), "malformed"),
        case("exp as a text", point(exp=str(IAT + 60)), "malformed"),
        case("exp true", point(exp=True), "malformed"),
        case("exp not after iat", point(exp=IAT), "malformed"),
        case("another claim", point(nbf=IAT), "malformed"),
        *[case(f"size {size!r}", point(size=size), "malformed") for size in (-1, 1.0, "1", True, None, 2**53)],
        case("a root of 31 bytes", point(root=b64url_encode(bytes(31))), "malformed"),
        case("a root in another spelling", point(root=HASH[:-1] + chr(ord(HASH[-1]) + 1)), "malformed"),
        case("a root in hexadecimal", point(root=EMPTY_ROOT.hex()), "malformed"),
        case("an empty log with another root", point(size=0), "malformed"),
        case("another issuer", point(iss=RS.entity_id), "wrong_issuer"),
        case("another participant", point(sub="RS"), "wrong_participant"),
        case("another node's key", forge(header(kid=RS.operating_key.kid), POINT, RS.operating_key), "unknown_key"),
        case("the federation key", forge(header(kid=FEDERATION.kid), POINT, FEDERATION), "unknown_key"),
        case("a kid that is a path", forge(header(kid="../../etc/passwd"), POINT, OPERATING), "unknown_key"),
        case("signed by another under its kid", forge(header(), POINT, RS.operating_key), "bad_signature"),
        case("301 s ahead", point(iat=IAT + 301), "not_yet_valid"),
        case("301 s past", point(iat=IAT - 1000, exp=IAT - 301), "expired"),
        case("seven days and a second", point(exp=IAT + 604_801), "malformed"),
        case("from a relay and too early", point(iat=IAT + 301), "not_yet_valid", relayed=True),
    ]
    return {
        "about": "protocol.md, sections 2 and 5: a checkpoint of ME, met at the instant `now`",
        "now": IAT,
        "entity_id": ME.entity_id,
        "participant": "ME",
        "keys": jwks_of(key_set(OPERATING)),
        "cases": cases,
    }


def tokens() -> dict[str, Any]:
    """The other kinds of tokens: what is particular to each."""
    read = {"iss": ME.entity_id, "aud": RS.entity_id, "iat": IAT, "exp": IAT + 300}
    message = read | {"jti": JTI, "exp": IAT + 86_400, "type": "node.left", "body": {"reason": "closed"}}
    receipt = {"iss": ME.entity_id, "aud": RS.entity_id, "iat": IAT, "jti": JTI, "digest": HASH}

    def signed(typ: str, claims: dict[str, Any], **changes: object) -> str:
        whole = {name: value for name, value in (claims | changes).items() if value is not ...}
        return forge(header(typ), whole, OPERATING)

    def each(kind: str, typ: str, claims: dict[str, Any], *more: Case) -> list[Case]:
        common = [
            case("honest", signed(typ, claims), "ok"),
            case("another kind", signed(CHECKPOINT.typ, claims), "wrong_type"),
            case("no audience", signed(typ, claims, aud=...), "malformed"),
            case("meant for another", signed(typ, claims, aud=ME.entity_id), "wrong_audience"),
            case("a list of audiences", signed(typ, claims, aud=[RS.entity_id]), "wrong_audience"),
            case("another issuer", signed(typ, claims, iss=RS.entity_id), "wrong_issuer"),
            case(
                "301 s ahead",
                signed(typ, claims, iat=IAT + 301, **({"exp": IAT + 400} if "exp" in claims else {})),
                "not_yet_valid",
            ),
        ]
        return [{"kind": kind} | item for item in (*common, *more)]

    cases = [
        *each(
            "read",
            READ_TOKEN.typ,
            read,
            case("301 s of life", signed(READ_TOKEN.typ, read, exp=IAT + 301), "malformed"),
            case("another claim", signed(READ_TOKEN.typ, read, sub="ME"), "malformed"),
            case("expired", signed(READ_TOKEN.typ, read, iat=IAT - 601, exp=IAT - 301), "expired"),
        ),
        *each(
            "message",
            MESSAGE.typ,
            message,
            case("another claim", signed(MESSAGE.typ, message, new=1), "ok"),
            case("24 h and a second", signed(MESSAGE.typ, message, exp=IAT + 86_401), "malformed"),
            case("a jti in capitals", signed(MESSAGE.typ, message, jti=JTI.upper()), "malformed"),
            case("a body that is a list", signed(MESSAGE.typ, message, body=[]), "malformed"),
            case("no type", signed(MESSAGE.typ, message, type=...), "malformed"),
            case("32 KiB and a byte", "A" * 32_769, "too_large"),
        ),
        *each(
            "receipt",
            RECEIPT.typ,
            receipt,
            case("with exp", signed(RECEIPT.typ, receipt, exp=IAT + 60), "malformed"),
            case("no digest", signed(RECEIPT.typ, receipt, digest=...), "malformed"),
            case("ten years old", signed(RECEIPT.typ, receipt, iat=IAT - 315_360_000), "ok"),
        ),
    ]
    return {
        "about": "protocol.md, sections 2, 6 and 8: ME's tokens for RS, met at the instant `now`",
        "now": IAT,
        "issuer": ME.entity_id,
        "audience": RS.entity_id,
        "keys": jwks_of(key_set(OPERATING)),
        "cases": cases,
    }


def statements() -> dict[str, Any]:
    """Section 3: configurations under the federation keys, and under an anchor."""
    made = make_configuration(ME, now=NOW, name="ME", authority_hints=[ANCHOR.entity_id]).token
    metadata = claims_of(made)["metadata"]
    small_order = {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(b"\x01" + bytes(31))}
    too_large = {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(b"\xee" + b"\xff" * 30 + b"\x7f")}

    def node(**members: object) -> str:
        return altered(made, FEDERATION, metadata=metadata | {"veza_node": metadata["veza_node"] | members})

    configurations = [
        case("an honest configuration", made, "ok"),
        case("members of a newer version", node(new=1), "ok"),
        case("another key", altered(made, key("other")), "unknown_key"),
        case("the operating key", altered(made, OPERATING), "unknown_key"),
        case("another node", altered(made, FEDERATION, iss=RS.entity_id, sub=RS.entity_id), "wrong_issuer"),
        case("another code", node(participant="RS"), "wrong_participant"),
        case("another version", node(protocol=2), "unsupported_version"),
        case("a log elsewhere", node(log="https://evil.example/federation/v1/logs/ME"), "insecure_url"),
        case(
            "messages without https",
            node(messages=metadata["veza_node"]["messages"].replace("https", "http")),
            "insecure_url",
        ),
        case(
            "a small-order key beside a good one",
            node(jwks={"keys": [OPERATING.public_jwk(), small_order]}),
            "weak_key",
        ),
        case("a non-canonical key", node(jwks={"keys": [too_large]}), "weak_key"),
        case("a private key", node(jwks={"keys": [OPERATING.public_jwk() | {"d": "AAAA"}]}), "malformed"),
        case("one key for both purposes", node(jwks=jwks_of(key_set(FEDERATION))), "key_reused"),
        case("a critical extension", altered(made, FEDERATION, crit=["x"]), "malformed"),
        case("a metadata policy", altered(made, FEDERATION, metadata_policy={}), "malformed"),
        case("91 days", altered(made, FEDERATION, exp=IAT + 91 * 86_400), "malformed"),
        case("expired", altered(made, FEDERATION, iat=IAT - 700_000, exp=IAT - 301), "expired"),
    ]
    word = make_subordinate_statement(ANCHOR, "ME", ME.entity_id, key_set(FEDERATION), NOW).token
    words = [
        case("an honest word", word, "ok"),
        case(
            "another code",
            altered(word, ANCHOR.key, metadata={"veza_node": {"participant": "RS"}}),
            "wrong_participant",
        ),
        case("about another node", altered(word, ANCHOR.key, sub=RS.entity_id), "wrong_participant"),
        case("another anchor", altered(word, ANCHOR.key, iss="https://other.example"), "wrong_issuer"),
        case("the node vouches for itself", altered(word, FEDERATION), "unknown_key"),
        case("other federation keys", altered(word, ANCHOR.key, jwks=jwks_of(key_set(key("other")))), "unknown_key"),
        case("a metadata policy", altered(word, ANCHOR.key, metadata_policy={}), "malformed"),
        case("expired", altered(word, ANCHOR.key, iat=IAT - 700_000, exp=IAT - 301), "expired"),
    ]
    return {
        "about": "protocol.md, section 3: ME's configuration under its federation keys; an anchor's word about ME",
        "now": IAT,
        "entity_id": ME.entity_id,
        "participant": "ME",
        "federation_keys": jwks_of(key_set(FEDERATION)),
        "anchor": {"entity_id": ANCHOR.entity_id, "keys": jwks_of(key_set(ANCHOR.key))},
        "configuration": made,
        "configurations": configurations,
        "statements": words,
        "chains": _chains(),
    }


def _chains() -> list[dict[str, Any]]:
    second = replace(ME, federation_key=key("me federation 2"))
    third = replace(ME, federation_key=key("me federation 3"))

    def at(node: Any, seconds: int, *listed: str) -> str:
        others = key_set(*[key(name) for name in listed])
        return make_configuration(node, now=NOW + dt.timedelta(seconds=seconds), other_federation_keys=others).token

    chain = [
        at(ME, 0),
        at(ME, 10, "me federation 2"),
        at(second, 20, "me federation 3"),
        at(third, 30),
    ]
    return [
        {"name": "two rotations", "tokens": chain, "expect": "ok", "last": key("me federation 3").kid},
        {"name": "a link is missing", "tokens": [chain[0], chain[3]], "expect": "unknown_key"},
        {"name": "nothing continues from the pinned key", "tokens": chain[2:], "expect": "unknown_key"},
        {"name": "newest first", "tokens": [chain[1], chain[0]], "expect": "rollback"},
        {"name": "nothing", "tokens": [], "expect": "too_large"},
    ]


def merkle() -> dict[str, Any]:
    """Section 4: headers, leaves and roots, computed here by the definition of RFC 6962 and not by the program."""
    entries = [make_put(0, "unit/spoc", {"a": 0}, NOW, bytes(16)), make_delete(1, "unit/spoc", NOW)]
    entries += [make_put(seq, f"unit/u{seq}", {"a": seq}, NOW, bytes([seq]) * 16) for seq in range(2, 20)]
    leaves = [hashlib.sha256(b"\x00" + entry.header).digest() for entry in entries]

    def root(part: list[bytes]) -> bytes:
        if len(part) <= 1:
            return part[0] if part else hashlib.sha256(b"").digest()
        split = 1 << (len(part) - 1).bit_length() - 1
        return hashlib.sha256(b"\x01" + root(part[:split]) + root(part[split:])).digest()

    def path(part: list[bytes], index: int) -> list[bytes]:
        if len(part) == 1:
            return []
        split = 1 << (len(part) - 1).bit_length() - 1
        if index < split:
            return [*path(part[:split], index), root(part[split:])]
        return [*path(part[split:], index - split), root(part[:split])]

    return {
        "about": "protocol.md, section 4; RFC 6962: leaves over header bytes, the root at each size, inclusion paths",
        "headers": [entry.header.decode() for entry in entries],
        "leaves": [b64url_encode(leaf) for leaf in leaves],
        "roots": [b64url_encode(root(leaves[:size])) for size in range(len(leaves) + 1)],
        "paths": [
            {"index": index, "size": size, "path": [b64url_encode(node) for node in path(leaves[:size], index)]}
            for size in (1, 2, 7, 8, 20)
            for index in range(size)
        ],
    }


def pages() -> dict[str, Any]:
    """Sections 4 and 6: pages in the order of their checks, then what stands in their entries."""
    put = make_put(0, "unit/spoc", {"note": 'Прешево "\\'}, NOW, bytes(16))
    delete = make_delete(1, "unit/spoc", NOW)
    assert put.payload is not None
    line = json.dumps([put.header.decode(), put.payload.decode()], ensure_ascii=False, separators=(",", ":")) + "\n"
    gone = json.dumps([delete.header.decode(), None], ensure_ascii=False, separators=(",", ":")) + "\n"
    other = json.dumps([put.header.decode(), '{"salt":"","data":{}}'], separators=(",", ":")) + "\n"
    covered = json.dumps([delete.header.decode(), put.payload.decode()], separators=(",", ":")) + "\n"

    def page(name: str, body: str, count: int, expect: str) -> Case:
        return {"name": name, "body": body, "count": count, "expect": expect}

    fine, header_text = put.header.decode(), json.loads(put.header)
    return {
        "about": "protocol.md, sections 4 and 6: a page of `count` entries; a header; a payload",
        "pages": [
            page("two entries", line + gone, 2, "ok"),
            page("an erased payload", json.dumps([fine, None]) + "\n", 1, "ok"),
            page("lines beyond the checkpoint", line + gone + "not read\n", 2, "ok"),
            page("too few", line, 2, "bad_range"),
            page("more than a page holds", line * 257, 256, "bad_range"),
            page("no JSON", "header\n", 1, "bad_entry"),
            page("an object", "{}\n", 1, "bad_entry"),
            page("three members", '["a","b","c"]\n', 1, "bad_entry"),
            page("a lone surrogate", '["\\ud800",null]\n', 1, "bad_entry"),
            page("a header of 1,025 bytes", json.dumps(["a" * 1025, None]) + "\n", 1, "too_large"),
            page("a payload of 65,537 bytes", json.dumps(["a", "b" * 65_537]) + "\n", 1, "too_large"),
            page("another payload", other, 1, "bad_digest"),
            page("a payload of a delete", covered, 1, "bad_digest"),
        ],
        "headers": [
            {"name": "a put", "header": fine, "expect": "ok"},
            {"name": "a delete", "header": delete.header.decode(), "expect": "ok"},
            {
                "name": "members in another order",
                "header": json.dumps(dict(reversed(header_text.items()))),
                "expect": "ok",
            },
            *[
                {"name": name, "header": json.dumps(header_text | changes), "expect": "bad_entry"}
                for name, changes in {
                    "another member": {"x": 1},
                    "seq as a text": {"seq": "0"},
                    "seq true": {"seq": True},
                    "a slug in capitals": {"record": "unit/SPOC"},
                    "a slug with a look-alike hyphen": {"record": "unit/a\u2011b"},
                    "a record without type": {"record": "spoc"},
                    "an offset instead of Z": {"at": "2026-11-21T20:00:00+00:00"},
                    "no such day": {"at": "2026-02-30T20:00:00Z"},
                    "a digest of 31 bytes": {"digest": b64url_encode(bytes(31))},
                    "a delete with a digest": {"op": "delete"},
                }.items()
            ],
        ],
        "payloads": [
            {"name": "a record", "payload": put.payload.decode(), "expect": "ok"},
            {"name": "no salt", "payload": '{"data":{}}', "expect": "bad_entry"},
            {"name": "a salt of 3 bytes", "payload": '{"salt":"AAAA","data":{}}', "expect": "bad_entry"},
            {"name": "a list", "payload": '{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":[]}', "expect": "bad_entry"},
            {
                "name": "a member twice",
                "payload": '{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":{"a":1,"a":2}}',
                "expect": "bad_entry",
            },
        ],
    }


FILES = {
    "checkpoints.json": checkpoints,
    "tokens.json": tokens,
    "statements.json": statements,
    "merkle.json": merkle,
    "pages.json": pages,
    "messages.json": messages,
    "receipts.json": receipts,
    "peering.json": peering,
    "readers.json": readers,
    "fingerprints.json": fingerprints,
    "keys.json": keys,
    "chains.json": chains,
    "standings.json": standings,
    "disputes.json": disputes,
}


def render(name: str) -> str:
    """The text of one file."""
    return json.dumps(FILES[name](), ensure_ascii=True, indent=1) + "\n"


def main() -> None:
    """Write all files beside this program."""
    for name in FILES:
        (HERE / name).write_text(render(name), encoding="utf-8")


if __name__ == "__main__":
    main()
