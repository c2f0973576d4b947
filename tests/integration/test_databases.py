"""The fixtures of the test suite themselves: each test gets a fresh database, with or without tables."""

import datetime as dt

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import StatementError

from directory.database import Base, make_engine, reading, writing
from directory.tables import CounterRow, RotaVersionRow


def _count(engine: sa.Engine) -> int:
    with reading(engine) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(CounterRow)) or 0


def _write_and_fail(engine: sa.Engine) -> None:
    with writing(engine) as session:
        session.add(CounterRow(name="directory", value=1))
        session.flush()
        raise LookupError("after the first write")


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_a_database_of_its_own(engine: sa.Engine, turn: int) -> None:
    assert _count(engine) == 0
    with writing(engine) as session:
        session.add(CounterRow(name="directory", value=turn))
    assert _count(engine) == 1


def test_all_tables_are_there(engine: sa.Engine) -> None:
    assert set(sa.inspect(engine).get_table_names()) == set(Base.metadata.tables)


def test_an_empty_database_has_no_tables(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_failing_transaction_leaves_nothing(engine: sa.Engine) -> None:
    with pytest.raises(LookupError, match="after the first write"):
        _write_and_fail(engine)
    assert _count(engine) == 0


def test_naive_datetimes_are_refused(engine: sa.Engine) -> None:
    naive = dt.datetime(2026, 1, 1)
    row = RotaVersionRow(record="rota/a", seq=1, data="{}", published_at=naive, replaced_at=naive)
    with pytest.raises(StatementError, match="naive datetime"), writing(engine) as session:
        session.add(row)
