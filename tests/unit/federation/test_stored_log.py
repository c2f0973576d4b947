"""Rows as they lie in the database: what is no text and no instant, and a tree of its own."""

import datetime as dt

import pytest

from federation.merkle import Frontier, leaf_hash
from federation.stored_log import StackedTree, as_instant, as_text

NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 7, 8, 9, 100])
def test_the_tree_is_that_of_the_log(size: int) -> None:
    tree, headers = StackedTree(), [str(number).encode() for number in range(size)]
    for header in headers:
        tree.push(header)
    frontier = Frontier().extend(leaf_hash(header) for header in headers)
    assert (tree.size, tree.root(), tree.frontier()) == (size, frontier.root(), frontier.to_bytes())


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (None, None),
        (NOON, NOON),
        (NOON.astimezone(dt.timezone(dt.timedelta(hours=2))), NOON),
        (b"2026-11-21 12:00:00.000000", NOON),
        ("2026-11-21 12:00:00", NOON),
        (b"2026-11-21 12:00:6", "2026-11-21 12:00:6"),
        (b"\x80", "\\x80"),
    ],
)
def test_an_instant_or_what_stands_there(stored: object, read: object) -> None:
    assert as_instant(stored) == read


def test_bytes_that_are_no_text_equal_nothing_valid() -> None:
    assert as_text(b"RS") == "RS"
    assert as_text(b"R\x80") == "R\\x80"
    assert as_text(None) is None
