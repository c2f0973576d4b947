"""Rotas as calendars: whole shifts, each with a UID that stays."""

import datetime as dt
import re

import pytest

from directory.rota import parse_rota
from directory.store import Record
from web.calendars import CalendarRota, calendar, coming_year

NOW = dt.datetime(2026, 11, 21, 20, tzinfo=dt.UTC)


def rota_of(**changes: object) -> CalendarRota:
    layer = {"members": ["m1", "m2"], "start": "2026-01-05T08:00", "rotation": {"every": 3, "unit": "days"}}
    data = {"unit": "desk", "time_zone": "Europe/Podgorica", "layers": [{**layer, **changes}]}
    record = Record("ME", "rota/desk", "rota", 1, NOW, data, "live", 1)
    return CalendarRota(record, parse_rota(data), {"m1": "Duty, 1"}, "Desk")


def events(content: bytes) -> list[dict[str, str]]:
    text = re.sub("\r\n ", "", content.decode())
    return [
        dict(line.split(":", 1) for line in event.partition("END:VEVENT")[0].strip().split("\r\n"))
        for event in text.split("BEGIN:VEVENT")[1:]
    ]


def test_events_say_who_and_where() -> None:
    found = events(coming_year([rota_of()], NOW))
    assert {event["SUMMARY"] for event in found} == {"Duty\\, 1\\, Desk", "m2\\, Desk"}
    assert all(event["UID"] == f"{event['DTSTART']}-ME-rota-desk@veza" for event in found)


def test_shifts_at_the_edges_are_whole() -> None:
    first, *_, last = events(coming_year([rota_of()], NOW))
    assert (first["DTSTART"], first["DTEND"]) == ("20261119T070000Z", "20261122T070000Z")
    assert (last["DTSTART"], last["DTEND"]) == ("20271120T070000Z", "20271123T070000Z")
    held = rota_of()
    assert all(event["DTSTART"] < event["DTEND"] for event in events(calendar(held.record, held.rota, held.names, NOW)))


@pytest.mark.parametrize("days", range(1, 5))
def test_what_is_in_two_calendars_has_one_uid(days: int) -> None:
    today, later = (events(coming_year([rota_of()], NOW + dt.timedelta(days=add))) for add in (0, days))
    shared = {event["DTSTART"] for event in today} & {event["DTSTART"] for event in later}
    assert shared
    assert [event for event in today if event["DTSTART"] in shared] == [
        event for event in later if event["DTSTART"] in shared
    ]


def test_a_shift_without_an_end_keeps_its_uid_for_the_year() -> None:
    alone = rota_of(members=["m1"], start="2020-01-01T08:00")
    uids = {
        event["UID"] for days in (0, 1, 30) for event in events(coming_year([alone], NOW + dt.timedelta(days=days)))
    }
    assert uids == {"20260101T000000Z-ME-rota-desk@veza"}


def test_a_gap_is_an_event_of_its_own() -> None:
    gap = {"restrictions": [{"weekdays": ["mon"], "start": "08:00", "end": "16:00"}]}
    assert "Nobody on duty\\, Desk" in {event["SUMMARY"] for event in events(coming_year([rota_of(**gap)], NOW))}


def test_without_rotas_there_are_no_events() -> None:
    assert events(coming_year([], NOW)) == []
