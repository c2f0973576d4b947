"""The read side in memory: who is in the directory, found by key, at a cost that does not grow with its size.

A process keeps one ``Directory`` (``IndexCache``) and catches up with the database when a counter there has moved. What
does not depend on the clock is prepared once: opening hours and shifts are remembered with the interval in which they
hold, ranked plans (directory.candidates) until anything in the directory changes.
"""

import datetime as dt
import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from directory import hours as opening_hours
from directory import places, store
from directory.document import Document
from directory.hours import NO_HOLIDAYS, Holidays
from directory.rota import Rota, parse_rota
from directory.rota_schedule import Shift, shift_at
from directory.search import SearchIndex
from directory.store import Record
from directory.values import Agency, Member, Outage, Participant, Unit
from directory.vocabulary import CROSSINGS, UNIT_KINDS
from directory.wallclock import load_zone

_BY_AREA = frozenset({"border_station", "regional", "pccc"})
_RANKS = {"central": 0, "regional": 1, "local": 2}
_MOST_PLANS = 4_096
_STEP = 10_000
"""Records that are in memory twice while the index catches up."""
_HALF_DAY = dt.timedelta(hours=12)

GroupKey = tuple[str, ...]
Plan = TypeVar("Plan")


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether a unit is open, and when it opens next if it is not (None: not within 400 days)."""

    is_open: bool
    next_opening: dt.datetime | None = None


OPEN = Opening(is_open=True)


@dataclass(frozen=True, slots=True)
class _Window:
    start: dt.datetime
    end: dt.datetime
    opening: Opening


@dataclass(frozen=True, slots=True)
class HeldRota:
    """A rota with the record it was published as."""

    ref: str
    unit: str | None
    rota: Rota
    seq: int | None
    at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """A hit of the text search: a ``unit``, an ``agency`` or a ``place`` (``ref`` is then a crossing id)."""

    kind: str
    ref: str
    names: Mapping[str, str]
    participant: str | None


class Directory:
    """Every live record of every participant, by key."""

    def __init__(self) -> None:
        self.version = 0
        """The database's counter up to which this is current."""
        self.participants: dict[str, Participant] = {}
        self._units: dict[str, Unit] = {}
        self._members: dict[str, Member] = {}
        self._agencies: dict[str, Agency] = {}
        self._outages: dict[str, dict[str, Outage]] = defaultdict(dict)
        self._rotas: dict[str, HeldRota] = {}
        self._rotas_of_units: dict[str, dict[str, None]] = defaultdict(dict)
        self._groups: dict[GroupKey, dict[str, Unit]] = {}
        self._search = SearchIndex()
        self._plans: dict[Hashable, Any] = {}
        self._windows: dict[str, _Window] = {}
        self._shifts: dict[str, Shift] = {}
        for crossing in CROSSINGS.values():
            texts = [name for names in crossing.names.values() for name in names.values()]
            self._search.add(crossing.id, [*texts, " ".join(texts)], None, 1)

    @classmethod
    def from_documents(cls, documents: Iterable[Document]) -> "Directory":
        """Return a directory of documents alone, without any node (training, what-if)."""
        directory = cls()
        for document in documents:
            for record, data in document.records.items():
                directory._put(document.participant, record, data, None, None)
        return directory

    # -- writing -------------------------------------------------------------------------------------------------

    def apply(self, records: Iterable[Record], version: int | None = None) -> None:
        """Take over changed records; whatever is not live (deleted, unknown, unreadable) goes out.

        Applying a record again changes nothing. Readers of other threads may run meanwhile: what they prepare from
        a half-applied batch is not kept.
        """
        for record in records:
            if record.state == "live":
                self._put(record.participant, record.record, record.data, record.seq, record.at)
            else:
                self._remove(record.participant, record.record)
        self._plans, self._windows, self._shifts = {}, {}, {}
        if version is not None:
            self.version = version

    def _put(self, code: str, record: str, data: Mapping[str, Any], seq: int | None, at: dt.datetime | None) -> None:
        self._remove(code, record)
        kind, _, slug = record.partition("/")
        ref = f"{code}:{record}"
        if kind == "participant":
            self.participants[code] = Participant.from_data(code, data, seq, at)
        elif kind == "unit":
            self._put_unit(Unit.from_data(code, slug, data, seq, at))
        elif kind == "agency":
            self._put_agency(Agency.from_data(code, slug, data))
        elif kind == "member":
            self._members[ref] = Member.from_data(code, slug, data)
        elif kind == "outage":
            self._outages[code][slug] = Outage.from_data(code, data)
        elif kind == "rota":
            self._put_rota(ref, code, data, seq, at)

    def _put_unit(self, unit: Unit) -> None:
        self._units[unit.ref] = unit
        for key in _group_keys(unit):
            self._groups.setdefault(key, {})[unit.ref] = unit
        self._search.add(unit.ref, [*unit.names.values(), unit.slug], None, _RANKS.get(unit.level, 2))

    def _put_agency(self, agency: Agency) -> None:
        self._agencies[agency.ref] = agency
        self._search.add(agency.ref, agency.names.values(), None, _RANKS["central"])

    def _put_rota(self, ref: str, code: str, data: Mapping[str, Any], seq: int | None, at: dt.datetime | None) -> None:
        unit = f"{code}:unit/{data['unit']}" if data.get("unit") else None
        self._rotas[ref] = HeldRota(ref, unit, parse_rota(data), seq, at)
        if unit is not None:
            self._rotas_of_units[unit][ref] = None

    def _remove(self, code: str, record: str) -> None:
        kind, _, slug = record.partition("/")
        ref = f"{code}:{record}"
        if kind == "participant":
            self.participants.pop(code, None)
        elif kind == "unit":
            self._remove_unit(ref)
        elif kind == "agency":
            self._remove_agency(ref)
        elif kind == "member":
            self._members.pop(ref, None)
        elif kind == "outage":
            self._outages[code].pop(slug, None)
        elif kind == "rota":
            self._remove_rota(ref)

    def _remove_unit(self, ref: str) -> None:
        unit = self._units.pop(ref, None)
        if unit is None:
            return
        for key in _group_keys(unit):
            group = self._groups[key]
            del group[ref]
            if not group:
                del self._groups[key]
        self._search.remove(ref)

    def _remove_agency(self, ref: str) -> None:
        if ref in self._agencies:
            del self._agencies[ref]
            self._search.remove(ref)

    def _remove_rota(self, ref: str) -> None:
        held = self._rotas.pop(ref, None)
        if held is not None and held.unit is not None:
            del self._rotas_of_units[held.unit][ref]

    # -- reading -------------------------------------------------------------------------------------------------

    def unit(self, ref: str) -> Unit | None:
        """Return the unit of a reference such as ``RS:unit/rs-spoc``."""
        return self._units.get(ref)

    def member(self, ref: str) -> Member | None:
        """Return the member of a reference."""
        return self._members.get(ref)

    def agency(self, ref: str) -> Agency | None:
        """Return the agency of a reference."""
        return self._agencies.get(ref)

    def units(self) -> Iterator[Unit]:
        """Yield every unit."""
        return iter(self._units.values())

    def agencies_of(self, code: str) -> list[Agency]:
        """Return a participant's agencies."""
        return [agency for agency in self._agencies.values() if agency.participant == code]

    def members_of(self, unit: Unit) -> list[Member]:
        """Return the members of a unit: those that name it, and those of its rota."""
        held = self.rota_of(unit)
        named = held[1].members if held else frozenset()
        return [
            member
            for member in self._members.values()
            if member.participant == unit.participant and (member.unit == unit.slug or member.slug in named)
        ]

    def units_of(self, code: str) -> list[Unit]:
        """Return every unit of a participant."""
        return [unit for kind in sorted(UNIT_KINDS) for unit in self.units_of_kind(code, kind)]

    def units_of_kind(self, code: str, kind: str) -> Sequence[Unit]:
        """Return a participant's units of a kind."""
        return self._group("kind", code, kind)

    def units_at(self, code: str, kind: str, area: str) -> Sequence[Unit]:
        """Return a participant's border stations, regional units or desks (``pccc``) that list an area."""
        return self._group("area", code, kind, area)

    def desks(self, code: str, location: str) -> Sequence[Unit]:
        """Return a participant's desks in common centres that cover a location."""
        return self.units_at(code, "pccc", location)

    def posted(self, code: str, place: str) -> Sequence[Unit]:
        """Return a participant's liaison officers at a place: a country, or EUROPOL, SELEC and others."""
        return self._group("posted", code, place)

    def contacts(self, code: str, network: str) -> Sequence[Unit]:
        """Return a participant's contacts in a network."""
        return self._group("network", code, network)

    def units_of_agency(self, code: str, agency: str) -> Sequence[Unit]:
        """Return the units that belong to an agency."""
        return self._group("agency", code, agency)

    def _group(self, *key: str) -> Sequence[Unit]:
        group = self._groups.get(key)
        return tuple(group.values()) if group else ()

    def parent_of(self, unit: Unit) -> Unit | None:
        """Return the unit above, if it is in the directory."""
        return self._units.get(f"{unit.participant}:unit/{unit.parent}") if unit.parent else None

    def spoc(self, code: str) -> Unit | None:
        """Return a participant's single point of contact (the first by id)."""
        return min(self.units_of_kind(code, "spoc"), key=lambda unit: unit.slug, default=None)

    def zone_of(self, unit: Unit) -> ZoneInfo:
        """Return the zone in which the unit's hours are written."""
        if unit.timezone is not None:
            return load_zone(unit.timezone)
        return self.participants[unit.participant].zone

    def holidays_of(self, unit: Unit) -> Holidays:
        """Return the public holidays of the unit's participant."""
        participant = self.participants.get(unit.participant)
        return participant.holidays if participant else NO_HOLIDAYS

    def outages(self, code: str, at: dt.datetime) -> frozenset[str]:
        """Return the channels that a participant says are down at an instant."""
        if code not in self._outages:
            return frozenset()
        return frozenset(outage.channel for outage in self._outages[code].values() if outage.covers(at))

    def opening(self, unit: Unit, at: dt.datetime) -> Opening:
        """Return whether a unit is open at an instant, and when next; kept for as long as that holds (R6)."""
        if unit.hours.always_open:
            return OPEN
        windows = self._windows
        window = windows.get(unit.ref)
        if window is None or not window.start <= at < window.end:
            window = windows[unit.ref] = self._window(unit, at)
        return window.opening

    def _window(self, unit: Unit, at: dt.datetime) -> _Window:
        zone, holidays = self.zone_of(unit), self.holidays_of(unit)
        closed_since = at - _HALF_DAY
        for start, end in unit.hours.openings(closed_since, at + _HALF_DAY, zone, holidays):
            if start <= at < end:
                return _Window(start, end, OPEN)
            if end <= at:
                closed_since = end
        opens = opening_hours.next_opening(unit.hours, at, zone, holidays)
        return _Window(closed_since, opens or at + _HALF_DAY, Opening(is_open=False, next_opening=opens))

    def rota_of(self, unit: Unit) -> tuple[str, Rota] | None:
        """Return the rota of a unit with its reference: the one it names, else the one that names it."""
        held = self.held_rota_of(unit)
        return (held.ref, held.rota) if held else None

    def held_rota_of(self, unit: Unit) -> HeldRota | None:
        """Return the rota of a unit with what is known of its record."""
        if unit.rota is not None:
            return self._rotas.get(f"{unit.participant}:rota/{unit.rota.rpartition('/')[2]}")
        named = self._rotas_of_units.get(unit.ref)
        return self._rotas[min(named)] if named else None

    def shift_of(self, held: HeldRota, at: dt.datetime) -> Shift:
        """Return who is on duty by a rota at an instant; kept for as long as that holds."""
        shifts = self._shifts
        shift = shifts.get(held.ref)
        if shift is None or not shift.start <= at < shift.end:
            shift = shifts[held.ref] = shift_at(held.rota, at)
        return shift

    def prepared(self, key: Hashable, prepare: Callable[[], Plan]) -> Plan:
        """Return what ``prepare`` gives, made once until the directory changes."""
        plans = self._plans
        plan: Plan | None = plans.get(key)
        if plan is None:
            if len(plans) >= _MOST_PLANS:
                plans.clear()
            plan = plans[key] = prepare()
        return plan

    def search(self, text: str, limit: int = 20) -> list[Found]:
        """Return units, agencies and places that a text as typed may mean, best match first."""
        found = (self._found(hit.key) for hit in self._search.find(text, limit))
        return [each for each in found if each is not None]

    def _found(self, key: str) -> Found | None:
        """Return what a hit stands for; None for what another thread is taking out."""
        if key in CROSSINGS:
            names = {tag: name for side in CROSSINGS[key].names.values() for tag, name in side.items()}
            return Found("place", key, names, None)
        unit = self._units.get(key)
        if unit is not None:
            return Found("unit", key, unit.names, unit.participant)
        agency = self._agencies.get(key)
        return Found("agency", key, agency.names, agency.participant) if agency else None

    def resolve_location(self, text: str, between: Sequence[str] = ()) -> str:
        """Return what a location means (directory.places)."""
        return places.resolve_location(text, between)


def _group_keys(unit: Unit) -> Iterator[GroupKey]:
    """Yield the keys under which rules look for a unit."""
    code = unit.participant
    yield "kind", code, unit.kind
    if unit.kind in _BY_AREA:
        yield from {("area", code, unit.kind, area) for area in unit.area}
    if unit.posted_to is not None:
        yield "posted", code, unit.posted_to
    if unit.agency is not None:
        yield "agency", code, unit.agency
    yield from (("network", code, network) for network in unit.networks)


class IndexCache:
    """The one directory of a process, kept up with the database."""

    def __init__(self) -> None:
        self.directory = Directory()
        self._lock = threading.Lock()

    def refresh(self, session: Session) -> Directory:
        """Return the directory as the database has it now; one small query where nothing changed."""
        current = store.read_counters(session).get("directory", 0)
        if current > self.directory.version:
            with self._lock:
                self._catch_up(session, current)
        return self.directory

    def _catch_up(self, session: Session, current: int) -> None:
        directory = self.directory
        while records := store.changed_since(session, directory.version, _STEP):
            directory.apply(records, records[-1].version)
        directory.version = max(directory.version, current)
