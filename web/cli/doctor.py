"""``veza doctor``: what is wrong with this node, and what to do about it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from directory.database import writing
from federation.own_node import accept_clock
from sync.node import Node
from sync.own_log import settle_own_log
from web.cli.failure import CommandError
from web.cli.nodes import opened_node
from web.cli.output import json_option, print_json, working
from web.cli.parameters import now
from web.diagnosis import Finding, diagnose


@click.command("doctor")
@click.option("--accept-clock", "accepts", is_flag=True, help="Say that this machine's clock is right.")
@click.option("--alone", is_flag=True, help="Say that no peer can be asked for the own log after a restore.")
@json_option
@click.pass_obj
def doctor(data: Path, accepts: bool, alone: bool, as_json: bool) -> None:
    """Look at the database, clock, own log, keys, expiry, disk, peers and worker; each line says what to do."""
    with opened_node(data) as (config, node):
        if accepts:
            accept(node)
        if alone:
            settle_own_log(node, now(), alone=True)
        with working("looking"):
            found = diagnose(config, node, now())
    show(found, as_json)


def show(found: Sequence[Finding], as_json: bool) -> None:
    """Print the findings; CommandError where one is a failure."""
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        click.echo("\n".join(map(sentence, found)))
    failures = [finding.check for finding in found if finding.result == "failure"]
    if failures:
        raise CommandError("conflict", f"{len(failures)} of {len(found)} checks failed: {', '.join(failures)}")


def accept(node: Node) -> None:
    """The operator confirms the clock; every process of the node believes it from its next look on."""
    at = now()
    with writing(node.engine) as session:
        accept_clock(session, at)


def sentence(finding: Finding) -> str:
    """A finding on one line."""
    advice = f"; {finding.advice}" if finding.advice else ""
    return f"{finding.result:8} {finding.check:15} {finding.detail}{advice}"
