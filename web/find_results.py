"""Hits of the text search as the Find page lists them."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import url_for

from directory.index import Found
from directory.places import crossing_title
from directory.values import Unit
from directory.vocabulary import CROSSINGS
from web.held import Held
from web.labels import KINDS
from web.presentation import Name, country_name, named_unit, pick_name

LONGEST_TEXT = 120
MOST = 12


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the list."""

    kind: str
    title: str
    lang: str
    also: Sequence[Name]
    where: str
    href: str


def find_results(here: Held, typed: str) -> list[Result]:
    """What a text as typed may mean, best first."""
    if not typed:
        return []
    return [_result(here, found) for found in here.directory.search(typed[:LONGEST_TEXT], MOST)]


def unit_result(here: Held, unit: Unit) -> Result:
    """A unit as a line of a list."""
    named = named_unit(unit)
    return Result(
        KINDS[unit.kind], named.title, named.lang, named.also, country_name(here, unit.participant), named.href
    )


def _result(here: Held, found: Found) -> Result:
    unit = here.directory.unit(found.ref)
    if unit is not None:
        return unit_result(here, unit)
    if found.kind == "place":
        return _place_result(here, found)
    first, others = pick_name(found.names, found.ref)
    code, _, slug = found.ref.partition(":agency/")
    href = url_for("pages.agency", code=code, slug=slug)
    return Result(KINDS["agency"], first.text, first.lang, others, country_name(here, code), href)


def _place_result(here: Held, found: Found) -> Result:
    """A crossing by the names of both its sides, in Latin letters first."""
    crossing = CROSSINGS[found.ref]
    title = crossing_title(crossing)
    first, others = pick_name(found.names, found.ref)
    also = [name for name in (first, *others) if name.text not in title]
    where = " – ".join(country_name(here, code) for code in crossing.countries)
    href = _place_href(title, crossing.countries, here.config.participant)
    return Result(KINDS["place"], title, first.lang, also, where, href)


def _place_href(title: str, sides: Sequence[str], own: str) -> str:
    """A crossing fills the form: the other side is asked, where the own country is one of the two."""
    others = [code for code in sides if code != own]
    country = others[0] if own in sides and others else None
    return url_for("pages.find", country=country, location=title, _anchor="answer" if country else "ask-title")
