"""``veza verify``, ``rebuild`` and ``migrate``: whether the node's data are what they should be, and mending them."""

from dataclasses import asdict
from pathlib import Path

import click

from directory.database import make_engine, reading, writing
from federation.projection import rebuild as rebuild_read_model
from federation.verification import Finding, verify_logs
from web.cli.databases import database_errors, node_config, opened_database
from web.cli.failure import CommandError
from web.cli.output import json_option, print_json, working
from web.schema import upgrade


@click.command("verify")
@json_option
@click.pass_obj
def verify(data: Path, as_json: bool) -> None:
    """Check every held log against its checkpoint, every payload against its digest, the directory against the logs."""
    with opened_database(data) as (_, engine), reading(engine) as session, working("verifying every log"):
        findings = verify_logs(session)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(_sentence(finding))
    if findings:
        raise CommandError("root_mismatch", f"{len(findings)} differences were found; each says what to do")
    if not as_json:
        click.echo("everything held is what was signed, and the directory shows what the logs say")


@click.command("rebuild")
@json_option
@click.pass_obj
def rebuild(data: Path, as_json: bool) -> None:
    """Drop what the directory shows and replay every log."""
    with opened_database(data) as (_, engine), working("replaying every log"), writing(engine) as session:
        rebuild_read_model(session)
    if as_json:
        print_json({"rebuilt": True})
    else:
        click.echo("rebuilt")


@click.command("migrate")
@json_option
@click.pass_obj
def migrate(data: Path, as_json: bool) -> None:
    """Bring the database to the shape that this version of the program needs."""
    config = node_config(data)
    with database_errors(config.database):
        engine = make_engine(config.database)
        try:
            upgrade(engine)
        finally:
            engine.dispose()
    if as_json:
        print_json({"migrated": True})
    else:
        click.echo("the database has the shape that this version needs")


def _sentence(finding: Finding) -> str:
    where = f"{finding.participant}, {finding.what} {finding.place}"
    return f"{where}: expected {finding.expected}, found {finding.found}; {finding.what_to_do}"
