"""``veza keys``: which keys this node signs with."""

from pathlib import Path
from typing import Any

import click

from directory.database import reading
from federation.identity import Identity
from federation.keys import fingerprint
from federation.participants import load_configuration
from web.cli.nodes import opened_node
from web.cli.output import json_option, print_json, print_table


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


def key_facts(identity: Identity, listed: set[str]) -> list[dict[str, Any]]:
    """Each key with its use, whether it signs now, and whether others accept it (``listed``)."""
    held = [] if identity.federation_key is None else [("federation", identity.federation_key, True)]
    operating = [("operating", key, key is identity.operating_key) for key in identity.operating_keys]
    return [
        {"kid": key.kid, "use": use, "signs": signs, "listed": key.kid in listed, "fingerprint": fingerprint(key.kid)}
        for use, key, signs in [*held, *operating]
    ]
