"""How a command says that it failed: one line on standard error, exit status 1.

``veza: <code>: <detail>``, with the codes of protocol.md section 9. Where a document has several faults, each follows
on a line of its own with its place, so that all of them can be mended in one go.
"""

import errno
import json
from collections.abc import Sequence

import click

from directory.errors import DirectoryError, Fault, InvalidInputError
from federation.errors import FederationError
from sync.errors import SyncError
from web.errors import WebError
from web.exhaustion import exhaustion_code


class CommandError(Exception):
    """A command cannot do what was asked; ``detail`` says what was expected, what was found and what to do."""

    def __init__(self, code: str, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.faults = tuple(faults)


REPORTED = (CommandError, DirectoryError, FederationError, SyncError, WebError, OSError, MemoryError)
"""What a command may raise for the operator to read; anything else is a mistake of the program."""


def report_failure(error: Exception) -> None:
    """Write ``error`` for a person: the line with its code, then each fault of a document with its place."""
    code, detail, faults = describe_failure(error)
    click.echo(f"veza: {code}: {detail}", err=True)
    for fault in faults:
        click.echo(f"  {fault}", err=True)


def describe_failure(error: Exception) -> tuple[str, str, tuple[Fault, ...]]:
    """The problem code, the detail on one line, and the faults that are listed below it."""
    if isinstance(error, InvalidInputError) and len(error.faults) > 1:
        return error.code, f"{len(error.faults)} faults, nothing was done:", error.faults
    if isinstance(error, MemoryError):
        return "busy", "this process has no memory left: give it more, or less to do", ()
    if isinstance(error, OSError):
        return _os_code(error), _os_detail(error), ()
    if isinstance(error, CommandError | DirectoryError | FederationError | SyncError | WebError):
        faults = error.faults if isinstance(error, CommandError) else ()
        return error.code, " ".join(error.detail.split()), faults
    raise error


def _os_code(error: OSError) -> str:
    return exhaustion_code(error) or ("not_found" if error.errno == errno.ENOENT else "bad_request")


def _os_detail(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def fault_to_json(fault: Fault) -> dict[str, object]:
    """A fault as ``{"place","found","expected"}``; what JSON cannot hold is shown as text."""
    found = fault.found
    try:
        json.dumps(found)
    except (TypeError, ValueError):
        found = repr(found)
    return {"place": fault.place, "found": found, "expected": fault.expected}
