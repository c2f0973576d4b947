"""The codes that records are written in, border crossings, and the forms of names (directory.md and protocol.md, 1).

Closed lists decide what a record may say. The open ones (``KNOWN_…``) hold what is known so far: an unknown code that
has the form ``OPEN_CODE`` is kept and warned about.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any

from directory.errors import Fault, InvalidInputError


def _load(name: str) -> dict[str, Any]:
    text = resources.files("directory").joinpath("data", name).read_text(encoding="utf-8")
    return dict(json.loads(text))


_LISTS: Mapping[str, list[str]] = _load("vocabulary.json")

EUROPOL_ANNEX_I = frozenset(_LISTS["crime_areas_europol_annex_i"])
CRIME_AREAS = EUROPOL_ANNEX_I | frozenset(_LISTS["crime_areas_extra"])
UNIT_KINDS = frozenset(_LISTS["unit_kinds"])
LEVELS = frozenset(_LISTS["levels"])
CHANNELS = frozenset(_LISTS["channels"])
CLASSIFICATIONS = tuple(_LISTS["classifications"])
"""From the lowest to the highest."""
SUBJECTS = frozenset(_LISTS["subjects"])
URGENCY_GROUNDS = frozenset(_LISTS["urgency_grounds"])
DECLINE_GROUNDS = frozenset(_LISTS["decline_grounds"])
CHANNEL_GROUNDS = frozenset(_LISTS["channel_grounds"])
OVERRIDE_REASONS = frozenset(_LISTS["override_reasons"])
ESCALATION_TARGETS = frozenset(_LISTS["escalation_targets"])
COUNTRIES = frozenset(_LISTS["countries"])
"""ISO 3166-1 alpha-2 and ``XK``."""
LANGUAGES = frozenset(_LISTS["languages"])
"""ISO 639-1 and ``cnr``."""

KNOWN_AGENCY_KINDS = frozenset(_LISTS["known_agency_kinds"])
KNOWN_MEMBERSHIPS = frozenset(_LISTS["known_memberships"])
KNOWN_NETWORKS = frozenset(_LISTS["known_networks"])
KNOWN_POSTINGS = COUNTRIES | {f"{country}-SPOC" for country in COUNTRIES} | frozenset(_LISTS["known_postings"])

RECORD_TYPES = ("participant", "agency", "unit", "member", "rota", "outage")
PARTICIPANT_RECORD = "participant/self"

# The forms end in \Z and not in $, which would let a line break pass.
ORGANISATION_CODE = re.compile(r"[A-Z][A-Z0-9]{2,11}\Z")
PARTICIPANT_CODE = re.compile(r"(?:[A-Z]{2}|[A-Z][A-Z0-9]{2,11})\Z")
SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
RECORD_ID = re.compile(r"[a-z]{1,20}/[a-z0-9][a-z0-9-]{0,62}\Z")
OPEN_CODE = re.compile(r"[A-Za-z0-9_/-]{2,40}\Z")
SUBDIVISION = re.compile(r"([A-Z]{2})-[A-Z0-9]{1,3}\Z")
"""ISO 3166-2; the first group is the country."""
# ISO 3166-2 has no codes for Kosovo*, so its regions are written with a private prefix.
_PRIVATE_SUBDIVISION = re.compile(r"x-(XK)-[a-z0-9-]{1,40}\Z")


def country_of_subdivision(code: str) -> str | None:
    """Return the country of an ISO 3166-2 code, or of a region such as ``x-XK-peje``; None for anything else."""
    found = SUBDIVISION.match(code) or _PRIVATE_SUBDIVISION.match(code)
    return found[1] if found and found[1] in COUNTRIES else None


@dataclass(frozen=True, slots=True)
class Crossing:
    """A border crossing point: one place with a name in each language of each country it joins."""

    id: str
    countries: tuple[str, ...]
    names: Mapping[str, Mapping[str, str]]
    """Country → language tag → name."""
    kind: str
    status: str
    road: str | None = None
    latitude: float | None = None
    longitude: float | None = None


def _read_crossings(entries: Iterable[Mapping[str, Any]]) -> Mapping[str, Crossing]:
    crossings = {}
    for entry in entries:
        crossings[entry["id"]] = Crossing(
            id=entry["id"],
            countries=tuple(entry["countries"]),
            names=MappingProxyType({country: MappingProxyType(names) for country, names in entry["names"].items()}),
            kind=entry["kind"],
            status=entry["status"],
            road=entry.get("road"),
            latitude=entry["coords"]["lat"],
            longitude=entry["coords"]["lon"],
        )
    return MappingProxyType(crossings)


CROSSINGS: Mapping[str, Crossing] = _read_crossings(_load("crossings.json")["crossings"])


@dataclass(frozen=True, slots=True)
class Reference:
    """A record of any participant by name: ``RS:unit/bps-presevo``."""

    participant: str
    type: str
    slug: str

    @property
    def record(self) -> str:
        """The record id within its participant: ``unit/bps-presevo``."""
        return f"{self.type}/{self.slug}"

    def __str__(self) -> str:
        return f"{self.participant}:{self.type}/{self.slug}"


def parse_reference(text: object) -> Reference:
    """Read a reference such as ``RS:unit/bps-presevo``. Raises InvalidInputError for anything else."""
    if isinstance(text, str):
        participant, _, record = text.partition(":")
        if PARTICIPANT_CODE.match(participant) and RECORD_ID.match(record):
            type_, _, slug = record.partition("/")
            return Reference(participant, type_, slug)
    raise InvalidInputError([Fault("", text, "expected a reference such as RS:unit/bps-presevo")])


def format_reference(reference: Reference) -> str:
    """Write a reference in the form that parse_reference reads."""
    return str(reference)


def parse_record_id(text: object) -> tuple[str, str]:
    """Split a record id such as ``unit/bps-presevo`` into type and slug. Raises InvalidInputError for anything else."""
    if isinstance(text, str) and RECORD_ID.match(text):
        type_, _, slug = text.partition("/")
        return type_, slug
    raise InvalidInputError([Fault("", text, "expected a record id such as unit/bps-presevo")])
