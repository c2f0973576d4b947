"""A dispute as it is shown to people and programs; its evidence is handed on by ``veza dispute export``."""

from typing import Any

from directory.instants import format_instant
from federation.disputes import Dispute
from federation.encoding import b64url_encode
from federation.entries import parse_header
from federation.errors import FederationError


def first_difference(found: Dispute) -> dict[str, Any] | None:
    """The first entry that the two histories do not share, as each has it; None where that is not known (yet)."""
    if not found.evidence["headers"]:
        return None
    seq, *headers = found.evidence["headers"][0]
    held, offered = map(_entry, headers)
    return {"seq": seq, "held": held, "offered": offered}


def _entry(header: str) -> dict[str, Any] | None:
    """What a header says; None for one that is not well-formed, which its origin may have signed all the same."""
    try:
        found = parse_header(header.encode("utf-8"))
    except FederationError:
        return None
    return {"record": found.record, "op": found.op, "at": format_instant(found.at)}


def dispute_to_json(found: Dispute) -> dict[str, Any]:
    """A dispute without its evidence."""
    return {
        "participant": found.participant,
        "state": "open" if found.is_open else f"accepted {found.accepted}",
        "held_size": found.held[0],
        "held_root": b64url_encode(found.held[1]),
        "offered_size": found.offered[0],
        "offered_root": b64url_encode(found.offered[1]),
        "detected_at": format_instant(found.detected_at),
        "shown_by": found.shown_by,
        "evidence": "complete" if found.is_complete else "without the offered headers yet",
        "first_difference": first_difference(found),
        "resolved_at": None if found.resolved_at is None else format_instant(found.resolved_at),
        "reason": found.reason,
    }
