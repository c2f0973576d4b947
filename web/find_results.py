"""Hits of the text search as the Find page lists them."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import url_for

from directory.index import Directory, Found
from directory.values import Unit
from directory.vocabulary import CROSSINGS
from web.labels import KINDS
from web.presentation import Name, named_unit, pick_name

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


def find_results(directory: Directory, typed: str, own: str) -> list[Result]:
    """What a text as typed may mean, best first."""
    if not typed:
        return []
    return [_result(directory, found, own) for found in directory.search(typed[:LONGEST_TEXT], MOST)]


def unit_result(directory: Directory, unit: Unit) -> Result:
    """A unit as a line of a list."""
    named = named_unit(unit)
    return Result(
        KINDS[unit.kind], named.title, named.lang, named.also, _country(directory, unit.participant), named.href
    )


def _result(directory: Directory, found: Found, own: str) -> Result:
    unit = directory.unit(found.ref)
    if unit is not None:
        return unit_result(directory, unit)
    first, others = pick_name(found.names, found.ref)
    if found.kind == "place":
        sides = CROSSINGS[found.ref].countries
        where = " – ".join(_country(directory, code) for code in sides)
        return Result(KINDS["place"], first.text, first.lang, others, where, _place_href(found.ref, sides, own))
    code, _, slug = found.ref.partition(":agency/")
    href = url_for("pages.agency", code=code, slug=slug)
    return Result(KINDS["agency"], first.text, first.lang, others, _country(directory, code), href)


def _place_href(ref: str, sides: Sequence[str], own: str) -> str:
    """A crossing fills the form: the other side is asked, where the own country is one of the two."""
    others = [code for code in sides if code != own]
    country = others[0] if own in sides and others else None
    return url_for("pages.find", country=country, location=ref, _anchor="answer" if country else "ask-title")


def _country(directory: Directory, code: str) -> str:
    participant = directory.participants.get(code)
    return code if participant is None else f"{participant.name}{'*' if code == 'XK' else ''}"
