"""The scenarios by which the lookup is judged, from the region's directory."""

import json

import pytest

from tests.unit.directory.asking import ROOT, ask, slug, ways

SCENARIOS = json.loads((ROOT / "tests/acceptance/lookup_scenarios.json").read_text())["scenarios"]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["id"])
def test_scenario(scenario):
    answer = ask(**scenario["query"])
    expected = scenario["expect"]
    assert ways(answer) == [
        f"{channel} {unit}" for channel, unit in zip(expected["channels"], expected["unit_ids"], strict=True)
    ]
    deadline = answer["deadline"] and {name: answer["deadline"][name] for name in ("rule", "due")}
    assert deadline == expected["deadline"]
    assert answer["language"] == expected["language"]
    assert slug(answer["execution_unit"]) == expected["execution_unit"]
    assert [slug(ref) for ref in answer["copy_to"]] == expected["copy_to"]
    assert answer["europol_copy_assessment"] is expected["europol_copy_assessment"]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["id"])
def test_every_rule_that_the_scenario_turns_on_is_named_in_the_answer(scenario):
    answer = ask(**scenario["query"])
    named = {reason[:2] for each in answer["candidates"] for reason in each["reasons"]}
    named |= {reason.rpartition("; ")[2][:2] for each in answer["candidates"] for reason in each["reasons"]}
    named |= {each["rule"] for each in answer["rejected"]}
    shown_otherwise = {"R8", "R9", "R10", "R11"}
    gates_without_a_candidate = {"R2"}
    assert set(scenario["rules"]) - shown_otherwise - gates_without_a_candidate <= named
