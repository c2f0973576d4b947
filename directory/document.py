"""Directory documents: the import and export format of a participant (directory.md, section 1).

A document is one country or organisation, or a file with ``countries`` and ``organisations`` lists. Reading is all or
nothing: every fault is named at once, with its JSON pointer in the file.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from directory.errors import Fault, InvalidInputError
from directory.json_file import load_json_file
from directory.record_schemas import validate_record
from directory.record_warnings import warnings_for
from directory.references import circular_parents, missing_references
from directory.vocabulary import PARTICIPANT_CODE, PARTICIPANT_RECORD

__all__ = [
    "Document",
    "ImportPlan",
    "diff_document",
    "export_document",
    "load_json_file",
    "looks_like_name",
    "parse_document",
    "parse_documents",
]

PARTS: Mapping[str, str] = {
    "agencies": "agency",
    "units": "unit",
    "members": "member",
    "rotas": "rota",
    "outages": "outage",
}
"""The lists of a document, with the type of the records in them."""
_LISTS = ("countries", "organisations")
# fmt: off
_ROLE_WORDS = frozenset({
    "centre", "chief", "coordinator", "day", "deputy", "desk", "dispatcher", "duty", "head", "leader", "liaison",
    "manager", "night", "officer", "operator", "post", "reserve", "second", "shift", "spoc", "supervisor", "team",
    "unit", "watch",
})
# fmt: on
_NAME_WARNING = "the id looks like a name; ids are never erased, so give it one that names a post, such as duty-1"


@dataclass(frozen=True, slots=True)
class Document:
    """The records of one participant, each valid, with every record there that another one names."""

    participant: str
    records: dict[str, dict[str, Any]]
    """Record id → data, the participant's own record first."""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would do, as record ids. Records that are not in the document stay as they are."""

    added: list[str]
    changed: list[str]
    unchanged: list[str]


def parse_document(document: object, participant: str | None = None, known: Container[str] = ()) -> Document:
    """Read the document of one participant.

    Of a file with several, ``participant`` says which; of a file with one, it must be that one. ``known`` holds the
    ids of records that are there already, so that a document of a part may refer to them. Raises InvalidInputError
    with every fault.
    """
    if not isinstance(document, dict):
        raise InvalidInputError(
            [Fault("", document, "expected an object: a country, an organisation, or a file with a list of them")]
        )
    if any(key in document for key in _LISTS):
        place, chosen = _choose(document, participant)
        return _Reader(place, chosen, known).read()
    code = _code_of(document)
    if participant is not None and code is not None and code != participant:
        key = "country" if "country" in document else "organisation"
        raise InvalidInputError([Fault(f"/{key}", code, f"expected the document of {participant}")])
    return _Reader("", document, known).read()


def parse_documents(document: object) -> list[Document]:
    """Read the documents of every participant in a file, or raise InvalidInputError with the faults of all."""
    if not isinstance(document, dict) or not any(key in document for key in _LISTS):
        return [parse_document(document)]
    documents: dict[str, Document] = {}
    faults: list[Fault] = []
    for place, entry in _entries(document):
        try:
            read = _Reader(place, entry, ()).read()
        except InvalidInputError as error:
            faults += error.faults
            continue
        if read.participant in documents:
            faults.append(Fault(place, read.participant, "expected each participant once"))
        documents[read.participant] = read
    if faults:
        raise InvalidInputError(faults)
    return [*documents.values()]


