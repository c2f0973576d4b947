"""``veza rota``: who serves when, and what a change would change (directory.md, section 3)."""

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import click

from directory.rota import Rota
from directory.rota_schedule import changes, shifts
from web.cli.directories import rota_of_node
from web.cli.output import json_option, print_json, print_table
from web.cli.parameters import FILE, INSTANT, read_json, read_rota
from web.cli.rota_cases import change_to_json, check_window, evaluate_cases, shift_to_json


@click.group()
def rota() -> None:
    """Resolved schedules of a rota, and what a change would change."""


@rota.command("shifts")
@click.argument("ref", required=False)
@click.option("--rota", "file", type=FILE, help="A rota document; no node is needed.")
@click.option("--from", "start", type=INSTANT, required=True, help="Start of the window.")
@click.option("--to", "end", type=INSTANT, required=True, help="End of the window.")
@json_option
@click.pass_obj
def list_shifts(
    data: Path, ref: str | None, file: Path | None, start: dt.datetime, end: dt.datetime, as_json: bool
) -> None:
    """Who serves when in a window: maximal intervals of one member, or a gap. REF is a unit's or a rota's reference."""
    if (ref is None) == (file is None):
        raise click.UsageError("give either a reference such as ME:unit/me-spoc or --rota FILE")
    check_window(start, end, "--to")
    resolved = [shift_to_json(shift) for shift in shifts(_rota_of(data, ref, file), start, end)]
    _print_rows({"shifts": resolved}, ("start", "end", "member"), as_json)


@rota.command("diff")
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@click.option("--from", "start", type=INSTANT, required=True, help="Start of the window.")
@click.option("--to", "end", type=INSTANT, required=True, help="End of the window.")
@json_option
def diff(old: Path, new: Path, start: dt.datetime, end: dt.datetime, as_json: bool) -> None:
    """What a change would change: the intervals whose member on duty differs between the documents OLD and NEW."""
    check_window(start, end, "--to")
    changed = [change_to_json(change) for change in changes(read_rota(old), read_rota(new), start, end)]
    _print_rows({"changes": changed}, ("start", "end", "before", "after"), as_json)


@rota.command("evaluate")
@click.argument("file", type=FILE)
@json_option
def evaluate(file: Path, as_json: bool) -> None:
    """Answer a list of cases about rotas in one run; the answer is always JSON."""
    print_json(evaluate_cases(read_json(file)))


def _rota_of(data: Path, ref: str | None, file: Path | None) -> Rota:
    if file is not None:
        return read_rota(file)
    assert ref is not None
    return rota_of_node(data, ref)


def _print_rows(answer: dict[str, list[dict[str, Any]]], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        print_json(answer)  # a schedule that is piped goes to a program
        return
    (rows,) = answer.values()
    print_table(columns, [[row[column] for column in columns] for row in rows])
