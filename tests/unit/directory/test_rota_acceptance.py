"""The published rota cases, each resolved through the public functions."""

import json
from collections import Counter
from pathlib import Path

import pytest

from directory.errors import InvalidInputError
from directory.instants import format_instant, parse_instant
from directory.rota import parse_rota
from directory.rota_schedule import changes, on_duty, shifts

CASES = json.loads((Path(__file__).parents[2] / "acceptance" / "rota_cases.json").read_text("utf-8"))["cases"]
REFUSED = {"D08"}


def of_kind(kind):
    return [
        pytest.param(case["rota"], entry, id=f"{case['id']}-{number}")
        for case in CASES
        if case["id"] not in REFUSED
        for number, entry in enumerate(case.get(kind, []))
    ]


@pytest.mark.parametrize(("rota", "query"), of_kind("queries"))
def test_who_is_on_duty(rota, query):
    assert on_duty(parse_rota(rota), parse_instant(query["at"])) == query["member"]
    assert on_duty(parse_rota(rota), parse_instant(query["at_utc"])) == query["member"]


@pytest.mark.parametrize(("rota", "window"), of_kind("windows"))
def test_resolved_schedule_of_a_window(rota, window):
    resolved = shifts(parse_rota(rota), parse_instant(window["from"]), parse_instant(window["to"]))
    found = [(format_instant(shift.start), format_instant(shift.end), shift.member) for shift in resolved]
    if "shifts" in window:
        assert found == [(shift["start"], shift["end"], shift["member"]) for shift in window["shifts"]]
    minutes = Counter()
    for shift in resolved:
        minutes[shift.member or "null"] += (shift.end - shift.start).total_seconds() / 60
    assert window.get("minutes", minutes) == minutes


@pytest.mark.parametrize(("rota", "diff"), of_kind("diffs"))
def test_what_a_change_changes(rota, diff):
    window = parse_instant(diff["from"]), parse_instant(diff["to"])
    found = changes(parse_rota(rota), parse_rota(diff["after"]), *window)
    assert [
        {
            "start": format_instant(change.start),
            "end": format_instant(change.end),
            "before": change.before,
            "after": change.after,
        }
        for change in found
    ] == diff["changes"]


@pytest.mark.parametrize("case", [case for case in CASES if case["id"] in REFUSED], ids=lambda case: case["id"])
def test_double_replacement_is_refused_with_both_intervals(case):
    with pytest.raises(InvalidInputError) as refusal:
        parse_rota(case["rota"])
    (fault,) = refusal.value.faults
    assert fault.place == "/overrides/1"
    for override in case["rota"]["overrides"]:
        for edge in ("start", "end"):
            assert format_instant(parse_instant(override[edge])) in refusal.value.detail


def test_a_preview_reads_a_double_replacement_and_resolves_it_in_list_order():
    case = next(case for case in CASES if case["id"] == "D08")
    rota = parse_rota(case["rota"], refuse_double_replacements=False)
    for query in case["queries"]:
        assert on_duty(rota, parse_instant(query["at"])) == query["member"]
