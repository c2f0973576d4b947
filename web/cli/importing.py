"""``veza import``: a directory document, or a table of units or members, into the node's own log, all or nothing."""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from directory.database import reading, writing
from directory.document import Document, ImportPlan, diff_document, parse_document
from directory.errors import InvalidInputError
from directory.store import load_records
from federation.publishing import PendingChange, publish
from sync.node import Node
from web.cli.failure import CommandError, fault_to_json
from web.cli.nodes import opened_node, signing_node
from web.cli.output import json_option, print_json, working
from web.cli.parameters import FILE, now, read_json
from web.record_tables import document_of_table
from web.table_files import is_table, read_table


@click.command("import")
@click.argument("file", type=FILE)
@click.option("--country", metavar="CODE", help="Which participant of a file that lists several; by default our own.")
@click.option("--dry-run", is_flag=True, help="Say what would change and change nothing.")
@json_option
@click.pass_obj
def import_document(data: Path, file: Path, country: str | None, dry_run: bool, as_json: bool) -> None:
    """Publish what FILE says: a directory document, or a table (CSV, XLSX) of units or members.

    Every fault is named with its place, and then nothing changes. Columns and records that a table lacks stay as they
    are.
    """
    with opened_node(data) if dry_run else signing_node(data) as (config, node):
        _check_own(file, country or config.participant, config.participant)
        try:
            document, plan = _import_file(node, file, config.participant, dry_run)
        except InvalidInputError as error:
            if as_json:
                print_json(_report(None, (), dry_run) | {"faults": [fault_to_json(fault) for fault in error.faults]})
            raise CommandError(error.code, _refusal(file, error), error.faults) from error
    if as_json:
        print_json(_report(plan, document.warnings, dry_run))
    else:
        _print_plan(plan, document.warnings, dry_run)


def _import_file(node: Node, file: Path, participant: str, dry_run: bool) -> tuple[Document, ImportPlan]:
    if is_table(file):
        return import_table(node, file, participant, dry_run=dry_run)
    with working(f"reading {file.name}"), reading(node.engine) as session:
        document = read_own_document(file, participant, held=_held(session, participant))
    with working(f"publishing {participant}"):
        return document, import_records(node, document, dry_run=dry_run)


def _check_own(file: Path, country: str, participant: str) -> None:
    """A node speaks for its own participant only."""
    if country != participant:
        raise CommandError(
            "wrong_participant", f"{file} was to be read as the directory of {country}; this node is {participant}'s"
        )


def read_own_document(file: Path, participant: str, held: Container[str] = ()) -> Document:
    """The document of ``participant`` in a file; ``held`` are the ids of records that may be referred to.

    Raises InvalidInputError with every fault.
    """
    return parse_document(read_json(file), participant, held)


def import_records(node: Node, document: Document, *, dry_run: bool = False) -> ImportPlan:
    """Publish what differs from the records held, in one transaction; records that the document lacks stay."""
    with reading(node.engine) if dry_run else writing(node.engine) as session:
        held = _held(session, document.participant)
        return _publish(session, node, held, document, dry_run)


def import_table(node: Node, file: Path, participant: str, *, dry_run: bool) -> tuple[Document, ImportPlan]:
    """Publish what a table says of the records held, which nobody else changes meanwhile.

    Raises InvalidInputError with every fault.
    """
    with working(f"reading {file.name}"):
        lines = read_table(file)
    with (
        working(f"publishing {participant}"),
        reading(node.engine) if dry_run else writing(node.engine) as session,
    ):
        held = _held(session, participant)
        document = document_of_table(lines, participant, held)
        return document, _publish(session, node, held, document, dry_run)


def _held(session: Session, participant: str) -> dict[str, dict[str, Any]]:
    return {record.record: record.data for record in load_records(session, participant=participant)}


def _publish(
    session: Session, node: Node, held: Mapping[str, Mapping[str, Any]], document: Document, dry_run: bool
) -> ImportPlan:
    plan = diff_document(held, document)
    changes = _changes(plan, document.records)
    if changes and not dry_run:
        publish(session, node.identity, changes, now())
    return plan


def _changes(plan: ImportPlan, records: Mapping[str, Any]) -> list[PendingChange]:
    return [PendingChange(record, "put", records[record], None) for record in [*plan.added, *plan.changed]]


def _refusal(file: Path, error: InvalidInputError) -> str:
    return f"{file}: {len(error.faults)} fault{'s' * (len(error.faults) != 1)}, nothing was imported:"


def _report(plan: ImportPlan | None, warnings: Sequence[str], dry_run: bool) -> dict[str, Any]:
    return {
        "added": [] if plan is None else plan.added,
        "changed": [] if plan is None else plan.changed,
        "unchanged": [] if plan is None else plan.unchanged,
        "warnings": list(warnings),
        "faults": [],
        "dry_run": dry_run,
    }


def _print_plan(plan: ImportPlan, warnings: Sequence[str], dry_run: bool) -> None:
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    for word, records in (("added", plan.added), ("changed", plan.changed)):
        for record in records:
            click.echo(f"{word:9} {record}")
    click.echo(
        f"{'would be ' if dry_run else ''}{len(plan.added)} added, {len(plan.changed)} changed, "
        f"{len(plan.unchanged)} unchanged"
    )
