"""Rules for the parts of a record that are objects of their own: names, endpoints, connections, escalation.

A rule returns the part, as it was or in its normal form, or refuses it (InvalidInputError) with every fault it finds;
members that are not known are kept.
"""

import functools
import re
from collections.abc import Mapping

from directory.errors import Fault
from directory.plain_text import escape
from directory.value_rules import (
    Rule,
    address,
    boolean,
    code_in,
    collect,
    describe,
    email,
    instant_or_date,
    list_of,
    name,
    phone,
    read_instant_or_date,
    refuse,
    text,
    unless,
)
from directory.vocabulary import CHANNELS, CLASSIFICATIONS, ESCALATION_TARGETS, RECORD_ID

LONGEST_ESCALATION_MIN = 60 * 24 * 366

_LANGUAGE_TAG = re.compile(
    r"[a-z]{2,3}(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*\Z", re.IGNORECASE | re.ASCII
)


def names(value: object) -> dict[str, object]:
    """A name in several languages: BCP 47 tag → text, at least one."""
    if not isinstance(value, dict) or not value:
        refuse(value, 'expected names by language tag, such as {"en": "Border station"}')
    faults: list[Fault] = []
    for tag, entry in value.items():
        if not is_language_tag(tag):
            faults.append(Fault(f"/{escape(tag)}", tag, "expected a BCP 47 language tag such as sr-Latn"))
        collect(name, entry, tag, faults)
    return unless(faults, value)


@functools.lru_cache(maxsize=1024)
def is_language_tag(tag: object) -> bool:
    """Whether a text has the form of a BCP 47 language tag."""
    return isinstance(tag, str) and _LANGUAGE_TAG.match(tag) is not None


def addresses(value: object) -> dict[str, object]:
    """An address per channel."""
    if not isinstance(value, dict):
        refuse(value, 'expected addresses by channel, such as {"siena": "..."}')
    faults: list[Fault] = []
    for channel, entry in value.items():
        if channel not in CHANNELS:
            faults.append(Fault(f"/{escape(channel)}", channel, f"expected a channel: {describe(CHANNELS)}"))
        collect(address, entry, channel, faults)
    return unless(faults, value)


_ENDPOINTS: Mapping[str, Rule] = {"phone": phone, "email": email, "address": addresses}


def endpoints(value: object) -> dict[str, object]:
    """How a unit is reached; text under a name that is not known is held to be an address."""
    if not isinstance(value, dict):
        refuse(value, "expected an object with phone, email and address")
    faults: list[Fault] = []
    normal = {}
    for kind, entry in value.items():
        rule = _ENDPOINTS.get(kind, address if isinstance(entry, str) else _anything)
        normal[kind] = collect(rule, entry, kind, faults)
    return unless(faults, normal)


def connections(value: object) -> dict[str, object]:
    """Per channel whether a participant is connected, and up to which classification."""
    if not isinstance(value, dict):
        refuse(value, "expected an object by channel")
    faults: list[Fault] = []
    for channel, entry in value.items():
        if channel not in CHANNELS:
            faults.append(Fault(f"/{escape(channel)}", channel, f"expected a channel: {describe(CHANNELS)}"))
        collect(_connection, entry, channel, faults)
    return unless(faults, value)


_classification = code_in(CLASSIFICATIONS, "a classification")


def _connection(value: object) -> object:
    if not isinstance(value, dict):
        refuse(value, 'expected an object such as {"connected": true, "max": "RESTRICTED"}')
    faults: list[Fault] = []
    connected = collect(boolean, value.get("connected"), "connected", faults)
    if connected or "max" in value:
        collect(_classification, value.get("max"), "max", faults)
    if value.get("substitute") is not None:
        collect(text, value["substitute"], "substitute", faults)
    return unless(faults, value)


def designated(value: object) -> dict[str, object]:
    """Since when, and until when if that is known, an agency may ask foreign SPOCs directly."""
    if not isinstance(value, dict):
        refuse(value, 'expected an object such as {"from": "2026-01-01", "to": "2027-01-01"}')
    faults: list[Fault] = []
    start = collect(instant_or_date, value.get("from"), "from", faults)
    if value.get("to") is not None:
        end = collect(instant_or_date, value["to"], "to", faults)
        if not faults and read_instant_or_date(str(end)) <= read_instant_or_date(str(start)):
            faults.append(Fault("/to", end, f"expected an end after the start {start}"))
    return unless(faults, value)


def escalation(value: object) -> list[object]:
    """Steps of an escalation: minutes after the start, and whom to notify then; each no earlier than the one before."""
    if not isinstance(value, list) or not value:
        refuse(value, 'expected steps such as [{"after": 0, "notify": ["on_duty"]}]')
    faults: list[Fault] = []
    earliest = 0
    for number, step in enumerate(value):
        collect(_escalation_step, step, number, faults)
        after = _minutes(step.get("after")) if isinstance(step, dict) else None
        if after is None:
            continue
        if after < earliest:
            faults.append(Fault(f"/{number}/after", after, f"expected no less than the {earliest} of the step before"))
        earliest = after
    return unless(faults, value)


def _escalation_step(value: object) -> object:
    if not isinstance(value, dict):
        refuse(value, 'expected a step such as {"after": 15, "notify": ["next", "fallback"]}')
    faults: list[Fault] = []
    if _minutes(value.get("after")) is None:
        expected = f"expected whole minutes from 0 to {LONGEST_ESCALATION_MIN}"
        faults.append(Fault("/after", value.get("after"), expected))
    if value.get("notify") == []:
        faults.append(Fault("/notify", [], "expected somebody to notify"))
    collect(_notified, value.get("notify"), "notify", faults)
    return unless(faults, value)


def _minutes(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= LONGEST_ESCALATION_MIN else None


def _escalation_target(value: object) -> str:
    if isinstance(value, str):
        record = RECORD_ID.match(value) and value.startswith(("member/", "unit/"))
        if value in ESCALATION_TARGETS or record:
            return value
    return refuse(value, f"expected {describe(ESCALATION_TARGETS)}, member/<id> or unit/<id>")


_notified = list_of(_escalation_target)


def _anything(value: object) -> object:
    return value
