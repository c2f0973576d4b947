"""The node under attack, which heals by itself once the attack is over."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.database import make_engine
from tests.abuse.attacked import Attacked, make_attacked


@pytest.fixture
def attacked(sqlite_engine: sa.Engine, caplog: pytest.LogCaptureFixture) -> Iterator[Attacked]:
    """After the test the honest origin is synced with no manual step."""
    attacked = make_attacked(sqlite_engine, caplog)
    yield attacked
    if attacked.heals:
        attacked.check_heals()


@pytest.fixture
def sqlite_engine(sqlite_template: Path, tmp_path: Path) -> Iterator[sa.Engine]:
    """What does not depend on the database is tried on one."""
    path = tmp_path / "veza.db"
    shutil.copyfile(sqlite_template, path)
    engine = make_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@pytest.fixture
def stored(engine: sa.Engine, caplog: pytest.LogCaptureFixture) -> Iterator[Attacked]:
    """The same on SQLite and PostgreSQL, for what hangs on the database."""
    attacked = make_attacked(engine, caplog)
    yield attacked
    if attacked.heals:
        attacked.check_heals()
