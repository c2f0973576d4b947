"""``veza rota evaluate``: many questions in one run, and refusals that do not stop it."""

import json
from pathlib import Path

import pytest

from directory.errors import InvalidInputError
from web.cli.rota_cases import evaluate_cases

CASES = json.loads((Path(__file__).parents[3] / "acceptance" / "rota_cases.json").read_text(encoding="utf-8"))["cases"]
ROTA = {
    "time_zone": "Europe/Podgorica",
    "layers": [
        {"members": ["m1", "m2"], "start": "2026-01-05T08:00", "rotation": {"every": 1, "unit": "days"}},
    ],
    "overrides": [],
}
WINDOW = {"from": "2026-01-05T07:00:00Z", "to": "2026-01-06T07:00:00Z"}


def as_question(case: dict) -> dict:
    question = {"rota": case["rota"], "at": [query["at_utc"] for query in case.get("queries", [])]}
    question["windows"] = [{"from": window["from"], "to": window["to"]} for window in case.get("windows", [])]
    if "diffs" in case:
        (diff,) = case["diffs"]
        question["compare"] = {"rota": diff["after"], "from": diff["from"], "to": diff["to"]}
    return question


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_acceptance_case(case):
    (answer,) = evaluate_cases([as_question(case)])
    if case["id"] == "D08":
        assert "2026-01-06T07:00:00Z" in answer["refused"]
        return
    assert answer["on_duty"] == [query["member"] for query in case.get("queries", [])]
    for found, window in zip(answer["shifts"], case.get("windows", []), strict=True):
        plain = [{key: shift[key] for key in ("start", "end", "member")} for shift in window["shifts"]]
        assert found == plain
    assert answer["changes"] == (case["diffs"][0]["changes"] if "diffs" in case else [])


def test_a_refused_rota_does_not_stop_the_others():
    bad = ROTA | {"time_zone": "Europe/Nowhere"}
    answers = evaluate_cases([{"rota": bad}, {"rota": ROTA, "at": ["2026-01-05T08:00:00+01:00"]}])
    assert "/time_zone" in answers[0]["refused"]
    assert answers[1] == {"on_duty": ["m1"], "shifts": [], "changes": []}


def test_a_refused_rota_to_compare_with_is_a_refusal_too():
    bad = ROTA | {"layers": 3}
    (answer,) = evaluate_cases([{"rota": ROTA, "compare": {"rota": bad, **WINDOW}}])
    assert list(answer) == ["refused"]


def test_an_empty_window_has_no_shifts():
    (answer,) = evaluate_cases([{"rota": ROTA, "windows": [{"from": WINDOW["from"], "to": WINDOW["from"]}]}])
    assert answer["shifts"] == [[]]


def test_nothing_asked_is_nothing_answered():
    assert evaluate_cases([]) == []


@pytest.mark.parametrize(
    ("cases", "place"),
    [
        ({"rota": ROTA}, "/"),
        (["rota"], "/0"),
        ([{"at": []}], "/0/rota"),
        ([{"rota": ROTA, "at": "2026-01-05T07:00:00Z"}], "/0/at"),
        ([{"rota": ROTA}, {"rota": ROTA, "at": ["2026-01-05T07:00:00Z", "tomorrow"]}], "/1/at/1"),
        ([{"rota": ROTA, "at": ["2026-01-05T07:00:00"]}], "/0/at/0"),
        ([{"rota": ROTA, "windows": {}}], "/0/windows"),
        ([{"rota": ROTA, "windows": [None]}], "/0/windows/0"),
        ([{"rota": ROTA, "windows": [{"from": WINDOW["from"]}]}], "/0/windows/0/to"),
        ([{"rota": ROTA, "windows": [{"from": WINDOW["to"], "to": WINDOW["from"]}]}], "/0/windows/0/to"),
        ([{"rota": ROTA, "compare": []}], "/0/compare"),
        ([{"rota": ROTA, "compare": {"rota": ROTA}}], "/0/compare/from"),
        ([{"rota": ROTA, "compare": WINDOW}], "/0/compare/rota"),
    ],
)
def test_questions_that_cannot_be_read_name_their_place(cases, place):
    with pytest.raises(InvalidInputError) as caught:
        evaluate_cases(cases)
    assert [fault.place or "/" for fault in caught.value.faults] == [place]
