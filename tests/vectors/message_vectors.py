"""Vectors of sections 6 and 8: messages and their receipts, proposals to peer, and who may read."""

import hashlib
from dataclasses import replace
from typing import Any

from federation.encoding import b64url_encode
from federation.keys import jwks_of, key_set
from federation.signing import MESSAGE, READ_TOKEN, RECEIPT
from federation.statements import make_configuration
from tests.unit.federation.samples import NOW, altered, claims_of, forge, identity, key
from tests.vectors.cases import IAT, JTI, ME, OPERATING, RS, Case, case, header, signed, spoiled

BG = identity("BG")
"""A node that the receiver does not trust yet."""
_MESSAGE = {"iss": ME.entity_id, "aud": RS.entity_id, "jti": JTI, "iat": IAT, "exp": IAT + 86_400}
_CONFIGURATION = make_configuration(ME, now=NOW, name="ME").token
_BODY = {"participant": "ME", "configuration": _CONFIGURATION}


def messages() -> dict[str, Any]:
    """Messages of a node that is bound already; then two that share their ``jti``."""
    approved = _MESSAGE | {"type": "peering.approved", "body": _BODY}
    good = signed(MESSAGE.typ, approved)
    renewed = signed(MESSAGE.typ, approved, iat=IAT + 60, exp=IAT + 120)
    head, body, _ = good.split(".")
    other = key("me operating 2")
    cases = [
        case("an approval of a bound node", good, "ok"),
        case("a claim of a newer version", signed(MESSAGE.typ, approved, new=1), "ok"),
        case("32 KiB and a byte", "A" * 32_769, "too_large"),
        case("padding", good + "=", "malformed"),
        case(
            "a header that names a key's address",
            forge(header(MESSAGE.typ, jku="x"), approved, OPERATING),
            "bad_header",
        ),
        case("a checkpoint", signed("veza-checkpoint+jwt", approved), "wrong_type"),
        case("no algorithm", forge(header(MESSAGE.typ, alg="none"), approved, OPERATING), "bad_signature"),
        case("no signature", f"{head}.{body}.", "bad_signature"),
        case("a jti that is no UUID", signed(MESSAGE.typ, approved, jti="1"), "malformed"),
        case("no body", signed(MESSAGE.typ, approved, body=...), "malformed"),
        case("24 h and a second", signed(MESSAGE.typ, approved, exp=IAT + 86_401), "malformed"),
        case("a key that is not listed", signed(MESSAGE.typ, approved, other), "unknown_key"),
        case("signed by another under its kid", forge(header(MESSAGE.typ), approved, other), "bad_signature"),
        case("a turned bit", spoiled(good), "bad_signature"),
        case("meant for another", signed(MESSAGE.typ, approved, aud=BG.entity_id), "wrong_audience"),
        case("meant for several", signed(MESSAGE.typ, approved, aud=[RS.entity_id]), "wrong_audience"),
        case("301 s ahead", signed(MESSAGE.typ, approved, iat=IAT + 301), "not_yet_valid"),
        case("301 s past", signed(MESSAGE.typ, approved, iat=IAT - 900, exp=IAT - 301), "expired"),
        case("a type that nobody knows", signed(MESSAGE.typ, approved, type="peering.renewed"), "bad_request"),
        case("a body without its members", signed(MESSAGE.typ, approved, body={}), "bad_request"),
    ]
    return {
        "about": "protocol.md, sections 2 and 8: messages of ME, which RS knows, met by RS at the instant `now`",
        "now": IAT,
        "issuer": ME.entity_id,
        "participant": "ME",
        "configuration": _CONFIGURATION,
        "audience": RS.entity_id,
        "keys": jwks_of(key_set(OPERATING)),
        "cases": cases,
        "repeats": [
            _pair("the same token again", good, good, "ok"),
            _pair("signed anew", good, renewed, "ok"),
            _pair(
                "members in another order",
                good,
                signed(MESSAGE.typ, approved, body=dict(reversed(_BODY.items()))),
                "ok",
            ),
            _pair("long expired, and known", good, signed(MESSAGE.typ, approved, iat=IAT - 9000, exp=IAT - 8000), "ok"),
            _pair("another type", good, signed(MESSAGE.typ, approved, type="peering.refused"), "jti_conflict"),
            _pair("another body", good, signed(MESSAGE.typ, approved, body=_BODY | {"note": ""}), "jti_conflict"),
            _pair("a repeat that is forged", good, spoiled(good), "bad_signature"),
        ],
    }


