"""How names, instants and freshness are shown to people."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flask import url_for

from directory.instants import format_instant
from directory.values import Unit
from web.held import Held
from web.labels import STATES, ago

PREFERRED = ("en", "sr-Latn", "hr", "bs", "cnr")
_MOST_OTHER_NAMES = 3


@dataclass(frozen=True, slots=True)
class Name:
    """A name and the language it is in."""

    text: str
    lang: str


@dataclass(frozen=True, slots=True)
class Named:
    """A thing by its names, with the page that shows it."""

    title: str
    lang: str
    also: Sequence[Name]
    href: str


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant as theirs and, where the clocks differ, as mine."""

    utc: str
    theirs: str
    mine: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A freshness in words; ``state`` also chooses shape and colour."""

    state: str
    words: str


@dataclass(frozen=True, slots=True)
class Clocks:
    """The zones that a page speaks of: the contact's and the reader's, at one present instant."""

    theirs: ZoneInfo
    mine: ZoneInfo
    now: dt.datetime

    def moment(self, instant: dt.datetime) -> Moment:
        """An instant on both clocks."""
        there, here = instant.astimezone(self.theirs), instant.astimezone(self.mine)
        same = there.utcoffset() == here.utcoffset()
        theirs = f"{self._day(there)}{there:%H:%M} {city(self.theirs)}"
        return Moment(
            format_instant(instant), theirs, "" if same else f"{self._day(here)}{here:%H:%M} {city(self.mine)}"
        )

    def optional(self, instant: dt.datetime | None) -> Moment | None:
        """An instant on both clocks, if there is one."""
        return None if instant is None else self.moment(instant)

    def their_time(self) -> str:
        """The time there now."""
        there = self.now.astimezone(self.theirs)
        return f"{there:%a %H:%M} {city(self.theirs)} ({offset(there)})"

    def my_time(self) -> str:
        """The time here now, and in UTC."""
        here = self.now.astimezone(self.mine)
        same = here.utcoffset() == self.now.astimezone(self.theirs).utcoffset()
        mine = "the same here" if same else f"here {here:%a %H:%M}"
        return f"{mine}, {self.now.astimezone(dt.UTC):%H:%M} UTC"

    def _day(self, local: dt.datetime) -> str:
        """The day, unless it is today."""
        today = self.now.astimezone(local.tzinfo).date()
        return "" if local.date() == today else f"{local:%a} {local.day} {local:%b} "


def city(zone: ZoneInfo) -> str:
    """The city that names a zone."""
    return zone.key.rpartition("/")[2].replace("_", " ")


def offset(local: dt.datetime) -> str:
    """A local time's distance from UTC."""
    minutes = int((local.utcoffset() or dt.timedelta()).total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'−' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"


def pick_name(names: Mapping[str, str], fallback: str) -> tuple[Name, list[Name]]:
    """The name to show first, English where there is one, and up to three others that differ from it."""
    tags = sorted(names, key=lambda tag: PREFERRED.index(tag) if tag in PREFERRED else len(PREFERRED))
    if not tags:
        return Name(fallback, "en"), []
    first = Name(names[tags[0]], tags[0])
    others = [Name(names[tag], tag) for tag in names if tag != first.lang]
    unlike = list({name.text: name for name in others if name.text != first.text}.values())
    return first, unlike[:_MOST_OTHER_NAMES]


def country_name(here: Held, code: str) -> str:
    """A participant by its English name; a star leads to the note on its status, wherever the name stands."""
    participant = here.directory.participants.get(code)
    name = code if participant is None else participant.name
    return f"{name.rstrip('*')}*" if code in here.policy.status_notes else name


def status_note(here: Held, *codes: str) -> str | None:
    """What the stars on a page mean; None where no name with one stands on it."""
    return next((here.policy.status_notes[code] for code in codes if code in here.policy.status_notes), None)


def named_unit(unit: Unit) -> Named:
    """A unit by its names."""
    first, others = pick_name(unit.names, unit.slug)
    return Named(first.text, first.lang, others, unit_href(unit.participant, unit.slug))


def unit_href(participant: str, slug: str) -> str:
    """The page of a unit."""
    return url_for("pages.contact", code=participant, slug=slug)


def show_freshness(state: str | None, age_s: int | None, verification: str) -> Shown:
    """A freshness as a phrase: the log's state and age, and whether the unit's own entry still counts as confirmed."""
    state = state or "stale"
    text = f"{STATES[state]}, as of {ago(age_s)}" if age_s is not None else STATES[state]
    return Shown(state, text if verification == "verified" else f"{text}; not confirmed by its owner lately")
