"""``veza dispute``: two histories that one participant signed, the proof of it, and the operator's decision."""

from pathlib import Path
from typing import Any, BinaryIO

import click

from directory.database import reading
from directory.instants import format_instant
from federation.checkpoint import Checkpoint
from federation.disputes import Dispute, load_disputes, load_open
from federation.encoding import b64url_encode
from federation.evidence import Verdict, read_evidence
from federation.participants import TrustedNode, load_participant
from federation.words import format_fingerprint
from sync.node import Node
from sync.resolving import accept_held, accept_offered
from sync.run import Run
from web.cli.databases import opened_database
from web.cli.failure import CommandError
from web.cli.nodes import opened_node
from web.cli.output import json_option, print_json, print_table, working
from web.cli.parameters import now
from web.dispute_facts import dispute_to_json

_COLUMNS = ("participant", "state", "held_size", "offered_size", "detected_at", "shown_by", "evidence", "reason")
_SIDES = ("held", "offered")
_MOST_BYTES = 32 * 1024 * 1024


@click.group()
def dispute() -> None:
    """Two histories that one participant signed: what is held stays until an operator decides."""


@dispute.command("list")
@json_option
@click.pass_obj
def list_disputes(data: Path, as_json: bool) -> None:
    """Every dispute, those that were decided included."""
    with opened_database(data) as (_, engine), reading(engine) as session:
        rows = [dispute_to_json(found) for found in load_disputes(session)]
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, [[row[column] for column in _COLUMNS] for row in rows])
        for row in rows:
            _say_difference(row)


def _say_difference(row: dict[str, Any]) -> None:
    """From where on the two histories of an open dispute differ; that is what to ask the country about."""
    found = row["first_difference"]
    if row["state"] == "open" and found is not None:
        held, offered = (_entry_words(found[side]) for side in _SIDES)
        click.echo(f"{row['participant']}: they differ from entry {found['seq']} on: held {held}, offered {offered}")


def _entry_words(entry: dict[str, Any] | None) -> str:
    return "an entry that is none" if entry is None else f"{entry['op']!r} of {entry['record']} at {entry['at']}"


@dispute.command("export")
@click.argument("code")
@json_option
@click.pass_obj
def export(data: Path, code: str, as_json: bool) -> None:
    """The evidence about CODE as JSON on standard output, for `veza dispute check` of anybody."""
    del as_json  # it is JSON in any case
    with opened_database(data) as (_, engine), reading(engine) as session:
        known = load_disputes(session, code)
        found = load_open(session, code) or (known[-1] if known else None)
    if found is None:
        raise CommandError("not_found", f"there is no dispute about {code}: `veza dispute list` shows all")
    print_json(found.evidence)
    if not found.is_complete:
        click.echo(
            f"veza: the history that {code} offered could not be fetched yet, so its headers are missing: "
            f"`veza sync {code}` tries again",
            err=True,
        )


@dispute.command("check")
@click.argument("file", type=click.File("rb"))
@json_option
def check(file: BinaryIO, as_json: bool) -> None:
    """Whether FILE (or - for standard input) proves that its participant signed two histories. Needs no node."""
    content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise CommandError("too_large", f"expected evidence of at most {_MOST_BYTES} bytes")
    verdict = read_evidence(content)
    if as_json:
        print_json(verdict_to_json(verdict))
    elif verdict.is_proven:
        click.echo(_sentence(verdict))
    if not verdict.is_proven:
        raise CommandError("bad_request", f"this proves no fork: {verdict.fault}")


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """What evidence proves, for programs."""
    return {
        "proven": verdict.is_proven,
        "fault": verdict.fault,
        "participant": verdict.participant,
        "url": verdict.entity_id,
        "federation_key": verdict.rests_on,
        "federation_keys": list(verdict.rests_on_any),
        "held": _point(verdict.held),
        "offered": _point(verdict.offered),
    }


def _point(checkpoint: Checkpoint | None) -> dict[str, Any] | None:
    if checkpoint is None:
        return None
    signed_at = format_instant(checkpoint.issued_at)
    return {"size": checkpoint.size, "root": b64url_encode(checkpoint.root), "iat": signed_at, "kid": checkpoint.kid}


def _sentence(verdict: Verdict) -> str:
    assert verdict.held is not None
    assert verdict.offered is not None
    known = f"compare it with what you know of {verdict.participant}"
    if len(verdict.rests_on_any) > 1:
        known = f"it had several, oldest first; it is enough to know one of them as that of {verdict.participant}"
    lines = [
        f"Proven: {verdict.participant} ({verdict.entity_id}) signed two histories that cannot both be true, "
        f"of {verdict.held.size} and of {verdict.offered.size} entries.",
        f"That rests on its federation key; {known}:",
    ]
    return "\n\n".join(["\n".join(lines), *map(format_fingerprint, verdict.rests_on_any)])


@dispute.command("resolve")
@click.argument("code")
@click.option("--accept", type=click.Choice(["held", "offered"]), required=True, help="Which history is true.")
@click.option("--reason", required=True, help="Why; it is kept with the evidence.")
@json_option
@click.pass_obj
def resolve(data: Path, code: str, accept: str, reason: str, as_json: bool) -> None:
    """Decide about CODE: go on with what is held, or replace it by what was offered. All or nothing."""
    if not reason.strip():
        raise click.UsageError("--reason: say why, it is kept with the evidence")
    with opened_node(data) as (_, node):
        size = decide(node, code, accept, reason.strip())
    if as_json:
        print_json({"participant": code, "accepted": accept, "size": size})
    else:
        click.echo(f"{code}: the {accept} history of {size} entries is accepted; this pair disputes no more")


def decide(node: Node, code: str, accept: str, reason: str) -> int:
    """Record the decision; the size of the log that goes on."""
    with reading(node.engine) as session:
        found, accused = load_open(session, code), load_participant(session, code)
    if found is None or accused is None:
        raise CommandError("not_found", f"there is no open dispute about {code}: `veza dispute list` shows all")
    run = Run(node, now())
    if accept == "held":
        accept_held(run, found, reason)
        return found.held[0]
    return _accept_offered(run, accused, found, reason)


def _accept_offered(run: Run, accused: TrustedNode, found: Dispute, reason: str) -> int:
    with working(f"fetching the history that {accused.participant} offered"):
        return accept_offered(run, accused, found, reason).size
