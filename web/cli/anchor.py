"""``veza anchor``: use a trust anchor, or be one (protocol.md, section 3)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from directory.database import reading, writing
from federation.addresses import check_entity_id, parse_networks
from federation.anchor import enrol, list_enrolled, unenrol
from federation.encoding import dump_json
from federation.errors import FederationError
from federation.identity import ANCHOR_FILE, create_anchor_identity, load_anchor_identity
from federation.keys import KeySet, jwks_of, key_set, parse_jwks
from federation.own_configuration import renew_configuration
from federation.statements import NodeConfiguration, verify_anchor_configuration, verify_configuration
from federation.trusted_anchor import trust_anchor as store_anchor
from federation.words import fingerprint_words, format_fingerprint
from sync.node import Node
from sync.transport import ENTITY_STATEMENT, check_status
from web.cli.databases import opened_database
from web.cli.failure import CommandError
from web.cli.nodes import opened_node, signing_node
from web.cli.output import json_option, print_json, print_table
from web.cli.parameters import FILE, now, read_json
from web.config import Config

_WELL_KNOWN = "/.well-known/openid-federation"
_WHICH_ANCHOR = (
    "expected the anchor's own identifier, as `veza anchor init` prints it there (it ends with /anchor), and the keys "
    "of its file anchor/jwks.json"
)


@click.group()
def anchor() -> None:
    """Use a trust anchor, or be one: an anchor vouches for nodes, so that they need not compare keys in pairs."""


@anchor.command("trust")
@click.argument("url")
@click.option("--jwks", type=FILE, required=True, help="The anchor's keys, fetched by another channel.")
@click.option("--allow-network", "networks", multiple=True, metavar="CIDR", help="A private network it may lie in.")
@json_option
@click.pass_obj
def trust(data: Path, url: str, jwks: Path, networks: tuple[str, ...], as_json: bool) -> None:
    """Trust the anchor at URL (its entity identifier) and every node that it vouches for."""
    with signing_node(data) as (_, node):
        keys = _read_keys(jwks)
        trust_anchor(node, url, keys, networks)
    if as_json:
        print_json({"anchor": url, "keys": sorted(keys)})
    else:
        click.echo(f"trusting {url}; `veza sync` now follows every node that it lists")


@anchor.command("init")
@json_option
@click.pass_obj
def init(data: Path, as_json: bool) -> None:
    """Be an anchor: make its key, and say where its public keys are, which others need for `anchor trust`."""
    with opened_node(data) as (config, _):
        jwks = make_anchor(config)
    if as_json:
        print_json({"anchor": config.anchor_entity_id, "jwks": jwks})
        return
    click.echo(f"the anchor is {config.anchor_entity_id}; its public keys are in {_jwks_file(config)}")
    for key in jwks["keys"]:
        click.echo(f"\n{format_fingerprint(key['kid'])}")


@anchor.command("enrol")
@click.argument("url")
@click.option("--participant", required=True, metavar="CODE", help="The participant code granted to the node.")
@json_option
@click.pass_obj
def enrol_command(data: Path, url: str, participant: str, as_json: bool) -> None:
    """Vouch for the node at URL. Compare the fingerprint printed with its operator, by another channel."""
    with opened_node(data) as (_, node):
        configuration = enrol_node(node, url, participant)
    kids = sorted(configuration.federation_keys)
    if as_json:
        words = {kid: " ".join(fingerprint_words(kid)) for kid in kids}
        print_json({"participant": participant, "url": url, "keys": kids, "words": words})
        return
    click.echo(f"enrolled {participant} at {url}; its federation key has the fingerprint")
    for kid in kids:
        click.echo(f"\n{format_fingerprint(kid)}")
    click.echo("\nCompare it with the node's operator, who sees it with `veza keys list`, before it joins.")


@anchor.command("list")
@json_option
@click.pass_obj
def list_nodes(data: Path, as_json: bool) -> None:
    """The nodes that this node's anchor vouches for."""
    with opened_database(data) as (_, engine), reading(engine) as session:
        enrolled = list_enrolled(session)
    if as_json:
        print_json([{"participant": code, "url": url} for code, url in enrolled])
    else:
        print_table(("participant", "url"), enrolled)


