"""Which characters text in a record may hold, and which text looks like a trick (abuse cases E04, E06, E10).

Characters that nobody sees (bidirectional and zero-width marks, control characters, lone surrogates) are refused
everywhere. Line breaks and tabs are refused where a text is one line by nature. Letters of several scripts in one word
are kept, but flagged.
"""

import functools
import re
import unicodedata
from collections.abc import Container, Iterator, Mapping
from typing import cast

import orjson

from directory.errors import Fault

MAX_DEPTH = 32
"""Objects and lists within each other in one record."""
LARGEST_INTEGER = 2**53 - 1

# Unicode categories Cc, Cf, Cs, Zl and Zp, written out; a test compares them with the Unicode database.
_LINE_BREAKS = "\t\n\r"
_INVISIBLE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u2064\u2066-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
)
_FORBIDDEN = re.compile(f"[{_INVISIBLE}]")
_FORBIDDEN_IN_LINE = re.compile(f"[{_INVISIBLE}{_LINE_BREAKS}]")
_JSON_OPTIONS = orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "ARABIC", "HEBREW", "GEORGIAN")
_Part = tuple[str, object, bool, int]
"""Place, value, whether line breaks are refused there, depth."""
_WORD = re.compile(r"[^\W\d_]+")


def forbidden_character(text: str, *, one_line: bool = True) -> str | None:
    """Return the first character that ``text`` may not hold, as ``U+202E``; None where there is none."""
    found = (_FORBIDDEN_IN_LINE if one_line else _FORBIDDEN).search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def measure(data: Mapping[str, object]) -> tuple[int, bool]:
    """Return the size of ``data`` as JSON in bytes, and whether it is plainly harmless or needs a closer look.

    Harmless: JSON values only, no character that prints nothing or needs an escape. Most records are, and one pass in
    C over the whole of a record costs a tenth of looking at each text. The size of what is no JSON is 0.
    """
    try:
        written = orjson.dumps(data, option=_JSON_OPTIONS)
    except orjson.JSONEncodeError:
        return 0, False
    text = written.decode()
    # NaN is written as null, so a null must be one that stands openly in the record.
    nulls = text.count("null")
    plain = text.isprintable() and "\\" not in text and nulls == (nulls and [*data.values()].count(None))
    # With so few objects and lists in all, none can be deeper than allowed.
    harmless = plain and text.count("{") + text.count("[") <= MAX_DEPTH
    return len(written), harmless


def value_faults(data: Mapping[str, object], one_line: Container[str]) -> Iterator[Fault]:
    """Name every value of a record that is no JSON value of the protocol, or text that holds what it may not.

    ``one_line`` holds the members of the record below which line breaks are refused as well.
    """
    stack: list[_Part] = [("", data, False, 0)]
    while stack:
        part = stack.pop()
        place, value, line, depth = part
        if depth > MAX_DEPTH:
            yield Fault(place, "...", f"expected at most {MAX_DEPTH} levels")
        elif isinstance(value, Mapping | list):
            if isinstance(value, Mapping):
                yield from _name_faults(place, value)
            stack.extend(reversed([*_parts_within(part, one_line)]))
        elif fault := _scalar_fault(place, value, line):
            yield fault


def _parts_within(part: _Part, one_line: Container[str]) -> Iterator[_Part]:
    place, value, line, depth = part
    members = value.items() if isinstance(value, Mapping) else enumerate(cast("list[object]", value))
    for key, item in members:
        yield f"{place}/{escape(key)}", item, line or (depth == 0 and key in one_line), depth + 1


def _name_faults(place: str, value: Mapping[object, object]) -> Iterator[Fault]:
    for key in value:
        if not isinstance(key, str):
            yield Fault(place, key, "expected text as the name of each member")
        elif character := forbidden_character(key):
            yield Fault(place, key, f"expected names of members without the character {character}")


def _scalar_fault(place: str, value: object, one_line: bool) -> Fault | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        character = forbidden_character(value, one_line=one_line)
        return Fault(place, value, f"expected text without the character {character}") if character else None
    if isinstance(value, int | float):
        # The comparison is false for NaN as well.
        fits = abs(value) <= LARGEST_INTEGER
        return (
            None
            if fits
            else Fault(place, f"a number of type {type(value).__name__}", "expected a finite number below 2^53")
        )
    return Fault(place, type(value).__name__, "expected a JSON value")


def escape(key: object) -> str:
    """Write a member's name as one step of a JSON pointer (RFC 6901)."""
    return str(key).replace("~", "~0").replace("/", "~1")


def mixed_script_words(text: str) -> list[str]:
    """Return the words that mix letters of several scripts, as only a mistake or a deception does."""
    if text.isascii():
        return []
    return [word for word in _WORD.findall(text) if len({_script(letter) for letter in word} - {None}) > 1]


@functools.lru_cache(maxsize=2048)
def _script(letter: str) -> str | None:
    script = unicodedata.name(letter, "").partition(" ")[0]
    return script if script in _SCRIPTS else None
