"""What is tolerated in a record but should be looked at: it is kept, published and warned about (directory.md, 1)."""

from collections.abc import Iterator, Mapping
from typing import Any

import phonenumbers

from directory.plain_text import mixed_script_words
from directory.vocabulary import KNOWN_AGENCY_KINDS, KNOWN_MEMBERSHIPS, KNOWN_NETWORKS, KNOWN_POSTINGS

EXERCISE_PREFIX = "+999"
"""An unassigned calling code: numbers of samples and exercises are never complained about."""


def warnings_for(type_: str, data: Mapping[str, Any]) -> list[str]:
    """Say what is odd about a valid record, in words that start with the member concerned."""
    warnings = [*_unknown_codes(type_, data), *_odd_numbers(data)]
    for key in ("name", "names"):
        for text in _texts(data.get(key)):
            warnings += [f"{key}: {word!r} mixes letters of several scripts" for word in mixed_script_words(text)]
    return warnings


def _unknown_codes(type_: str, data: Mapping[str, Any]) -> Iterator[str]:
    if type_ == "participant":
        yield from _unknown("memberships", data["memberships"], KNOWN_MEMBERSHIPS)
    elif type_ == "agency":
        yield from _unknown("kind", [data["kind"]], KNOWN_AGENCY_KINDS)
    elif type_ == "unit":
        yield from _unknown("networks", data.get("networks", []), KNOWN_NETWORKS)
        posting = data.get("posted_to")
        yield from _unknown("posted_to", [] if posting is None else [posting], KNOWN_POSTINGS)


def _unknown(key: str, codes: list[str], known: frozenset[str]) -> Iterator[str]:
    for code in codes:
        if code not in known:
            yield f"{key}: {code!r} is not a known code; it is kept"


def _odd_numbers(data: Mapping[str, Any]) -> Iterator[str]:
    for place, number in (("phone", data.get("phone")), ("endpoints/phone", data.get("endpoints", {}).get("phone"))):
        if number is not None and not number.startswith(EXERCISE_PREFIX) and not _is_plausible(number):
            yield f"{place}: {number} is not a number that the numbering plans know; it is kept"


def _is_plausible(number: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


def _texts(name: object) -> list[str]:
    if isinstance(name, str):
        return [name]
    return [*name.values()] if isinstance(name, Mapping) else []
