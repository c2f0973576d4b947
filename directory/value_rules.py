"""Rules for the single values and lists that records are made of.

A rule takes a JSON value and returns it, as it was or in its normal form, or refuses it (InvalidInputError) with every
fault it finds; places are JSON pointers inside the value.
"""

import datetime as dt
import functools
import re
from collections.abc import Callable, Collection
from typing import NoReturn, TypeVar

from email_validator import EmailNotValidError, validate_email

from directory.errors import Fault, InvalidInputError
from directory.hours import parse_holidays, parse_hours
from directory.instants import parse_instant
from directory.plain_text import escape
from directory.vocabulary import COUNTRIES, CROSSINGS, OPEN_CODE, SLUG, country_of_subdivision
from directory.wallclock import load_zone

T = TypeVar("T")
Rule = Callable[[object], object]

LONGEST_NAME = 300
LONGEST_TEXT = 4000

_PHONE = re.compile(r"\+[1-9][0-9]{3,14}\Z")
_PHONE_SEPARATORS = re.compile(r"[ .()-]")
_PLAIN_LOCAL_PART = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*\Z")
_URL = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_ACTIVE_SCHEMES = frozenset({"about", "blob", "data", "file", "javascript", "vbscript"})
_PUBLIC_HTTPS = re.compile(r"\s*https://([a-z0-9-]+\.)+[a-z][a-z0-9-]*(:[0-9]+)?([/?#]|\Z)", re.IGNORECASE | re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)


def refuse(found: object, expected: str, place: str = "") -> NoReturn:
    """Refuse a value (InvalidInputError that holds one fault)."""
    raise InvalidInputError([Fault(place, found, expected)])


def faults_within(error: InvalidInputError, place: str) -> list[Fault]:
    """Return the faults of a refused part, with the place of the part put before theirs."""
    return [Fault(place + fault.place, fault.found, fault.expected) for fault in error.faults]


def text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Text with something in it."""
    if not isinstance(value, str):
        refuse(value, "expected text")
    if len(value) > longest:
        refuse(value, f"expected at most {longest} characters, not {len(value)}")
    if not value or value.isspace():
        refuse(value, "expected text that is not blank")
    return value


def name(value: object) -> str:
    """A name in one language."""
    return text(value, LONGEST_NAME)


def note(value: object) -> str:
    """Text that may be empty."""
    return text(value) if value != "" else ""


def boolean(value: object) -> bool:
    """``true`` or ``false``."""
    return value if isinstance(value, bool) else refuse(value, "expected true or false")


def slug(value: object) -> str:
    """The last part of a record id."""
    if isinstance(value, str) and SLUG.match(value):
        return value
    return refuse(value, "expected an id of 1 to 63 characters of a-z, 0-9 and -, not starting with -")


def code_in(codes: Collection[str], kind: str) -> Rule:
    """Make a rule: one code of a closed list. ``kind`` names such a code, with its article."""
    expected = f"expected {kind}: {describe(codes)}"

    def rule(value: object) -> str:
        return value if isinstance(value, str) and value in codes else refuse(value, expected)

    return rule


def list_of(item_rule: Rule, codes: frozenset[str] = frozenset()) -> Rule:
    """Make a rule: a list whose every item satisfies a rule; lists of ``codes`` alone are known to."""

    def rule(value: object) -> list[object]:
        if not isinstance(value, list):
            refuse(value, "expected a list")
        if codes and _consists_of(value, codes):
            return value
        faults: list[Fault] = []
        items = [collect(item_rule, item, number, faults) for number, item in enumerate(value)]
        return unless(faults, items)

    return rule


def codes_in(codes: frozenset[str], kind: str) -> Rule:
    """Make a rule: a list of codes of a closed list."""
    return list_of(code_in(codes, kind), codes)


def open_code(value: object) -> str:
    """A code of an open list: any of the right form."""
    if isinstance(value, str) and OPEN_CODE.match(value):
        return value
    return refuse(value, "expected a code of 2 to 40 characters of A-Z, a-z, 0-9, _, / and -")


def area(value: object) -> str:
    """One part of a unit's area: a crossing, an ISO 3166-2 subdivision or an ISO 3166-1 country."""
    if not isinstance(value, str):
        refuse(value, "expected a crossing id, an ISO 3166-2 or an ISO 3166-1 code")
    if value in CROSSINGS or value in COUNTRIES:
        return value
    if country_of_subdivision(value):
        return value
    if value.startswith("xp-"):
        refuse(value, f"expected a crossing of the list, such as {min(CROSSINGS)}: there is no {value}")
    return refuse(value, "expected a crossing id, an ISO 3166-2 or an ISO 3166-1 code")


def hours(value: object) -> str:
    """Opening hours."""
    return _by_text(_hours_fault, value, "expected opening hours such as '24/7' or 'Mo-Fr 08:00-16:00; PH off'")


@functools.lru_cache(maxsize=4096)
def _hours_fault(value: str) -> str | None:
    return _complaint(parse_hours, value)


