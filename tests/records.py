"""Small valid records to start from: each function gives a new one, with the members that a test wants otherwise.

A member given as ``ABSENT`` is left out.
"""

from typing import Any, Final

ABSENT: Final = object()


def _with(record: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**record, **changes}.items() if value is not ABSENT}


def make_participant(**changes: Any) -> dict[str, Any]:
    record = {
        "country": "ME",
        "names": {"en": "Montenegro", "cnr": "Crna Gora"},
        "timezone": "Europe/Podgorica",
        "languages": ["cnr", "en"],
        "memberships": ["INTERPOL"],
        "channels": {"siena": {"connected": True, "max": "RESTRICTED"}, "sirene": {"connected": False}},
        "public_holidays": ["01-01", "05-21"],
    }
    return _with(record, changes)


def make_agency(**changes: Any) -> dict[str, Any]:
    return _with({"name": {"en": "Police"}, "kind": "police", "level": "central"}, changes)


def make_unit(**changes: Any) -> dict[str, Any]:
    record = {
        "name": {"en": "Single point of contact", "cnr": "Jedinstvena kontakt tačka"},
        "kind": "spoc",
        "level": "central",
        "area": ["ME"],
        "crime_areas": ["*"],
        "channels": ["siena", "i247"],
        "languages": ["cnr", "en"],
        "hours": "24/7",
        "endpoints": {"phone": "+99912345678", "email": "spoc@me.spoc.example"},
    }
    return _with(record, changes)


def make_member(**changes: Any) -> dict[str, Any]:
    return _with({"name": "Duty officer 1", "languages": ["cnr"], "phone": "+99912345679"}, changes)


def make_layer(**changes: Any) -> dict[str, Any]:
    layer = {
        "name": "day and night",
        "members": ["duty-1", "duty-2"],
        "start": "2026-01-05T08:00",
        "rotation": {"every": 12, "unit": "hours"},
    }
    return _with(layer, changes)


def make_rota(**changes: Any) -> dict[str, Any]:
    return _with({"unit": "spoc", "time_zone": "Europe/Podgorica", "layers": [make_layer()], "overrides": []}, changes)


def make_outage(**changes: Any) -> dict[str, Any]:
    record = {"channel": "siena", "from": "2026-11-21T20:00:00Z", "to": "2026-11-22T02:00:00Z", "reason": "upgrade"}
    return _with(record, changes)


def make_document(**changes: Any) -> dict[str, Any]:
    """A country whose unit, members and rota belong together."""
    document = {
        **make_participant(),
        "agencies": [{"id": "police", **make_agency()}],
        "units": [{"id": "spoc", **make_unit(agency="police", rota="spoc-rota", parent=None)}],
        "members": [{"id": f"duty-{number}", **make_member(unit="spoc")} for number in (1, 2)],
        "rotas": [{"id": "spoc-rota", **make_rota()}],
        "outages": [{"id": "siena-upgrade", **make_outage()}],
    }
    return _with(document, changes)
