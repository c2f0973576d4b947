"""Cards on paper: everything that helps to reach a unit, nothing that a name could smuggle in."""

import datetime as dt
import re
from html import unescape

import pytest

from directory.document import parse_document
from directory.errors import NotFoundError
from directory.freshness import LogFacts
from directory.index import Directory
from directory.policy import load_policy
from web.demo_plan import sample_document
from web.duty_cards import cards_page

NOW = dt.datetime(2026, 11, 21, 20, tzinfo=dt.UTC)
FRESH = LogFacts(issued_at=NOW - dt.timedelta(hours=1), expires_at=NOW + dt.timedelta(hours=47))
ROTA = {
    "id": "spoc-duty",
    "unit": "me-spoc",
    "time_zone": "Europe/Podgorica",
    "layers": [
        {
            "members": ["duty-1", "duty-2"],
            "start": "2026-11-02T08:00",
            "rotation": {"every": 1, "unit": "weeks"},
            "restrictions": [{"weekdays": ["mon", "tue"], "start": "08:00", "end": "08:00"}],
        }
    ],
    "overrides": [{"start": "2026-11-27T07:00:00Z", "end": "2026-12-27T07:00:00Z", "member": "duty-1"}],
}
MEMBERS = [{"id": "duty-1", "name": "Duty officer 1", "phone": "+99970001"}, {"id": "duty-2", "name": "Duty officer 2"}]


def page(code: str = "ME", facts: LogFacts | None = FRESH, now: dt.datetime = NOW, **unit: object) -> str:
    document = dict(sample_document(code))
    first, *others = document["units"]
    document["units"] = [{**first, **unit}, *others]
    if code == "ME":
        document |= {"members": MEMBERS, "rotas": [ROTA]}
    directory = Directory.from_documents([parse_document(document)])
    return cards_page(directory, load_policy(), facts, code, now)


def card(text: str, ref: str = "ME:unit/me-spoc") -> list[str]:
    """The words of a unit's card, line by line."""
    (found,) = [article for article in text.split("<article")[1:] if f"{ref} " in article]
    words = re.sub(r"<[^>]*>", "\n", found.partition("</article>")[0])
    return [line.strip() for line in unescape(words).splitlines() if line.strip()][1:]


def test_a_card_says_how_to_reach_the_unit() -> None:
    words = card(page(verified_at="2026-11-01", endpoints={"phone": "+9994990001", "address": {"siena": "ME-SPOC"}}))
    for word in (
        "+999 499 0001",
        "24/7 (Podgorica, UTC+1)",
        "Montenegrin, Serbian, English, Italian",
        "Bilateral, INTERPOL I-24/7, Liaison officer, SELEC, SIENA",
        "SIENA",
        "ME-SPOC",
        "Police Directorate",
        "ME:unit/me-spoc · confirmed 01 Nov 2026, good until 30 Jan 2027",
    ):
        assert word in words


def test_duty_is_shown_for_a_week_on_the_units_clock() -> None:
    words = card(page())
    assert words[words.index("On duty") + 1 :] == [
        *("Sat 21 Nov", "21:00 – Mon 08:00", "nobody: call the desk"),
        *("Mon 23 Nov", "08:00 – Wed 08:00", "Duty officer 2"),
        *("Wed 25 Nov", "08:00 – Fri 08:00", "nobody: call the desk"),
        *("Fri 27 Nov", "08:00 – Sat 21:00", "Duty officer 1", "+999 700 01"),
    ]
    assert card(page(now=NOW + dt.timedelta(days=10)))[-4:] == [
        *("Tue 1 Dec", "21:00 – Tue 8 Dec 21:00", "Duty officer 1", "+999 700 01"),
    ]


def test_a_member_that_is_not_there_is_shown_by_its_id() -> None:
    document = parse_document({**sample_document("ME"), "members": MEMBERS, "rotas": [ROTA]})
    del document.records["member/duty-1"]
    directory = Directory.from_documents([document])
    assert "duty-1" in card(cards_page(directory, load_policy(), FRESH, "ME", NOW))


def test_units_without_a_rota_say_so() -> None:
    assert "No rota: the desk answers." in card(page(), "ME:unit/me-ncb")


def test_kinds_come_in_the_order_of_need() -> None:
    titles = re.findall(r"<h2>(.*) \(\d+\)</h2>", page())
    assert titles[:3] == ["SPOC", "Operations centre", "INTERPOL bureau"]
    assert titles[-1] == "Border station"
    assert len(set(titles)) == len(titles)


def test_the_page_says_when_it_was_made_and_how_old_its_data_is() -> None:
    text = page()
    assert "Sat 21 Nov 2026 21:00 Podgorica (20:00 UTC)" in text
    assert "until Sat 28 Nov" in text
    assert "Fresh, as of 1 hour ago" in text
    assert "21 Nov 2026 19:00 UTC" in text


def test_stale_data_is_called_stale() -> None:
    assert "Stale" in page(facts=LogFacts(issued_at=NOW - dt.timedelta(days=3), expires_at=NOW))
    assert "never" in page(facts=None)


def test_a_unit_that_nobody_confirmed_is_marked() -> None:
    assert "ME:unit/me-spoc · never confirmed by its owner" in card(page())
    assert "ME:unit/me-spoc · confirmed 01 Jan 2026: NOT CONFIRMED SINCE" in card(page(verified_at="2026-01-01"))


def test_a_unit_without_a_telephone_or_channels_says_so() -> None:
    words = card(page(endpoints={}, channels=[], agency=None))
    assert "no telephone given" in words
    assert "not given" in words


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "{{7*7}}", "&amp;", "</style>"]
)
def test_names_are_text_and_nothing_else(evil: str) -> None:
    text = page(name={"en": evil, "sr-Latn": f"{evil}2"}, endpoints={"address": {"siena": evil}})
    assert evil in card(text)[0] or evil in card(text)
    assert "<script" not in text
    assert "<img" not in text
    assert text.count("</style>") == 1
    assert ">49<" not in text


def test_the_status_note_follows_its_star() -> None:
    text = page("XK")
    assert re.search(r"<h1>Contact points of [^*]+\* ", text)
    assert "1244/1999" in text
    assert "1244/1999" not in page("ME")


def test_nothing_is_loaded_from_anywhere() -> None:
    assert not re.search(r"(src|href)=|url\(|@import|<script|<link", page())


def test_who_has_no_units_has_no_cards() -> None:
    directory = Directory.from_documents([parse_document(dict(sample_document("ME")))])
    with pytest.raises(NotFoundError, match="RS"):
        cards_page(directory, load_policy(), FRESH, "RS", NOW)
