"""``veza import``: a directory document into the node's own log, all or nothing."""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from directory.database import reading, writing
from directory.document import Document, ImportPlan, diff_document, parse_document
from directory.errors import InvalidInputError
from directory.store import load_records
from federation.publishing import PendingChange, publish
from sync.node import Node
from web.cli.failure import CommandError, fault_to_json
from web.cli.nodes import opened_node
from web.cli.output import json_option, print_json, working
from web.cli.parameters import FILE, now, read_json

_TABLES = (".csv", ".xlsx")


@click.command("import")
@click.argument("file", type=FILE)
@click.option("--country", metavar="CODE", help="Which participant of a file that lists several; by default our own.")
@click.option("--dry-run", is_flag=True, help="Say what would change and change nothing.")
@json_option
@click.pass_obj
def import_document(data: Path, file: Path, country: str | None, dry_run: bool, as_json: bool) -> None:
    """Publish what FILE (a directory document) says; every fault is named with its place, and then nothing changes."""
    with opened_node(data) as (config, node):
        try:
            with working(f"reading {file.name}"), reading(node.engine) as session:
                held = {record.record for record in load_records(session, participant=config.participant)}
                document = read_own_document(file, config.participant, country, held)
            with working(f"publishing {config.participant}"):
                plan = import_records(node, document, dry_run=dry_run)
        except InvalidInputError as error:
            if as_json:
                print_json(_report(None, (), dry_run) | {"faults": [fault_to_json(fault) for fault in error.faults]})
            raise CommandError(error.code, _refusal(file, error), error.faults) from error
    if as_json:
        print_json(_report(plan, document.warnings, dry_run))
    else:
        _print_plan(plan, document.warnings, dry_run)


def read_own_document(file: Path, participant: str, country: str | None = None, held: Container[str] = ()) -> Document:
    """The document of ``participant`` in a file; ``country`` is what the operator said, if anything.

    ``held`` are the ids of records that are there already and may be referred to.
    Raises InvalidInputError with every fault, and ``wrong_participant`` where the document is another's: a node
    speaks for its own participant only.
    """
    if file.suffix.lower() in _TABLES:
        raise CommandError("bad_request", f"{file}: this version imports directory documents (JSON), not tables")
    document = parse_document(read_json(file), country or participant, held)
    if document.participant != participant:
        raise CommandError(
            "wrong_participant", f"{file} is the directory of {document.participant}; this node is {participant}'s"
        )
    return document


def import_records(node: Node, document: Document, *, dry_run: bool = False) -> ImportPlan:
    """Publish what differs from the records held, in one transaction; records that the document lacks stay."""
    with reading(node.engine) if dry_run else writing(node.engine) as session:
        held = {record.record: record.data for record in load_records(session, participant=document.participant)}
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
