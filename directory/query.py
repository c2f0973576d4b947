"""The question of a lookup, read and checked (directory.md, section 4). Every bad field is reported at once."""

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from directory import wallclock
from directory.errors import Fault, InvalidInputError
from directory.index import Directory
from directory.instants import format_instant, parse_instant
from directory.vocabulary import (
    CHANNELS,
    CLASSIFICATIONS,
    COUNTRIES,
    CRIME_AREAS,
    LANGUAGES,
    PARTICIPANT_CODE,
    SUBJECTS,
)

URGENCIES = ("routine", "urgent")
ACCESSES = ("direct", "indirect")
FIELDS = (
    "from",
    "country",
    "crime_area",
    "location",
    "urgency",
    "access",
    "subject",
    "classification",
    "language",
    "at",
    "involves",
    "outages",
)
Item = TypeVar("Item")

_OTHER_NAMES = {"from_country": "from", "outage": "outages"}


@dataclass(frozen=True, slots=True)
class Query:
    """What an officer asks: of whom, about what, how urgently; ``now`` is when, ``at`` for when.

    ``outages`` holds pairs (participant or None for both sides, channel).
    """

    asker: str
    country: str
    crime_area: str
    location: str | None
    urgency: str
    access: str
    subject: str
    classification: str
    language: str | None
    at: dt.datetime
    involves: tuple[str, ...]
    outages: tuple[tuple[str | None, str], ...]
    now: dt.datetime

    @property
    def is_urgent(self) -> bool:
        """Whether closed units are of no use."""
        return self.urgency == "urgent"

    def to_json(self) -> dict[str, object]:
        """Return the question with every default filled in, in the names of the interface."""
        return {
            "from": self.asker,
            "country": self.country,
            "crime_area": self.crime_area,
            "location": self.location,
            "urgency": self.urgency,
            "access": self.access,
            "subject": self.subject,
            "classification": self.classification,
            "language": self.language,
            "at": format_instant(self.at),
            "involves": list(self.involves),
            "outages": [f"{code}:{channel}" if code else channel for code, channel in self.outages],
        }


def parse_query(fields: Mapping[str, object], directory: Directory, now: dt.datetime, own: str | None = None) -> Query:
    """Read a question from its fields, as parameters or as JSON.

    ``own`` is the asker where ``from`` is missing. Raises InvalidInputError naming every bad field at once: unknown
    names, countries that are not in the directory, unknown codes, ambiguous crossings.
    """
    reader = _Reader(fields, directory)
    asker = reader.participant("from", own)
    country = reader.participant("country", None)
    if asker and asker == country:
        reader.refuse("country", country, "expected another country than the asking one")
    query = Query(
        asker=asker,
        country=country,
        crime_area=reader.one_of("crime_area", CRIME_AREAS, "other"),
        location=reader.location((asker, country)),
        urgency=reader.one_of("urgency", URGENCIES, "routine"),
        access=reader.one_of("access", ACCESSES, "direct"),
        subject=reader.one_of("subject", SUBJECTS, "police_information"),
        classification=reader.one_of("classification", CLASSIFICATIONS, "UNCLASSIFIED"),
        language=reader.one_of("language", LANGUAGES, "") or _first_language(directory, asker),
        at=reader.instant("at", now),
        involves=reader.each("involves", _third_country),
        outages=reader.each("outages", _outage),
        now=now,
    )
    if reader.faults:
        raise InvalidInputError(reader.faults)
    return query


def _first_language(directory: Directory, code: str) -> str | None:
    participant = directory.participants.get(code)
    return participant.languages[0] if participant and participant.languages else None


def _third_country(text: str) -> str:
    code = text.upper()
    if code not in COUNTRIES:
        raise ValueError("expected countries as in ISO 3166-1, such as UA")
    return code


def _outage(text: str) -> tuple[str | None, str]:
    code, colon, channel = text.rpartition(":")
    code = code.upper()
    if channel not in CHANNELS or (colon and not PARTICIPANT_CODE.match(code)):
        raise ValueError("expected CODE:channel, or a channel for both sides, such as HR:siena")
    return (code or None), channel


class _Reader:
    """Reads field by field; what is wrong is collected, so that all of it can be said at once."""

    def __init__(self, fields: Mapping[str, object], directory: Directory) -> None:
        self.faults: list[Fault] = []
        self._directory = directory
        self._fields: dict[str, object] = {}
        for given, value in fields.items():
            name = _OTHER_NAMES.get(given, given)
            if name not in FIELDS:
                self.refuse(given, value, f"expected one of the fields {', '.join(FIELDS)}")
            elif name in self._fields and self._fields[name] != value:
                self.refuse(given, value, f"expected one value for {name}, found also {self._fields[name]!r}")
            else:
                self._fields[name] = value

    def refuse(self, name: str, found: object, expected: str) -> None:
        self.faults.append(Fault(f"/{name}", found, expected))

    def _text(self, name: str) -> str:
        """Return a field's text, empty where it is missing or no text."""
        value = self._fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.refuse(name, value, "expected text")
            return ""
        return value.strip()

    def participant(self, name: str, default: str | None) -> str:
        """Return the code of a participant in the directory, empty where there is none to return."""
        known = self._directory.participants
        code = self._text(name).upper() or default
        if code is None:
            if name not in self._fields or self._fields[name] in (None, ""):
                self.refuse(name, None, "expected a participant's code")
            return ""
        if code not in known:
            self.refuse(name, code, f"expected a participant of the directory: {', '.join(sorted(known))}")
            return ""
        return code

    def one_of(self, name: str, values: Collection[str], default: str) -> str:
        text = self._text(name)
        if text and text not in values:
            self.refuse(name, text, f"expected one of {', '.join(sorted(values))}")
        return text or default

    def location(self, between: tuple[str, str]) -> str | None:
        text = self._text("location")
        if not text or text.lower() == "none":
            return None
        try:
            return self._directory.resolve_location(text, between)
        except InvalidInputError as error:
            self.faults += error.faults
            return None

    def instant(self, name: str, default: dt.datetime) -> dt.datetime:
        text = self._text(name).replace(" ", "+")  # what a form makes of the plus of an offset
        if not text:
            return default
        try:
            at = parse_instant(text)
        except ValueError as error:
            self.refuse(name, text, str(error))
            return default
        if not wallclock.EARLIEST <= at < wallclock.LATEST:
            self.refuse(name, text, "expected an instant in the years 1800 to 2299")
        return at

    def each(self, name: str, read: Callable[[str], Item]) -> tuple[Item, ...]:
        """Return every item of a text with commas, or of a list of such texts, each once."""
        value = self._fields.get(name)
        items = [value] if isinstance(value, str) else value
        if items is None:
            return ()
        if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
            self.refuse(name, value, "expected a list of texts, or a text with commas")
            return ()
        found: dict[Item, None] = {}
        for item in filter(None, map(str.strip, ",".join(items).split(","))):
            try:
                found[read(item)] = None
            except ValueError as error:
                self.refuse(name, item, str(error))
        return tuple(found)
