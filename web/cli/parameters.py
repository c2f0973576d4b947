"""What commands read from their arguments: instants and files."""

import datetime as dt
from pathlib import Path

import click

from directory.document import load_json_file
from directory.instants import parse_instant
from directory.rota import Rota, parse_rota


class InstantParameter(click.ParamType):
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


def read_rota(path: Path) -> Rota:
    """The rota of a file; InvalidInputError with every fault where input would refuse it."""
    return parse_rota(load_json_file(path))
