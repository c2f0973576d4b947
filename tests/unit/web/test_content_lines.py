"""Content lines: whatever the text, lines stay short, whole and their own."""

from hypothesis import given
from hypothesis import strategies as st

from web.content_lines import LINE_BYTES, escaped, folded

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=400)


@given(TEXTS)
def test_folding_is_undone_by_unfolding(text: str) -> None:
    lines = folded(text)
    assert lines.endswith(b"\r\n")
    assert lines.replace(b"\r\n ", b"").removesuffix(b"\r\n").decode() == text
    assert all(len(line) <= LINE_BYTES for line in lines.split(b"\r\n"))
    for line in lines.removesuffix(b"\r\n").split(b"\r\n"):
        line.decode()


@given(st.text(max_size=100))
def test_an_escaped_text_begins_no_new_line(text: str) -> None:
    assert "\n" not in escaped(text)
    assert "\r" not in escaped(text)


def test_separators_are_escaped() -> None:
    assert escaped("a,b;c\\d\r\ne") == "a\\,b\\;c\\\\d\\ne"
