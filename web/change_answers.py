"""The entries of a held log as a feed: what was saved, in order, by number."""

from typing import Any

from sqlalchemy.orm import Session

from directory.instants import format_instant
from federation.entries import Entry, Header, parse_payload
from federation.errors import EntryError, NotHeldError
from federation.log import load_head, read_entries
from federation.projection import read_header


def changes_json(session: Session, participant: str, since: int, limit: int) -> dict[str, Any]:
    """Entries ``since`` and on, ``limit`` at most; none where the reader has them all. NotHeldError: no such log."""
    head = load_head(session, participant)
    if head is None:
        raise NotHeldError(f"no log of {participant} is held here")
    end = min(since + limit, head.size)
    entries = read_entries(session, participant, since, end) if since < head.size else []
    return {
        "participant": participant,
        "size": head.size,
        "items": [_entry_json(seq, entry) for seq, entry in enumerate(entries, since)],
        "next": end if end < head.size else None,
    }


def _entry_json(seq: int, entry: Entry) -> dict[str, Any]:
    """One entry; where it breaks a rule it says so and nothing more, like everywhere (protocol.md, section 6)."""
    try:
        header = read_header(entry.header)
        if not isinstance(header, Header):
            return {"seq": seq, "record": None, "op": "unreadable", "at": None, "data": None}
        data = None if entry.payload is None else parse_payload(entry.payload)
    except EntryError:
        return {"seq": seq, "record": None, "op": "unreadable", "at": None, "data": None}
    return {"seq": seq, "record": header.record, "op": header.op, "at": format_instant(header.at), "data": data}