def _pair(name: str, first: str, second: str, expect: str) -> Case:
    """What must be answered to ``second`` once ``first`` was taken; ``ok`` is the receipt of the first."""
    return {"name": name, "first": first, "token": second, "expect": expect}


def receipts() -> dict[str, Any]:
    """What ME may take as RS's receipt for a message that it signed twice."""
    claims = _MESSAGE | {"type": "peering.approved", "body": _BODY}
    sent = [signed(MESSAGE.typ, claims), signed(MESSAGE.typ, claims, iat=IAT + 60, exp=IAT + 120)]
    good = {"iss": RS.entity_id, "aud": ME.entity_id, "iat": IAT + 1, "jti": JTI, "digest": _digest(sent[0])}
    their = RS.operating_key

    def receipt(**changes: object) -> str:
        return signed(RECEIPT.typ, good, their, **changes)

    cases = [
        case("for the first token", receipt(), "ok"),
        case("for the token signed anew", receipt(digest=_digest(sent[1])), "ok"),
        case("for a token never sent", receipt(digest=_digest(sent[0] + "x")), "refused"),
        case("for another message", receipt(jti="0b54f6a8-5f6e-4f0e-9d55-0f9e54a3c112"), "refused"),
        case("by another node", receipt(iss=BG.entity_id), "wrong_issuer"),
        case("for another node", receipt(aud=BG.entity_id), "wrong_audience"),
        case("by a key that is not listed", signed(RECEIPT.typ, good, OPERATING), "unknown_key"),
        case("forged", spoiled(receipt()), "bad_signature"),
        case("301 s ahead", receipt(iat=IAT + 302), "not_yet_valid"),
        case("with exp", receipt(exp=IAT + 60), "malformed"),
        case("a message in its place", signed(MESSAGE.typ, claims, their), "wrong_type"),
    ]
    return {
        "about": "protocol.md, section 8: a receipt of RS for a message of ME, met by ME a second after `now`",
        "now": IAT + 1,
        "issuer": RS.entity_id,
        "audience": ME.entity_id,
        "jti": JTI,
        "sent": sent,
        "keys": jwks_of(key_set(their)),
        "cases": cases,
    }


def _digest(token: str) -> str:
    return b64url_encode(hashlib.sha256(token.encode()).digest())


