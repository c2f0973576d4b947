"""Strict reading of JSON files."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory import json_file
from directory.errors import InvalidInputError
from directory.json_file import load_json_file, parse_json_text

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(json_values)
def test_what_json_writes_is_read(value: object) -> None:
    assert parse_json_text(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "at line 1, column 1"),
        ('{"a": 1,\n "b": }', "at line 2, column 7"),
        ("{'a': 1}", "at line 1, column 2"),
        ('{"a": 1} x', "at line 1, column 10"),
        ('["a\nb"]', "at line 1, column 4"),
        ('{"a": 1, "b": 2, "a": 3}', "expected each member of an object once (found 'a')"),
        ('[{"x": {"y": 1, "y": 1}}]', "expected each member of an object once (found 'y')"),
        ("[NaN]", "expected a finite number (found 'NaN')"),
        ("[-Infinity]", "expected a finite number (found '-Infinity')"),
        ("[1e400]", "expected a finite number (found '1e400')"),
        ("[" + "1" * 5000 + "]", "expected JSON with numbers of ordinary size"),
        ("[" * 200_000, "expected JSON that is not nested without bounds"),
        ('{"a":' * 200_000, "expected JSON that is not nested without bounds"),
    ],
)
def test_what_others_would_read_differently_is_refused(text: str, expected: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_json_text(text)
    assert expected in caught.value.detail


def test_files_are_utf_8_with_or_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "me.json"
    path.write_bytes('{"name": "Đurđevića Tara"}'.encode("utf-8-sig"))
    assert load_json_file(path) == {"name": "Đurđevića Tara"}


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "me.json"
    path.write_bytes('{"name": "Đurđevića Tara"}'.encode("cp1250"))
    with pytest.raises(InvalidInputError, match="expected UTF-8 text, not this at byte 10"):
        load_json_file(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"expected a file that can be read: No such file.*absent\.json"):
        load_json_file(tmp_path / "absent.json")
    with pytest.raises(InvalidInputError, match="expected a file that can be read: Is a directory"):
        load_json_file(tmp_path)


def test_a_file_beyond_all_bounds_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(json_file.LARGEST_FILE + 1)  # takes no room on the disk
    with pytest.raises(InvalidInputError, match="expected a file of at most 536870912 bytes"):
        load_json_file(path)
