"""A rota's schedule, history, preview and calendar as the API answers them (directory.md, section 3)."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from directory.errors import Fault, InvalidInputError, NotFoundError
from directory.instants import format_instant
from directory.rota import Override, Rota, parse_rota
from directory.rota_review import Review, review
from directory.rota_schedule import Shift, shifts
from directory.store import LIVE, Record, load_record, load_rota_versions
from web.held import Held
from web.record_answers import find_record

DEFAULT_WINDOW = dt.timedelta(days=90)
LONGEST_WINDOW = dt.timedelta(days=1100)


def find_rota(session: Session, code: str, slug: str) -> tuple[Record, Rota]:
    """A rota with its record; NotFoundError where there is none or it cannot be read."""
    record = find_record(session, code, f"rota/{slug}")
    if record.state != LIVE:
        raise NotFoundError(f"{record.ref} cannot be read")
    return record, parse_rota(record.data)


def shifts_json(rota: Rota, start: dt.datetime | None, end: dt.datetime | None, now: dt.datetime) -> dict[str, Any]:
    """The resolved schedule of a window."""
    return {"shifts": [_shift_json(shift) for shift in shifts(rota, *_window(start, end, now))]}


def history_json(session: Session, slug: str) -> dict[str, Any]:
    """The superseded versions of an own rota, newest first."""
    versions = load_rota_versions(session, f"rota/{slug}")
    return {
        "items": [
            {
                "seq": version.seq,
                "data": version.data,
                "published_at": format_instant(version.published_at),
                "replaced_at": format_instant(version.replaced_at),
            }
            for version in versions
        ]
    }


def preview_json(
    session: Session,
    here: Held,
    slug: str,
    data: Mapping[str, Any],
    start: dt.datetime | None,
    end: dt.datetime | None,
    now: dt.datetime,
) -> dict[str, Any]:
    """What saving ``data`` as the own rota ``slug`` would change, and what looks like a mistake.

    InvalidInputError where it is no rota at all.
    """
    held = load_record(session, here.config.participant, f"rota/{slug}")
    before = parse_rota(held.data) if held is not None and held.state == LIVE else None
    after = parse_rota(data, refuse_double_replacements=False)  # saving refuses them; here they are shown
    return _review_json(review(before, after, *_window(start, end, now)))


def member_names(here: Held, code: str, rota: Rota) -> dict[str, str]:
    """The names of a rota's members, as far as they have records."""
    found = {slug: here.directory.member(f"{code}:member/{slug}") for slug in rota.members}
    return {slug: member.name for slug, member in found.items() if member is not None}


def _window(start: dt.datetime | None, end: dt.datetime | None, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    first = start or now.replace(microsecond=0)
    last = end or first + DEFAULT_WINDOW
    if not first < last <= first + LONGEST_WINDOW:
        found = f"{format_instant(first)} to {format_instant(last)}"
        raise InvalidInputError([Fault("/to", found, f"expected an end within {LONGEST_WINDOW.days} days after from")])
    return first, last


def _shift_json(shift: Shift) -> dict[str, Any]:
    return {**_interval(shift.start, shift.end), "member": shift.member}


def _review_json(found: Review) -> dict[str, Any]:
    return {
        "changes": [
            {**_interval(change.start, change.end), "before": change.before, "after": change.after}
            for change in found.changes
        ],
        "gaps": [_interval(gap.start, gap.end) for gap in found.gaps],
        "idle_members": list(found.idle_members),
        "conflicts": [
            {
                **_interval(conflict.start, conflict.end),
                "first": _override_json(conflict.first),
                "second": _override_json(conflict.second),
            }
            for conflict in found.conflicts
        ],
        "clock_changes": [format_instant(instant) for instant in found.clock_changes],
    }


def _override_json(override: Override) -> dict[str, Any]:
    return {
        **_interval(override.start, override.end),
        "member": override.member,
        "replaces": override.replaces,
        "reason": override.reason,
    }


def _interval(start: dt.datetime, end: dt.datetime) -> dict[str, str]:
    return {"start": format_instant(start), "end": format_instant(end)}
