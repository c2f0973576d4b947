import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.encoding import b64url_encode
from federation.entries import (
    MAX_PAGE_BYTES,
    Entry,
    Header,
    check_payload,
    covered_digest,
    decode_page,
    encode_page,
    make_delete,
    make_put,
    page_end,
    parse_header,
    parse_payload,
    payload_digest,
)
from federation.errors import EntryError
from tests.unit.federation.samples import NOW

SALT = bytes(16)
PUT = make_put(17, "unit/spoc", {"hours": "24/7"}, NOW, SALT)
DELETE = make_delete(18, "unit/spoc", NOW)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))


def header(**changes: object) -> bytes:
    members = json.loads(PUT.header) | changes
    return json.dumps({name: value for name, value in members.items() if value is not ...}).encode()


def code_of(function: Any, *arguments: Any) -> str:
    with pytest.raises(EntryError) as refusal:
        function(*arguments)
    return refusal.value.code


def test_bytes_are_those_of_the_specification() -> None:
    assert PUT.payload == b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":{"hours":"24/7"}}'
    digest = b64url_encode(payload_digest(PUT.payload))
    assert PUT.header.decode() == (
        f'{{"seq":17,"record":"unit/spoc","op":"put","at":"2026-11-21T20:00:00Z","digest":"{digest}"}}'
    )
    assert Entry(b'{"seq":18,"record":"unit/spoc","op":"delete","at":"2026-11-21T20:00:00Z"}', None) == DELETE


@given(st.integers(0, 2**53 - 1), st.from_regex(r"[a-z]{1,20}/[a-z0-9][a-z0-9-]{0,62}", fullmatch=True), st.booleans())
def test_a_header_round_trips(seq: int, record: str, put: bool) -> None:
    entry = make_put(seq, record, {}, NOW) if put else make_delete(seq, record, NOW)
    digest = payload_digest(entry.payload) if entry.payload else None
    assert parse_header(entry.header) == Header(seq, record, "put" if put else "delete", NOW, digest)


@given(st.dictionaries(TEXT, TEXT | st.integers(-(2**53) + 1, 2**53 - 1) | st.none() | st.booleans(), max_size=5))
def test_a_payload_round_trips_and_is_covered(data: dict[str, Any]) -> None:
    entry = make_put(0, "unit/a", data, NOW)
    assert entry.payload is not None
    assert parse_payload(entry.payload) == data
    check_payload(entry)
    assert decode_page(encode_page([entry]), 1) == [entry]


def test_salts_differ_so_that_equal_records_do_not_show() -> None:
    assert make_put(0, "unit/a", {}, NOW).header != make_put(0, "unit/a", {}, NOW).header


@pytest.mark.parametrize(
    "text",
    [
        b'{"op":"put","seq":17,"at":"2026-11-21T20:00:00Z","digest":"%s","record":"unit/spoc"}',
        b'{ "seq": 17, "record": "unit\\/spoc", "op": "put", "at": "2026-11-21T20:00:00Z", "digest": "%s" }',
    ],
    ids=["another order", "another spelling"],
)
def test_another_writing_of_the_same_header_is_read(text: bytes) -> None:
    digest = json.loads(PUT.header)["digest"].encode()
    assert parse_header(text % digest) == parse_header(PUT.header)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff", id="no Unicode"),
        pytest.param(b"[" * 1000, id="nested 1,000 deep"),
        pytest.param(PUT.header + b"\n", id="a line break"),
        pytest.param(PUT.header.replace(b",", b",\r\n", 1), id="a line break inside"),
        pytest.param(PUT.header[:-1] + b',"op":"put"}', id="a member twice"),
        pytest.param(header(extra=1), id="another member"),
        *[
            pytest.param(header(**{name: ...}), id=f"without {name}")
            for name in ("seq", "record", "op", "at", "digest")
        ],
        *[pytest.param(header(seq=seq), id=f"seq {seq!r}") for seq in (-1, 1.0, "17", True, None, 2**53, [])],
        *[
            pytest.param(header(record=record), id=f"record {record!r:.30}")
            for record in (
                "unit",
                "unit/",
                "/spoc",
                "Unit/spoc",
                "unit/BB-1",
                "unit/bb\u20111",
                "unit/bb-1\u200b",
                "unit/-bb",
                "unit/a/b",
                "unit/../b",
                "unit/bb-1\n",
                "unit/" + "b" * 64,
                "u" * 21 + "/b",
                "ünit/b",
                None,
                5,
            )
        ],
        *[pytest.param(header(op=op), id=f"op {op!r}") for op in ("", "PUT", None, 5, "put ")],
        *[
            pytest.param(header(at=at), id=f"at {at!r}")
            for at in (
                "2026-11-21T20:00:00+00:00",
                "2026-11-21T20:00Z",
                "2026-11-21T20:00:00.0Z",
                "2026-02-30T20:00:00Z",
                "2026-11-21T25:00:00Z",
                "2026-11-21 20:00:00Z",
                "٢٠٢٦-11-21T20:00:00Z",
                "0000-01-01T00:00:00Z",
                None,
                5,
            )
        ],
        *[
            pytest.param(header(digest=digest), id=f"digest {digest!r:.20}")
            for digest in ("", "AAAA", b64url_encode(bytes(33)), "A" * 42 + "B", "A" * 43 + "=", None, 5)
        ],
        pytest.param(header(op="delete"), id="a delete with a digest"),
    ],
)
def test_a_malformed_header_is_a_bad_entry(text: bytes) -> None:
    assert code_of(parse_header, text) == "bad_entry"


