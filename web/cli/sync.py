"""``veza sync`` and ``veza federation``: following the other participants, and how that stands."""

from pathlib import Path
from typing import Any

import click

from directory.database import reading
from federation.own_node import OwnNode, held_back_words, load_own_node
from federation.participants import load_participants
from federation.trusted_anchor import TrustedAnchor, load_anchor
from sync.federation_report import report
from sync.node import Node
from sync.pull import PullResult, pull_all
from sync.refresh import refresh_trust
from sync.run import Run
from sync.status import Status, load_statuses
from web.cli.databases import opened_database
from web.cli.failure import CommandError
from web.cli.nodes import opened_node
from web.cli.output import counting, json_option, print_json, print_table
from web.cli.parameters import now

_COLUMNS = ("participant", "result", "from", "entries", "size", "bytes", "requests", "seconds", "detail")
_WHAT_TO_DO = {
    "disputed": "it signed two histories; what was held stays: `veza dispute list`, call its operators, then `veza "
    "dispute resolve {participant}`",
    "withholding": "peers hold more than {url} shows, and it was taken from them: call its operators",
}
_OWN_DISPUTED = (
    "peers hold another history of this node's own log, and nothing is signed until you decide: `veza dispute list`, "
    "then `veza dispute resolve {participant}`"
)
_ENDED = "trust in its node has ended, so it is followed no more"
_AFTER = {
    "unauthenticated": "it does not trust this node (yet): its operator runs `veza peer approve`, or the anchor's "
    "`veza anchor enrol`; a node that was enrolled just now is known everywhere within a minute",
    "fork": "`veza dispute list` shows both histories",
}
"""What a failure asks for, by its code; of any other one its words say it."""
_STATES = ("participant", "trust", "state", "size", "checked_at", "last_result", "url")


@click.command("sync")
@click.argument("codes", nargs=-1)
@json_option
@click.pass_obj
def sync(data: Path, codes: tuple[str, ...], as_json: bool) -> None:
    """Pull now: every participant that we follow, or only CODES. One that fails delays no other."""
    with opened_node(data) as (_, node):
        results = pull(node, codes)
    rows = [result.to_json() for result in results]
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, [[row[column] for column in _COLUMNS] for row in rows])
    _fail_with([result for result in results if result.result != "ok"], len(results))


def _fail_with(failed: list[PullResult], asked: int) -> None:
    if failed:
        named = ", ".join(f"{result.participant} ({result.result})" for result in failed)
        others = "; the others were synced" if len(failed) < asked else ""
        raise CommandError(failed[0].result, f"{len(failed)} of {asked} failed: {named}{others}")


def pull(node: Node, codes: tuple[str, ...] = ()) -> list[PullResult]:
    """Pull CODES or everybody, with a progress bar on a terminal; one result each.

    Where there is nobody to follow: ``not_found`` if no anchor is trusted, the anchor's failure if it is silent.
    """
    with reading(node.engine) as session:
        known = [other for other in load_participants(session) if other.trust != "own" and other.ended_at is None]
        anchor = load_anchor(session)
    with counting("syncing", len(codes or known)) as advance:
        results = pull_all(node, now(), codes or None, report=lambda result: advance())
    if not results:
        _explain_nobody(node, anchor)
    return results


def _explain_nobody(node: Node, anchor: TrustedAnchor | None) -> None:
    """Nobody to follow is no success where it is only that nobody vouches, or that the anchor is silent."""
    if anchor is None:
        raise CommandError(
            "not_found",
            "nobody is followed yet: `veza peer add` pins one node, `veza anchor trust` names an anchor of many",
        )
    fault = refresh_trust(Run(node, now())).anchor_fault
    if fault is not None:
        raise CommandError(fault.code, f"the anchor {anchor.entity_id} cannot be asked whom to follow: {fault.detail}")


def _state_words(row: dict[str, Any]) -> str:
    """What the state asks for; empty where it asks nothing."""
    if row["trust"] == "own":
        return _OWN_DISPUTED.format(**row) if row["state"] == "disputed" else ""
    return _WHAT_TO_DO.get(row["state"], "").format(**row)


@click.command("federation")
@json_option
@click.pass_obj
def federation(data: Path, as_json: bool) -> None:
    """Every participant held: who vouches for it, how fresh it is, and what the last sync said."""
    with opened_database(data) as (_, engine), reading(engine) as session:
        rows, own, statuses = report(session, now()), load_own_node(session), load_statuses(session)
        ended = {node.participant for node in load_participants(session) if node.ended_at is not None}
    if as_json:
        print_json(rows)
        return
    print_table(_STATES, [[row[column] for column in _STATES] for row in rows])
    _explain_own(own)
    for row in rows:
        _explain(row, statuses.get(row["participant"]), row["participant"] in ended)


def _explain_own(own: OwnNode) -> None:
    """Why this node signs nothing, where it does not."""
    for words in filter(None, (own.held_back and held_back_words(own.held_back), own.clock_refused)):
        click.echo(f"this node signs nothing: {words}")


def _explain(row: dict[str, Any], status: Status | None, has_ended: bool) -> None:
    """What a row of the report asks of the operator, if it does."""
    said = _state_words(row) or (_ENDED if has_ended else "")
    if said:
        click.echo(f"{row['participant']} is {row['state']}: {said}")
    elif status is not None and row["last_result"] not in (None, "ok"):
        advice = _AFTER.get(row["last_result"])
        click.echo(f"{row['participant']}, {row['last_result']}: {status.detail}" + (f"; {advice}" if advice else ""))
    for skipped in row["skipped"]:
        click.echo(f"{row['participant']}: entry {skipped['seq']} is not shown: {skipped['detail']}")
