"""What a check of the stored bytes found."""

from dataclasses import dataclass

REPAIR = "run: veza verify --repair (it fetches what is damaged from a node that holds it)"
REBUILD = "run: veza rebuild"
RESTORE = "run: veza verify --repair; where no other node holds it, restore a backup that verifies"

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: where, what should stand there, what stands there, and what to do."""

    participant: str
    what: str
    place: int | str
    """The entry's number or the record id; the log's size for the whole log."""
    expected: str
    found: str
    what_to_do: str


def short(value: object) -> str:
    """A value as a finding shows it."""
    return (value.hex() if isinstance(value, bytes) else str(value))[:_SHOWN]


def beside(value: object, other: object) -> str:
    """A value as a finding shows it beside another: from a little before the place where the two begin to differ."""
    one, two = (item.hex() if isinstance(item, bytes) else str(item) for item in (value, other))
    first = next((place for place, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]), 0)
    start = max(first - 60, 0)
    return f"{'…' if start else ''}{one[start : start + _SHOWN]}"
