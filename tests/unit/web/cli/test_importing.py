"""``veza import`` and ``veza export`` of documents: all or nothing, every fault with its place, and back again."""

import copy
import json

import pytest

from web.demo_plan import sample_document


@pytest.fixture
def document():
    return copy.deepcopy(dict(sample_document("ME")))


def changed_unit(document, name, value):
    document["units"][0][name] = value
    return document


def test_an_import_says_what_it_adds_changes_and_leaves(veza, write, document):
    document["units"][0]["hours"] = "Mo-Fr 08:00-16:00"
    document["members"] = [{"id": "duty-1", "name": "Duty officer 1", "unit": "me-spoc", "phone": "+99970001"}]
    status, out, err = veza("import", write(document))
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["added", "member/duty-1"]
    assert lines[1].split() == ["changed", "unit/me-spoc"]
    assert lines[2] == "1 added, 1 changed, 42 unchanged"
    assert veza("verify")[0] == 0


def test_the_same_again_changes_nothing(veza, answer, write, document):
    before = answer("federation")
    report = answer("import", write(document))
    assert (report["added"], report["changed"], len(report["unchanged"])) == ([], [], 43)
    assert answer("federation") == before


def test_a_dry_run_changes_nothing(veza, answer, write, document):
    document = changed_unit(document, "hours", "Mo-Fr 08:00-16:00")
    report = answer("import", write(document), "--dry-run")
    assert (report["changed"], report["dry_run"]) == (["unit/me-spoc"], True)
    assert veza("import", write(document), "--dry-run")[1].endswith("would be 0 added, 1 changed, 42 unchanged\n")
    assert answer("import", write(document))["changed"] == ["unit/me-spoc"]


def test_our_own_country_of_a_file_with_many(veza, write, document):
    region = write({"countries": [dict(sample_document("RS")), document]})
    assert veza("import", region)[1].startswith("0 added, 0 changed, 43 unchanged")
    assert veza("import", region, "--country", "ME")[0] == 0


def test_another_participants_directory_is_refused(veza, write):
    region = write({"countries": [dict(sample_document("RS"))]})
    status, out, err = veza("import", region, "--country", "RS")
    assert (status, out) == (1, "")
    assert err.startswith("veza: wrong_participant: ")
    assert "ME" in err
    assert "RS" in err
    status, _, err = veza("import", region)
    assert status == 1
    assert "ME" in err


def test_a_part_may_refer_to_what_is_there_already(answer, write):
    member = {"id": "duty-1", "name": "Duty officer 1", "unit": "me-spoc"}
    part = {"country": "ME", **{k: sample_document("ME")[k] for k in ("names", "timezone", "languages", "memberships")}}
    part |= {"channels": sample_document("ME")["channels"], "members": [member]}
    assert "member/duty-1" in answer("import", write(part))["added"]


def test_every_fault_is_said_with_its_place_and_nothing_is_imported(veza, answer, write, document):
    before = answer("export")
    document["units"][0]["hours"] = "whenever"
    document["units"][7]["crime_areas"] = ["jaywalking"]
    document["units"][9]["agency"] = "nowhere"
    document["units"].append({"id": "me-new", "name": {"en": "New"}})
    path = write({"countries": [document]})
    status, out, err = veza("import", path)
    assert (status, out) == (1, "")
    first, *faults = err.splitlines()
    assert first.startswith(f"veza: bad_request: {path}: {len(faults)} faults, nothing was imported:")
    for place in ("/countries/0/units/0/hours", "/countries/0/units/7/crime_areas", "/countries/0/units/9/agency"):
        assert any(place in fault for fault in faults)
    assert answer("export") == before


def test_faults_as_json(veza, write, document):
    status, out, _ = veza("import", write(changed_unit(document, "hours", "whenever")), "--json")
    assert status == 1
    report = json.loads(out)
    (fault,) = report["faults"]
    assert (fault["place"], fault["found"]) == ("/units/0/hours", "whenever")
    assert report["added"] == report["changed"] == []


def test_warnings_are_said_and_stop_nothing(veza, answer, write, document):
    document["memberships"] = [*document["memberships"], "SOMETHING-NEW"]
    status, out, err = veza("import", write(document))
    assert status == 0
    assert "warning: " in err
    assert "SOMETHING-NEW" in err
    assert "changed   participant/self" in out


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "line 1, column 1"),
        ("{]", "line 1, column 2"),
        ('{"country": "ME", "country": "ME"}', "once"),
        ('{"country": NaN}', "finite"),
        ("[]", "expected an object"),
        ('"ME"', "expected an object"),
        ("{}", "country"),
        ('{"countries": {}}', "expected a list"),
    ],
)
def test_what_is_no_document_is_refused(veza, write, text, word):
    status, out, err = veza("import", write(text))
    assert (status, out) == (1, "")
    assert err.startswith("veza: bad_request: ")
    assert word in err


def test_a_file_that_is_not_there_is_named(veza, tmp_path):
    status, _, err = veza("import", tmp_path / "missing.json")
    assert status == 1
    assert "missing.json" in err


def test_what_is_exported_can_be_imported_again(veza, answer, write):
    exported = answer_export(veza)
    report = answer("import", write(exported))
    assert (report["added"], report["changed"], len(report["unchanged"])) == ([], [], 43)


def answer_export(veza):
    status, out, _ = veza("export", "ME")
    assert status == 0
    return json.loads(out)


def test_the_export_keeps_every_unit_as_it_was(veza, document):
    exported = answer_export(veza)
    assert {unit["id"]: unit for unit in exported["units"]} == {unit["id"]: unit for unit in document["units"]}


def test_an_unknown_format_is_a_usage_error(veza):
    assert veza("export", "--format", "pdf")[0] == 2


def test_a_participant_that_is_not_held_is_said(veza):
    status, _, err = veza("export", "RS")
    assert status == 1
    assert err.startswith("veza: not_found: no records of RS are held")


def test_an_export_is_json_or_something_else_not_both(veza):
    assert veza("export", "--json")[0] == 0
    assert veza("export", "--json", "--format", "csv")[0] == 2
