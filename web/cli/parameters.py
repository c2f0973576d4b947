"""What commands read from their arguments: instants and files."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import click

from directory.errors import InvalidInputError
from directory.instants import parse_instant
from directory.json_file import load_json_file
from directory.rota import Rota, parse_rota


class InstantParameter(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """An instant such as ``2026-01-05T07:00:00Z``, with ``Z`` or an offset; anything else is a usage error."""

    name = "instant"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """Read the text as an aware instant."""
        try:
            return parse_instant(value)
        except ValueError as error:
            self.fail(f"{error}, found {value!r}", param, ctx)


INSTANT = InstantParameter()
FILE = click.Path(path_type=Path, dir_okay=False)


def now() -> dt.datetime:
    """The present second; read once by a command and passed on from there."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def read_json(path: Path) -> object:
    """The JSON of a file; InvalidInputError, with the file's name, where it is none or cannot be read."""
    try:
        return load_json_file(path)
    except InvalidInputError as error:
        raise InvalidInputError([replace(fault, place=f"{path}{fault.place}") for fault in error.faults]) from error


def read_rota(path: Path) -> Rota:
    """The rota of a file; InvalidInputError with every fault where input would refuse it."""
    return parse_rota(read_json(path))
