"""What a record that is saved says about others of the own country: each must be there, as an import demands too.

A name that the version before it held already may stay: whoever adds a stand-in at night must not be stopped by a
member who was deleted long ago.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from directory.errors import InvalidInputError
from directory.references import circular_parents, missing_references, references_of
from directory.store import LIVE, load_record


@dataclass(frozen=True, slots=True)
class _HeldRecords:
    """The live records of a participant, looked up one by one."""

    session: Session
    participant: str

    def data(self, record: str) -> Mapping[str, Any] | None:
        found = load_record(self.session, self.participant, record)
        return found.data if found is not None and found.state == LIVE else None

    def __contains__(self, record: object) -> bool:
        return isinstance(record, str) and self.data(record) is not None


def check_references(
    session: Session, participant: str, record: str, data: Mapping[str, Any], before: Mapping[str, Any] | None
) -> None:
    """Raise InvalidInputError where ``data`` names a record that is not there, or closes a circle of parents."""
    held = _HeldRecords(session, participant)
    kept = frozenset() if before is None else {target for _, target in references_of(record, before)}
    faults = list(missing_references(record, data, kept, {record}, held))
    faults += [fault for _, fault in circular_parents(_ancestry(held, record, data))]
    if faults:
        raise InvalidInputError(faults)


def _ancestry(held: _HeldRecords, record: str, data: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """A unit with those above it, as far as they are held; each once."""
    units: dict[str, Mapping[str, Any]] = {}
    above: Mapping[str, Any] | None = data
    while above is not None and record not in units:
        units[record] = above
        record = f"unit/{above.get('parent')}"
        above = held.data(record)
    return units
