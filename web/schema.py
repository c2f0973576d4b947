"""The database's shape: made and changed by migrations only, and refused where this program does not know it."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from directory import tables as directory_tables
from directory.database import Base
from directory.database_file import check_files
from federation import tables as federation_tables
from sync import tables as sync_tables
from web import tables as web_tables
from web.errors import DatabaseNewerError, NotMigratedError

MIGRATIONS = Path(__file__).with_name("migrations")
TABLE_MODULES = (directory_tables, federation_tables, sync_tables, web_tables)
"""Imported so that ``metadata`` names every table of every package."""

metadata = Base.metadata


def upgrade(engine: sa.Engine) -> None:
    """Bring the database to this version in one transaction; DatabaseNewerError where it is ahead of the program."""
    check_files(engine)
    _refuse_newer(engine)
    with engine.connect().execution_options(veza_writing=True) as connection, connection.begin():
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_version(engine: sa.Engine) -> None:
    """Raise DatabaseNewerError or NotMigratedError unless the database has exactly this program's shape.

    DamagedDatabaseError where its files were cut short.
    """
    check_files(engine)
    _refuse_newer(engine)
    found, expected = _found(engine), _scripts().get_current_head()
    if found != expected:
        raise NotMigratedError(
            f"the database is at version {found or 'none'} and this program needs {expected}: run `veza migrate`"
        )


def _refuse_newer(engine: sa.Engine) -> None:
    found = _found(engine)
    known = {script.revision for script in _scripts().walk_revisions()}
    if found is not None and found not in known:
        raise DatabaseNewerError(
            f"the database is at version {found}, which this program does not know: "
            "a newer program wrote it; install that version or restore a backup"
        )


def _found(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
