"""``veza sync`` and ``veza federation``: following the other participants, and how that stands."""

from pathlib import Path

import click

from directory.database import reading
from sync.federation_report import report
from sync.pull import pull_all
from web.cli.databases import opened_database
from web.cli.failure import CommandError
from web.cli.nodes import opened_node
from web.cli.output import json_option, print_json, print_table, working
from web.cli.parameters import now

_COLUMNS = ("participant", "result", "entries", "size", "bytes", "requests", "seconds", "detail")
_STATES = ("participant", "trust", "state", "size", "checked_at", "last_result", "url")


@click.command("sync")
@click.argument("codes", nargs=-1)
@json_option
@click.pass_obj
def sync(data: Path, codes: tuple[str, ...], as_json: bool) -> None:
    """Pull now: every participant that we follow, or only CODES. One that fails delays no other."""
    with opened_node(data) as (_, node), working("syncing"):
        results = [result.to_json() for result in pull_all(node, now(), codes or None)]
    if as_json:
        print_json(results)
    else:
        print_table(_COLUMNS, [[result[column] for column in _COLUMNS] for result in results])
    failed = [f"{result['participant']} ({result['result']})" for result in results if result["result"] != "ok"]
    if failed:
        code = next(result["result"] for result in results if result["result"] != "ok")
        raise CommandError(code, f"{len(failed)} of {len(results)} failed: {', '.join(failed)}; the others were synced")


@click.command("federation")
@json_option
@click.pass_obj
def federation(data: Path, as_json: bool) -> None:
    """Every participant held: who vouches for it, how fresh it is, and what the last sync said."""
    with opened_database(data) as (_, engine), reading(engine) as session:
        rows = report(session, now())
    if as_json:
        print_json(rows)
        return
    print_table(_STATES, [[row[column] for column in _STATES] for row in rows])
    for row in rows:
        for skipped in row["skipped"]:
            click.echo(f"{row['participant']}: entry {skipped['seq']} is not shown: {skipped['detail']}")
