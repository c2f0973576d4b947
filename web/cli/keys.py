"""``veza keys``: which keys this node signs with."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from directory.database import reading, writing
from federation.identity import Identity, add_operating_key, load_identity
from federation.keys import fingerprint
from federation.participants import load_configuration
from federation.publishing import renew_configuration
from sync.node import Node
from web.cli.failure import CommandError
from web.cli.nodes import opened_node
from web.cli.output import json_option, print_json, print_table
from web.cli.parameters import now
from web.config import Config


@click.group()
def keys() -> None:
    """The node's keys: the federation key signs its configuration, operating keys sign everything else."""


@keys.command("list")
@json_option
@click.pass_obj
def list_keys(data: Path, as_json: bool) -> None:
    """The keys in the data directory, and whether the node's present configuration lists them."""
    with opened_node(data) as (config, node):
        with reading(node.engine) as session:
            configuration = load_configuration(session, config.participant)
        listed = set() if configuration is None else {*configuration.federation_keys, *configuration.operating_keys}
        found = key_facts(node.identity, listed)
    if as_json:
        print_json(found)
        return
    rows = [(key["kid"], key["use"], key["signs"], key["listed"], key["fingerprint"]) for key in found]
    print_table(("key", "use", "signs", "listed", "fingerprint"), rows)


@keys.command("rotate")
@click.option("--federation", is_flag=True, help="The federation key instead.")
@json_option
@click.pass_obj
def rotate(data: Path, federation: bool, as_json: bool) -> None:
    """Make a new operating key; the present one stays listed beside it, so that what it signed still verifies."""
    if federation:
        raise CommandError("bad_request", "this version rotates operating keys only; the federation key stays")
    with opened_node(data) as (config, node):
        kid = rotate_operating_key(config, node)
    if as_json:
        print_json({"operating_key": kid})
    else:
        click.echo(f"new operating key {kid}; restart `veza serve` so that it signs with it")


def rotate_operating_key(config: Config, node: Node) -> str:
    """Add an operating key and sign a configuration that lists it; the new key's ``kid``. All or nothing."""
    with ExitStack() as undo, writing(node.engine) as session:
        held = load_configuration(session, config.participant)
        assert held is not None  # every node is made with one
        key = add_operating_key(config.keys_dir, config.passphrase)
        undo.callback((config.keys_dir / f"operating-{key.kid}.pem").unlink)
        identity = load_identity(config.keys_dir, config.participant, config.url, config.passphrase)
        own = {node.identity.federation_key.kid} if node.identity.federation_key else set()
        others = {kid: public for kid, public in held.federation_keys.items() if kid not in own}
        renew_configuration(
            session,
            identity,
            now=now(),
            name=config.name,
            contacts=config.contacts,
            authority_hints=held.authority_hints,
            readers=config.readers,
            other_federation_keys=others or None,
        )
        undo.pop_all()
    return key.kid


def key_facts(identity: Identity, listed: set[str]) -> list[dict[str, Any]]:
    """Each key with its use, whether it signs now, and whether others accept it (``listed``)."""
    held = [] if identity.federation_key is None else [("federation", identity.federation_key, True)]
    operating = [("operating", key, key is identity.operating_key) for key in identity.operating_keys]
    return [
        {"kid": key.kid, "use": use, "signs": signs, "listed": key.kid in listed, "fingerprint": fingerprint(key.kid)}
        for use, key, signs in [*held, *operating]
    ]
