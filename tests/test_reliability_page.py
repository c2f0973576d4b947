"""The counts on docs/reliability.md are those of the tests that are there."""

import pytest

from benchmarks.reliability.counts import PAGE, count_cases, write_counts


def test_the_counts_are_what_is_collected() -> None:
    """Where this fails after cases were added: ``python -m benchmarks.reliability.counts`` sets the page right."""
    page = PAGE.read_text(encoding="utf-8")
    assert write_counts(page, count_cases()) == page


def test_a_group_that_the_page_lacks_is_named() -> None:
    with pytest.raises(ValueError, match="'transport'"):
        write_counts("| checkpoints | 1 | 2 | |", {"transport": (1, 2)})


def test_counts_that_differ_are_set_right() -> None:
    page = "| checkpoints (C) | 1 | 2 | `pytest` |\n| entries | 1 | 2 | |\n"
    assert write_counts(page, {"checkpoints (C)": (3, 40)}) == (
        "| checkpoints (C) | 3 | 40 | `pytest` |\n| entries | 1 | 2 | |\n"
    )
