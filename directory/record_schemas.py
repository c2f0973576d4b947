"""What a record must look like (directory.md, section 1): the one check for import, API and foreign logs.

Each type has a marshmallow schema whose fields apply the rules of ``value_rules`` and ``part_rules``. Members that are
not known are kept. Every fault of a record is named at once, with a JSON pointer inside the record.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from marshmallow import INCLUDE, Schema, ValidationError, validates_schema

from directory import part_rules, value_rules
from directory.errors import Fault, InvalidInputError
from directory.fields import Ruled, nullable, optional, required
from directory.plain_text import escape, measure, value_faults
from directory.record_warnings import warnings_for
from directory.rota import parse_rota
from directory.vocabulary import (
    CHANNELS,
    COUNTRIES,
    CRIME_AREAS,
    CROSSINGS,
    LANGUAGES,
    LEVELS,
    ORGANISATION_CODE,
    SLUG,
    UNIT_KINDS,
)

__all__ = ["LARGEST_RECORD", "validate_record", "warnings_for"]

LARGEST_RECORD = 65_000
"""Bytes of a record as JSON: a payload, which is the record and its salt, may have 65,536."""

_ANY_COUNTRY = frozenset({"*"}) | COUNTRIES
_languages = value_rules.codes_in(LANGUAGES, "a language (ISO 639-1 or cnr)")
_countries = value_rules.codes_in(COUNTRIES, "a country (ISO 3166-1 or XK)")
_level = value_rules.code_in(LEVELS, "a level")
_instant = value_rules.read_instant_or_date
_MULTILINE = frozenset({"note"})


class RecordSchema(Schema):
    """What all records share: unknown members are kept, and rules that concern several members come last."""

    class Meta:
        """Newer versions may write members that this one does not know."""

        unknown = INCLUDE
        register = False

    def __init__(self) -> None:
        super().__init__()
        ruled = {field.data_key or key: cast("Ruled", field) for key, field in self.fields.items()}
        self.members = frozenset(ruled)
        self._rules = {key: field.rule for key, field in ruled.items()}
        self._required = frozenset(key for key, field in ruled.items() if field.required)
        self._nullable = frozenset(key for key, field in ruled.items() if field.allow_none)

    def check_whole(self, data: Mapping[str, Any]) -> None:
        """Apply the rules that concern several members (InvalidInputError); refused members are left out."""

    @validates_schema(skip_on_field_errors=False)
    def _check_whole(self, data: Mapping[str, Any], **kwargs: object) -> None:
        try:
            self.check_whole(data)
        except InvalidInputError as error:
            raise ValidationError([*error.faults]) from error

    def accept(self, data: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what ``load`` returns for a record without faults, at a third of its cost; None where any is found.

        A first synchronisation checks hundreds of thousands of records, nearly all of them faultless.
        """
        if not self._required <= data.keys():
            return None
        loaded = dict(data)
        try:
            for key in self._rules.keys() & data.keys():
                if data[key] is not None:
                    loaded[key] = self._rules[key](data[key])
                elif key not in self._nullable:
                    return None
            self.check_whole(loaded)
        except InvalidInputError:
            return None
        return loaded


class ParticipantSchema(RecordSchema):
    """``participant/self``."""

    names = required(part_rules.names)
    timezone = required(value_rules.zone)
    languages = required(_languages)
    memberships = required(value_rules.list_of(value_rules.open_code))
    channels = required(part_rules.connections)
    public_holidays = optional(value_rules.list_of(value_rules.month_day))
    holiday_calendar = nullable(value_rules.holiday_calendar)
    note = nullable(value_rules.note)


class AgencySchema(RecordSchema):
    """``agency/<id>``."""

    name = required(part_rules.names)
    kind = required(value_rules.open_code)
    level = nullable(_level)
    designated = nullable(part_rules.designated)


class UnitSchema(RecordSchema):
    """``unit/<id>``."""

    name = required(part_rules.names)
    kind = required(value_rules.code_in(UNIT_KINDS, "a unit kind"))
    level = required(_level)
    agency = nullable(value_rules.slug)
    parent = nullable(value_rules.slug)
    area = required(value_rules.list_of(value_rules.area, COUNTRIES | CROSSINGS.keys()))
    crime_areas = required(value_rules.codes_in(CRIME_AREAS | {"*"}, "a crime area or *"))
    channels = required(value_rules.codes_in(CHANNELS, "a channel"))
    languages = required(_languages)
    hours = required(value_rules.hours)
    timezone = nullable(value_rules.zone)
    partners = optional(_countries)
    centre = nullable(value_rules.name)
    networks = optional(value_rules.list_of(value_rules.open_code))
    posted_to = nullable(value_rules.open_code)
    endpoints = optional(part_rules.endpoints)
    rota = nullable(value_rules.slug)
    escalation = optional(part_rules.escalation)
    verified_at = nullable(value_rules.instant_or_date)
    valid_until = nullable(value_rules.instant_or_date)
    basis = nullable(value_rules.text)
    src = nullable(value_rules.text)
    note = nullable(value_rules.note)
    host = nullable(value_rules.code_in(COUNTRIES, "a country (ISO 3166-1 or XK)"))
    mission_for = optional(value_rules.codes_in(_ANY_COUNTRY, "a country or *"))
    drills = optional(value_rules.boolean)

    def check_whole(self, data: Mapping[str, Any]) -> None:
        """Nothing is valid until before it was verified; a date stands for its whole day."""
        start, end = data.get("verified_at"), data.get("valid_until")
        if start is not None and end is not None and _instant(end) < _instant(start):
            raise InvalidInputError([Fault("/valid_until", end, f"expected no time before verified_at, {start}")])


