"""Which nodes a demo federation has: their codes, addresses, directories and sample data."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from web.config import SETTINGS_FILE

FIRST = ("ME", "RS", "MK")
"""The countries of the smallest demo; the first one also runs the anchor."""
MOST_COUNTRIES = 17


@dataclass(frozen=True, slots=True)
class DemoNode:
    """One node of the demo; ``order`` is its place in it."""

    participant: str
    order: int
    url: str
    data: Path

    @property
    def port(self) -> int:
        """The port of its URL, at which it is served."""
        return urlsplit(self.url).port or 80

    @property
    def is_anchor(self) -> bool:
        """Whether this node vouches for the others."""
        return self.order == 0


def plan_nodes(directory: Path, countries: int, organisations: bool, base_port: int) -> list[DemoNode]:
    """The nodes of a demo below ``directory``, the anchor's first.

    A node that is already there keeps its address, which peers know it by; new ones get the next free places from
    ``base_port`` on.
    """
    codes = [*country_codes()[:countries], *(organisation_codes() if organisations else ())]
    known = {code: url for code in codes if (url := _known_url(directory / code)) is not None}
    taken = set(known.values())
    urls = (url for port in range(base_port, 65536) if (url := f"http://127.0.0.1:{port}") not in taken)
    return [DemoNode(code, order, known.get(code) or next(urls), directory / code) for order, code in enumerate(codes)]


def country_codes() -> list[str]:
    """Every country of the sample data, those of the smallest demo first."""
    rest = [code for code in _countries() if code not in FIRST]
    return [*FIRST, *rest]


def organisation_codes() -> list[str]:
    """Every organisation of the sample data."""
    return list(_organisations())


def sample_document(code: str) -> Mapping[str, Any]:
    """The sample directory document of a country or organisation; KeyError where there is none."""
    return {**_countries(), **_organisations()}[code]


def home_unit(document: Mapping[str, Any]) -> str:
    """The unit in which the demo's people work: the SPOC, else the first that is open 24/7."""
    units: Sequence[Mapping[str, Any]] = document["units"]
    spocs = [unit["id"] for unit in units if unit["kind"] == "spoc"]
    open_always = [unit["id"] for unit in units if unit["hours"] == "24/7"]
    return str([*spocs, *open_always, units[0]["id"]][0])


def _known_url(data: Path) -> str | None:
    path = data / SETTINGS_FILE
    return tomllib.loads(path.read_text(encoding="utf-8")).get("url") if path.is_file() else None


@cache
def _countries() -> dict[str, Mapping[str, Any]]:
    return {country["country"]: country for country in _sample("region.json")["countries"]}


@cache
def _organisations() -> dict[str, Mapping[str, Any]]:
    return {entry["organisation"]: entry for entry in _sample("organisations.json")["organisations"]}


def _sample(name: str) -> Any:  # noqa: ANN401  # a document; the check of its form comes with its import
    return json.loads((files("web") / "data" / name).read_text(encoding="utf-8"))
