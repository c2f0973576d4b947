"""The rules for single values and lists: what passes, in which normal form, and what is refused with which words."""

import datetime as dt
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory import value_rules
from directory.errors import InvalidInputError
from directory.vocabulary import CHANNELS, CROSSINGS, LANGUAGES
from tests.named_faults import faults_of, refused_places

NOT_TEXT = [None, 7, True, 1.5, [], ["a"], {}, {"a": 1}]
TEXT_RULES = [
    value_rules.text,
    value_rules.name,
    value_rules.note,
    value_rules.slug,
    value_rules.open_code,
    value_rules.area,
    value_rules.hours,
    value_rules.zone,
    value_rules.holiday_calendar,
    value_rules.month_day,
    value_rules.instant,
    value_rules.instant_or_date,
    value_rules.phone,
    value_rules.email,
    value_rules.address,
    value_rules.code_in(CHANNELS, "a channel"),
]
ACCEPTED = [
    (value_rules.text, ["x", " x ", "a\nb", "<b>", "x" * 4000]),
    (value_rules.name, ["x", "x" * 300]),
    (value_rules.note, ["", "x"]),
    (value_rules.slug, ["a", "me-spoc", "0", "a" * 63]),
    (value_rules.open_code, ["EU", "BUDAPEST-24/7", "a_b", "x" * 40]),
    (value_rules.area, ["ME", "XK", "RS-00", "xp-horgos-roszke", "x-XK-peje"]),
    (value_rules.hours, ["24/7", "Mo-Fr 08:00-16:00; PH off", "Fr-Mo 22:00-06:00", "Mo,We 08:00-12:00,13:00-17:00"]),
    (value_rules.zone, ["Europe/Podgorica", "UTC", "America/Argentina/Buenos_Aires"]),
    (value_rules.holiday_calendar, ["ME", "DE"]),
    (value_rules.month_day, ["01-01", "12-31", "02-29"]),
    (value_rules.instant, ["2026-11-21T20:00:00Z", "2026-11-21T20:00:00+01:00", "2026-11-21T20:00Z"]),
    (value_rules.instant_or_date, ["2026-11-21", "2028-02-29", "2026-11-21T20:00:00Z"]),
    (value_rules.phone, ["+99912345678", "+3812", "+381123456789012"]),
    (value_rules.email, ["a@b.example", "first.last+x_y@rs.spoc.example", "o'brien@a.example", "č@x.example"]),
    (value_rules.address, ["ME-SPOC", "SIENA: ME SPOC", "https://a.example/x?y", "sip:desk@a.example", "a: b"]),
]
REFUSED = [
    (value_rules.text, ["", " ", "\u00a0", "x" * 4001]),
    (value_rules.name, ["", "x" * 301]),
    (value_rules.note, [" ", "x" * 4001]),
    (value_rules.slug, ["", "-a", "A", "a b", "a/b", "a_b", "a" * 64, "č", "a\n"]),
    (value_rules.open_code, ["", "a", "x" * 41, "a b", "č-č", "a.b", "ab\n"]),
    (value_rules.area, ["", "me", "ZZ", "xp-nowhere", "RS-", "ZZ-00", "x-RS-x", "Podgorica", "*"]),
    (
        value_rules.hours,
        ["", "always", "Mo-Fr", "Mo 8:00-16:00", "Xx 08:00-16:00", "PH off", "Mo 08:00-24:30"],
    ),
    (value_rules.zone, ["", "Mars/X", "../etc/passwd", "/etc/localtime", "CET+1", "europe/podgorica", "Europe/"]),
    (value_rules.holiday_calendar, ["", "ZZ", "Montenegro", "me"]),
    (value_rules.month_day, ["", "1-1", "13-01", "02-30", "00-10", "2026-01-01", "01-01\n", "٠١-٠١"]),
    (
        value_rules.instant,
        ["", "2026-11-21", "2026-11-21T20:00:00", "2026-02-30T00:00:00Z", "20:00", "10000-01-01T00:00Z"],
    ),
    (value_rules.instant_or_date, ["", "2026-02-30", "21.11.2026", "2026-11-21T20:00:00", "2026-11-21\n"]),
    (
        value_rules.phone,
        [
            "",
            "112",
            "00381112345678",
            "+0123456",
            "+381 (0)11 123",
            "+3811234567890123",
            "+38111123456;ext=9",
            "+381ABC",
            "+٣٨١١١٢٣٤",
            "+" + "1" * 200,
            "+381\u201111",
            "+381/11",
        ],
    ),
    (
        value_rules.email,
        [
            "",
            "a",
            "a@",
            "@b.example",
            "a@b",
            "a b@c.example",
            "a@b@c.example",
            "a..b@c.example",
            ".a@c.example",
            "a@b.c%0d%0aBcc:x",
            "a@b.example\r\nBcc: x@y.example",
            "a@b.example\n",
            "x" * 65 + "@b.example",
            "a@" + "b" * 250 + ".example",
            "a@localhost",
            "a@[127.0.0.1]",
            "<a@b.example>",
        ],
    ),
    (
        value_rules.address,
        [
            "",
            "javascript:alert(1)",
            " JavaScript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "http://a.example",
            "http://169.254.169.254/",
            "https://169.254.169.254/",
            "https://[::1]/",
            "https://localhost/",
            "https://ok@evil.example/",
            "https:///x",
            "ftp://a.example",
            "gopher://x",
        ],
    ),
]


