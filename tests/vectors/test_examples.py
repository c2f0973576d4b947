"""The protocol's page says what the vectors say, and every refusal that a token can get has an example."""

import re
from typing import Any

import pytest

from tests.vectors.make_vectors import FILES
from tests.vectors.protocol_examples import EXAMPLES, PAGE, filled
from tests.vectors.test_vectors import load
from web.problem import STATUS

TOKEN_CODES = frozenset(STATUS) - {
    *("bad_entry", "busy", "clock_implausible", "conflict", "forbidden", "not_a_party", "not_found", "out_of_range"),
    *("participant_taken", "precondition_required", "rate_limited", "stale_version", "storage_full", "wrong_state"),
}
"""What a token can be refused with for what it is, not for what the node knows or does meanwhile."""


def test_every_example_of_the_page_is_that_of_the_vectors() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- example ([a-z-]+) -->", text)) == EXAMPLES.keys()
    assert filled(text) == text, "run: python -m tests.vectors.protocol_examples"


def _expected(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value[name] for name in ("expect", "from_a_relay") if isinstance(value.get(name), str)}
        return own.union(*map(_expected, value.values()))
    return set[str]().union(*map(_expected, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("code", sorted(TOKEN_CODES))
def test_every_refusal_of_a_token_has_an_example(code: str) -> None:
    found = set[str]().union(*(_expected(load(name.removesuffix(".json"))) for name in FILES))
    assert code in found


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_file_of_vectors_is_explained_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


def test_the_page_gives_every_code_the_status_that_is_answered() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    found = {code: int(status) for status, codes in rows for code in re.findall(r"`([a-z_]+)`", codes)}
    assert found == dict(STATUS)