def peering() -> dict[str, Any]:
    """Messages of a node that is not bound: only ``peering.*`` counts, against the configuration that it carries."""
    made = make_configuration(BG, now=NOW, name="BG").token
    signing, federation = BG.operating_key, key("bg federation")
    metadata = claims_of(made)["metadata"]
    body = {"participant": "BG", "configuration": made}
    claims = {"iss": BG.entity_id, "aud": RS.entity_id, "jti": JTI, "iat": IAT, "exp": IAT + 86_400}
    claims |= {"type": "peering.proposed", "body": body}
    weak = {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(b"\x01" + bytes(31))}

    def node(**members: object) -> str:
        return altered(made, federation, metadata=metadata | {"veza_node": metadata["veza_node"] | members})

    def carrying(configuration: object, **members: object) -> str:
        return signed(MESSAGE.typ, claims, signing, body=body | {"configuration": configuration} | members)

    plain = replace(BG, entity_id="http://spoc.example.bg")
    good = signed(MESSAGE.typ, claims, signing)
    cases = [
        case("a proposal", good, "ok"),
        case("an approval", signed(MESSAGE.typ, claims, signing, type="peering.approved"), "ok"),
        case("a refusal", signed(MESSAGE.typ, claims, signing, type="peering.refused"), "ok"),
        case("signed with a key that the configuration does not list", signed(MESSAGE.typ, claims), "unknown_key"),
        case("forged", spoiled(good), "bad_signature"),
        case("meant for another", signed(MESSAGE.typ, claims, signing, aud=ME.entity_id), "wrong_audience"),
        case("expired", signed(MESSAGE.typ, claims, signing, iat=IAT - 900, exp=IAT - 301), "expired"),
        case("a configuration of another node", carrying(_CONFIGURATION), "wrong_issuer"),
        case("a code that the configuration does not claim", carrying(made, participant="ME"), "wrong_participant"),
        case(
            "a configuration that expired",
            carrying(altered(made, federation, iat=IAT - 9000, exp=IAT - 301)),
            "expired",
        ),
        case("a configuration signed by another", carrying(altered(made, OPERATING)), "unknown_key"),
        case("a configuration that was changed", carrying(spoiled(made)), "bad_signature"),
        case(
            "a configuration with a weak key", carrying(node(jwks={"keys": [signing.public_jwk(), weak]})), "weak_key"
        ),
        case("a configuration of another version", carrying(node(protocol=2)), "unsupported_version"),
        case("one key for both purposes", carrying(node(jwks=jwks_of(key_set(federation)))), "key_reused"),
        case("a log elsewhere", carrying(node(log="https://evil.example/federation/v1/logs/BG")), "insecure_url"),
        case(
            "without https",
            signed(
                MESSAGE.typ,
                claims | {"iss": plain.entity_id},
                signing,
                body=body | {"configuration": make_configuration(plain, now=NOW, name="BG").token},
            ),
            "insecure_url",
        ),
        case("a checkpoint as configuration", carrying(signed("veza-checkpoint+jwt", {}, signing)), "wrong_type"),
        case("no configuration", signed(MESSAGE.typ, claims, signing, body={"participant": "BG"}), "bad_request"),
        case("a configuration that is a number", carrying(1), "bad_request"),
        case("no participant", signed(MESSAGE.typ, claims, signing, body={"configuration": made}), "bad_request"),
        case("another matter", signed(MESSAGE.typ, claims, signing, type="contact.requested"), "unknown_participant"),
    ]
    return {
        "about": "protocol.md, section 8: messages of BG, which RS does not know and no anchor lists, met at `now`",
        "now": IAT,
        "issuer": BG.entity_id,
        "participant": "BG",
        "audience": RS.entity_id,
        "fingerprint": federation.kid,
        "cases": cases,
    }


def readers() -> dict[str, Any]:
    """Read tokens as the node asked meets them: who reads is looked up first."""
    claims = {"iss": ME.entity_id, "aud": RS.entity_id, "iat": IAT, "exp": IAT + 300}
    good = signed(READ_TOKEN.typ, claims)
    cases = [
        case("a reader that is known", good, "ok"),
        case("the same again", good, "ok"),
        case("a reader that is not known", signed(READ_TOKEN.typ, claims, iss=BG.entity_id), "unauthenticated"),
        case("another node under its name", signed(READ_TOKEN.typ, claims, BG.operating_key), "unknown_key"),
        case("forged", spoiled(good), "bad_signature"),
        case("for another node", signed(READ_TOKEN.typ, claims, aud=BG.entity_id), "wrong_audience"),
        case("expired", signed(READ_TOKEN.typ, claims, iat=IAT - 601, exp=IAT - 301), "expired"),
        case("301 s ahead", signed(READ_TOKEN.typ, claims, iat=IAT + 301, exp=IAT + 400), "not_yet_valid"),
        case("301 s of life", signed(READ_TOKEN.typ, claims, exp=IAT + 301), "malformed"),
        case("a checkpoint in its place", signed("veza-checkpoint+jwt", claims), "wrong_type"),
    ]
    return {
        "about": "protocol.md, section 6, who may read: tokens shown to RS, which knows ME alone, at the instant `now`",
        "now": IAT,
        "entity_id": RS.entity_id,
        "known": {"entity_id": ME.entity_id, "keys": jwks_of(key_set(OPERATING))},
        "cases": cases,
    }
