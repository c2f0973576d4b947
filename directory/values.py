"""The things of the directory as values: participants, agencies, units, members and outages (directory.md, section 1).

They are made from records that were validated when they were imported or projected, so that reading them here cannot
fail; what a record holds beyond these fields stays in its ``data``. Units are many, so equal lists are shared and the
record itself is kept as text.
"""

import datetime as dt
import functools
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from directory.hours import Holidays, Hours, parse_holidays, parse_hours
from directory.instants import UTC, parse_instant
from directory.wallclock import load_zone

EVERY_CRIME = "*"
NO_ADDRESSES: Mapping[str, str] = MappingProxyType({})


@functools.lru_cache(maxsize=65_536)
def _shared(values: tuple[str, ...]) -> tuple[str, ...]:
    return values


@functools.lru_cache(maxsize=65_536)
def _shared_set(values: tuple[str, ...]) -> frozenset[str]:
    return frozenset(values)


@functools.lru_cache(maxsize=4_096)
def _shared_hours(text: str) -> Hours:
    return parse_hours(text)


def _strings(values: Iterable[str] | None) -> tuple[str, ...]:
    return _shared(tuple(map(sys.intern, values or ())))


def _string_set(values: Iterable[str] | None) -> frozenset[str]:
    return _shared_set(tuple(map(sys.intern, values or ())))


def _text(value: str | None) -> str | None:
    return None if value is None else sys.intern(value)


def _instant(text: str | None) -> dt.datetime | None:
    """Read a date (its first moment in UTC) or an instant."""
    if text is None:
        return None
    if len(text) == len("2026-11-21"):
        return dt.datetime.fromisoformat(text).replace(tzinfo=UTC)
    return parse_instant(text)


def _last_moment(text: str | None) -> dt.datetime | None:
    """Read until when something holds; a date holds to its end."""
    found = _instant(text)
    return found + dt.timedelta(days=1) if found and text and "T" not in text else found


def _connections(channels: Mapping[str, Mapping[str, Any]]) -> Mapping[str, str]:
    """Return the connected channels with their ceilings; without one, nothing classified."""
    return {channel: says.get("max") or "UNCLASSIFIED" for channel, says in channels.items() if says.get("connected")}


def _compact(data: Mapping[str, Any]) -> bytes:
    """Return a record as JSON in just as much memory; what orjson returns keeps its whole buffer of some kB."""
    return bytes(memoryview(orjson.dumps(data)))


@dataclass(frozen=True, slots=True)
class Participant:
    """A country or an organisation: what it says of itself, before any policy caps it."""

    code: str
    is_organisation: bool
    names: Mapping[str, str]
    zone: ZoneInfo
    languages: tuple[str, ...]
    memberships: frozenset[str]
    connections: Mapping[str, str]
    """The channels it says it is connected to, each with the highest classification it says it may carry."""
    substitutes: Mapping[str, str]
    """Per channel that it has not: what it declares to use instead."""
    holidays: Holidays
    note: str | None
    seq: int | None
    at: dt.datetime | None

    @property
    def name(self) -> str:
        """The English name, or the first there is."""
        return self.names.get("en") or next(iter(self.names.values()), self.code)

    @classmethod
    def from_data(
        cls, code: str, data: Mapping[str, Any], seq: int | None = None, at: dt.datetime | None = None
    ) -> "Participant":
        """Read the record ``participant/self``."""
        channels = data.get("channels") or {}
        return cls(
            code=code,
            is_organisation="organisation" in data,
            names=data.get("names") or {},
            zone=load_zone(data["timezone"]),
            languages=_strings(data.get("languages")),
            memberships=_string_set(data.get("memberships")),
            connections=_connections(channels),
            substitutes={channel: says["substitute"] for channel, says in channels.items() if says.get("substitute")},
            holidays=parse_holidays(data.get("public_holidays") or (), data.get("holiday_calendar")),
            note=data.get("note"),
            seq=seq,
            at=at,
        )


@dataclass(frozen=True, slots=True)
class Agency:
    """An authority behind units."""

    ref: str
    participant: str
    slug: str
    names: Mapping[str, str]
    kind: str
    level: str | None

    @classmethod
    def from_data(cls, participant: str, slug: str, data: Mapping[str, Any]) -> "Agency":
        """Read a record ``agency/<id>``."""
        return cls(
            ref=f"{participant}:agency/{slug}",
            participant=participant,
            slug=slug,
            names=data.get("name") or {},
            kind=data["kind"],
            level=data.get("level"),
        )