@anchor.command("remove")
@click.argument("code")
@json_option
@click.pass_obj
def remove(data: Path, code: str, as_json: bool) -> None:
    """Vouch for CODE no more; trust in its node ends with every follower's next sync."""
    with opened_database(data) as (_, engine), writing(engine) as session:
        unenrol(session, code)
    if as_json:
        print_json({"removed": code})
    else:
        click.echo(f"removed {code}")


def make_anchor(config: Config) -> dict[str, Any]:
    """The public keys of this node's anchor, whose key is made where there is none yet."""
    if (config.anchor_dir / ANCHOR_FILE).exists():
        identity = load_anchor_identity(config.anchor_dir, config.anchor_entity_id, config.passphrase)
    else:
        identity = create_anchor_identity(config.anchor_dir, config.anchor_entity_id, config.passphrase)
    jwks = jwks_of(key_set(identity.key))
    _jwks_file(config).write_text(dump_json(jwks).decode("utf-8"), encoding="utf-8")
    return jwks


def enrol_node(node: Node, url: str, participant: str) -> NodeConfiguration:
    """Let this node's anchor vouch for the node at ``url``, whose configuration is fetched from it.

    Raises ``wrong_state`` where this node is no anchor, ``wrong_participant`` where the other claims another code,
    SyncError where it cannot be reached.
    """
    if node.anchor_identity is None:
        raise CommandError("wrong_state", "this node is no anchor: `veza anchor init` makes it one")
    check_entity_id(url, node.settings.insecure_urls)
    configuration = verify_configuration(
        _fetch_statement(node, url),
        keys=None,
        now=now(),
        entity_id=url,
        participant=participant,
        insecure_urls=node.settings.insecure_urls,
    )
    with writing(node.engine) as session:
        enrol(session, participant, url, configuration.federation_keys, now())
    return configuration


def trust_anchor(node: Node, url: str, keys: KeySet, networks: Sequence[str] = ()) -> None:
    """Trust the anchor ``url``, once it has proven to hold ``keys``, and name it in this node's configuration."""
    allowed = parse_networks(networks)
    check_entity_id(url, node.settings.insecure_urls, allowed)
    token = _fetch_statement(node, url, networks)
    insecure_urls = node.settings.insecure_urls
    try:
        verify_anchor_configuration(token, keys=keys, now=now(), anchor_id=url, insecure_urls=insecure_urls)
    except FederationError as error:
        raise CommandError(error.code, f"{error.detail}; {_WHICH_ANCHOR}") from error
    with writing(node.engine) as session:
        store_anchor(session, url, keys, networks)
        renew_configuration(
            session,
            node.identity,
            now=now(),
            name=node.settings.name,
            contacts=node.settings.contacts,
            readers=node.settings.readers,
            authority_hints=(url,),
        )


def _fetch_statement(node: Node, entity_id: str, networks: Sequence[str] = ()) -> bytes:
    limits = node.limits
    response = node.transport.get(
        entity_id + _WELL_KNOWN,
        accept=ENTITY_STATEMENT,
        max_bytes=limits.token_bytes,
        seconds=limits.token_seconds,
        allowed_networks=parse_networks(networks),
    )
    return check_status(response, 200).body


def _read_keys(path: Path) -> KeySet:
    """The keys of a JWKS file, or of what ``anchor init --json`` printed."""
    value = read_json(path)
    if isinstance(value, dict) and "jwks" in value:
        value = value["jwks"]
    return parse_jwks(value, anchor=True)


def _jwks_file(config: Config) -> Path:
    return config.anchor_dir / "jwks.json"