def export_document(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Write records (record id → data) as a document: the inverse of parse_document."""
    document: dict[str, Any] = {**records.get(PARTICIPANT_RECORD, {})}
    lists = {type_: document.setdefault(part, []) for part, type_ in PARTS.items()}
    for record, data in records.items():
        type_, _, slug = record.partition("/")
        if type_ in lists:
            lists[type_].append({"id": slug, **data})
    return document


def diff_document(current: Mapping[str, Mapping[str, Any]], new: Document) -> ImportPlan:
    """Compare a document with the records that are there now (record id → data), as JSON values."""
    plan = ImportPlan([], [], [])
    for record, data in new.records.items():
        if record not in current:
            plan.added.append(record)
        elif _canonical(current[record]) == _canonical(data):
            plan.unchanged.append(record)
        else:
            plan.changed.append(record)
    return plan


def _canonical(data: Mapping[str, Any]) -> bytes:
    return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)


def _code_of(entry: Mapping[str, Any]) -> str | None:
    code = entry.get("country", entry.get("organisation"))
    return code if isinstance(code, str) and PARTICIPANT_CODE.match(code) else None


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each participant's object in a file, with its place."""
    for key in _LISTS:
        entries = document.get(key, [])
        if not isinstance(entries, list):
            raise InvalidInputError([Fault(f"/{key}", entries, "expected a list of participants")])
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise InvalidInputError([Fault(f"/{key}/{number}", entry, "expected an object of one participant")])
            yield f"/{key}/{number}", entry


def _choose(document: Mapping[str, Any], participant: str | None) -> tuple[str, dict[str, Any]]:
    entries = [*_entries(document)]
    codes = ", ".join(sorted(filter(None, (_code_of(entry) for _, entry in entries)))) or "nobody"
    if participant is None:
        raise InvalidInputError([Fault("", None, f"expected to be told the participant: the file holds {codes}")])
    found = [(place, entry) for place, entry in entries if _code_of(entry) == participant]
    if not found:
        raise InvalidInputError([Fault("", participant, f"expected a participant of the file, which holds {codes}")])
    if len(found) > 1:
        raise InvalidInputError([Fault(found[1][0], participant, f"expected {participant} once, see {found[0][0]}")])
    return found[0]


class _Reader:
    """Reads the object of one participant, collecting faults and warnings on the way."""

    def __init__(self, place: str, entry: Mapping[str, Any], known: Container[str]) -> None:
        self._place = place
        self._entry = entry
        self._known = known
        self._participant = _code_of(entry) or ""
        self._records: dict[str, dict[str, Any]] = {}
        self._places: dict[str, str] = {}
        self._stated: list[tuple[str, str, dict[str, Any]]] = []
        self._faults: list[Fault] = []
        self._warnings: list[str] = []

    def read(self) -> Document:
        """Read all of it (InvalidInputError with every fault)."""
        own = {key: value for key, value in self._entry.items() if key not in PARTS}
        self._add(self._place, "participant", "self", own)
        for part, type_ in PARTS.items():
            self._read_part(part, type_)
        self._check_references()
        if self._faults:
            raise InvalidInputError(self._faults)
        return Document(self._participant, self._records, self._warnings)

    def _check_references(self) -> None:
        # A record at fault has a place all the same: a reference to it is no second fault.
        for place, record, data in self._stated:
            for fault in missing_references(record, data, self._places, self._known):
                self._refuse(place, fault)
        first_stated = {record: data for _, record, data in reversed(self._stated)}
        for record, fault in circular_parents(first_stated):
            self._refuse(self._places[record], fault)

    def _read_part(self, part: str, type_: str) -> None:
        place = f"{self._place}/{part}"
        entries = self._entry.get(part, [])
        if not isinstance(entries, list):
            self._refuse(place, Fault("", entries, f"expected a list of {part}"))
            return
        for number, entry in enumerate(entries):
            if isinstance(entry, dict):
                data = {key: value for key, value in entry.items() if key != "id"}
                self._add(f"{place}/{number}", type_, entry.get("id"), data)
            else:
                self._refuse(f"{place}/{number}", Fault("", entry, f"expected an object that holds the {type_}"))

    def _add(self, place: str, type_: str, slug: object, data: dict[str, Any]) -> None:
        record = f"{type_}/{slug}"
        first = self._places.setdefault(record, place)
        self._stated.append((place, record, data))
        if isinstance(slug, str) and first != place:
            self._refuse(place, Fault("/id", slug, f"expected each id once, but {first} has it too"))
        try:
            valid = validate_record(type_, slug if isinstance(slug, str) else "", data, self._participant)
        except InvalidInputError as error:
            for fault in error.faults:
                self._refuse(place, Fault("/id", slug, fault.expected) if fault.place == "/id" else fault)
        else:
            self._records.setdefault(record, valid)
            self._warnings += [f"{record}: {warning}" for warning in _warnings(record, valid)]

    def _refuse(self, place: str, fault: Fault) -> None:
        self._faults.append(Fault(place + fault.place, fault.found, fault.expected))


def _warnings(record: str, data: Mapping[str, Any]) -> Iterator[str]:
    type_, _, slug = record.partition("/")
    yield from warnings_for(type_, data)
    if type_ == "member" and looks_like_name(slug):
        yield _NAME_WARNING


def looks_like_name(slug: str) -> bool:
    """Whether a member's id may be somebody's name: words without a digit, none of which names a post."""
    words = slug.split("-")
    return slug.replace("-", "").isalpha() and len(slug) > 3 and _ROLE_WORDS.isdisjoint(words)
