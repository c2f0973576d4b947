"""``veza verify``, ``rebuild``, ``migrate``, ``readiness``, ``keys``, and the facts of a node's own directory."""

import json
import sqlite3

import pytest

from directory.document import parse_document
from web.cli.importing import import_records
from web.cli.nodes import opened_node
from web.cli.parameters import now
from web.demo_plan import sample_document
from web.demo_rotas import with_duty


def execute(data, statement):
    connection = sqlite3.connect(data / "veza.db")
    with connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


@pytest.fixture
def with_rotas(data):
    with opened_node(data) as (_, node):
        import_records(node, parse_document(with_duty(sample_document("ME"), 0, now()), "ME"))


def test_a_node_verifies(veza, answer):
    assert answer("verify") == []
    assert veza("verify")[1].startswith("everything held is what was signed")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET payload = CAST(replace(payload, 'SPOC', 'SPOK') AS BLOB) WHERE seq = 8",
        "UPDATE entry SET header = CAST(replace(header, '2026', '2027') AS BLOB) WHERE seq = 3",
        "DELETE FROM entry WHERE seq = 42",
        "UPDATE record SET data = replace(data, '24/7', 'Mo 08:00-16:00') WHERE record = 'unit/me-spoc'",
        "UPDATE log SET size = 42",
    ],
)
def test_a_changed_byte_is_found_and_named(veza, data, statement):
    execute(data, statement)
    status, out, err = veza("verify", "--json")
    assert status == 1
    findings = json.loads(out)
    assert {finding["participant"] for finding in findings} == {"ME"}
    assert all(finding["what_to_do"] for finding in findings)
    assert err.startswith("veza: root_mismatch: ")
    status, out, _ = veza("verify")
    assert status == 1
    assert out.startswith("ME, ")
    assert "expected" in out


def test_rebuild_replays_the_logs(veza, answer, data):
    execute(data, "UPDATE record SET data = replace(data, '24/7', 'Mo 08:00-16:00') WHERE record = 'unit/me-spoc'")
    assert veza("rebuild")[1] == "rebuilt\n"
    assert answer("verify") == []
    assert answer("rebuild") == {"rebuilt": True, "erased": 0}


def test_a_repair_says_what_it_did(veza, answer, data):
    execute(data, "UPDATE record SET data = replace(data, '24/7', 'Mo 08:00-16:00') WHERE record = 'unit/me-spoc'")
    execute(data, "UPDATE log SET size = 42")
    done = answer("verify", "--repair")
    assert done["remaining"] == []
    assert {(repair["participant"], repair["what"]) for repair in done["repairs"]} == {
        ("ME", "head"),
        ("ME", "read model"),
    }
    assert veza("verify", "--repair")[1].startswith("everything held is what was signed")


def test_what_cannot_be_repaired_is_named(veza, data):
    execute(data, "UPDATE entry SET payload = CAST(replace(payload, 'SPOC', 'SPOK') AS BLOB) WHERE seq = 8")
    status, out, err = veza("verify", "--repair")
    assert status == 1
    assert "ME, entries: not repaired: bad_range: no other node could be asked for the entries" in out
    assert "ME, digest 8: expected the payload that the header covers" in out
    assert err.startswith("veza: root_mismatch: 1 differences could not be set right")


def test_verifying_changes_nothing(veza, data):
    execute(data, "UPDATE log SET size = 42")
    before = (data / "veza.db").read_bytes()
    assert veza("verify")[0] == 1
    assert (data / "veza.db").read_bytes() == before


def test_migrate_says_what_it_did(veza, answer):
    assert answer("migrate") == {"migrated": True}
    assert veza("migrate")[0] == 0


def test_a_database_without_tables_asks_for_migrate(veza, data):
    (data / "veza.db").unlink()
    status, _, err = veza("export")
    assert status == 1
    assert "veza migrate" in err
    assert veza("migrate")[0] == 0
    assert veza("verify")[0] == 0


def test_readiness_of_our_own_and_of_another(veza, answer, with_rotas):
    rows = {row["criterion"]: row["state"] for row in answer("readiness")}
    assert rows["SPOC's rota without a gap for 30 days"] == "met"
    assert rows["keys younger than a year"] == "met"
    assert "criterion" in veza("readiness", "ME")[1]
    status, _, err = veza("readiness", "RS")
    assert status == 1
    assert err.startswith("veza: not_found: ")


