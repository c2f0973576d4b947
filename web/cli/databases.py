"""How commands reach their node's settings and database, and say in one line why they cannot."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from directory.database import make_engine
from directory.database_faults import database_fault, fault_words
from web.cli.failure import CommandError
from web.config import SETTINGS_FILE, Config, load_config
from web.schema import check_version


def node_config(data: Path) -> Config:
    """The settings of the node in ``data``; ``not_found`` where there is no node, ConfigError with every fault."""
    if not (data / SETTINGS_FILE).is_file():
        raise CommandError(
            "not_found",
            f"{data} holds no node (there is no {SETTINGS_FILE}): "
            "`veza init` makes one; --data or VEZA_DATA names another directory",
        )
    return load_config(data)


@contextmanager
def opened_database(data: Path) -> Iterator[tuple[Config, sa.Engine]]:
    """The node's settings and its database in this program's shape, for commands that need no keys."""
    config = node_config(data)
    with database_errors(config.database):
        engine = make_engine(config.database)
        try:
            check_version(engine)
            yield config, engine
        finally:
            engine.dispose()


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """Say in one line that the database at ``url`` cannot be used."""
    shown = sa.make_url(url).render_as_string(hide_password=True)
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error) as error:  # SQLite's own where a connection is prepared
        fault = database_fault(error)
        if fault is None:
            raise CommandError("busy", f"the database {shown} cannot be used: {error}") from error
        raise CommandError(fault.code, f"the database {shown} cannot be used: {fault_words(error, fault)}") from error
