"""Records as the API shows them: ``{"ref", "data", "seq", "published_at", "freshness"}`` (interface.md, section 3)."""

import base64
import binascii
import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.orm import Session

from directory.errors import Fault, InvalidInputError, NotFoundError
from directory.freshness import age_seconds, state
from directory.instants import format_instant
from directory.store import DELETED, LIVE, Record, load_record, load_records
from web.held import Held
from web.replies import bytes_tag

MOST_PER_PAGE = 500


@dataclass(frozen=True, slots=True)
class Page:
    """One page of records in the order of their references; ``next`` is the cursor of the page after it."""

    items: list[dict[str, Any]]
    next: str | None

    def to_json(self) -> dict[str, Any]:
        """The page as the API answers it."""
        return {"items": self.items, "next": self.next}


def find_record(session: Session, participant: str, record_id: str) -> Record:
    """The newest state of a record, also where it is unreadable; NotFoundError where there is none."""
    record = load_record(session, participant, record_id)
    if record is None or record.state == DELETED:
        raise NotFoundError(f"the directory holds no {participant}:{record_id}")
    return record


def list_records(
    session: Session, here: Held, type_: str, participant: str | None, cursor: str | None, limit: int, now: dt.datetime
) -> Page:
    """Live records of a type, of one participant or of all."""
    after = None if cursor is None else _read_cursor(cursor)
    found = load_records(session, participant, type_, after, limit + 1)
    following = _write_cursor(found[limit - 1]) if len(found) > limit else None
    return Page([record_json(here, record, now) for record in found[:limit]], following)


def record_json(here: Held, record: Record, now: dt.datetime) -> dict[str, Any]:
    """A record with how old it is; one that cannot be read has no data and says so."""
    shown: dict[str, Any] = {
        "ref": record.ref,
        "data": record.data if record.state == LIVE else None,
        "seq": record.seq,
        "published_at": format_instant(record.at),
        "freshness": freshness_json(here, record, now),
    }
    if record.state != LIVE:
        shown["state"] = record.state
    return shown


def deleted_json(record: Record) -> dict[str, Any]:
    """What is left to say of a record that is gone."""
    return {"ref": record.ref, "seq": record.seq, "published_at": format_instant(record.at), "deleted": True}


def freshness_json(here: Held, record: Record, now: dt.datetime) -> dict[str, Any]:
    """How far the record can be relied on (directory.md, section 2)."""
    facts = here.facts(record.participant)
    verified = record.data.get("verified_at") or format_instant(record.at)
    if facts is None:
        return {"state": "stale", "checked_at": None, "age_s": None, "verified_at": verified}
    return {
        "state": state(facts, now),
        "checked_at": format_instant(facts.checked_at) if facts.checked_at else None,
        "age_s": age_seconds(facts, now),
        "verified_at": verified,
    }


def record_tag(here: Held, record: Record, shown: Mapping[str, Any]) -> str:
    """The entity tag of a record: its ``seq``.

    Of another participant's the freshness belongs to it, so that "unchanged" never hides that the log went stale.
    """
    if record.participant == here.config.participant:
        return str(record.seq)
    freshness = shown["freshness"]
    seen = hashlib.sha256(f"{freshness['state']} {freshness['checked_at']}".encode()).hexdigest()[:12]
    return f"{record.seq}-{seen}"


def page_tag(page: Page) -> str:
    """The entity tag of a page: everything but the ages, which grow by the second while nothing changes."""
    shown = [{**item, "freshness": {**item["freshness"], "age_s": None}} for item in page.items]
    return bytes_tag(orjson.dumps([shown, page.next]))


def _write_cursor(record: Record) -> str:
    return base64.urlsafe_b64encode(f"{record.participant} {record.record}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[str, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    participant, _, record = text.partition(" ")
    if not participant or not record:
        raise InvalidInputError([Fault("/cursor", cursor, "expected the cursor that the page before gave as next")])
    return participant, record
