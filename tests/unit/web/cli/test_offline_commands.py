"""What ``veza`` answers from documents alone, through the command line as an operator or script uses it."""

import json
from pathlib import Path

import pytest

from web.cli import main

ROOT = Path(__file__).parents[4]
ACCEPTANCE = ROOT / "tests" / "acceptance"
REGION = str(ROOT / "web" / "data" / "region.json")
ORGANISATIONS = str(ROOT / "web" / "data" / "organisations.json")
SCENARIOS = json.loads((ACCEPTANCE / "lookup_scenarios.json").read_text(encoding="utf-8"))["scenarios"]
CASES = json.loads((ACCEPTANCE / "rota_cases.json").read_text(encoding="utf-8"))["cases"]
ROTA = CASES[0]["rota"]
WINDOW = ("--from", "2026-01-05T07:00:00Z", "--to", "2026-01-06T07:00:00Z")


@pytest.fixture
def write(tmp_path):
    def write(value, name="input.json"):
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def run(capsys):
    def run(*arguments):
        status = main(list(arguments))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def check_scenario(scenario, answer):
    expected = scenario["expect"]
    own = [candidate["unit"].partition(":unit/")[2] for candidate in answer["candidates"]]
    assert own == expected["unit_ids"]
    assert [candidate["channel"] for candidate in answer["candidates"]] == expected["channels"]
    deadline = answer["deadline"] and {key: answer["deadline"][key] for key in ("rule", "due")}
    assert deadline == expected["deadline"]
    assert answer["language"] == expected["language"]
    execution = answer["execution_unit"] and answer["execution_unit"].partition(":unit/")[2]
    assert execution == expected["execution_unit"]
    assert [ref.partition(":unit/")[2] for ref in answer["copy_to"]] == expected["copy_to"]
    assert answer["europol_copy_assessment"] == expected["europol_copy_assessment"]


def test_lookup_answers_the_acceptance_scenarios_in_one_run(run, write):
    queries = write([scenario["query"] for scenario in SCENARIOS])
    status, out, _ = run("lookup", "--documents", REGION, "--query", queries)
    assert status == 0
    for scenario, answer in zip(SCENARIOS, json.loads(out), strict=True):
        check_scenario(scenario, answer)


def test_lookup_of_one_query_is_one_answer(run, write):
    scenario = SCENARIOS[0]
    status, out, _ = run("lookup", "--documents", REGION, "--query", write(scenario["query"]), "--json")
    assert status == 0
    check_scenario(scenario, json.loads(out))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["id"])
def test_lookup_by_options(run, scenario):
    options = []
    for name, value in scenario["query"].items():
        flag = {"from_country": "--from", "involves": "--involves"}.get(name, "--" + name.replace("_", "-"))
        for item in value if isinstance(value, list) else [value]:
            options += [] if item is None else [flag, item]
    status, out, _ = run("lookup", "--documents", REGION, *options, "--json")
    assert status == 0
    check_scenario(scenario, json.loads(out))


def test_lookup_for_people_says_who_why_and_why_not(run):
    options = ("--from", "ME", "--country", "RS", "--urgency", "urgent", "--at", "2027-02-09T10:00:00+01:00")
    status, out, _ = run("lookup", "--documents", REGION, *options)
    assert status == 0
    assert "1. RS:unit/rs-spoc by siena" in out
    assert "deadline" in out
    assert "R5" in out
    assert "\nnot " in out


def test_lookup_for_people_of_nobody_says_so(run):
    options = ("--from", "RS", "--country", "XK", "--subject", "mla", "--at", "2027-02-09T10:00:00+01:00")
    status, out, _ = run("lookup", "--documents", REGION, *options)
    assert status == 0
    assert out.startswith("no channel")
    assert "deadline        none" in out


def test_lookup_of_an_organisation_with_several_documents(run):
    options = ("--from", "ME", "--country", "EUROPOL", "--crime-area", "migrant_smuggling", "--json")
    status, out, _ = run("lookup", "--documents", REGION, "--documents", ORGANISATIONS, *options)
    assert status == 0
    assert json.loads(out)["candidates"][0]["unit"].startswith("EUROPOL:")


