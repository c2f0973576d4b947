"""Vectors of section 5: checkpoints beside what is held, and evidence that two histories were signed."""

import datetime as dt
import hashlib
from dataclasses import replace
from typing import Any

from federation.encoding import b64url_encode
from federation.entries import make_delete, make_put
from federation.keys import key_set
from federation.merkle import EMPTY_ROOT
from federation.signing import CHECKPOINT
from federation.statements import make_configuration
from tests.unit.federation.samples import NOW, altered, key
from tests.vectors.cases import FEDERATION, IAT, ME, OPERATING, RS, Case, signed, spoiled

DAY = dt.timedelta(days=1)
_SECOND = key("me operating 2")
_STRANGER = key("nobody's operating")


def _history(*changed: int) -> list[bytes]:
    """Seven headers; those at ``changed`` are other ones."""
    entries = [make_put(seq, f"unit/u{seq}", {"a": seq}, NOW, bytes([seq]) * 16) for seq in range(7)]
    for seq in changed:
        entries[seq] = make_delete(seq, f"unit/u{seq}", NOW)
    return [entry.header for entry in entries]


HELD, OTHER = _history(), _history(2, 5)


def _leaves(headers: list[bytes]) -> list[bytes]:
    return [hashlib.sha256(b"\x00" + header).digest() for header in headers]


