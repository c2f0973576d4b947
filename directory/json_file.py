"""Reading JSON files strictly: what another program would read differently is refused."""

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from directory.errors import Fault, InvalidInputError

LARGEST_FILE = 512 * 2**20
"""Bytes; a directory document of a million units has about as many."""


def load_json_file(path: Path) -> object:
    """Read a UTF-8 JSON file; members named twice, NaN, infinite numbers and boundless nesting are refused.

    Raises InvalidInputError, with line and column where the text is no JSON.
    """
    return parse_json_text(_read(path))


def parse_json_text(text: str) -> object:
    """Read JSON text as strictly as ``load_json_file`` does."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_float)
    except json.JSONDecodeError as error:
        found = text[error.pos : error.pos + 20]
        expected = f"expected JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise InvalidInputError([Fault("", found, expected)]) from error
    except RecursionError as error:
        raise InvalidInputError([Fault("", "...", "expected JSON that is not nested without bounds")]) from error
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidInputError([Fault("", "...", f"expected JSON with numbers of ordinary size: {error}")]) from error


def _read(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InvalidInputError([Fault("", f"{size} bytes", f"expected a file of at most {LARGEST_FILE} bytes")])
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidInputError(
            [Fault("", path.name, f"expected a file that can be read: {error.strerror}")]
        ) from error
    except UnicodeDecodeError as error:
        found = error.object[error.start : error.end]
        raise InvalidInputError([Fault("", found, f"expected UTF-8 text, not this at byte {error.start}")]) from error


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(members)
    if len(read) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInputError([Fault("", twice, "expected each member of an object once")])
    return read


def _refuse_constant(text: str) -> NoReturn:
    raise InvalidInputError([Fault("", text, "expected a finite number")])


def _float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_constant(text)
