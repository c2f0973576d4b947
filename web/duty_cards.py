"""A participant's contact points as cards on paper, for the day the network is down: one HTML file, nothing beside it.

The page is written to a file and never served, so it may carry its own style.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from directory.errors import NotFoundError
from directory.freshness import LogFacts, age_seconds, state, valid_until, verification
from directory.hours import format_hours
from directory.index import Directory
from directory.policy import Policy
from directory.rota_schedule import Shift, shifts
from directory.values import Participant, Unit
from web.find_answer import Line, contact_lines
from web.labels import CHANNELS, KINDS, LANGUAGES, spoken_number
from web.presentation import Name, Shown, city, offset, pick_name, show_freshness

AHEAD = dt.timedelta(days=7)
_ORDER = (
    "spoc", "ops_centre", "ncb", "enu", "sirene", "selec_nfp", "pccc", "liaison", "fiu", "network_contact",
    "directorate", "specialist", "regional", "border_station",
)  # fmt: skip
"""The kinds as somebody in a hurry looks for them."""
_templates = Environment(
    loader=PackageLoader("web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True, slots=True)
class Watch:
    """Who serves from when to when, on the unit's clock; ``name`` is None in a gap."""

    day: str
    times: str
    name: str | None
    phone: str


@dataclass(frozen=True, slots=True)
class Card:
    """One unit."""

    ref: str
    title: str
    lang: str
    also: Sequence[Name]
    agency: str
    phone: str
    lines: Sequence[Line]
    channels: str
    languages: str
    hours: str
    zone: str
    has_rota: bool
    watches: Sequence[Watch]
    confirmed: str


@dataclass(frozen=True, slots=True)
class Group:
    """The units of one kind."""

    title: str
    cards: Sequence[Card]


def cards_page(directory: Directory, policy: Policy, facts: LogFacts | None, code: str, now: dt.datetime) -> str:
    """The page of a participant's units, with who is on duty for the next seven days.

    Raises NotFoundError where the directory holds no units of it.
    """
    participant = directory.participants.get(code)
    units = sorted(directory.units_of(code), key=lambda unit: (_place(unit.kind), unit.kind, unit.slug))
    if participant is None or not units:
        raise NotFoundError(f"the directory holds no units of {code}, so there are no cards to write")
    groups = [
        Group(KINDS[kind], [_card(directory, unit, now) for unit in group])
        for kind, group in groupby(units, key=lambda unit: unit.kind)
    ]
    return _templates.get_template("cards.html").render(
        code=code,
        name=participant.name.rstrip("*") + ("*" if code in policy.status_notes else ""),
        note=policy.status_notes.get(code),
        groups=groups,
        made=_made(participant, now),
        until=_day((now + AHEAD).astimezone(participant.zone)),
        freshness=_freshness(facts, now),
        issued=f"{facts.issued_at:%d %b %Y %H:%M} UTC" if facts and facts.issued_at else "never",
    )


def _place(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _made(participant: Participant, now: dt.datetime) -> str:
    there = now.astimezone(participant.zone)
    return f"{there:%a %d %b %Y %H:%M} {city(participant.zone)} ({now.astimezone(dt.UTC):%H:%M} UTC)"


def _freshness(facts: LogFacts | None, now: dt.datetime) -> Shown:
    if facts is None:
        return show_freshness(None, None, "verified")
    return show_freshness(state(facts, now), age_seconds(facts, now), "verified")


def _card(directory: Directory, unit: Unit, now: dt.datetime) -> Card:
    first, also = pick_name(unit.names, unit.slug)
    zone = directory.zone_of(unit)
    agency = directory.agency(f"{unit.participant}:agency/{unit.agency}") if unit.agency else None
    return Card(
        ref=unit.ref,
        title=first.text,
        lang=first.lang,
        also=also,
        agency=pick_name(agency.names, agency.slug)[0].text if agency else "",
        phone=spoken_number(unit.phone or ""),
        lines=contact_lines(unit),
        channels=_listed(CHANNELS.get(channel, channel) for channel in sorted(unit.channels)),
        languages=_listed(LANGUAGES.get(language, language) for language in unit.languages),
        hours=format_hours(unit.hours),
        zone=f"{city(zone)}, {offset(now.astimezone(zone))}",
        has_rota=directory.rota_of(unit) is not None,
        watches=[*_watches(directory, unit, zone, now)],
        confirmed=_confirmed(unit, now),
    )


def _watches(directory: Directory, unit: Unit, zone: ZoneInfo, now: dt.datetime) -> Iterator[Watch]:
    found = directory.rota_of(unit)
    if found is None:
        return
    latest = ""
    for shift in shifts(found[1], now, now + AHEAD):
        day = _day(shift.start.astimezone(zone))
        name, phone = _who(directory, unit, shift)
        yield Watch(day if day != latest else "", _times(shift, zone), name, phone)
        latest = day


def _times(shift: Shift, zone: ZoneInfo) -> str:
    start, end = shift.start.astimezone(zone), shift.end.astimezone(zone)
    days = (end.date() - start.date()).days
    day = f"{_day(end)} " if days > 5 else f"{end:%a} " if days else ""
    return f"{start:%H:%M} – {day}{end:%H:%M}"


def _who(directory: Directory, unit: Unit, shift: Shift) -> tuple[str | None, str]:
    if shift.member is None:
        return None, ""
    member = directory.member(f"{unit.participant}:member/{shift.member}")
    return (member.name, spoken_number(member.phone or "")) if member else (shift.member, "")


def _confirmed(unit: Unit, now: dt.datetime) -> str:
    until = valid_until(unit)
    if unit.verified_at is None or until is None:
        return "never confirmed by its owner"
    on = f"confirmed {unit.verified_at:%d %b %Y}"
    return (
        f"{on}, good until {until:%d %b %Y}" if verification(unit, now) == "verified" else f"{on}: NOT CONFIRMED SINCE"
    )


def _day(local: dt.datetime) -> str:
    return f"{local:%a} {local.day} {local:%b}"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "not given"
