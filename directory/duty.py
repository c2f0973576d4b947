"""Who is on duty at a unit, and who is next where nobody is (directory.md, sections 3 and 5).

The answer is one member, or an explicit gap with the next contact of the unit's escalation. The words of an escalation
(``on_duty``, ``next``, ``fallback``, ``spoc``, ``member/<id>``, ``unit/<id>``) are resolved here and nowhere else, so
that a person who looks up and a request that escalates find the same contact.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from directory.errors import NotFoundError
from directory.index import Directory, HeldRota
from directory.instants import format_instant
from directory.rota_schedule import next_member
from directory.values import Member, Unit

DEFAULT_ESCALATION: Sequence[Mapping[str, Any]] = (
    {"after": 0, "notify": ["on_duty"]},
    {"after": 15, "notify": ["next", "fallback"]},
    {"after": 30, "notify": ["spoc"]},
    {"after": 60, "notify": ["asker"]},
)
"""For urgent requests, minutes after receipt."""


@dataclass(frozen=True, slots=True)
class Duty:
    """A member on duty (``member`` None where the rota names one that has no record), or a gap (``slug`` None).

    ``since`` and ``until`` bound the shift or the gap; a unit without a rota has neither.
    """

    slug: str | None
    member: Member | None
    since: dt.datetime | None
    until: dt.datetime | None
    rota: HeldRota | None


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody to turn to: a unit, and the member of it if one is known; ``via`` is the word that led there.

    ``since`` is when that member's shift begins, where it lies ahead.
    """

    via: str
    unit: Unit
    slug: str | None
    member: Member | None
    since: dt.datetime | None = None


NO_ROTA = Duty(None, None, None, None, None)


def on_duty(directory: Directory, unit: Unit, at: dt.datetime) -> Duty:
    """Return who is on duty at a unit at an instant."""
    held = directory.held_rota_of(unit)
    if held is None:
        return NO_ROTA
    shift = directory.shift_of(held, at)
    member = directory.member(f"{unit.participant}:member/{shift.member}") if shift.member else None
    return Duty(shift.member, member, shift.start, shift.end, held)


def next_contact(directory: Directory, unit: Unit, at: dt.datetime) -> Contact:
    """Return the next contact after a gap: the first that the unit's escalation finds, at last the unit's own desk."""
    for word in _words(unit):
        for contact in resolve(directory, unit, word, at):
            return contact
    return Contact("desk", unit, None, None)


def _words(unit: Unit) -> Iterator[str]:
    steps = unit.data.get("escalation") or DEFAULT_ESCALATION
    return (word for step in steps for word in step["notify"])


def resolve(directory: Directory, unit: Unit, word: str, at: dt.datetime) -> list[Contact]:
    """Return whom a word of the escalation means for a unit at an instant: one contact, or none.

    ``asker`` is nobody here: it turns back to the other side. A unit that is its own fallback or SPOC is skipped.
    """
    if word == "on_duty":
        duty = on_duty(directory, unit, at)
        return [Contact(word, unit, duty.slug, duty.member)] if duty.slug else []
    if word == "next":
        return _next_on_duty(directory, unit, at)
    if word.startswith("member/"):
        return _named_member(directory, unit, word)
    other = _other_unit(directory, unit, word)
    if other is None or other.ref == unit.ref:
        return []
    duty = on_duty(directory, other, at)
    return [Contact(word, other, duty.slug, duty.member)]


def _next_on_duty(directory: Directory, unit: Unit, at: dt.datetime) -> list[Contact]:
    held = directory.held_rota_of(unit)
    if held is None:
        return []
    shift = directory.shift_of(held, at)
    # Within one shift the next member stays the same, and finding it may look far ahead.
    found = directory.prepared(("next", held.ref, shift.start), lambda: [next_member(held.rota, at)])[0]
    if found is None or found.member is None:
        return []
    member = directory.member(f"{unit.participant}:member/{found.member}")
    return [Contact("next", unit, found.member, member, found.start)]


def _named_member(directory: Directory, unit: Unit, word: str) -> list[Contact]:
    member = directory.member(f"{unit.participant}:{word}")
    return [Contact(word, unit, member.slug, member)] if member else []


def _other_unit(directory: Directory, unit: Unit, word: str) -> Unit | None:
    """Return the unit that ``fallback`` (the parent, else the SPOC), ``spoc`` or ``unit/<id>`` means."""
    if word == "fallback":
        return directory.parent_of(unit) or directory.spoc(unit.participant)
    if word == "spoc":
        return directory.spoc(unit.participant)
    return directory.unit(f"{unit.participant}:{word}") if word.startswith("unit/") else None


def who_is_on_duty(directory: Directory, unit_ref: str, at: dt.datetime) -> dict[str, object]:
    """Return the answer of ``/on-duty``: a member, or null with the next contact.

    Raises NotFoundError for a unit that the directory does not hold.
    """
    unit = directory.unit(unit_ref)
    if unit is None:
        raise NotFoundError(f"expected a unit of the directory such as RS:unit/rs-spoc, found {unit_ref!r}")
    duty = on_duty(directory, unit, at)
    return {
        "unit": unit.ref,
        "at": format_instant(at),
        "member": member_json(duty.slug, duty.member) if duty.slug else None,
        "since": _text(duty.since),
        "until": _text(duty.until),
        "next_contact": None if duty.slug else contact_json(next_contact(directory, unit, at)),
        "source": {"seq": duty.rota.seq, "published_at": _text(duty.rota.at)} if duty.rota else None,
    }


def member_json(slug: str, member: Member | None) -> dict[str, object]:
    """Return a member as answers show it; one without a record is shown by its id."""
    if member is None:
        return {"id": slug, "name": slug, "phone": None, "languages": []}
    return {"id": slug, "name": member.name, "phone": member.phone, "languages": list(member.languages)}


def contact_json(contact: Contact) -> dict[str, object]:
    """Return a next contact as answers show it."""
    return {
        "via": contact.via,
        "unit": contact.unit.ref,
        "member": member_json(contact.slug, contact.member) if contact.slug else None,
        "phone": (contact.member.phone if contact.member else None) or contact.unit.phone,
        "email": (contact.member.email if contact.member else None) or contact.unit.email,
        "from": _text(contact.since),
    }


def _text(instant: dt.datetime | None) -> str | None:
    return format_instant(instant) if instant else None
