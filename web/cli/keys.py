"""``veza keys``: which keys this node signs with, changing them, and removing one that is lost or stolen."""

import re
from pathlib import Path
from typing import Any

import click

from directory.database import reading
from federation.identity import Identity
from federation.keys import fingerprint
from federation.listed_keys import ListedKeys, Since, load_listed, newest_first
from federation.trusted_anchor import load_anchor
from federation.words import fingerprint_words, format_fingerprint
from sync.key_changes import Revocation, revoke_key, rotate_federation_key, rotate_operating_key
from sync.node import Node
from sync.push import load_behind, load_peers, push_now
from web.cli.nodes import opened_node, signing_node
from web.cli.output import json_option, print_json, print_table
from web.cli.parameters import now
from web.node import open_keys

_COLUMNS = ("kid", "use", "signs", "here", "listed_since")


_KID_LIKE_AN_OPTION = re.compile(r"-[A-Za-z0-9_-]{42}")


class _KidCommand(click.Command):
    """A command whose argument is a key's name, which may start with a hyphen and is no option then."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, such a name last."""
        kids = [] if "--" in args else [text for text in args if _KID_LIKE_AN_OPTION.fullmatch(text)]
        others = [text for text in args if text not in kids]
        return super().parse_args(ctx, [*others, "--", *kids] if kids else args)


@click.group()
def keys() -> None:
    """The node's keys: the federation key signs its configuration, operating keys sign everything else."""


@keys.command("list")
@json_option
@click.pass_obj
def list_keys(data: Path, as_json: bool) -> None:
    """The keys that the node's configuration lists, since when, and which peers lack the newest configuration.

    Federation keys are shown with their fingerprints, for people to compare; --json gives those of all.
    """
    with opened_node(data) as (config, node):
        identity = node.identity
        with reading(node.engine) as session:
            listed = load_listed(session, config.participant)
            behind = load_behind(session, config.participant, now())
    found = [] if listed is None else key_facts(identity, listed, behind)
    if as_json:
        print_json(found)
        return
    print_table(_COLUMNS, [[key[column] for column in _COLUMNS] for key in found])
    for key in found:
        if key["use"] == "federation":  # operating keys are compared by nobody
            click.echo(f"\nfederation key {key['kid']}\n{format_fingerprint(key['kid'])}")
    _say_behind(behind)


@keys.command("rotate")
@click.option("--federation", is_flag=True, help="The federation key instead.")
@json_option
@click.pass_obj
def rotate(data: Path, federation: bool, as_json: bool) -> None:
    """Make a new key that signs from now on; the present one stays listed beside it for a week."""
    with signing_node(data) as (config, node):
        directory = open_keys(config, node.engine)
        if federation:
            rotation = rotate_federation_key(node, directory, now())
            facts = {"federation_key": rotation.kid, "signs": rotation.waits_for is None, "waits": rotation.waits_for}
            text = _federation_text(rotation.kid, rotation.waits_for)
        else:
            kid = rotate_operating_key(node, directory, now())
            facts = {"operating_key": kid}
            text = f"new operating key {kid}; it signs from now on, no restart is needed"
        push_now(node, now())
    if as_json:
        print_json(facts)
    else:
        click.echo(text)


@keys.command("revoke", cls=_KidCommand)
@click.argument("kid")
@json_option
@click.pass_obj
def revoke(data: Path, kid: str, as_json: bool) -> None:
    """Remove the key KID, such as one that was stolen: nothing that it signs is accepted any more, by whoever heard."""
    with signing_node(data) as (config, node):
        revocation = revoke_key(node, open_keys(config, node.engine), kid, now())
        push_now(node, now())
        with reading(node.engine) as session:
            behind = load_behind(session, config.participant, now())
            anchor, peers = load_anchor(session), load_peers(session, now())
    if as_json:
        made = revocation.new_operating_key
        print_json({"revoked": kid, "use": revocation.use, "operating_key": made, "not_taken_by": behind})
        return
    _tell_revoked(revocation)
    if anchor is not None and revocation.use == "federation":
        click.echo(f"{anchor.entity_id} may still vouch for it: {_enrol_again(node)}")
    if peers and not behind:
        click.echo(f"every peer has taken it ({len(peers)}): nothing that this key signs is accepted there any more")
    _say_behind(behind)


def key_facts(identity: Identity, listed: ListedKeys, behind: list[str]) -> list[dict[str, Any]]:
    """Each listed key with its use, whether it signs now, whether its file is here, and who has not heard of it."""
    federation = [identity.federation_key, *identity.other_federation_keys]
    here = {key.kid for key in [*federation, *identity.operating_keys] if key is not None}
    return [
        {
            "kid": kid,
            "use": use,
            "signs": kid == signer and kid in here,
            "listed": True,
            "here": kid in here,
            "listed_since": f"{since[kid]:%Y-%m-%dT%H:%M:%SZ}",
            "fingerprint": fingerprint(kid),
            "words": " ".join(fingerprint_words(kid)),
            "not_taken_by": behind,
        }
        for use, since, signer in _uses(identity, listed)
        for kid in newest_first(since)
    ]


def _uses(identity: Identity, listed: ListedKeys) -> list[tuple[str, Since, str]]:
    """The two uses, each with its keys and the one that signs."""
    return [
        ("federation", listed.federation, listed.signer),
        ("operating", listed.operating, identity.operating_key.kid),
    ]


def _federation_text(kid: str, waits_for: str | None) -> str:
    lines = [f"new federation key {kid}"]
    if waits_for is None:
        lines += ["it signs from now on; peers follow by themselves. Its fingerprint is"]
    else:
        lines += [
            "it is listed and does not sign yet:",
            waits_for,
            "the worker asks again by itself; its fingerprint is",
        ]
    return "\n".join([*lines, format_fingerprint(kid)])


def _tell_revoked(revocation: Revocation) -> None:
    click.echo(f"revoked the {revocation.use} key {revocation.kid}; its file is gone from this host")
    if revocation.new_operating_key is not None:
        click.echo(f"new operating key {revocation.new_operating_key}; it signs from now on, no restart is needed")


def _enrol_again(node: Node) -> str:
    identity = node.identity
    return (
        f"ask its operator to run `veza anchor enrol {identity.entity_id} --participant {identity.participant}` again"
    )


def _say_behind(behind: list[str]) -> None:
    if behind:
        click.echo(f"\nnot taken yet by {', '.join(behind)}: pushed again, with pauses, until they take it")
