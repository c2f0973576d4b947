"""A database is made by migrations alone, has exactly the shape the program expects, or is refused."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from directory.database import make_engine
from web.errors import DatabaseNewerError, NotMigratedError
from web.schema import check_version, metadata, upgrade


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[sa.Engine]:
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


def tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


def test_migrations_make_what_the_program_expects(empty: sa.Engine) -> None:
    upgrade(empty)
    check_version(empty)
    assert tables(empty) == {*metadata.tables, "alembic_version"}
    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(empty: sa.Engine) -> None:
    upgrade(empty)
    before = tables(empty)
    upgrade(empty)
    check_version(empty)
    assert tables(empty) == before


def test_an_empty_database_is_refused(empty: sa.Engine) -> None:
    with pytest.raises(NotMigratedError, match="veza migrate"):
        check_version(empty)
    assert tables(empty) == set()


@pytest.mark.parametrize("refuse", [check_version, upgrade])
def test_a_database_of_a_newer_program_is_refused(empty: sa.Engine, refuse) -> None:
    upgrade(empty)
    with empty.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num='9999'"))
    with pytest.raises(DatabaseNewerError, match="9999"):
        refuse(empty)
    with empty.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"


def test_a_migration_that_fails_leaves_nothing_behind(empty: sa.Engine) -> None:
    with empty.begin() as connection:
        connection.execute(sa.text("CREATE TABLE wanted_pull (x INTEGER)"))  # stands in the migration's way
    with pytest.raises(sa.exc.DBAPIError):
        upgrade(empty)
    assert tables(empty) <= {"wanted_pull", "alembic_version"}
    with pytest.raises(NotMigratedError):
        check_version(empty)
