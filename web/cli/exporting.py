"""``veza export``: a participant's directory as a document or a table."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from directory.database import reading
from directory.document import export_document
from directory.store import load_records
from web.cli.databases import opened_database
from web.cli.failure import CommandError
from web.cli.output import json_option, print_json

_LATER = ("xlsx", "vcf", "ics", "cards")
_COLUMNS = ("kind", "level", "agency", "parent", "hours", "timezone", "area", "crime_areas", "channels", "languages")
_FORMULA = ("=", "@", "-", "\t", "\r")
"""What a spreadsheet would run as a formula; ``+`` is left alone, since every phone number begins with it."""


@click.command("export")
@click.argument("code", required=False)
@click.option(
    "--format", "form", type=click.Choice(["json", "csv", *_LATER]), default="json", show_default=True, help="Format."
)
@json_option
@click.pass_obj
def export(data: Path, code: str | None, form: str, as_json: bool) -> None:
    """Write the directory of CODE (any participant held; by default the node's own) to standard output."""
    if as_json and form != "json":
        raise click.UsageError(f"--json and --format {form} contradict each other")
    if form in _LATER:
        raise CommandError("bad_request", f"this version exports json and csv; {form} is not written yet")
    with opened_database(data) as (config, engine), reading(engine) as session:
        participant = code or config.participant
        records = {record.record: record.data for record in load_records(session, participant=participant)}
    if not records:
        raise CommandError("not_found", f"no records of {participant} are held; `veza federation` lists who is")
    if form == "json":
        print_json(export_document(records))
    else:
        click.echo(units_to_csv(participant, records), nl=False)


def units_to_csv(participant: str, records: Mapping[str, Mapping[str, Any]]) -> str:
    """The units as a table, one line each; lists are joined by spaces, names carry their language."""
    units = {record: data for record, data in records.items() if record.startswith("unit/")}
    tags = sorted({tag for data in units.values() for tag in data.get("name", {})})
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["ref", *(f"name.{tag}" for tag in tags), *_COLUMNS, "phone", "email", "verified_at"])
    for record, data in sorted(units.items()):
        writer.writerow(map(_cell, [f"{participant}:{record}", *_cells(data, tags)]))
    return out.getvalue()


def _cells(data: Mapping[str, Any], tags: Iterable[str]) -> Iterator[object]:
    yield from (data.get("name", {}).get(tag) for tag in tags)
    yield from (data.get(column) for column in _COLUMNS)
    endpoints = data.get("endpoints", {})
    yield from (endpoints.get("phone"), endpoints.get("email"), data.get("verified_at"))


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = " ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