@dataclass(frozen=True, slots=True)
class Unit:
    """A contact point: what it is for, when it answers, how it is reached."""

    ref: str
    participant: str
    slug: str
    kind: str
    level: str
    agency: str | None
    parent: str | None
    area: tuple[str, ...]
    crime_areas: frozenset[str]
    channels: frozenset[str]
    languages: tuple[str, ...]
    hours: Hours
    timezone: str | None
    partners: frozenset[str]
    networks: frozenset[str]
    posted_to: str | None
    phone: str | None
    email: str | None
    addresses: Mapping[str, str]
    """The unit's address on a channel, where it has one."""
    rota: str | None
    verified_at: dt.datetime | None
    valid_until: dt.datetime | None
    seq: int | None
    at: dt.datetime | None
    text: bytes
    """The record as JSON."""

    @property
    def data(self) -> dict[str, Any]:
        """The record as it was published."""
        record: dict[str, Any] = orjson.loads(self.text)
        return record

    @property
    def names(self) -> dict[str, str]:
        """Its names, language → text."""
        names: dict[str, str] = self.data["name"]
        return names

    @property
    def name(self) -> str:
        """The English name, or the first there is."""
        names = self.names
        return names.get("en") or next(iter(names.values()), self.slug)

    def deals_with(self, crime_area: str) -> bool:
        """Whether the crime area is in its remit."""
        return crime_area in self.crime_areas or EVERY_CRIME in self.crime_areas

    @classmethod
    def from_data(
        cls,
        participant: str,
        slug: str,
        data: Mapping[str, Any],
        seq: int | None = None,
        at: dt.datetime | None = None,
    ) -> "Unit":
        """Read a record ``unit/<id>``; ``at`` is when its entry was published, None for a document."""
        endpoints = data.get("endpoints") or {}
        return cls(
            ref=f"{participant}:unit/{slug}",
            participant=sys.intern(participant),
            slug=slug,
            kind=sys.intern(data["kind"]),
            level=sys.intern(data["level"]),
            agency=_text(data.get("agency")),
            parent=_text(data.get("parent")),
            area=_strings(data.get("area")),
            crime_areas=_string_set(data.get("crime_areas")),
            channels=_string_set(data.get("channels")),
            languages=_strings(data.get("languages")),
            hours=_shared_hours(data["hours"]),
            timezone=_text(data.get("timezone")),
            partners=_string_set(data.get("partners")),
            networks=_string_set(data.get("networks")),
            posted_to=_text(data.get("posted_to")),
            phone=endpoints.get("phone"),
            email=endpoints.get("email"),
            addresses=endpoints.get("address") or NO_ADDRESSES,
            rota=_text(data.get("rota")),
            verified_at=_instant(data.get("verified_at")) or at,
            valid_until=_last_moment(data.get("valid_until")),
            seq=seq,
            at=at,
            text=_compact(data),
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A duty position or officer."""

    ref: str
    participant: str
    slug: str
    name: str
    languages: tuple[str, ...]
    phone: str | None
    email: str | None
    unit: str | None

    @classmethod
    def from_data(cls, participant: str, slug: str, data: Mapping[str, Any]) -> "Member":
        """Read a record ``member/<id>``."""
        return cls(
            ref=f"{participant}:member/{slug}",
            participant=participant,
            slug=slug,
            name=data["name"],
            languages=_strings(data.get("languages")),
            phone=data.get("phone"),
            email=data.get("email"),
            unit=data.get("unit"),
        )


@dataclass(frozen=True, slots=True)
class Outage:
    """A channel that a participant says is down within ``[start, end)``; ``end`` None while it lasts."""

    participant: str
    channel: str
    start: dt.datetime
    end: dt.datetime | None

    def covers(self, at: dt.datetime) -> bool:
        """Whether the channel is down at an instant."""
        return self.start <= at and (self.end is None or at < self.end)

    @classmethod
    def from_data(cls, participant: str, data: Mapping[str, Any]) -> "Outage":
        """Read a record ``outage/<id>``."""
        end = data.get("to")
        return cls(participant, data["channel"], parse_instant(data["from"]), parse_instant(end) if end else None)
