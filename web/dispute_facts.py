"""A dispute as it is shown to people and programs; its evidence is handed on by ``veza dispute export``."""

from typing import Any

from directory.instants import format_instant
from federation.disputes import Dispute
from federation.encoding import b64url_encode


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
        "resolved_at": None if found.resolved_at is None else format_instant(found.resolved_at),
        "reason": found.reason,
    }
