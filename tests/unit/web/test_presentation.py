"""Names and instants as people read them."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from web.presentation import Clocks, city, offset, pick_name, show_freshness

NOW = dt.datetime(2026, 11, 21, 23, 30, tzinfo=dt.UTC)
BELGRADE, ATHENS = ZoneInfo("Europe/Belgrade"), ZoneInfo("Europe/Athens")


def test_an_instant_on_both_clocks() -> None:
    clocks = Clocks(ATHENS, BELGRADE, NOW)
    moment = clocks.moment(dt.datetime(2026, 11, 22, 6, 0, tzinfo=dt.UTC))
    assert moment.utc == "2026-11-22T06:00:00Z"
    assert moment.theirs == "08:00 Athens", "it is Sunday there already"
    assert moment.mine == "07:00 Belgrade"
    later = clocks.moment(dt.datetime(2026, 11, 23, 6, 0, tzinfo=dt.UTC))
    assert (later.theirs, later.mine) == ("Mon 23 Nov 08:00 Athens", "Mon 23 Nov 07:00 Belgrade")


def test_one_clock_is_shown_once() -> None:
    clocks = Clocks(ZoneInfo("Europe/Podgorica"), BELGRADE, NOW)
    assert clocks.moment(NOW).mine == ""
    assert clocks.my_time() == "the same here, 23:30 UTC"


def test_the_time_there_and_here() -> None:
    clocks = Clocks(ATHENS, BELGRADE, NOW)
    assert clocks.their_time() == "Sun 01:30 Athens (UTC+2)"
    assert clocks.my_time() == "here Sun 00:30, 23:30 UTC"


@pytest.mark.parametrize(
    ("zone", "text"), [("America/St_Johns", "UTC−3:30"), ("UTC", "UTC+0"), ("Asia/Kolkata", "UTC+5:30")]
)
def test_offsets(zone: str, text: str) -> None:
    assert offset(NOW.astimezone(ZoneInfo(zone))) == text


def test_cities() -> None:
    assert city(ZoneInfo("America/Argentina/Buenos_Aires")) == "Buenos Aires"


def test_the_english_name_comes_first_and_others_beside_it() -> None:
    first, others = pick_name({"sr": "Прешево", "sr-Latn": "Preševo", "en": "Presevo", "sq": "Presevo"}, "x")
    assert (first.text, first.lang) == ("Presevo", "en")
    assert [name.text for name in others] == ["Прешево", "Preševo"]


def test_a_latin_name_comes_before_a_cyrillic_one() -> None:
    assert pick_name({"mk": "Ќафасан", "sr-Latn": "Ćafasan"}, "x")[0].text == "Ćafasan"
    assert pick_name({}, "slug") == (pick_name({"en": "slug"}, "")[0], [])


def test_freshness_in_words() -> None:
    assert show_freshness("fresh", 61, "verified").words == "Fresh, as of 1 minute ago"
    assert show_freshness("stale", 90_000, "unverified").words.endswith("not confirmed by its owner lately")
    assert show_freshness(None, None, "verified") == show_freshness("stale", None, "verified")