def test_on_duty_in_a_unit(veza, answer, with_rotas):
    duty = answer("on-duty", "ME:unit/me-spoc")
    assert duty["member"]["name"].startswith("Duty officer ")
    assert duty["source"]["seq"] > 0
    assert duty["next_contact"] is None
    assert "Duty officer" in veza("on-duty", "ME:unit/me-spoc")[1]


def test_a_unit_without_a_rota_has_a_next_contact(veza):
    status, out, _ = veza("on-duty", "ME:unit/me-ncb")
    assert status == 0
    assert out.startswith("nobody is on duty; next contact: ")


@pytest.mark.parametrize("ref", ["ME:unit/me-spoc", "ME:rota/me-spoc-duty"])
def test_shifts_of_a_unit_or_rota(answer, with_rotas, ref):
    window = ("--from", "2026-12-01T00:00:00Z", "--to", "2026-12-08T00:00:00Z")
    resolved = answer("rota", "shifts", ref, *window)["shifts"]
    assert resolved[0]["start"] == "2026-12-01T00:00:00Z"
    assert resolved[-1]["end"] == "2026-12-08T00:00:00Z"
    assert all(shift["member"] for shift in resolved)


@pytest.mark.parametrize("ref", ["ME:unit/nowhere", "ME:unit/me-ncb", "ME:rota/nowhere", "me-spoc", ""])
def test_what_has_no_rota_is_refused(veza, ref):
    status, _, err = veza("rota", "shifts", ref, "--from", "2026-12-01T00:00:00Z", "--to", "2026-12-08T00:00:00Z")
    assert status == 1
    assert err.startswith("veza: not_found: ")


def test_an_unknown_unit_is_refused(veza):
    assert veza("on-duty", "ME:unit/nowhere")[2].startswith("veza: not_found: ")


def test_lookup_in_a_node_asks_for_its_own_participant(veza):
    status, _, err = veza("lookup", "--country", "RS")
    assert status == 1
    assert "expected a participant of the directory: ME" in err
    status, _, err = veza("lookup", "--country", "ME")
    assert status == 1
    assert "another country" in err


def test_keys_are_listed_with_their_use(veza, answer):
    keys = answer("keys", "list")
    assert [(key["use"], key["signs"], key["listed"]) for key in keys] == [
        ("federation", True, True),
        ("operating", True, True),
    ]
    assert all(len(key["fingerprint"].split()) == 16 for key in keys)
    assert "operating" in veza("keys", "list")[1]


def test_a_federation_key_may_be_elsewhere(answer, data):
    (data / "keys" / "federation.pem").unlink()
    assert [(key["use"], key["here"]) for key in answer("keys", "list")] == [("federation", False), ("operating", True)]


def test_a_key_that_others_can_read_is_refused(veza, data):
    (key,) = (data / "keys").glob("operating-*")
    key.chmod(0o644)
    status, _, err = veza("keys", "list")
    assert status == 1
    assert "chmod" in err


def test_a_node_without_keys_is_refused(veza, data):
    for key in (data / "keys").iterdir():
        key.unlink()
    status, _, err = veza("keys", "list")
    assert status == 1
    assert "operating key" in err


def test_a_new_operating_key_signs_and_the_old_one_stays_listed(veza, answer, write, data):
    (old,) = [key["kid"] for key in answer("keys", "list") if key["use"] == "operating"]
    new = answer("keys", "rotate")["operating_key"]
    keys = {key["kid"]: (key["signs"], key["listed"]) for key in answer("keys", "list") if key["use"] == "operating"}
    assert keys == {new: (True, True), old: (False, True)}
    document = dict(sample_document("ME")) | {"languages": ["cnr", "en"]}
    assert answer("import", write(document))["changed"] == ["participant/self"]
    assert answer("verify") == []
    assert "no restart is needed" in veza("keys", "rotate")[1]


def test_a_rotation_that_cannot_be_signed_leaves_no_key(veza, data):
    (data / "keys" / "federation.pem").unlink()
    before = sorted((data / "keys").iterdir())
    status, _, err = veza("keys", "rotate")
    assert status == 1
    assert err.startswith("veza: ")
    assert sorted((data / "keys").iterdir()) == before
