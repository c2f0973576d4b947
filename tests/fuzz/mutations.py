"""Valid inputs with something wrong in them: changes of structure first, of bytes second."""

import copy
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st


def _nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


ODD_TEXTS = [
    "", " ", "\x00", "\u202eabc", "\u2066", "\u200b", "‑", "Ａ", "\ud800", "\udfff", "\U0001f600", "é", "é", "ﬁ",
    "a" * 70_000, "../../etc/passwd", "'; DROP TABLE entry; --", "<script>", "{{7*7}}", "=cmd|' /C calc'!A0", "%s%n",
    "a@b.c\r\nBcc:x", "javascript:alert(1)", "http://169.254.169.254/", "https://127.1", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-21T20:00:00+99:00", "Mars/X",
    "24/7; 24/7", "Mo-Fr 25:00-26:00",
    "٣٤٥", "+٩٩٩", "AQ==", "AR", "null", "NaN", "1e400", "/", "~", "~0~1", "unit/", "/spoc", "unit/spoc/x", "RS:",
]  # fmt: skip
ODD_NUMBERS = [0, -1, 1, 2**31, 2**53 - 1, 2**53, 2**63, 2**64, -(2**63), 10**400, 0.1, -0.0, 1e308, 1.0, 1e16]
ODD_VALUES = st.one_of(
    st.sampled_from([None, True, False, [], {}, [[]], {"": {}}]),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(ODD_TEXTS),
    st.text(max_size=40),
    st.integers(),
    st.integers(min_value=2, max_value=60).map(_nested),
    st.lists(st.sampled_from(ODD_TEXTS), max_size=40),
    st.dictionaries(st.text(max_size=12), st.integers(), max_size=8),
)


@st.composite
def mutated_value(draw: st.DrawFn, samples: Sequence[Any]) -> Any:
    """A sample with one to three of its parts dropped, replaced, repeated, renamed or exchanged."""
    value = json.loads(json.dumps(draw(st.sampled_from(samples))))
    for _ in range(draw(st.integers(1, 3))):
        value = _mutate(draw, value)
    return value


def _mutate(draw: st.DrawFn, value: Any) -> Any:
    places = list(_places(value, ()))
    if not places:
        return draw(ODD_VALUES)
    place = draw(st.sampled_from(places))
    parent = _at(value, place[:-1])
    kind = draw(st.sampled_from(["replace", "replace", "drop", "swap", "copy", "rename"]))
    if kind == "replace":
        parent[place[-1]] = copy.deepcopy(draw(ODD_VALUES))  # later changes are made in place
    elif kind == "drop":
        del parent[place[-1]]
    elif kind == "swap":
        _swap(value, place, draw(st.sampled_from(places)))
    elif kind == "copy":
        parent[place[-1]] = json.loads(json.dumps(_at(value, draw(st.sampled_from(places)))))
    elif isinstance(parent, dict):
        parent[draw(st.sampled_from(ODD_TEXTS))] = parent.pop(place[-1])
    else:
        parent.extend(parent[:40])
    return value


def _places(value: Any, here: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for name, part in items:
        found += [(*here, name), *_places(part, (*here, name))]
    return found


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for name in place:
        value = value[name]
    return value


def _swap(value: Any, one: tuple[Any, ...], two: tuple[Any, ...]) -> None:
    if one == two[: len(one)] or two == one[: len(two)]:
        return  # one lies within the other
    first, second = _at(value, one[:-1]), _at(value, two[:-1])
    first[one[-1]], second[two[-1]] = second[two[-1]], first[one[-1]]


def to_text(value: Any) -> bytes:
    """JSON as a careless writer makes it: lone surrogates are escaped, huge numbers stand as they are."""
    return json.dumps(value, ensure_ascii=True).encode("ascii")


@st.composite
def mutated_bytes(draw: st.DrawFn, samples: Sequence[bytes]) -> bytes:
    """A sample cut, with bytes flipped, doubled, moved or put in."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 200)))
        kind = draw(st.sampled_from(["cut", "flip", "double", "insert", "drop", "odd"]))
        if kind == "cut":
            del data[start:]
        elif kind == "flip" and start < len(data):
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == "double":
            data[start:start] = data[start:end]
        elif kind == "insert":
            data[start:start] = draw(st.binary(max_size=20))
        elif kind == "drop":
            del data[start:end]
        else:
            data[start:start] = draw(st.sampled_from(_ODD_BYTES))
    return bytes(data)


_ODD_BYTES = [
    b"\x00", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"NaN", b"1e999", b"9" * 5000, b"[" * 3000,
    b'{"a":' * 3000, b'"a":1,"a":2,', b"\r\n", b"\n" * 300, b".", b"=", b"null", b",", b"}", b"]", b"\xef\xbb\xbf",
    b"/**/",
]  # fmt: skip


def mutated_json(samples: Sequence[Any]) -> st.SearchStrategy[bytes]:
    """JSON that is a sample with its structure or its bytes changed, or no JSON at all."""
    plain = [to_text(sample) for sample in samples]
    return st.one_of(
        mutated_value(samples).map(to_text),
        mutated_value(samples).map(lambda value: _twice(to_text(value))),
        mutated_bytes(plain),
        st.binary(max_size=200),
    )


def _twice(text: bytes) -> bytes:
    """An object with its first member named twice."""
    return text.replace(b"{", b'{"iss": 1, "iss": 2, ', 1)