def test_an_outage_takes_a_channel_away(run):
    options = ("--from", "ME", "--country", "RS", "--json")
    _, usual, _ = run("lookup", "--documents", REGION, *options)
    _, without, _ = run("lookup", "--documents", REGION, *options, "--outage", "RS:siena")
    assert "siena" in [candidate["channel"] for candidate in json.loads(usual)["candidates"]]
    assert "siena" not in [candidate["channel"] for candidate in json.loads(without)["candidates"]]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"from": "ME", "country": "ME"}, ["country"]),
        ({"from": "ME", "country": "ZZ", "urgency": "soon"}, ["country", "urgency"]),
        ({"from": "ME", "country": "RS", "colour": "red"}, ["colour"]),
        ([{"from": "ME", "country": "RS"}, {"from": "ME", "country": "Nowhere"}], ["/1"]),
        ([{"from": "ME", "country": "RS"}, 3], ["/1"]),
        ("ME", ["a query or a list of queries"]),
    ],
)
def test_a_query_that_cannot_be_read_is_refused_with_every_fault(run, write, query, words):
    status, out, err = run("lookup", "--documents", REGION, "--query", write(json.dumps(query)))
    assert (status, out) == (1, "")
    assert err.startswith("veza: bad_request: ")
    assert all(word in err for word in words)


def test_a_query_comes_by_options_or_by_file_not_both(run, write):
    status, _, err = run("lookup", "--documents", REGION, "--query", write({}), "--from", "ME")
    assert status == 2
    assert "--query" in err


def test_a_document_that_is_no_json_names_file_line_and_column(run, write):
    path = write("{nonsense", "region.json")
    status, _, err = run("lookup", "--documents", path, "--from", "ME", "--country", "RS")
    assert status == 1
    assert path in err
    assert "line 1, column 2" in err
    assert len(err.splitlines()) == 1


def test_rota_evaluate_answers_the_acceptance_cases_in_one_run(run, write):
    questions = [
        {
            "rota": case["rota"],
            "at": [query["at"] for query in case.get("queries", [])],
            "windows": [{"from": window["from"], "to": window["to"]} for window in case.get("windows", [])],
        }
        for case in CASES
    ]
    status, out, _ = run("rota", "evaluate", write(questions))
    assert status == 0
    for case, answer in zip(CASES, json.loads(out), strict=True):
        if case["id"] == "D08":
            assert list(answer) == ["refused"]
        else:
            assert answer["on_duty"] == [query["member"] for query in case.get("queries", [])]


def test_rota_shifts_of_a_file(run, write):
    status, out, _ = run("rota", "shifts", "--rota", write(ROTA), *WINDOW, "--json")
    assert status == 0
    shift = {"start": "2026-01-05T07:00:00Z", "end": "2026-01-06T07:00:00Z", "member": "ana"}
    assert json.loads(out) == {"shifts": [shift]}


def test_rota_diff_of_two_files(run, write):
    (case,) = [case for case in CASES if "diffs" in case]
    (diff,) = case["diffs"]
    files = (write(case["rota"], "old.json"), write(diff["after"], "new.json"))
    status, out, _ = run("rota", "diff", *files, "--from", diff["from"], "--to", diff["to"], "--json")
    assert status == 0
    assert json.loads(out) == {"changes": diff["changes"]}


def test_on_duty_by_a_file(run, write):
    status, out, _ = run("on-duty", "--rota", write(ROTA), "--at", "2026-01-06T09:00:00+01:00", "--json")
    assert status == 0
    answer = json.loads(out)
    assert answer["member"]["id"] == "boris"
    assert (answer["since"], answer["until"]) == ("2026-01-06T07:00:00Z", "2026-01-07T07:00:00Z")
    assert answer["next_contact"] is None


def test_a_gap_names_who_comes_next(run, write):
    arguments = ("on-duty", "--rota", write(ROTA), "--at", "2026-01-05T06:59:59Z")
    _, out, _ = run(*arguments, "--json")
    answer = json.loads(out)
    assert answer["member"] is None
    assert answer["next_contact"]["member"]["id"] == "ana"
    assert answer["next_contact"]["from"] == "2026-01-05T07:00:00Z"
    _, out, _ = run(*arguments)
    assert out.startswith("nobody is on duty until 2026-01-05T07:00:00Z; next contact: ana")


