"""Safe targets and known browsers, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.accounts import Principal
from web.sign_in import known_device, make_device_mark, safe_target

SECRET = b"k" * 32
ANA = Principal("ana", frozenset({"officer"}), None)


@given(st.text(max_size=40))
def test_a_safe_target_is_a_path_of_this_node(text: str) -> None:
    target = safe_target(text)
    if target is not None:
        assert target == text
        assert target.startswith("/")
        assert not target.startswith(("//", "/\\"))
        assert target.isprintable()


@pytest.mark.parametrize("target", [None, "", "x", "//x", "/\\x", "/a\\b", "/a\nb", "https://x"])
def test_other_targets_are_dropped(target: str | None) -> None:
    assert safe_target(target) is None


def test_a_browser_is_known_for_its_user_only() -> None:
    mark = make_device_mark(SECRET, ANA)
    assert known_device(SECRET, mark, "ana")
    assert known_device(SECRET, mark, "dora") == ""
    assert known_device(b"other" * 8, mark, "ana") == ""
    assert known_device(SECRET, mark + "x", "ana") == ""


@pytest.mark.parametrize("mark", ["", "x", "WyJhbmEiXQ.x"])
def test_a_forged_mark_is_unknown(mark: str) -> None:
    assert known_device(SECRET, mark, "ana") == ""