def _pairs(table: list[tuple[value_rules.Rule, list[str]]]) -> list[tuple[value_rules.Rule, str]]:
    return [(rule, text) for rule, texts in table for text in texts]


@pytest.mark.parametrize(("rule", "text"), _pairs(ACCEPTED))
def test_good_values_pass_unchanged(rule: value_rules.Rule, text: str) -> None:
    assert rule(text) == text


@pytest.mark.parametrize(("rule", "text"), _pairs(REFUSED))
def test_bad_values_are_refused_with_what_was_expected(rule: value_rules.Rule, text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        rule(text)
    [fault] = caught.value.faults
    assert (fault.place, fault.found) == ("", text)
    assert fault.expected.startswith("expected ")


@pytest.mark.parametrize("rule", TEXT_RULES)
@pytest.mark.parametrize("value", NOT_TEXT)
def test_other_json_types_are_refused(rule: value_rules.Rule, value: object) -> None:
    assert refused_places(lambda: rule(value)) == [""]


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("+381 11 123 4567", "+381111234567"),
        ("+382-20-123-456", "+38220123456"),
        ("+389 (2) 123.456", "+3892123456"),
    ],
)
def test_phone_numbers_get_their_normal_form(written: str, normal: str) -> None:
    assert value_rules.phone(written) == normal
    assert value_rules.phone(normal) == normal


@given(st.text(alphabet="+0123456789 -.()", max_size=20))
def test_a_phone_number_is_e164_or_refused(text: str) -> None:
    try:
        normal = value_rules.phone(text)
    except InvalidInputError:
        return
    digits = [character for character in text if character.isdigit()]
    assert normal == "+" + "".join(digits)
    assert 4 <= len(digits) <= 15


@given(st.emails())
def test_the_short_way_and_the_library_agree_about_addresses(address: str) -> None:
    def refused(rule: Callable[[str], object]) -> bool:
        try:
            rule(address)
        except InvalidInputError:
            return True
        return False

    # A quoted copy of the local part cannot take the short way; the library decides it alone.
    local, _, domain = address.rpartition("@")
    if local.replace(".", "").isalnum() and local.isascii():
        assert refused(value_rules.email) == (value_rules._email_fault(f"{local}@{domain}") is not None)


@pytest.mark.parametrize("value", [True, False])
def test_booleans_pass(value: bool) -> None:
    assert value_rules.boolean(value) is value


@pytest.mark.parametrize("value", [0, 1, "true", None, []])
def test_what_is_no_boolean_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError, match="expected true or false"):
        value_rules.boolean(value)


def test_a_short_list_of_codes_is_spelled_out_and_a_long_one_sampled() -> None:
    with pytest.raises(InvalidInputError, match="expected a channel: one of bilateral, ejn, fiu, i247"):
        value_rules.code_in(CHANNELS, "a channel")("telex")
    with pytest.raises(InvalidInputError, match="expected a language: one of 184, such as aa, ab, ae"):
        value_rules.code_in(LANGUAGES, "a language")("xx")


channels = value_rules.codes_in(CHANNELS, "a channel")
areas = value_rules.list_of(value_rules.area, frozenset(CROSSINGS))


@pytest.mark.parametrize("value", [[], ["siena"], ["siena", "siena", "i247"]])
def test_lists_of_codes_pass(value: list[str]) -> None:
    assert channels(value) == value


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ("siena", [""]),
        ({"siena": True}, [""]),
        (None, [""]),
        (["telex"], ["/0"]),
        (["siena", "telex", "i247", "", None], ["/1", "/3", "/4"]),
        ([["siena"]], ["/0"]),
        ([{}], ["/0"]),
        ([1], ["/0"]),
    ],
)
def test_every_bad_item_of_a_list_is_named(value: object, places: list[str]) -> None:
    assert refused_places(lambda: channels(value)) == places


def test_a_list_of_known_codes_may_hold_others_that_satisfy_the_rule() -> None:
    assert areas(["xp-horgos-roszke", "RS", "RS-00"]) == ["xp-horgos-roszke", "RS", "RS-00"]
    with pytest.raises(InvalidInputError, match=r"/1: expected a crossing of the list, .*: there is no xp-nowhere"):
        areas(["RS", "xp-nowhere"])


def test_a_date_begins_at_midnight_utc() -> None:
    assert value_rules.read_instant_or_date("2026-11-21") == dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    assert value_rules.read_instant_or_date("2026-11-21T01:00:00+01:00") == dt.datetime(2026, 11, 21, tzinfo=dt.UTC)


@pytest.mark.parametrize("text", ["2026-13-01", "now", "2026-11-21T01:00:00"])
def test_what_is_neither_date_nor_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        value_rules.read_instant_or_date(text)


@pytest.mark.parametrize("text", ["yesterday", "2026-11-21T20:00:00", "2026-11-21T20:00:60Z", "2026-13-01T20:00Z"])
def test_a_refused_date_is_told_that_it_may_be_a_date_or_an_instant(text: str) -> None:
    [fault] = faults_of(lambda: value_rules.instant_or_date(text))
    assert fault.expected.startswith("expected an instant ")
    assert fault.expected.endswith(", or a date such as 2026-11-21")
