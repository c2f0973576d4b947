"""One unit, or one agency with its units, as a page."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flask import url_for

from directory.duty import Duty, next_contact, on_duty
from directory.errors import NotFoundError
from directory.freshness import age_seconds, state, verification
from directory.hours import format_hours
from directory.values import Unit
from web.find_answer import Line, OnDuty, contact_lines, show_duty
from web.find_results import Result, unit_result
from web.held import Held
from web.labels import CHANNELS, KINDS, language, spoken_number
from web.presentation import (
    Clocks,
    Moment,
    Name,
    Shown,
    country_name,
    named_unit,
    pick_name,
    show_freshness,
    status_note,
)


@dataclass(frozen=True, slots=True)
class ContactView:
    """A unit with everything that helps to reach it now."""

    ref: str
    kind: str
    participant: str
    note: str | None
    title: str
    lang: str
    also: Sequence[Name]
    phone: str | None
    spoken: str
    lines: Sequence[Line]
    on_duty: OnDuty | None
    next: str | None
    their_time: str
    my_time: str
    hours: str
    open: bool
    opens: Moment | None
    languages: str
    channels: str
    freshness: Shown
    verified: str
    ask_href: str | None


@dataclass(frozen=True, slots=True)
class AgencyView:
    """An agency with its units."""

    title: str
    lang: str
    also: Sequence[Name]
    participant: str
    results: Sequence[Result]


def show_contact(here: Held, code: str, slug: str, now: dt.datetime) -> ContactView:
    """The page of a unit; NotFoundError where there is none."""
    directory = here.directory
    unit = directory.unit(f"{code}:unit/{slug}")
    if unit is None:
        raise NotFoundError(f"the directory holds no unit {code}:unit/{slug}")
    clocks = Clocks(directory.zone_of(unit), _own_zone(here, unit), now)
    named, opening, duty = named_unit(unit), directory.opening(unit, now), on_duty(directory, unit, now)
    return ContactView(
        ref=unit.ref,
        kind=KINDS[unit.kind],
        participant=country_name(here, code),
        note=status_note(here, code),
        title=named.title,
        lang=named.lang,
        also=named.also,
        phone=unit.phone,
        spoken=spoken_number(unit.phone or ""),
        lines=[*_duty_number(duty, unit), *contact_lines(unit)],
        on_duty=show_duty(duty, clocks),
        next=_next(here, unit, duty, now),
        their_time=clocks.their_time(),
        my_time=clocks.my_time(),
        hours=format_hours(unit.hours),
        open=opening.is_open,
        opens=clocks.optional(opening.next_opening),
        languages=_listed((language(code) for code in unit.languages), "not given"),
        channels=_listed((CHANNELS.get(channel, channel) for channel in sorted(unit.channels)), "none"),
        freshness=_freshness(here, unit, now),
        verified=f"{unit.verified_at:%d %b %Y}" if unit.verified_at else "never",
        ask_href=url_for("pages.find", country=code) if code != here.config.participant else None,
    )


def show_agency(here: Held, code: str, slug: str) -> AgencyView:
    """The page of an agency; NotFoundError where there is none."""
    agency = here.directory.agency(f"{code}:agency/{slug}")
    if agency is None:
        raise NotFoundError(f"the directory holds no agency {code}:agency/{slug}")
    first, others = pick_name(agency.names, slug)
    units = sorted(here.directory.units_of_agency(code, slug), key=lambda unit: unit.slug)
    results = [unit_result(here, unit) for unit in units]
    return AgencyView(first.text, first.lang, others, country_name(here, code), results)


def _duty_number(duty: Duty, unit: Unit) -> list[Line]:
    """The number of whoever is on duty, where it is another than the desk's."""
    phone = duty.member.phone if duty.member else None
    return [Line("On duty", spoken_number(phone))] if phone and phone != unit.phone else []


def _listed(words: Iterable[str], nothing: str) -> str:
    return ", ".join(words) or nothing


def _own_zone(here: Held, unit: Unit) -> ZoneInfo:
    own = here.directory.participants.get(here.config.participant)
    return own.zone if own else here.directory.zone_of(unit)


def _next(here: Held, unit: Unit, duty: Duty, now: dt.datetime) -> str | None:
    """Who is next where the rota has a gap now."""
    if duty.rota is None or duty.slug is not None:
        return None
    contact = next_contact(here.directory, unit, now)
    name = contact.member.name if contact.member else contact.slug
    return f"{name}, {contact.unit.name}" if name else contact.unit.name


def _freshness(here: Held, unit: Unit, now: dt.datetime) -> Shown:
    facts = here.facts(unit.participant)
    if facts is None:
        return show_freshness(None, None, verification(unit, now))
    return show_freshness(state(facts, now), age_seconds(facts, now), verification(unit, now))
