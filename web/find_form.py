"""The question on the Find page: its choices, what was chosen, what was wrong with it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from directory.errors import InvalidInputError
from directory.places import crossing_title
from directory.vocabulary import CLASSIFICATIONS, CRIME_AREAS, CROSSINGS
from web.held import Held
from web.labels import LANGUAGES, SUBJECTS, crime_area
from web.presentation import country_name, status_note

FIELDS = ("country", "crime_area", "location", "urgency", "access", "subject", "classification", "language")
DEFAULTS: Mapping[str, str] = {
    "crime_area": "other",
    "urgency": "routine",
    "access": "direct",
    "subject": "police_information",
    "classification": "UNCLASSIFIED",
    "language": "",
}
_REFINING = ("access", "subject", "classification", "language")


@dataclass(frozen=True, slots=True)
class Option:
    """A choice."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class FindForm:
    """The form as it stands: ``values`` by field."""

    values: Mapping[str, str]
    countries: list[Option]
    crime_areas: list[Option]
    subjects: list[Option]
    accesses: list[Option]
    classifications: list[Option]
    languages: list[Option]
    note: str | None
    """What the star at a name means."""

    @property
    def refined(self) -> bool:
        """Whether anything under "more" was chosen."""
        return any(self.values[name] != DEFAULTS[name] for name in _REFINING)

    @property
    def asked(self) -> bool:
        """Whether this is a question already."""
        return bool(self.values.get("country"))

    def fields(self) -> dict[str, object]:
        """The question's fields; empty ones are left to their defaults."""
        return {name: value for name, value in self.values.items() if value}


def read_form(given: Mapping[str, str], here: Held) -> FindForm:
    """The form with what was given; everything else at its default."""
    values = {name: given.get(name, "").strip() or DEFAULTS.get(name, "") for name in FIELDS}
    values["location"] = _place_name(values["location"])
    countries = _countries(here)
    return FindForm(
        values=values,
        countries=countries,
        crime_areas=_options(CRIME_AREAS, crime_area),
        subjects=[Option(code, label) for code, label in SUBJECTS.items()],
        accesses=[Option("direct", "Direct"), Option("indirect", "Indirect: they must ask others first")],
        classifications=[Option(level, level.capitalize()) for level in CLASSIFICATIONS],
        languages=[Option("", "Mine"), *(Option(code, name) for code, name in sorted(LANGUAGES.items(), key=_label))],
        note=status_note(here, *(option.value for option in countries)),
    )


def faults_by_field(error: InvalidInputError) -> dict[str, str]:
    """What was wrong, by field; whatever belongs to no field of the form is ``other``."""
    faults: dict[str, str] = {}
    for fault in error.faults:
        name = fault.place.strip("/").partition("/")[0]
        key = name if name in FIELDS else "other"
        faults[key] = f"{fault.expected[:1].upper()}{fault.expected[1:]}"
    return faults


def _place_name(location: str) -> str:
    """A crossing by its names, which lead to it like its id does."""
    crossing = CROSSINGS.get(location)
    return location if crossing is None else crossing_title(crossing)


def _countries(here: Held) -> list[Option]:
    """Every other participant by its English name, organisations last."""
    participants = here.directory.participants
    codes = [code for code in participants if code != here.config.participant]
    ordered = sorted(codes, key=lambda code: (participants[code].is_organisation, participants[code].name))
    return [Option(code, country_name(here, code)) for code in ordered]


def _options(codes: Iterable[str], label: Callable[[str], str]) -> list[Option]:

    return sorted((Option(code, label(code)) for code in codes), key=lambda option: option.label)


def _label(item: tuple[str, str]) -> str:
    return item[1]
