"""The directories that are measured: the real region as it is, and grown by made-up local units.

The added units are spread over all participants, in areas that no question asks about: the directory grows, the number
of candidates for each question stays. Everything is drawn from fixed seeds, so that two runs see the same.
"""

import datetime as dt
import functools
import gc
import random
from collections.abc import Iterator
from typing import Any

from directory.document import Document, parse_document
from directory.index import Directory
from directory.vocabulary import CRIME_AREAS, CROSSINGS
from web.demo_plan import country_codes, organisation_codes, sample_document
from web.demo_rotas import with_duty

NOW = dt.datetime(2026, 11, 21, 2, 10, tzinfo=dt.UTC)
REAL_UNITS = 491
Unit = dict[str, Any]

_CRIMES = sorted(CRIME_AREAS)
_STEMS = ("Bel", "Brez", "Crn", "Dobr", "Drag", "Gabr", "Jasen", "Kam", "Kosov", "Krag", "Lip", "Mlad", "Mokr", "Vuk")
_MIDDLES = ("in", "ov", "ic", "iš", "enov", "anj", "ik", "ac", "ul", "ar", "em", "od", "ož", "est")
_ENDINGS = ("ac", "ak", "evo", "grad", "ica", "ika", "in", "ište", "ovac", "ovo", "polje", "vac", "sko", "ar")
_SIDES = ("Gornji", "Donji", "Veliki", "Mali", "Novi", "Stari")
_ROLES = (
    ("Border Police Station", "Станица граничне полиције", "Stanica granične policije", "border_station", "local"),
    ("Traffic Police Post", "Испостава саобраћајне полиције", "Ispostava saobraćajne policije", "specialist", "local"),
    (
        "Criminal Police Section",
        "Одсек криминалистичке полиције",
        "Odsek kriminalističke policije",
        "specialist",
        "local",
    ),
    ("District Police Directorate", "Окружна полицијска управа", "Okružna policijska uprava", "regional", "regional"),
    ("Customs Office", "Царинарница", "Carinarnica", "specialist", "local"),
    ("Regional Border Centre", "Регионални центар границе", "Regionalni centar granice", "regional", "regional"),
)
_CYRILLIC = str.maketrans(
    dict(zip("abvgdđežzijklmnoprstćufhcčšABVGDĐEŽZIJKLMNOPRSTĆUFHCČŠ",
             "абвгдђежзијклмнопрстћуфхцчшАБВГДЂЕЖЗИЈКЛМНОПРСТЋУФХЦЧШ", strict=True))
)  # fmt: skip


@functools.cache
def region() -> tuple[Document, ...]:
    """Every participant of the sample data, with rotas and duty officers for each unit that is open day and night."""
    codes = [*country_codes(), *organisation_codes()]
    return tuple(parse_document(with_duty(sample_document(code), order, NOW), code) for order, code in enumerate(codes))


def made_up_units(count: int, start: int = 0) -> Iterator[tuple[str, str, Unit]]:
    """Participant, slug and data of so many local units, those from ``start`` on."""
    codes = country_codes()
    for number in range(start, start + count):
        code = codes[number % len(codes)]
        yield code, f"{code.lower()}-u{number}", make_unit(code, number)


def make_unit(code: str, number: int) -> Unit:
    """One made-up unit; the same for the same number."""
    rng = random.Random(number)
    place = rng.choice(_STEMS) + rng.choice(_MIDDLES) + rng.choice(_MIDDLES) + rng.choice(_ENDINGS)
    if rng.random() < 0.5:
        place = f"{rng.choice(_SIDES)} {place}"
    english, serbian, latin, kind, level = rng.choice(_ROLES)
    return {
        "name": {
            "en": f"{english} {place}",
            "sr": f"{serbian} {place.translate(_CYRILLIC)}",
            "sr-Latn": f"{latin} {place}",
        },
        "kind": kind,
        "level": level,
        "parent": None,
        "area": [f"{code}-{number % 60:02d}"],
        "crime_areas": [_CRIMES[(number + step) % len(_CRIMES)] for step in (0, 5, 11, 18)],
        "channels": ["bilateral"],
        "languages": ["sr", "en"],
        "hours": rng.choice(("24/7", "Mo-Fr 08:00-16:00; PH off", "Mo-Sa 06:00-22:00")),
        "endpoints": {"phone": f"+9996{number:08d}", "email": f"u{number}@{code.lower()}.spoc.example"},
    }


def documents(units: int) -> list[Document]:
    """The region grown to so many units (REAL_UNITS: as it is), as valid documents."""
    grown = {document.participant: Document(document.participant, dict(document.records)) for document in region()}
    for code, slug, data in made_up_units(units - REAL_UNITS):
        grown[code].records[f"unit/{slug}"] = data
    return list(grown.values())


@functools.cache
def directory_of(units: int) -> Directory:
    """The directory in memory of a region with so many units; made once."""
    directory = Directory.from_documents(documents(units))
    gc.collect()
    gc.freeze()  # a million units that stay must not be searched for garbage in every round
    return directory


def questions(count: int, seed: int = 1) -> list[dict[str, str]]:
    """Different lookups between the region's countries: other pairs, crimes, places and urgencies."""
    rng = random.Random(seed)
    codes = country_codes()
    found: dict[tuple[str, ...], dict[str, str]] = {}
    while len(found) < count:
        asker, country = rng.sample(codes, 2)
        fields = {"from": asker, "country": country, "crime_area": rng.choice(_CRIMES)}
        fields["urgency"] = rng.choice(("routine", "urgent"))
        between = [crossing.id for crossing in CROSSINGS.values() if {asker, country} <= set(crossing.countries)]
        if between and rng.random() < 0.7:
            fields["location"] = rng.choice(between)
        found[tuple(fields.values())] = fields
    return list(found.values())
