"""What records of one participant say about each other: every record they name must be there (directory.md, 1)."""

from collections.abc import Container, Iterator, Mapping
from typing import Any

from directory.errors import Fault
from directory.vocabulary import SLUG

Records = Mapping[str, Mapping[str, Any]]
"""Record id → data."""


def missing_references(record: str, data: Mapping[str, Any], *known: Container[str]) -> Iterator[Fault]:
    """Name every reference of a record to one that is in none of ``known``; places are JSON pointers inside it.

    The record may break rules of its own: what is no reference at all is passed over.
    """
    for place, target in references_of(record, data):
        if not any(target in each for each in known):
            yield Fault(place, target.partition("/")[2], f"expected a record {target}, which is not there")


def circular_parents(records: Records) -> Iterator[tuple[str, Fault]]:
    """Name every circle of parents once: the id of one of its units, with the fault."""
    for circle in _parent_circles(records):
        first = min(circle)
        way = " -> ".join([*circle[circle.index(first) :], *circle[: circle.index(first) + 1]])
        yield first, Fault("/parent", records[first]["parent"], f"expected parents without a circle, not {way}")


def references_of(record: str, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each record that a record names, as its id, with the place of the naming."""
    type_, _, _ = record.partition("/")
    if type_ == "unit":
        for key in ("agency", "parent", "rota"):
            yield from _reference(data, key, "", "unit" if key == "parent" else key)
        yield from _escalation_references(data.get("escalation"))
    elif type_ in {"member", "rota"}:
        yield from _reference(data, "unit", "", "unit")
    if type_ == "rota":
        yield from _rota_references(data)


def _reference(data: Mapping[str, Any], key: str, place: str, type_: str) -> Iterator[tuple[str, str]]:
    yield from _target(data.get(key), f"{place}/{key}", type_)


def _target(value: object, place: str, type_: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and SLUG.match(value):
        yield place, f"{type_}/{value}"


def _escalation_references(steps: object) -> Iterator[tuple[str, str]]:
    for number, step in _objects(steps):
        for place, target in _items(step.get("notify")):
            type_, _, slug = target.partition("/") if isinstance(target, str) else ("", "", "")
            if type_ in {"member", "unit"}:
                yield from _target(slug, f"/escalation/{number}/notify/{place}", type_)


def _rota_references(rota: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for number, layer in _objects(rota.get("layers")):
        for place, member in _items(layer.get("members")):
            yield from _target(member, f"/layers/{number}/members/{place}", "member")
    for number, override in _objects(rota.get("overrides")):
        for key in ("member", "replaces"):
            yield from _reference(override, key, f"/overrides/{number}", "member")


def _items(value: object) -> Iterator[tuple[int, object]]:
    yield from enumerate(value if isinstance(value, list) else ())


def _objects(value: object) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, item in _items(value):
        if isinstance(item, dict):
            yield number, item


def _parent_circles(records: Records) -> Iterator[list[str]]:
    """Yield each circle once, in the order of the parents."""
    settled: set[str] = set()
    for start in records:
        way: dict[str, None] = {}
        unit: str | None = start
        while unit is not None and unit not in way and unit not in settled:
            way[unit] = None
            unit = _parent(records, unit)
        if unit is not None and unit in way:
            steps = [*way]
            yield steps[steps.index(unit) :]
        settled.update(way)


def _parent(records: Records, unit: str) -> str | None:
    data = records.get(unit)
    parent = data.get("parent") if data is not None and unit.startswith("unit/") else None
    return f"unit/{parent}" if isinstance(parent, str) else None
