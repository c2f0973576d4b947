"""``veza export``: a participant's directory as document, table, calendar, or cards for telephones and for paper."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from directory.database import reading
from directory.document import export_document
from directory.rota import parse_rota
from directory.store import Record, load_records
from web.calendars import CalendarRota, coming_year
from web.cli.databases import opened_database
from web.cli.directories import directory_of_node
from web.cli.failure import CommandError
from web.cli.output import json_option, print_json
from web.cli.parameters import now
from web.duty_cards import cards_page
from web.presentation import pick_name
from web.record_columns import RECORD_TABLES
from web.record_tables import record_rows
from web.table_files import to_csv, to_xlsx
from web.vcard import unit_card

_FORMATS = ("json", "csv", "xlsx", "vcf", "ics", "cards")
_TABLES = ("csv", "xlsx")


@click.command("export")
@click.argument("code", required=False)
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), default="json", show_default=True, help="cards is printable HTML."
)
@click.option("--what", type=click.Choice(list(RECORD_TABLES)), help="Of a table (csv, xlsx): units, the default.")
@json_option
@click.pass_obj
def export(data: Path, code: str | None, form: str, what: str | None, as_json: bool) -> None:
    """Write the directory of CODE (any participant held; by default the node's own) to standard output."""
    _check_options(form, what, as_json)
    with opened_database(data) as (config, engine), reading(engine) as session:
        participant = code or config.participant
        records = load_records(session, participant=participant)
    if not records:
        raise CommandError("not_found", f"no records of {participant} are held; `veza federation` lists who is")
    if form == "json":
        print_json(export_document({record.record: record.data for record in records}))
    elif form == "cards":
        source = directory_of_node(data)
        click.echo(cards_page(source.directory, source.policy, source.facts(participant), participant, now()))
    elif form in _TABLES:
        click.echo(_table(form, what or "units", participant, records), nl=False)
    else:
        click.echo(_CARDS[form](participant, records), nl=False)


def _check_options(form: str, what: str | None, as_json: bool) -> None:
    if as_json and form != "json":
        raise click.UsageError(f"--json and --format {form} contradict each other")
    if what is not None and form not in _TABLES:
        raise click.UsageError(f"--what is for tables (csv, xlsx); {form} has no choice of {what}")
    if form == "xlsx" and sys.stdout.isatty():
        raise click.UsageError(f"a workbook is nothing for a terminal: send it to a file (> {what or 'units'}.xlsx)")


def _table(form: str, what: str, participant: str, records: Sequence[Record]) -> bytes:
    rows = record_rows(RECORD_TABLES[what], participant, {record.record: record.data for record in records})
    return to_csv(rows) if form == "csv" else to_xlsx(what, rows)


def _vcards(participant: str, records: Sequence[Record]) -> bytes:
    cards = [unit_card(record) for record in records if record.type == "unit"]
    if not cards:
        raise CommandError("not_found", f"{participant} has no units, so there are no cards to write")
    return b"".join(cards)


def _calendar(participant: str, records: Sequence[Record]) -> bytes:
    names = {record.slug: str(record.data["name"]) for record in records if record.type == "member"}
    titles = {record.slug: pick_name(record.data["name"], record.slug)[0].text for record in _of(records, "unit")}
    rotas = [
        CalendarRota(record, parse_rota(record.data), names, titles.get(record.data["unit"], record.data["unit"]))
        for record in _of(records, "rota")
    ]
    if not rotas:
        raise CommandError("not_found", f"{participant} has no rotas, so there is no calendar to write")
    return coming_year(rotas, now())


def _of(records: Sequence[Record], type_: str) -> list[Record]:
    return [record for record in records if record.type == type_]


_CARDS: Mapping[str, Callable[[str, Sequence[Record]], bytes]] = {"vcf": _vcards, "ics": _calendar}
