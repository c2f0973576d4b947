"""``veza export`` for telephones, calendars and paper."""

import datetime as dt
import re

import pytest
import time_machine

from directory.document import parse_document
from web.cli.importing import import_records
from web.cli.init import create_node
from web.cli.nodes import opened_node
from web.demo_plan import sample_document
from web.demo_rotas import with_duty

NOW = dt.datetime(2026, 11, 21, 20, tzinfo=dt.UTC)


@pytest.fixture
def with_rotas(data):
    with opened_node(data) as (_, node):
        import_records(node, parse_document(with_duty(sample_document("ME"), 0, NOW), "ME"))


def written(veza, form, *arguments):
    status, out, err = veza("export", *arguments, "--format", form)
    assert (status, err) == (0, "")
    return out


def unfolded(text):
    return re.sub(r"\r\n[ \t]", "", text).split("\r\n")


def test_a_card_for_each_unit(veza):
    lines = unfolded(written(veza, "vcf", "ME"))
    assert lines.count("BEGIN:VCARD") == lines.count("END:VCARD") == len(sample_document("ME")["units"])
    assert lines.count("VERSION:4.0") == lines.count("BEGIN:VCARD")
    assert "TEL;VALUE=uri;TYPE=work:tel:+9994990001" in lines
    assert len({line for line in lines if line.startswith("UID:")}) == lines.count("BEGIN:VCARD")


def test_the_calendar_holds_every_rota_for_twelve_months(veza, with_rotas):
    lines = unfolded(written(veza, "ics"))
    uids = [line for line in lines if line.startswith("UID:")]
    assert len(uids) == len(set(uids)) == lines.count("BEGIN:VEVENT")
    assert (lines.count("BEGIN:VCALENDAR"), lines[-2:]) == (1, ["END:VCALENDAR", ""])
    rotas = {uid.partition("-")[2] for uid in uids}
    assert len(rotas) == sum(unit["hours"] == "24/7" for unit in sample_document("ME")["units"])
    last = max(line for line in lines if line.startswith("DTSTART:"))
    assert last > f"DTSTART:{dt.datetime.now(dt.UTC) + dt.timedelta(days=360):%Y%m%d}"
    assert any(line.startswith("SUMMARY:Duty officer 1\\, ") for line in lines)


def test_shifts_keep_their_uids_from_day_to_day(veza, with_rotas):
    def uids(now):
        with time_machine.travel(now, tick=False):
            return {line for line in unfolded(written(veza, "ics")) if line.startswith("UID:")}

    today, tomorrow = uids(NOW), uids(NOW + dt.timedelta(days=1))
    ended = {uid for uid in today if uid < "UID:20261122"}
    assert today - tomorrow <= ended
    assert min(tomorrow - today)[4:12] >= "20271121"


def test_the_cards_are_one_page_for_a_printer(veza, with_rotas):
    page = written(veza, "cards", "ME")
    assert page.startswith("<!doctype html>")
    assert page.count("<article") == len(sample_document("ME")["units"])
    assert "+999 499 0001" in page
    assert "Duty officer 1" in page
    assert not re.search(r"(src|href)=|url\(|<script", page)


@pytest.mark.parametrize(
    ("form", "word"), [("vcf", "no units"), ("ics", "no rotas"), ("cards", "no units"), ("json", None), ("csv", None)]
)
def test_what_there_is_nothing_of_is_said(run, tmp_path, write, form, word):
    data = tmp_path / "new"
    create_node(data, {"participant": "ME", "url": "http://127.0.0.1:9100", "insecure_urls": True})
    assert run("--data", data, "export", "--format", form)[2].startswith("veza: not_found: no records of ME")
    own = {key: value for key, value in sample_document("ME").items() if key not in {"units", "agencies"}}
    assert run("--data", data, "import", write(own))[0] == 0
    status, out, err = run("--data", data, "export", "--format", form)
    assert status == (0 if word is None else 1)
    if word is not None:
        assert out == ""
        assert err.startswith("veza: not_found: ")
        assert word in err