def _root(part: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, by its definition."""
    if len(part) <= 1:
        return part[0] if part else hashlib.sha256(b"").digest()
    split = 1 << (len(part) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _root(part[:split]) + _root(part[split:])).digest()


def _path(part: list[bytes], index: int) -> list[bytes]:
    """RFC 9162, section 2.1.3.1, by its definition."""
    if len(part) == 1:
        return []
    split = 1 << (len(part) - 1).bit_length() - 1
    if index < split:
        return [*_path(part[:split], index), _root(part[split:])]
    return [*_path(part[split:], index - split), _root(part[:split])]


def _point(headers: list[bytes], size: int, signing: Any = OPERATING, **claims: object) -> str:
    """A checkpoint over the first headers of a history."""
    good = {"iss": ME.entity_id, "sub": "ME", "size": size, "root": b64url_encode(_root(_leaves(headers[:size])))}
    return signed(CHECKPOINT.typ, good | {"iat": IAT, "exp": IAT + 172_800}, signing, **claims)


def standings() -> dict[str, Any]:
    """What a verified checkpoint is beside the one held, before any entry is asked for."""
    root, other = (b64url_encode(_root(_leaves(headers[:3]))) for headers in (HELD, OTHER))

    def standing(name: str, expect: str, relayed: str, **offered: object) -> Case:
        return {"name": name, "offered": {"size": 3, "root": root, "iat": IAT} | offered, "expect": expect} | {
            "from_a_relay": relayed
        }

    return {
        "about": "protocol.md, section 5: what an offered checkpoint is, at the origin's own address and from a relay",
        "held": {"size": 3, "root": root, "iat": IAT},
        "cases": [
            standing("the same", "fresh", "fresh"),
            standing("the same, renewed", "fresh", "fresh", iat=IAT + 3600),
            standing("the same, older", "rollback", "older", iat=IAT - 1),
            standing("larger", "ahead", "ahead", size=4, root=other),
            standing("larger, though older", "ahead", "ahead", size=4, root=other, iat=IAT - 3600),
            standing("smaller", "rollback", "older", size=2, root=other),
            standing("smaller, though newer", "rollback", "older", size=2, root=other, iat=IAT + 3600),
            standing("empty", "rollback", "older", size=0, root=b64url_encode(EMPTY_ROOT)),
            standing("another root", "fork", "fork", root=other),
            standing("another root, older", "fork", "fork", root=other, iat=IAT - 3600),
        ],
    }


def _evidence(held: tuple[list[bytes], int], offered: tuple[list[bytes], int], *, at: int = 2) -> Case:
    """What ``veza dispute export`` prints for two histories that differ at ``at``."""
    (mine, size), (theirs, other) = held, offered
    differ = size != other
    return {
        "participant": "ME",
        "held": _point(mine, size),
        "offered": _point(theirs, other),
        "configurations": [_CONFIGURATION],
        "headers": [[at, mine[at].decode(), theirs[at].decode()]] if differ else [],
        "proofs": {
            "held": _texts(_path(_leaves(mine[:size]), at)) if differ else [],
            "offered": _texts(_path(_leaves(theirs[:other]), at)) if differ else [],
        },
    }


def _texts(hashes: list[bytes]) -> list[str]:
    return [b64url_encode(item) for item in hashes]


def _configured(number: int, signing: Any = FEDERATION, operating: Any = OPERATING, **listed: Any) -> str:
    node = replace(ME, federation_key=signing, operating_key=operating)
    return make_configuration(node, now=NOW - (30 - number) * DAY, **listed).token


_CONFIGURATION = _configured(0)


def disputes() -> dict[str, Any]:
    """Evidence that proves two histories, and files that prove nothing; nobody is asked but the file."""
    short, long = (HELD, 3), (OTHER, 7)
    grown = _evidence((HELD, 3), (HELD, 7), at=2)
    plain = _evidence(short, long)
    second = key("me federation 2")
    rotated = [
        _configured(0, other_federation_keys=key_set(second)),
        _configured(1, second, _SECOND),
    ]
    forged = [_CONFIGURATION, _configured(1, key("nobody's federation"), _STRANGER)]
    by_stranger = _point(OTHER, 7, _STRANGER)
    beyond = [[3, HELD[3].decode(), OTHER[3].decode()]]
    wrong = {"held": plain["proofs"]["held"], "offered": plain["proofs"]["offered"][:-1]}
    swapped = {"held": plain["proofs"]["offered"], "offered": plain["proofs"]["held"]}
    cases: list[tuple[str, str, Case]] = [
        ("two roots of one size", "ok", _evidence(short, (OTHER, 3))),
        ("a rewritten history that grew", "ok", plain),
        ("a rewritten history that is shorter", "ok", _evidence((HELD, 7), (OTHER, 6), at=5)),
        ("a log of one entry", "ok", _evidence((_history(0), 1), (HELD, 2), at=0)),
        ("another entry than the first that differs", "ok", _evidence((HELD, 6), long, at=5)),
        (
            "both checkpoints expired",
            "ok",
            plain
            | {
                side: altered(plain[side], OPERATING, iat=IAT - 9 * 86_400, exp=IAT - 8 * 86_400)
                for side in ("held", "offered")
            },
        ),
        ("after the keys changed", "ok", plain | {"offered": _point(OTHER, 7, _SECOND), "configurations": rotated}),
        ("one history that grew", "refused", grown),
        ("one history, twice", "refused", _evidence(short, short)),
        ("an empty log is part of every one", "refused", plain | {"held": _point(HELD, 0)}),
        ("equal sizes and roots, with headers that differ", "refused", plain | {"offered": plain["held"]}),
        ("no headers", "refused", plain | {"headers": []}),
        ("no proofs", "refused", plain | {"proofs": {"held": [], "offered": []}}),
        ("a path that is too short", "refused", plain | {"proofs": wrong}),
        ("the paths of the other side", "refused", plain | {"proofs": swapped}),
        ("the headers of the other side", "refused", plain | {"headers": [[2, OTHER[2].decode(), HELD[2].decode()]]}),
        ("a number that is not theirs", "refused", plain | {"headers": [[1, *plain["headers"][0][1:]]]}),
        ("a number beyond the smaller log", "refused", plain | {"headers": beyond}),
        ("a number as a text", "refused", plain | {"headers": [["2", *plain["headers"][0][1:]]]}),
        ("an offered checkpoint that is forged", "bad_signature", plain | {"offered": spoiled(plain["offered"])}),
        ("a key that no configuration lists", "unknown_key", plain | {"offered": by_stranger}),
        (
            "a configuration that somebody else made",
            "unknown_key",
            plain | {"offered": by_stranger, "configurations": forged},
        ),
        ("a configuration that was changed", "bad_signature", plain | {"configurations": [spoiled(_CONFIGURATION)]}),
        ("no configuration", "refused", plain | {"configurations": []}),
        ("another participant", "refused", plain | {"participant": "RS"}),
        ("a checkpoint of another issuer", "wrong_issuer", plain | {"offered": _point(OTHER, 7, iss=RS.entity_id)}),
        ("a checkpoint about another", "wrong_participant", plain | {"offered": _point(OTHER, 7, sub="RS")}),
        ("a configuration in place of a checkpoint", "refused", plain | {"offered": _CONFIGURATION}),
        ("no file at all", "refused", {}),
    ]
    return {
        "about": "protocol.md, section 5, fork: evidence against ME; `refused` with any code proves nothing",
        "now": IAT,
        "fingerprint": FEDERATION.kid,
        "evidence": [{"name": name, "expect": expect, "evidence": found} for name, expect, found in cases],
    }