def test_a_rota_of_nobody_has_no_next_contact(run, write):
    arguments = ("on-duty", "--rota", write({"time_zone": "Europe/Podgorica", "layers": [], "overrides": []}))
    _, out, _ = run(*arguments, "--json")
    assert json.loads(out)["next_contact"] is None
    _, out, _ = run(*arguments)
    assert out.endswith("next contact: none\n")


def test_who_is_on_duty_for_people(run, write):
    status, out, _ = run("on-duty", "--rota", write(ROTA), "--at", "2026-01-06T09:00:00+01:00")
    assert (status, out) == (0, "boris (since 2026-01-06T07:00:00Z, until 2026-01-07T07:00:00Z)\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("on-duty",),
        ("on-duty", "ME:unit/me-spoc", "--rota", "x.json"),
        ("rota", "shifts", *WINDOW),
        ("rota", "shifts", "--rota", "x.json", "--from", "2026-01-05T07:00:00Z"),
        ("rota", "shifts", "--rota", "x.json", "--from", "yesterday", "--to", "2026-01-05T07:00:00Z"),
        ("rota", "shifts", "--rota", "x.json", "--from", "2026-01-05T07:00:00", "--to", "2026-01-05T07:00:00Z"),
        ("rota", "diff", "old.json", *WINDOW),
        ("rota", "evaluate"),
        ("lookup", "--colour", "red"),
        ("no-such-command",),
        ("--data",),
        (),
    ],
)
def test_usage_errors_are_status_2(run, arguments):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("on-duty", "--rota", "{missing}"), "No such file"),
        (("rota", "evaluate", "{missing}"), "No such file"),
        (("rota", "evaluate", "{broken}"), "line 1, column 1"),
        (("rota", "shifts", "--rota", "{bad}", *WINDOW), "/time_zone"),
        (("rota", "diff", "{good}", "{bad}", *WINDOW), "/time_zone"),
        (("rota", "shifts", "--rota", "{good}", WINDOW[0], WINDOW[3], WINDOW[2], WINDOW[1]), "window"),
        (("rota", "diff", "{good}", "{good}", WINDOW[0], WINDOW[3], WINDOW[2], WINDOW[1]), "window"),
        (("on-duty", "--rota", "{bad}"), "/time_zone"),
    ],
)
def test_bad_input_is_one_line_and_status_1(run, write, tmp_path, arguments, words):
    files = {
        "missing": str(tmp_path / "missing.json"),
        "broken": write("Not JSON", "broken.json"),
        "bad": write(ROTA | {"time_zone": "Europe/Nowhere"}, "bad.json"),
        "good": write(ROTA, "good.json"),
    }
    status, out, err = run(*(argument.format(**files) for argument in arguments))
    assert (status, out) == (1, "")
    assert err.startswith("veza: bad_request: ")
    assert words in err
    assert len(err.splitlines()) == 1


def test_several_faults_follow_line_by_line(run, write):
    status, _, err = run("on-duty", "--rota", write({"time_zone": "Nowhere", "layers": 3, "overrides": 4}))
    assert status == 1
    first, *faults = err.splitlines()
    assert first == f"veza: bad_request: {len(faults)} faults, nothing was done:"
    assert len(faults) == 3


def test_help_lists_every_command(run):
    status, out, _ = run("--help")
    assert status == 0
    for name in ("lookup", "on-duty", "rota"):
        assert name in out


def test_a_schedule_on_a_terminal_is_a_table(run, write, monkeypatch):
    monkeypatch.setattr("web.cli.rota.sys.stdout.isatty", lambda: True, raising=False)
    status, out, _ = run("rota", "shifts", "--rota", write(ROTA), *WINDOW)
    assert status == 0
    assert out.splitlines()[0].split() == ["start", "end", "member"]
    assert out.splitlines()[1].split() == ["2026-01-05T07:00:00Z", "2026-01-06T07:00:00Z", "ana"]