class MemberSchema(RecordSchema):
    """``member/<id>``."""

    name = required(value_rules.name)
    languages = optional(_languages)
    phone = nullable(value_rules.phone)
    email = nullable(value_rules.email)
    unit = nullable(value_rules.slug)
    note = nullable(value_rules.note)


class RotaSchema(RecordSchema):
    """``rota/<id>``; all but its unit is read by ``rota.parse_rota``."""

    unit = required(value_rules.slug)

    def check_whole(self, data: Mapping[str, Any]) -> None:
        """Apply section 3."""
        parse_rota(data)
        faults = [*_member_id_faults(data)]
        if faults:
            raise InvalidInputError(faults)


class OutageSchema(RecordSchema):
    """``outage/<id>``."""

    channel = required(value_rules.code_in(CHANNELS, "a channel"))
    from_ = required(value_rules.instant, key="from")
    to = nullable(value_rules.instant)
    reason = nullable(value_rules.note)
    note = nullable(value_rules.note)

    def check_whole(self, data: Mapping[str, Any]) -> None:
        """An outage ends after it begins."""
        start, end = data.get("from"), data.get("to")
        if start is not None and end is not None and _instant(end) <= _instant(start):
            raise InvalidInputError([Fault("/to", end, f"expected an instant after from, {start}")])


_SCHEMAS: Mapping[str, RecordSchema] = {
    "participant": ParticipantSchema(),
    "agency": AgencySchema(),
    "unit": UnitSchema(),
    "member": MemberSchema(),
    "rota": RotaSchema(),
    "outage": OutageSchema(),
}
_ROTA_MEMBERS = frozenset({"time_zone", "layers", "overrides", "name"})
_ONE_LINE = {
    type_: (schema.members | (_ROTA_MEMBERS if type_ == "rota" else frozenset())) - _MULTILINE
    for type_, schema in _SCHEMAS.items()
}
"""The members in which a line break is refused: all that are known, but notes."""


def validate_record(type_: str, slug: str, data: object, participant: str) -> dict[str, Any]:
    """Check a record of ``participant`` and return it, with phone numbers in their normal form, otherwise as it was.

    Raises InvalidInputError with every broken rule of directory.md, section 1.
    """
    schema = _SCHEMAS.get(type_)
    if schema is None:
        raise InvalidInputError([Fault("", type_, f"expected a record type: one of {', '.join(_SCHEMAS)}")])
    if not isinstance(data, dict):
        raise InvalidInputError([Fault("", data, f"expected an object that holds the {type_}")])
    faults = [*_identity_faults(type_, slug, data, participant), *_content_faults(type_, data)]
    accepted = schema.accept(data)
    if accepted is None:
        faults += _schema_faults(schema, data)
    if accepted is None or faults:
        raise InvalidInputError(_each_once(faults))
    return accepted


def _identity_faults(type_: str, slug: str, data: Mapping[str, Any], participant: str) -> Iterator[Fault]:
    if not SLUG.match(slug):
        yield Fault("/id", slug, "expected an id of 1 to 63 characters of a-z, 0-9 and -, not starting with -")
    if type_ == "participant":
        yield from _participant_faults(slug, data, participant)
    elif "id" in data and data["id"] != slug:
        yield Fault("/id", data["id"], f"expected the id of the record, {slug}")


def _participant_faults(slug: str, data: Mapping[str, Any], participant: str) -> Iterator[Fault]:
    if slug != "self":
        yield Fault("/id", slug, "expected the only record of its type, participant/self")
    stated = [key for key in ("country", "organisation") if key in data]
    if len(stated) != 1:
        yield Fault("", stated, "expected either a country or an organisation")
        return
    [key] = stated
    expected = _code_complaint(key, data[key], participant)
    if expected is not None:
        yield Fault(f"/{key}", data[key], expected)


def _code_complaint(key: str, code: object, participant: str) -> str | None:
    if key == "country" and (not isinstance(code, str) or code not in COUNTRIES):
        return "expected a country (ISO 3166-1 or XK)"
    if key == "organisation" and (not isinstance(code, str) or not ORGANISATION_CODE.match(code)):
        return "expected 3 to 12 characters of A-Z and 0-9 that start with a letter"
    return None if code == participant else f"expected the participant's own code, {participant}"


def _content_faults(type_: str, data: Mapping[str, Any]) -> Iterator[Fault]:
    size, harmless = measure(data)
    if size > LARGEST_RECORD:
        yield Fault("", f"{size} bytes", f"expected at most {LARGEST_RECORD} bytes as JSON")
    if not harmless:
        yield from value_faults(data, one_line=_ONE_LINE[type_])


def _schema_faults(schema: RecordSchema, data: Mapping[str, Any]) -> Iterator[Fault]:
    for key, messages in cast("Mapping[str, list[object]]", schema.validate(data)).items():
        place = "" if key == "_schema" else f"/{escape(key)}"
        for message in messages:
            if isinstance(message, Fault):
                yield Fault(place + message.place, message.found, message.expected)
            else:
                yield Fault(place, data.get(key), str(message))


def _each_once(faults: list[Fault]) -> list[Fault]:
    return [*{(fault.place, fault.expected): fault for fault in faults}.values()]


def _member_id_faults(rota: Mapping[str, Any]) -> Iterator[Fault]:
    named = [
        (f"/layers/{number}/members/{place}", member)
        for number, layer in enumerate(rota["layers"])
        for place, member in enumerate(layer["members"])
    ]
    named += [
        (f"/overrides/{number}/{key}", override[key])
        for number, override in enumerate(rota.get("overrides", ()))
        for key in ("member", "replaces")
        if override.get(key) is not None
    ]
    for place, member in named:
        if not SLUG.match(member):
            yield Fault(place, member, "expected the id of a member")
