"""The number of the last entry of each record."""

import sqlite3

import pytest

from federation.last_numbers import LastNumbers


def test_a_later_entry_supersedes() -> None:
    with LastNumbers() as last:
        last.note([("unit/a", 0), ("unit/b", 1), ("unit/a", 2)])
        last.note([("unit/b", 7)])
        assert last.find(["unit/a", "unit/b", "unit/c"]) == {"unit/a": 2, "unit/b": 7}
        assert last.find([]) == {}


def test_nothing_is_left_of_it() -> None:
    with LastNumbers() as last:
        last.note([("unit/a", 0)])
    with pytest.raises(sqlite3.ProgrammingError):
        last.find(["unit/a"])
