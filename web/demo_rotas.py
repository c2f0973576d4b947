"""Rotas and duty positions of the demo federation: made by rule, the same for the same start.

The sample data name units and no people; a demonstration needs somebody on duty. Every unit that is open 24/7 gets
duty positions ("Duty officer 1"), a rota of several layers with restrictions and, for some, overrides soon after the
demo's start. Nothing is drawn at random: the unit's place in its country decides, so that two runs are comparable.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from directory.instants import format_instant

_FIRST_MONDAY = "2026-01-05"
_PHONE_PREFIX = "+9997"
_WORKDAYS = ["mon", "tue", "wed", "thu", "fri"]
_NIGHTS = ["mon", "tue", "wed", "thu"]
_REASONS = ("leave", "training", "swap", "duty", "other")


def with_duty(country: Mapping[str, Any], order: int, now: dt.datetime) -> dict[str, Any]:
    """The country's (or organisation's) document with members and rotas for each of its 24/7 units.

    ``order`` is the participant's place in the demo and keeps phone numbers apart; ``now`` is where the overrides
    begin. Units that already name a rota keep it.
    """
    document = dict(country)
    units = [dict(unit) for unit in country.get("units", ())]
    members = list(country.get("members", ()))
    rotas = list(country.get("rotas", ()))
    duty = [unit for unit in units if unit.get("hours") == "24/7" and "rota" not in unit]
    for index, unit in enumerate(duty):
        team = _team(unit, country["languages"], order, index)
        rota_id = f"{unit['id']}-duty"[:63].rstrip("-")
        unit["rota"] = rota_id
        members += team
        zone = unit.get("timezone", country["timezone"])
        rotas.append(_rota(rota_id, unit["id"], zone, [member["id"] for member in team], index, now))
    return document | {"units": units, "members": members, "rotas": rotas}


def _team(unit: Mapping[str, Any], languages: Sequence[str], order: int, index: int) -> list[dict[str, Any]]:
    size = 4 + index % 3
    spoken = list(unit.get("languages") or languages)
    return [
        {
            "id": f"{unit['id'][:54].rstrip('-')}-duty-{number}",
            "name": f"Duty officer {number}",
            "languages": spoken[: 1 + (number + index) % len(spoken)] if number > 1 else spoken,
            "phone": f"{_PHONE_PREFIX}{order:02d}{index:03d}{number}",
            "unit": unit["id"],
        }
        for number in range(1, size + 1)
    ]


def _rota(rota_id: str, unit: str, zone: str, members: Sequence[str], index: int, now: dt.datetime) -> dict[str, Any]:
    """Nights below, days above, and in some units one person's fixed office hours on top."""
    layers = [
        _layer("nights", [*members[1:], members[0]], "20:00", 1 + index % 2, "days"),
        _layer("days", members, "08:00", 1, "weeks" if index % 3 else "days")
        | {"restrictions": [{"weekdays": [*_WORKDAYS, "sat", "sun"], "start": "08:00", "end": "20:00"}]},
    ]
    if index % 4 == 0:
        layers.append(
            _layer("office", members[:2], "09:00", 2, "weeks")
            | {"restrictions": [{"weekdays": _WORKDAYS, "start": "09:00", "end": "15:00"}]}
        )
    if index % 5 == 1:
        layers.append(
            _layer("second half of the night", members[2:], "02:00", 12, "hours")
            | {"restrictions": [{"weekdays": _NIGHTS, "start": "02:00", "end": "06:00"}]}
        )
    return {
        "id": rota_id,
        "unit": unit,
        "name": "Duty rota",
        "time_zone": zone,
        "layers": layers,
        "overrides": _overrides(members, index, now),
    }


def _layer(name: str, members: Sequence[str], start: str, every: int, unit: str) -> dict[str, Any]:
    return {
        "name": name,
        "members": list(members),
        "start": f"{_FIRST_MONDAY}T{start}",
        "rotation": {"every": every, "unit": unit},
    }


def _overrides(members: Sequence[str], index: int, now: dt.datetime) -> list[dict[str, Any]]:
    """Every third unit has somebody away soon after ``now``; every sixth a second stand-in for the first."""
    if index % 3:
        return []
    hour = now.replace(minute=0, second=0, microsecond=0)
    start = hour + dt.timedelta(hours=6 + index)
    away = _override(start, dt.timedelta(days=2), members[1], members[0], _REASONS[index % len(_REASONS)])
    if index % 6:
        return [away]
    ill = _override(start + dt.timedelta(hours=12), dt.timedelta(hours=12), members[2], members[1], "other")
    return [away, ill]


def _override(start: dt.datetime, length: dt.timedelta, member: str, replaces: str, reason: str) -> dict[str, Any]:
    return {
        "start": format_instant(start),
        "end": format_instant(start + length),
        "member": member,
        "replaces": replaces,
        "reason": reason,
    }
