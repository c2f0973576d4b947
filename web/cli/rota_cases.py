"""``veza rota evaluate``: many questions about many rotas, answered in one run (interface.md, section 2)."""

import datetime as dt
from typing import Any

from directory.errors import Fault, InvalidInputError
from directory.instants import format_instant, parse_instant
from directory.rota import Rota, parse_rota
from directory.rota_schedule import Change, Shift, changes, on_duty, shifts

Window = tuple[dt.datetime, dt.datetime]


class _RefusedRotaError(Exception):
    """A rota of a case is one that input would refuse: an answer, not a failure of the run."""


def evaluate_cases(cases: object) -> list[dict[str, Any]]:
    """One answer per case; a rota that input would refuse is answered with ``{"refused": reason}``.

    Each case is ``{"rota", "at": [instants], "windows": [{"from","to"}], "compare": {"rota","from","to"}}``, the last
    three optional; other members are ignored. Raises InvalidInputError, with the place, where the questions
    themselves cannot be read.
    """
    if not isinstance(cases, list):
        raise InvalidInputError([Fault("", cases, "a list of cases was expected")])
    return [_evaluate(case, f"/{index}") for index, case in enumerate(cases)]


def shift_to_json(shift: Shift) -> dict[str, Any]:
    """``{"start","end","member"}``; no member is a gap."""
    return {"start": format_instant(shift.start), "end": format_instant(shift.end), "member": shift.member}


def change_to_json(change: Change) -> dict[str, Any]:
    """``{"start","end","before","after"}``."""
    return {
        "start": format_instant(change.start),
        "end": format_instant(change.end),
        "before": change.before,
        "after": change.after,
    }


def _evaluate(case: object, place: str) -> dict[str, Any]:
    members = _object(case, place)
    instants = [_instant(at, where) for at, where in _items(members, "at", place)]
    windows = [_window(_object(window, where), where) for window, where in _items(members, "windows", place)]
    span = _compared_span(members, f"{place}/compare")
    try:
        rota = _rota(members, place)
        changed = _changes(rota, _rota(members["compare"], f"{place}/compare"), span) if span else []
    except _RefusedRotaError as refusal:
        return {"refused": str(refusal)}
    return {
        "on_duty": [on_duty(rota, at) for at in instants],
        "shifts": [_shifts(rota, window) for window in windows],
        "changes": changed,
    }


def _compared_span(members: dict[str, Any], place: str) -> Window | None:
    if members.get("compare") is None:
        return None
    return _window(_object(members["compare"], place), place)


def _shifts(rota: Rota, window: Window) -> list[dict[str, Any]]:
    return [shift_to_json(shift) for shift in shifts(rota, *window)]


def _changes(before: Rota, after: Rota, span: Window) -> list[dict[str, Any]]:
    return [change_to_json(change) for change in changes(before, after, *span)]


def _rota(members: dict[str, Any], place: str) -> Rota:
    if "rota" not in members:
        raise InvalidInputError([Fault(f"{place}/rota", None, "a rota was expected")])
    try:
        return parse_rota(members["rota"])
    except InvalidInputError as error:
        raise _RefusedRotaError(error.detail) from error


def _object(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInputError([Fault(place, value, "an object was expected")])
    return value


def _items(members: dict[str, Any], name: str, place: str) -> list[tuple[object, str]]:
    value = members.get(name)
    if not isinstance(value, list | None):
        raise InvalidInputError([Fault(f"{place}/{name}", value, "a list was expected")])
    return [(item, f"{place}/{name}/{index}") for index, item in enumerate(value or [])]


def _instant(text: object, place: str) -> dt.datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise InvalidInputError([Fault(place, text, str(error))]) from error


def _window(members: dict[str, Any], place: str) -> Window:
    start, end = _instant(members.get("from"), f"{place}/from"), _instant(members.get("to"), f"{place}/to")
    check_window(start, end, f"{place}/to")
    return start, end


def check_window(start: dt.datetime, end: dt.datetime, place: str) -> None:
    """Refuse (InvalidInputError) a window whose end is before its start."""
    if end < start:
        expected = f"an instant not before the window's start, {format_instant(start)}, was expected"
        raise InvalidInputError([Fault(place, format_instant(end), expected)])