@pytest.mark.parametrize("digest", [b64url_encode(bytes(32)), ...], ids=["with digest", "without digest"])
def test_a_word_of_a_newer_version_is_a_well_formed_op(digest: object) -> None:
    assert parse_header(header(op="merge", digest=digest)).op == "merge"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b'"data"',
        b"\xff",
        b'{"data":{}}',
        b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA"}',
        b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":[]}',
        b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":{},"more":1}',
        b'{"salt":5,"data":{}}',
        b'{"salt":"AAAA","data":{}}',
        b'{"salt":"AAAAAAAAAAAAAAAAAAAAAB","data":{}}',
        b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":{"a":1,"a":1}}',
        b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":{"a":"\\ud800"}}',
        b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":{"a":"\\u0000"}}',
        b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":{"a":NaN}}',
        b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA",\n"data":{}}',
        b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
    ids=lambda payload: repr(payload)[:50],
)
def test_another_payload_is_a_bad_entry(payload: bytes) -> None:
    assert code_of(parse_payload, payload) == "bad_entry"


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(Entry(PUT.header, b"{}"), id="another payload"),
        pytest.param(Entry(PUT.header, PUT.payload + b" "), id="a space more"),
        pytest.param(Entry(PUT.header, PUT.payload.replace(b"24/7", b"24/6")), id="one character"),
        pytest.param(Entry(DELETE.header, PUT.payload), id="a payload of a delete"),
        pytest.param(Entry(b"not json", PUT.payload), id="a payload of no header"),
        pytest.param(Entry(header(digest=5), PUT.payload), id="a digest that is no text"),
    ],
)
def test_a_payload_that_no_digest_covers_is_refused(entry: Entry) -> None:
    assert code_of(check_payload, entry) == "bad_digest"


@pytest.mark.parametrize("entry", [PUT, DELETE, Entry(PUT.header, None), Entry(b"not json", None)])
def test_an_erased_payload_needs_no_digest(entry: Entry) -> None:
    check_payload(entry)


def test_a_header_that_breaks_other_rules_still_covers_its_payload() -> None:
    broken = header(seq=-1, extra=1)
    assert code_of(parse_header, broken) == "bad_entry"
    assert covered_digest(broken) == covered_digest(PUT.header)
    check_payload(Entry(broken, PUT.payload))


@pytest.mark.parametrize(
    ("start", "size", "end"),
    [
        (0, 0, 0),
        (0, 1, 1),
        (0, 256, 256),
        (0, 257, 256),
        (100, 300, 256),
        (256, 300, 300),
        (255, 300, 256),
        (300, 300, 300),
    ],
)
def test_a_page_ends_at_a_multiple_or_the_size(start: int, size: int, end: int) -> None:
    assert page_end(start, size) == end