def zone(value: object) -> str:
    """An IANA time zone."""
    return _by_text(_zone_fault, value, "expected an IANA time zone such as Europe/Skopje")


@functools.lru_cache(maxsize=1024)
def _zone_fault(value: str) -> str | None:
    return _complaint(load_zone, value)


def holiday_calendar(value: object) -> str:
    """A country of the holiday library."""
    return _by_text(_calendar_fault, value, "expected a country with a holiday calendar")


@functools.lru_cache(maxsize=1024)
def _calendar_fault(value: str) -> str | None:
    return _complaint(functools.partial(parse_holidays, ()), value)


def month_day(value: object) -> str:
    """A fixed public holiday: ``MM-DD``."""
    return _by_text(_month_day_fault, value, "expected a date of every year as MM-DD")


@functools.lru_cache(maxsize=512)
def _month_day_fault(value: str) -> str | None:
    return _complaint(lambda day: parse_holidays([day]), value)


def instant(value: object) -> str:
    """An instant, kept as it was written."""
    return _by_text(_instant_fault, value, "expected an instant such as 2026-11-21T20:00:00Z")


@functools.lru_cache(maxsize=4096)
def _instant_fault(value: str) -> str | None:
    return _complaint(parse_instant, value)


def instant_or_date(value: object) -> str:
    """An instant, or a day that begins at midnight UTC."""
    return _by_text(_instant_or_date_fault, value, "expected a date such as 2026-11-21, or an instant")


@functools.lru_cache(maxsize=512)
def _instant_or_date_fault(value: str) -> str | None:
    return _complaint(read_instant_or_date, value)


def read_instant_or_date(value: str) -> dt.datetime:
    """Read an instant, or a day that begins at midnight UTC. Raises ValueError for anything else."""
    if _DATE.match(value):
        return dt.datetime.fromisoformat(value).replace(tzinfo=dt.UTC)
    try:
        return parse_instant(value)
    except ValueError as error:
        raise ValueError(f"{error}, or a date such as 2026-11-21") from error


def phone(value: object) -> str:
    """A phone number in E.164; spaces, points, brackets and dashes between the digits are taken out."""
    if isinstance(value, str):
        if _PHONE.match(value):
            return value
        digits = _PHONE_SEPARATORS.sub("", value)
        # "+381 (0)11" has a digit that is not dialled from abroad: nobody can say which number is meant.
        if "(0)" not in value and _PHONE.match(digits):
            return digits
    return refuse(value, "expected a phone number in E.164, such as +99912345678 (at most 15 digits)")


def email(value: object) -> str:
    """An e-mail address, checked without DNS."""
    if not isinstance(value, str):
        refuse(value, "expected an e-mail address")
    local, _, domain = value.rpartition("@")
    if len(value) <= 254 and len(local) <= 64 and _PLAIN_LOCAL_PART.match(local) and _is_mail_domain(domain):
        return value
    fault = _email_fault(value)
    return value if fault is None else refuse(value, f"expected an e-mail address: {fault}")


@functools.lru_cache(maxsize=4096)
def _is_mail_domain(domain: str) -> bool:
    return _email_fault(f"desk@{domain}") is None


def _email_fault(value: str) -> str | None:
    try:
        validate_email(value, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError as error:
        return str(error)
    return None


def address(value: object) -> str:
    """An address on a channel; one that is a URL must be harmless to follow."""
    written = text(value)
    found = _URL.match(written)
    if found and (found[1].lower() in _ACTIVE_SCHEMES or (found[2] and not _PUBLIC_HTTPS.match(written))):
        refuse(value, "expected an address that is no URL, or an https URL with a host name")
    return written


def _consists_of(value: list[object], codes: frozenset[str]) -> bool:
    try:
        return codes.issuperset(value)
    except TypeError:  # an item that cannot be hashed is no code
        return False


def _by_text(fault_of: Callable[[str], str | None], value: object, expected: str) -> str:
    if not isinstance(value, str):
        refuse(value, expected)
    fault = fault_of(value)
    return value if fault is None else refuse(value, fault)


def _complaint(parse: Callable[[str], object], value: str) -> str | None:
    try:
        parse(value)
    except ValueError as error:
        reason = str(error)
        return reason if reason.startswith("expected ") else f"expected a value that exists: {reason}"
    return None


def collect(rule: Rule, value: object, step: object, faults: list[Fault]) -> object:
    """Apply a rule to the part at ``step`` (a name or a number) and add its faults to ``faults``.

    A refused part comes back as it was.
    """
    try:
        return rule(value)
    except InvalidInputError as error:
        faults.extend(faults_within(error, f"/{escape(step)}"))
        return value


def unless(faults: list[Fault], value: T) -> T:
    """Return the value where no fault was found in it, and refuse it otherwise."""
    if faults:
        raise InvalidInputError(faults)
    return value


def describe(codes: Collection[str]) -> str:
    """Write the codes of a list for a person; of a long list only some."""
    ordered = sorted(codes)
    if len(ordered) <= 16:
        return "one of " + ", ".join(ordered)
    return f"one of {len(ordered)}, such as {', '.join(ordered[:3])}"
