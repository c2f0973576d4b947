"""``veza peer``: trust between two nodes without a common anchor (protocol.md, section 3, *Peering*).

Each operator compares the other's fingerprint by another channel. On a terminal a command asks before it pins; a script
says what it expects with ``--fingerprint``, or compares what was printed and removes what it did not expect.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from directory.database import reading, writing
from federation.errors import FederationError, NotHeldError
from federation.mailbox import SentMessage, load_sent
from federation.participants import load_configuration
from federation.peering import Proposal, check_unclaimed, load_proposals, pin, refuse, unpin
from federation.statements import NodeConfiguration
from federation.words import fingerprint_words, format_fingerprint, parse_fingerprint
from sync.delivery import deliver
from sync.errors import SyncError
from sync.node import Node
from sync.peers import fetch_introduction, forget_peer
from sync.wanted import want_refresh
from web.cli.databases import opened_database
from web.cli.failure import CommandError
from web.cli.nodes import opened_node
from web.cli.output import json_option, print_json, print_table
from web.cli.parameters import now
from web.peerings import configuration_json, peerings_json

networks_option = click.option(
    "--allow-network", "networks", multiple=True, metavar="CIDR", help="A private network it may lie in."
)
fingerprint_option = click.option(
    "--fingerprint", "expected", metavar="TEXT", help="Refuse unless its fingerprint (words or hexadecimal) is this."
)
url_option = click.option("--url", help="Which node, where several claim the code.")


@click.group()
def peer() -> None:
    """Trust another node by its fingerprint, compared by telephone: no anchor is needed."""


@peer.command("add")
@click.argument("url")
@click.option("--participant", required=True, metavar="CODE", help="The participant code that the node speaks for.")
@networks_option
@fingerprint_option
@json_option
@click.pass_obj
def add(data: Path, url: str, participant: str, networks: tuple[str, ...], expected: str | None, as_json: bool) -> None:
    """Pin the key of the node at URL, and propose to it that it does the same."""
    with opened_node(data) as (_, node):
        configuration = fetch_introduction(node, url, participant, networks, now())
        confirm_fingerprint(configuration, expected)
        sent = pin_peer(node, configuration, networks)
    _say_pinned(configuration, sent, as_json)


@peer.command("list")
@json_option
@click.pass_obj
def list_peers(data: Path, as_json: bool) -> None:
    """Our own fingerprint, the peers, the proposals that wait for us, and how those that we made stand."""
    with opened_database(data) as (config, engine), reading(engine) as session:
        own = load_configuration(session, config.participant)
        assert own is not None  # every node is made with one
        facts = {"own": configuration_json(own)} | peerings_json(session, now())
    if as_json:
        print_json(facts)
    else:
        _print_peers(own, facts)


@peer.command("approve")
@click.argument("code")
@url_option
@networks_option
@fingerprint_option
@json_option
@click.pass_obj
def approve(
    data: Path, code: str, url: str | None, networks: tuple[str, ...], expected: str | None, as_json: bool
) -> None:
    """Pin the key of the node that proposed to peer as CODE, and tell it so."""
    with opened_node(data) as (_, node):
        configuration = find_proposal(node, code, url).configuration
        with reading(node.engine) as session:
            check_unclaimed(session, code, configuration.entity_id)
        confirm_fingerprint(configuration, expected)
        sent = pin_peer(node, configuration, networks)
    _say_pinned(configuration, sent, as_json)


@peer.command("refuse")
@click.argument("code")
@url_option
@json_option
@click.pass_obj
def refuse_command(data: Path, code: str, url: str | None, as_json: bool) -> None:
    """Drop the proposal of the node that wants to peer as CODE, and tell it so."""
    with opened_node(data) as (_, node):
        proposal = find_proposal(node, code, url)
        with writing(node.engine) as session:
            jti = refuse(session, proposal, now())
        sent = deliver_now(node, jti)
    if as_json:
        print_json({"refused": code, "url": proposal.entity_id, "state": sent.state, "detail": sent.detail})
    else:
        click.echo(f"refused {code} at {proposal.entity_id}; {_delivery_words(sent)}")


@peer.command("remove")
@click.argument("code")
@click.option("--forget", is_flag=True, help="Drop what is held of it too, instead of showing it as stale.")
@json_option
@click.pass_obj
def remove(data: Path, code: str, forget: bool, as_json: bool) -> None:
    """Trust the node of CODE no more, at once; another node may then take the code."""
    with opened_database(data) as (_, engine), writing(engine) as session:
        removed = unpin(session, code, now())
        if forget:
            forget_peer(session, code)
    if as_json:
        print_json({"removed": code, "url": removed.entity_id, "forgotten": forget})
        return
    kept = "nothing of it is held any more" if forget else "what was held of it stays readable as stale"
    click.echo(f"{code} at {removed.entity_id} is trusted no more; {kept}")
    if removed.trust == "anchor":
        click.echo("the anchor vouches for it: trust returns with the next sync, unless another node takes the code")


def find_proposal(node: Node, code: str, url: str | None = None) -> Proposal:
    """The proposal that waits for ``code``; ``not_found`` where none does, ``conflict`` where several do."""
    with reading(node.engine) as session:
        waiting = [each for each in load_proposals(session, now(), code) if url in (None, each.entity_id)]
    if not waiting:
        at = "" if url is None else f" at {url}"
        raise NotHeldError(f"no node{at} waits to peer as {code}; `veza peer list` shows who does")
    if len(waiting) > 1:
        urls = ", ".join(proposal.entity_id for proposal in waiting)
        raise CommandError("conflict", f"{len(waiting)} nodes wait to peer as {code}; say which with --url: {urls}")
    return waiting[0]


def confirm_fingerprint(configuration: NodeConfiguration, expected: str | None) -> None:
    """Let the operator compare the fingerprint before it is pinned; ``unknown_key`` where another one is expected.

    On a terminal somebody has to say yes, unless the command said what it expects; a script goes on.
    """
    kid = configuration.kid
    if expected is not None:
        if parse_fingerprint(expected) != kid:
            raise CommandError(
                "unknown_key",
                f"{configuration.entity_id} has another fingerprint than was expected, so nothing was pinned; it shows "
                f"{' '.join(fingerprint_words(kid))}",
            )
        return
    if not sys.stdin.isatty():
        return
    click.echo(f"{configuration.participant} at {configuration.entity_id} has the fingerprint\n", err=True)
    click.echo(f"{format_fingerprint(kid)}\n", err=True)
    click.echo("Call its operator on a number that you know, and let them read theirs (`veza peer list`).", err=True)
    click.confirm("Is it the same, word for word?", abort=True, err=True)


def pin_peer(node: Node, configuration: NodeConfiguration, networks: Sequence[str]) -> SentMessage:
    """Pin the node and tell it so, all or nothing; its log is wanted now. What became of the message."""
    with writing(node.engine) as session:
        jti = pin(session, configuration, networks, now(), insecure_urls=node.settings.insecure_urls)
        want_refresh(session, configuration.participant, now())
    return deliver_now(node, jti)


def deliver_now(node: Node, jti: str) -> SentMessage:
    """Try once to deliver a message; where that fails, the worker goes on."""
    try:
        sent = deliver(node, jti, now())
    except (SyncError, FederationError) as error:  # what was decided stands; only telling it has to wait
        click.echo(f"the message waits for the worker: {error}", err=True)
        with reading(node.engine) as session:
            sent = load_sent(session, jti)
    assert sent is not None  # it was just queued
    return sent


def _say_pinned(configuration: NodeConfiguration, sent: SentMessage, as_json: bool) -> None:
    code, kid = configuration.participant, configuration.kid
    if as_json:
        message = {"message": sent.type, "state": sent.state, "detail": sent.detail, "jti": sent.jti}
        print_json(configuration_json(configuration) | message)
        return
    click.echo(f"pinned {code} at {configuration.entity_id}; its federation key has the fingerprint\n")
    click.echo(f"{format_fingerprint(kid)}\n")
    click.echo(f"Compare it with its operator by another channel; if it differs: veza peer remove {code} --forget")
    click.echo(f"{sent.type}: {_delivery_words(sent)}")
    if sent.type == "peering.proposed":
        click.echo("its operator sees our fingerprint with `veza peer list` and decides with `veza peer approve`")


def _delivery_words(sent: SentMessage) -> str:
    return {
        "delivered": "it was told so",
        "waiting": f"it was not reached yet ({sent.detail}); the worker goes on trying for a week",
        "undeliverable": f"it did not take the message ({sent.detail})",
    }[sent.state]


def _print_peers(own: NodeConfiguration, facts: dict[str, Any]) -> None:
    click.echo(f"{own.participant} at {own.entity_id} (this node) has the fingerprint\n")
    click.echo(f"{format_fingerprint(own.kid)}\n")
    columns = ("participant", "url", "trusted", "fingerprint")
    print_table(columns, [[each[column] for column in columns] for each in facts["peers"]])
    for each in facts["proposals"]:
        click.echo(f"\n{each['participant']} at {each['url']} waits since {each['received_at']} with the fingerprint\n")
        click.echo(format_fingerprint(each["kid"]))
        click.echo(f"\nif its operator reads the same: veza peer approve {each['participant']}")
    for each in facts["proposed"]:
        why = f" ({each['detail']})" if each["detail"] else ""
        click.echo(f"\nproposed to {each['participant']} at {each['url']}: {each['state']}{why}")
