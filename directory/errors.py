"""What can be wrong with the directory, split by who must act.

Every error carries a problem ``code`` (protocol.md, section 9) and a ``detail``: what was expected, what was found.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule: where it stands, what was found, what was expected.

    ``place`` is a JSON pointer into the document or record (``/units/3/hours``).
    """

    place: str
    found: object
    expected: str

    def __str__(self) -> str:
        return f"{self.place or '/'}: {self.expected} (found {_shorten(self.found)})"


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


class DirectoryError(Exception):
    """Root of this package's errors."""

    code = "bad_request"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidInputError(DirectoryError):
    """What was given breaks rules of directory.md; every fault is named at once. The giver must correct it."""

    code = "bad_request"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))


class NotFoundError(DirectoryError):
    """The directory holds no such thing."""

    code = "not_found"


class StaleVersionError(DirectoryError):
    """Somebody saved first: the version that the change was made from is no longer the current one."""

    code = "stale_version"


class OutcomeUnknownError(DirectoryError):
    """The database failed while a change was being made durable: it was kept whole, or not at all.

    Whoever asked must look at what stands before trying again; ``passing`` says that the fault may be over by then.
    """

    code = "busy"

    def __init__(self, why: str, *, passing: bool) -> None:
        super().__init__(f"whether the change was kept is not known, look before you try again: {why}")
        self.passing = passing


class DamagedDatabaseError(DirectoryError):
    """The database's files lack what they must hold: the operator must restore a backup."""

    code = "busy"
