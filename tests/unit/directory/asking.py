"""Directories and questions for the tests of the lookup: the region, and countries made by hand."""

import datetime as dt
import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from directory.answers import to_json
from directory.document import Document, parse_documents
from directory.index import Directory
from directory.lookup import lookup, parse_query
from directory.policy import Policy, load_policy, parse_policy

ROOT = Path(__file__).parents[3]
NOW = dt.datetime(2027, 2, 9, 9, 0, tzinfo=dt.UTC)
TUESDAY_10 = "2027-02-09T10:00:00+01:00"
SUNDAY_NIGHT = "2027-02-14T22:15:00+01:00"
SATURDAY_18 = "2027-02-20T18:00:00+01:00"

OPEN_POLICY = {
    **json.loads((ROOT / "directory/data/policy.json").read_text()),
    "participants": {},
    "gates": [],
}
"""The shipped policy without caps and gates: everybody is as he claims."""


@functools.cache
def policy() -> Policy:
    return load_policy()


@functools.cache
def open_policy() -> Policy:
    return parse_policy(OPEN_POLICY)


def policy_with(**members: Any) -> Policy:
    """The open policy with some of its members changed."""
    return parse_policy({**OPEN_POLICY, **members})


@functools.cache
def sample(name: str) -> Any:
    return json.loads((ROOT / "web/data" / name).read_text())


@functools.cache
def documents(*, with_organisations: bool = False) -> tuple[Document, ...]:
    found = parse_documents(sample("region.json"))
    if with_organisations:
        found += parse_documents(sample("organisations.json"))
    return tuple(found)


@functools.cache
def region(*, with_organisations: bool = False) -> Directory:
    return Directory.from_documents(documents(with_organisations=with_organisations))


def region_with(changes: Mapping[str, Mapping[str, Any] | None], *, with_organisations: bool = False) -> Directory:
    """The region with records changed: reference → members to set, or None to take the record out."""
    return Directory.from_documents(
        Document(document.participant, _changed(document, changes), [])
        for document in documents(with_organisations=with_organisations)
    )


def _changed(document: Document, changes: Mapping[str, Mapping[str, Any] | None]) -> dict[str, dict[str, Any]]:
    records = dict(document.records)
    for ref, members in changes.items():
        code, _, record = ref.partition(":")
        if code != document.participant:
            continue
        if members is None:
            del records[record]
        else:
            records[record] = {**records.get(record, {}), **members}
    return records


def ask(
    directory: Directory | None = None, rules: Policy | None = None, *, now: dt.datetime = NOW, **fields: Any
) -> dict[str, Any]:
    """The answer to a question as JSON; ``asker`` stands for ``from``, which Python keeps for itself."""
    place = directory or region()
    if "asker" in fields:
        fields["from"] = fields.pop("asker")
    return to_json(lookup(parse_query(fields, place, now), place, rules or policy(), lambda code: None))


def asked(asker: str, requested: str, at: str = TUESDAY_10, **fields: Any) -> dict[str, Any]:
    """The answer of the region to a question, on a Tuesday morning unless said otherwise."""
    return ask(asker=asker, country=requested, at=at, **fields)


def ways(answer: Mapping[str, Any]) -> list[str]:
    """The candidates in order, as ``pccc rs-pccc-trebinje``."""
    return [f"{each['channel']} {slug(each['unit'])}" for each in answer["candidates"]]


def rejections(answer: Mapping[str, Any]) -> dict[str, str]:
    """Per channel, the rule that removed it (the last, where several units were)."""
    return {each["channel"]: each["rule"] for each in answer["rejected"]}


def slug(ref: str | None) -> str | None:
    return ref.rpartition("/")[2] if ref else None


def unit(id_: str, kind: str, **members: Any) -> dict[str, Any]:
    """A unit record; what is not said is central, for every crime, 24/7 and English."""
    code = id_[:2].upper()
    return {
        "id": id_,
        "name": {"en": id_},
        "kind": kind,
        "level": "central",
        "area": [code],
        "crime_areas": ["*"],
        "channels": ["bilateral"],
        "languages": ["en"],
        "hours": "24/7",
        "endpoints": {"phone": "+9990000001", "email": f"{id_}@unit.example"},
        **members,
    }


def country(code: str, units: Iterable[dict[str, Any]] = (), **members: Any) -> Document:
    """A country on every channel up to RESTRICTED, in UTC, a member of everything that a rule asks for."""
    own = {
        "country": code,
        "names": {"en": f"Land {code}"},
        "timezone": "Etc/UTC",
        "languages": ["en"],
        "memberships": ["INTERPOL", "SELEC", "SEPCA", "BUDAPEST", "EGMONT", "CARIN"],
        "channels": {
            "siena": {"connected": True, "max": "RESTRICTED"},
            "i247": {"connected": True, "max": "RESTRICTED"},
            "sirene": {"connected": True, "max": "RESTRICTED"},
            "selec": {"connected": True, "max": "RESTRICTED"},
        },
        "public_holidays": [],
        **members,
    }
    return Document(code, {"participant/self": own, **{f"unit/{each['id']}": each for each in units}}, [])
