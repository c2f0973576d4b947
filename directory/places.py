"""Where something happens: crossing ids, crossing names in any script, ISO 3166-2 codes (directory.md, section 4)."""

import difflib
import functools
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from directory.errors import Fault, InvalidInputError
from directory.folding import fold, fold_alternatives
from directory.vocabulary import COUNTRIES, CROSSINGS, SUBDIVISION, Crossing

_LOCAL_AREA = re.compile(r"x-[A-Z]{2}-[a-z0-9-]{1,40}\Z")
"""An area of a country that has no ISO 3166-2 codes (``x-XK-prizren``)."""
_IN_BRACKETS = re.compile(r"\s*\([^)]*\)")


def resolve_location(text: str, between: Sequence[str] = ()) -> str:
    """Return what a location means: a crossing id, or an ISO 3166-2 code as it is.

    A crossing may be named in any of its languages and scripts, or by both its sides. ``between`` names the countries
    that the question is about, the requested one last: they decide where several crossings share a name. Raises
    InvalidInputError where no crossing has the name (with the nearest ones) or several still do (with the choices).
    """
    wanted = text.strip()
    if wanted.lower() in CROSSINGS:
        return wanted.lower()
    if _LOCAL_AREA.match(wanted):
        return wanted
    subdivision = SUBDIVISION.match(wanted.upper())
    if subdivision and subdivision[1] in COUNTRIES:
        return wanted.upper()
    return _resolve_name(wanted, between)


def _resolve_name(wanted: str, between: Sequence[str]) -> str:
    found = nearest_to_question(_crossings_by_name().get(fold(wanted), ()), between)
    if len(found) == 1:
        return found[0]
    if found:
        choices = ", ".join(f"{crossing} ({crossing_title(CROSSINGS[crossing])})" for crossing in found)
        raise InvalidInputError(
            [Fault("/location", wanted, f"expected one of several crossings of that name: {choices}")]
        )
    expected = f"expected a crossing, or a code as in ISO 3166-2{_did_you_mean(wanted)}"
    raise InvalidInputError([Fault("/location", wanted, expected)])


def _did_you_mean(wanted: str) -> str:
    names = difflib.get_close_matches(fold(wanted), _crossings_by_name(), n=6)
    near = dict.fromkeys(crossing for name in names for crossing in sorted(_crossings_by_name()[name]))
    titles = [crossing_title(CROSSINGS[crossing]) for crossing in near]
    return f" (did you mean {', '.join(titles[:3])}?)" if titles else ""


def nearest_to_question(found: Iterable[str], between: Sequence[str]) -> list[str]:
    """Keep those between both countries if there are any, else those of the requested one, else all."""
    everywhere = sorted(found)
    for countries in (set(between), set(between[-1:])):
        narrowed = [crossing for crossing in everywhere if countries <= set(CROSSINGS[crossing].countries)]
        if narrowed:
            return narrowed
    return everywhere


def crossing_title(crossing: Crossing) -> str:
    """Return the names of a crossing's sides in Latin letters where there are some, as ``Gostun / Dobrakovo``."""
    return " / ".join(_latin(names) for names in crossing.names.values())


def _latin(names: Mapping[str, str]) -> str:
    return next((name for tag, name in names.items() if tag.endswith("-Latn")), next(iter(names.values())))


@functools.cache
def _crossings_by_name() -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for crossing in CROSSINGS.values():
        for name in _spoken_names(crossing):
            for key in _keys(name):
                found[key].add(crossing.id)
    return {name: frozenset(crossings) for name, crossings in found.items()}


def _spoken_names(crossing: Crossing) -> Iterator[str]:
    """Yield every name of each side, with and without what stands in brackets, and every pair of sides."""
    sides = [
        [spelling for name in names.values() for spelling in {name, _IN_BRACKETS.sub("", name)}]
        for names in crossing.names.values()
    ]
    for place, side in enumerate(sides):
        yield from side
        for other in sides[:place] + sides[place + 1 :]:
            yield from (f"{here} {there}" for here in side for there in other)


def _keys(name: str) -> Iterator[str]:
    """Yield every search key of a name: by sound, by letters, Greek as it is heard."""
    return map(" ".join, itertools.product(*fold_alternatives(name)))
