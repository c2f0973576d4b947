"""What records of one participant say about each other: every record they name must be there (directory.md, 1)."""

from collections.abc import Container, Iterator, Mapping
from typing import Any

from directory.errors import Fault
from directory.vocabulary import parse_record_id

Records = Mapping[str, Mapping[str, Any]]
"""Record id → data."""


def reference_faults(records: Records, *known: Container[str]) -> Iterator[tuple[str, Fault]]:
    """Name every reference to a record that is neither in ``records`` nor in any of ``known``, and circles of parents.

    Yields the id of the record at fault with the fault; its place is a JSON pointer inside the record. The records are
    valid, each by itself.
    """
    for record, data in records.items():
        for place, target in references_of(record, data):
            if target not in records and not any(target in each for each in known):
                yield record, Fault(place, target.partition("/")[2], f"expected a record {target}, which is not there")
    for circle in _parent_circles(records):
        first = min(circle)
        way = " -> ".join([*circle[circle.index(first) :], *circle[: circle.index(first) + 1]])
        yield first, Fault("/parent", records[first]["parent"], f"expected parents without a circle, not {way}")


def references_of(record: str, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each record that a record names, as its id, with the place of the naming."""
    type_, _ = parse_record_id(record)
    if type_ == "unit":
        for key, target_type in (("agency", "agency"), ("parent", "unit"), ("rota", "rota")):
            if data.get(key) is not None:
                yield f"/{key}", f"{target_type}/{data[key]}"
        yield from _escalation_references(data.get("escalation", []))
    elif type_ in {"member", "rota"} and data.get("unit") is not None:
        yield "/unit", f"unit/{data['unit']}"
    if type_ == "rota":
        yield from _rota_references(data)


def _escalation_references(steps: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for number, step in enumerate(steps):
        for place, target in enumerate(step["notify"]):
            if "/" in target:
                yield f"/escalation/{number}/notify/{place}", target


def _rota_references(rota: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for number, layer in enumerate(rota["layers"]):
        for place, member in enumerate(layer["members"]):
            yield f"/layers/{number}/members/{place}", f"member/{member}"
    for number, override in enumerate(rota.get("overrides", [])):
        for key in ("member", "replaces"):
            if override.get(key) is not None:
                yield f"/overrides/{number}/{key}", f"member/{override[key]}"


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
    return None if parent is None else f"unit/{parent}"