HOSTILE = [
    "<script>",
    "{{7*7}}",
    "=cmd|' /C calc'!A0",
    "\r\nBcc: x",
    "%s%n",
    '"\\',
    "\u2028\u2029",
    "Прешево ğşı 😀",
    "\x7f\x1f",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_travels_unchanged(text: str) -> None:
    entry = make_put(0, "unit/a", {"note": text}, NOW)
    page = encode_page([entry, DELETE])
    assert page.count(b"\n") == 2
    assert decode_page(page, 2) == [entry, DELETE]


def test_a_page_escapes_only_what_json_requires() -> None:
    assert encode_page([Entry("Преш".encode(), None)]) == '["Преш",null]\n'.encode()


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_lines_beyond_the_checkpoint_are_ignored_unread(ending: bytes) -> None:
    page = encode_page([PUT, DELETE]) + b"{not json" + ending
    assert decode_page(page, 2) == [PUT, DELETE]


LINE = encode_page([PUT])


@pytest.mark.parametrize(
    ("body", "count", "code"),
    [
        pytest.param(b"", 1, "bad_range", id="nothing"),
        pytest.param(LINE * 9, 10, "bad_range", id="9 of 10"),
        pytest.param(LINE * 9 + LINE[:-5], 10, "bad_entry", id="the last line cut short"),
        pytest.param(LINE * 257, 256, "bad_range", id="more than a page holds"),
        pytest.param(b"\n" * 300, 1, "bad_range", id="empty lines beyond a page"),
        pytest.param(b"not json\n", 2, "bad_range", id="number of lines before their form"),
        pytest.param(b"\n" + LINE, 2, "bad_entry", id="an empty line"),
        pytest.param(b"not json\n", 1, "bad_entry", id="no JSON"),
        pytest.param(b'{"header":"a"}\n', 1, "bad_entry", id="an object"),
        pytest.param(b'["a"]\n', 1, "bad_entry", id="one member"),
        pytest.param(b'["a","b","c"]\n', 1, "bad_entry", id="three members"),
        pytest.param(b'[null,"b"]\n', 1, "bad_entry", id="no header"),
        pytest.param(b'["a",5]\n', 1, "bad_entry", id="a number"),
        pytest.param(b'["a",{"salt":""}]\n', 1, "bad_entry", id="an object inside"),
        pytest.param(b'["\\ud800",null]\n', 1, "bad_entry", id="a lone surrogate"),
        pytest.param(b'["\xff",null]\n', 1, "bad_entry", id="invalid UTF-8"),
        pytest.param(b"[" * 100_000 + b"\n", 1, "bad_entry", id="nested 100,000 deep"),
        pytest.param(encode_page([Entry(b"a" * 1025, None)]), 1, "too_large", id="a header of 1,025 bytes"),
        pytest.param(encode_page([Entry(b"a", b"a" * 65_537)]), 1, "too_large", id="a payload of 65,537 bytes"),
        pytest.param(encode_page([Entry(b"a" * 1025, None)]) + b"not json\n", 2, "bad_entry", id="form before limits"),
        pytest.param(b"x" * (MAX_PAGE_BYTES + 1), 1, "too_large", id="a page beyond 40 MiB"),
    ],
)
def test_a_page_is_checked_in_order(body: bytes, count: int, code: str) -> None:
    assert code_of(decode_page, body, count) == code


def test_a_page_that_begins_inside_holds_fewer_lines() -> None:
    assert len(decode_page(LINE * 4, 3, most=4)) == 3
    assert code_of(decode_page, LINE * 5, 3, 4) == "bad_range"


def test_limits_are_exact_and_bind_the_writer_too() -> None:
    largest = Entry("ж".encode() * 512, b"a" * 65_536)
    assert decode_page(encode_page([largest]), 1) == [largest]
    assert code_of(make_put, 0, "unit/a", {"note": "a" * 65_536}, NOW) == "too_large"


def test_a_naive_instant_is_not_written() -> None:
    with pytest.raises(ValueError, match="time zone"):
        make_delete(0, "unit/a", dt.datetime(2026, 1, 1))
