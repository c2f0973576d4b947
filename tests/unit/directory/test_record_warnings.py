"""What is kept but warned about."""

from typing import Any

import phonenumbers
import pytest

from directory.record_schemas import validate_record, warnings_for
from tests.records import make_agency, make_member, make_outage, make_participant, make_rota, make_unit

PLAUSIBLE = phonenumbers.format_number(phonenumbers.example_number("ME"), phonenumbers.PhoneNumberFormat.E164)
"""The library's own example."""


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("participant", make_participant()),
        ("agency", make_agency()),
        ("unit", make_unit(networks=["EGMONT", "BUDAPEST-24/7"], posted_to="RS")),
        ("unit", make_unit(posted_to="ME-SPOC")),
        ("unit", make_unit(posted_to=None, endpoints={})),
        ("unit", make_unit(name={"sr": "НЦБ SIENA", "el": "Τμήμα EC3"}, posted_to="EULEX")),
        ("member", make_member(phone=None)),
        ("member", make_member(phone=PLAUSIBLE)),
        ("rota", make_rota()),
        ("outage", make_outage()),
    ],
)
def test_ordinary_records_are_not_warned_about(type_: str, data: dict[str, Any]) -> None:
    assert warnings_for(type_, data) == []


@pytest.mark.parametrize(
    ("type_", "data", "warnings"),
    [
        (
            "participant",
            make_participant(memberships=["INTERPOL", "NEW-CLUB"]),
            ["memberships: 'NEW-CLUB' is not a known code; it is kept"],
        ),
        ("agency", make_agency(kind="space_police"), ["kind: 'space_police' is not a known code; it is kept"]),
        ("unit", make_unit(networks=["NEW"]), ["networks: 'NEW' is not a known code; it is kept"]),
        ("unit", make_unit(posted_to="MOON"), ["posted_to: 'MOON' is not a known code; it is kept"]),
        ("unit", make_unit(name={"en": "Pоlice"}), ["name: 'Pоlice' mixes letters of several scripts"]),
        (
            "participant",
            make_participant(names={"en": "Μontenegro"}),
            ["names: 'Μontenegro' mixes letters of several scripts"],
        ),
        ("member", make_member(name="Dutу officer"), ["name: 'Dutу' mixes letters of several scripts"]),
        (
            "member",
            make_member(phone="+3821"),
            ["phone: +3821 is not a number that the numbering plans know; it is kept"],
        ),
        (
            "unit",
            make_unit(endpoints={"phone": "+2101234567"}),
            ["endpoints/phone: +2101234567 is not a number that the numbering plans know; it is kept"],
        ),
    ],
)
def test_what_is_odd_is_kept_and_warned_about(type_: str, data: dict[str, Any], warnings: list[str]) -> None:
    slug = "self" if type_ == "participant" else "a-1"
    assert validate_record(type_, slug, data, "ME") == data
    assert warnings_for(type_, data) == warnings
