"""``veza init``: a node's keys, database, empty log and settings."""

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import click
import sqlalchemy as sa

from directory.database import make_engine, writing
from directory.store import ensure_counters
from directory.vocabulary import COUNTRIES
from federation.addresses import check_entity_id
from federation.errors import TrustError
from federation.identity import Identity, create_identity
from federation.keys import key_set
from federation.log import create_log, load_heads
from federation.own_configuration import renew_configuration
from federation.participants import bind_participant
from federation.publishing import renew_checkpoint
from federation.words import format_fingerprint
from web.cli.databases import database_errors
from web.cli.failure import CommandError
from web.cli.output import json_option, print_json
from web.cli.parameters import now
from web.config import SETTINGS_FILE, Config, format_settings, make_config
from web.errors import ConfigError
from web.schema import upgrade


@click.command("init")
@click.option("--participant", required=True, metavar="CODE", help="Our code, such as ME or SELEC.")
@click.option("--url", required=True, help="Our base URL, such as https://spoc.example.me.")
@click.option("--name", help="Our name in words; by default the code.")
@click.option("--contact", "contacts", multiple=True, help="How operators of other nodes reach ours; may be repeated.")
@click.option("--database", help="Database URL; by default a SQLite file in the data directory.")
@click.option("--insecure-urls", is_flag=True, help="Allow http and loopback addresses (demo, tests).")
@click.option("--passphrase-file", help="A file with a passphrase that the key files are encrypted with.")
@json_option
@click.pass_obj
def init(
    data: Path,
    participant: str,
    url: str,
    name: str | None,
    contacts: tuple[str, ...],
    database: str | None,
    insecure_urls: bool,
    passphrase_file: str | None,
    as_json: bool,
) -> None:
    """Make a node: keys, database, an empty log, and veza.toml, which keeps these options."""
    settings = {
        "participant": participant,
        "url": url,
        "name": name,
        "contacts": list(contacts) or None,
        "database": database,
        "insecure_urls": insecure_urls or None,
        "passphrase_file": None if passphrase_file is None else str(Path(passphrase_file).absolute()),
    }
    config, identity = create_node(data, {key: value for key, value in settings.items() if value is not None})
    assert identity.federation_key is not None
    kid = identity.federation_key.kid
    if as_json:
        facts = {"participant": config.participant, "url": config.url, "data": str(data.absolute())}
        print_json(facts | {"federation_key": kid, "operating_key": identity.operating_key.kid})
        return
    click.echo(f"the node of {config.participant} is in {data}; its federation key has the fingerprint")
    click.echo(f"\n{format_fingerprint(kid)}\n")
    click.echo("next: veza import FILE, veza user add NAME --role node_admin, veza serve")


def create_node(data: Path, settings: Mapping[str, object]) -> tuple[Config, Identity]:
    """Make the node of ``settings`` in ``data``, or nothing at all; ConfigError names every fault at once."""
    config = _checked(data, settings)
    with ExitStack() as undo, database_errors(config.database):
        if not data.exists():
            undo.callback(shutil.rmtree, data, ignore_errors=True)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        undo.callback(shutil.rmtree, config.keys_dir, ignore_errors=True)
        identity = create_identity(config.keys_dir, config.participant, config.url, config.passphrase)
        for path in _database_files(config.database):
            undo.callback(path.unlink, missing_ok=True)
            path.touch(mode=0o600)
        engine = make_engine(config.database)
        undo.callback(engine.dispose)
        _found_log(engine, config, identity)
        _write_settings(data / SETTINGS_FILE, settings)  # last: a directory with it holds a whole node
        undo.pop_all()
        engine.dispose()
    return config, identity


def _checked(data: Path, settings: Mapping[str, object]) -> Config:
    faults = _occupied(data)
    code = str(settings["participant"])
    if len(code) == 2 and code.isupper() and code not in COUNTRIES:
        faults.append(f"participant: expected a country of ISO 3166-1, or XK (found {code!r})")
    config = make_config(data, settings, faults)
    try:
        check_entity_id(config.url, config.insecure_urls)
    except TrustError as error:
        raise ConfigError([f"url: {error.detail}"]) from error
    return config


def _occupied(data: Path) -> list[str]:
    """Why no node can be made here, if so: nothing that is there is ever overwritten."""
    for what, name in (("a node", SETTINGS_FILE), ("keys", "keys"), ("a database", "veza.db")):
        if (data / name).exists():
            return [f"{data} already holds {what} ({name}): a node is made in a directory of its own"]
    return []


def _database_files(url: str) -> list[Path]:
    """The file of a SQLite database that is not there yet, to be made readable by its owner alone."""
    parts = sa.make_url(url)
    path = Path(parts.database or "")
    return [path] if parts.get_backend_name() == "sqlite" and parts.database and not path.exists() else []


def _found_log(engine: sa.Engine, config: Config, identity: Identity) -> None:
    """The tables and, in one transaction, the node's own empty log with its first signed statements."""
    upgrade(engine)
    assert identity.federation_key is not None
    with writing(engine) as session:
        held = load_heads(session)
        if held:
            codes = ", ".join(head.participant for head in held)
            raise CommandError("conflict", f"the database already holds logs ({codes}): give this node one of its own")
        ensure_counters(session)
        bind_participant(session, config.participant, config.url, "own", key_set(identity.federation_key))
        create_log(session, config.participant, own=True)
        at = now()
        renew_configuration(
            session, identity, now=at, name=config.name, contacts=config.contacts, readers=config.readers
        )
        renew_checkpoint(session, identity, at)


def _write_settings(path: Path, settings: Mapping[str, object]) -> None:
    aside = path.with_suffix(".new")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # it may hold a database password
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(format_settings(settings))
    aside.rename(path)
