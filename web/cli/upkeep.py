"""``veza verify``, ``rebuild`` and ``migrate``: whether the node's data are what they should be, and mending them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
import sqlalchemy as sa

from directory.database import make_engine, reading, writing
from federation.finding import Finding
from federation.stored_log import AfterPage
from sync.repair import Repaired, count_pages, find_damage, rebuild_all, repair
from web.cli.databases import database_errors, node_config, opened_database
from web.cli.failure import CommandError
from web.cli.nodes import opened_node
from web.cli.output import counting, json_option, print_json, working
from web.cli.parameters import now
from web.schema import upgrade


@click.command("verify")
@click.option("--repair", "mend", is_flag=True, help="Set right what can be proven; what is damaged is fetched again.")
@json_option
@click.pass_obj
def verify(data: Path, mend: bool, as_json: bool) -> None:
    """Check every held log against its checkpoint, every payload against its digest, the directory against the logs.

    Without --repair nothing is changed. With it, a damaged entry is fetched again from a node that holds it and proven
    against the head held, and what follows from the entries is worked out anew.
    """
    repaired = _repair(data) if mend else Repaired([], _verify(data))
    if as_json:
        print_json(_to_json(repaired, mend))
    else:
        _print(repaired)
    if repaired.remaining:
        kind = "could not be set right" if mend else "were found"
        raise CommandError("root_mismatch", f"{len(repaired.remaining)} differences {kind}; each says what to do")


def _to_json(repaired: Repaired, mend: bool) -> object:
    findings = [asdict(finding) for finding in repaired.remaining]
    return {"repairs": [asdict(done) for done in repaired.repairs], "remaining": findings} if mend else findings


def _verify(data: Path) -> list[Finding]:
    with opened_database(data) as (_, engine), _pages(engine) as after_page:
        return find_damage(engine, now(), after_page)


def _repair(data: Path) -> Repaired:
    with opened_node(data) as (_, node), working("repairing every log"):
        return repair(node, now())


@contextmanager
def _pages(engine: sa.Engine) -> Iterator[AfterPage]:
    """A progress bar over the pages of all logs."""
    with reading(engine) as session:
        total = count_pages(session)
    with counting("verifying every log", total) as advance:
        yield advance


def _print(repaired: Repaired) -> None:
    for done in repaired.repairs:
        click.echo(f"{done.participant or 'the database'}, {done.what}: {done.outcome}")
    for finding in repaired.remaining:
        click.echo(_sentence(finding))
    if not repaired.remaining:
        click.echo("everything held is what was signed, and the directory shows what the logs say")


@click.command("rebuild")
@json_option
@click.pass_obj
def rebuild(data: Path, as_json: bool) -> None:
    """Drop what the directory shows and replay every log; erase again what later entries supersede."""
    with opened_database(data) as (_, engine), working("replaying every log"), writing(engine) as session:
        erased = rebuild_all(session, now())
    if as_json:
        print_json({"rebuilt": True, "erased": erased})
    else:
        click.echo("rebuilt" if not erased else f"rebuilt; {erased} superseded payloads were erased")


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
    where = f"{finding.participant or 'the database'}, {finding.what} {finding.place}"
    return f"{where}: expected {finding.expected}, found {finding.found}; {finding.what_to_do}"
