"""``veza readiness``: how far a participant meets the criteria that the region agreed on (directory.md, section 6)."""

import datetime as dt
from pathlib import Path

import click

from directory.readiness import NodeFacts, report
from web.cli.databases import node_config
from web.cli.directories import directory_of_node
from web.cli.output import json_option, print_json, print_table
from web.cli.parameters import now


@click.command("readiness")
@click.argument("code", required=False)
@json_option
@click.pass_obj
def readiness(data: Path, code: str | None, as_json: bool) -> None:
    """Each criterion for CODE (by default our own participant), whether it is met, and what to do."""
    source = directory_of_node(data)
    participant = code or str(source.own)
    # the age of keys is known of our own node only
    facts = NodeFacts(oldest_key_at=_oldest_key(node_config(data).keys_dir) if participant == source.own else None)
    rows = report(source.directory, participant, now(), source.policy, facts)
    if as_json:
        print_json(rows)
    else:
        print_table(("criterion", "state", "what to do"), [tuple(row.values()) for row in rows])


def _oldest_key(keys_dir: Path) -> dt.datetime | None:
    times = [path.stat().st_mtime for path in keys_dir.glob("*.pem")]
    return dt.datetime.fromtimestamp(min(times), dt.UTC) if times else None
