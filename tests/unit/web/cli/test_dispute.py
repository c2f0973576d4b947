"""``veza dispute``: what an operator is shown, hands on and decides."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from directory.database import writing
from federation.disputes import add_divergence, load_disputes, open_dispute
from federation.encoding import dump_json
from federation.evidence import find_divergence, make_evidence
from federation.keys import key_set
from federation.log import append_entries, create_log
from federation.participants import bind_participant, store_configuration
from federation.statements import read_configuration
from federation.words import format_fingerprint
from sync.status import mark_withholding, record_success
from tests.simulators.node_simulator import SimulatedNode, named_identity
from web import dispute_facts
from web.cli.nodes import opened_node


def two_histories() -> tuple[SimulatedNode, SimulatedNode]:
    held = SimulatedNode(named_identity("RS"))
    held.grow(6)
    offered = held.copy()
    offered.rewrite(2)
    offered.grow(1)
    return held, offered


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    held, offered = two_histories()
    headers = [[entry.header for entry in node.entries] for node in (held, offered)]
    divergence = find_divergence(*headers, held.size, offered.size)
    configuration = read_configuration(held.configuration())
    made = make_evidence(held.checkpoint(), offered.checkpoint(), [configuration], divergence)
    path = tmp_path / "evidence.json"
    path.write_bytes(dump_json(made))
    return path


@pytest.fixture
def disputed(data: Path) -> SimulatedNode:
    """The node holds six entries of RS, and was offered another history of which nobody gave the headers."""
    held, offered = two_histories()
    with opened_node(data) as (_, node), writing(node.engine) as session:
        assert held.identity.federation_key is not None
        bind_participant(session, "RS", held.entity_id, "peering", key_set(held.identity.federation_key))
        store_configuration(session, read_configuration(held.configuration()))
        head = create_log(session, "RS", own=False)
        head = append_entries(session, head, held.entries, held.frontier(), held.checkpoint(), held.now)
        record_success(session, "RS", held.entity_id, held.now)
        assert open_dispute(session, head, offered.checkpoint(), shown_by=None, now=held.now)
    return held


class TestCheck:
    """Needs no node: a prosecutor or a third country runs it."""

    def test_proven(self, run, evidence: Path) -> None:
        status, out, err = run("--data", evidence.parent / "nowhere", "dispute", "check", evidence)
        assert (status, err) == (0, "")
        assert out.startswith("Proven: RS (https://rs.example) signed two histories")
        assert "compare it with what you know of RS" in out
        assert format_fingerprint(named_identity("RS").federation_key.kid) in out, "words, as they are compared"

    def test_for_programs(self, run, evidence: Path) -> None:
        status, out, _ = run("dispute", "check", evidence, "--json")
        verdict = json.loads(out)
        assert (status, verdict["proven"], verdict["fault"]) == (0, True, None)
        assert verdict["federation_key"] == named_identity("RS").federation_key.kid
        assert verdict["federation_keys"] == [verdict["federation_key"]]
        assert (verdict["held"]["size"], verdict["offered"]["size"]) == (6, 7)

    @pytest.mark.parametrize("member", ["held", "offered", "headers", "proofs", "configurations", "participant"])
    def test_what_does_not_hold_is_named(self, run, evidence: Path, member: str) -> None:
        content = json.loads(evidence.read_text())
        content[member] = content["held"] if member == "offered" else content["offered"] if member == "held" else []
        evidence.write_text(json.dumps(content))
        status, out, err = run("dispute", "check", evidence)
        assert (status, out) == (1, "")
        assert err.startswith("veza: bad_request: this proves no fork: ")
        assert len(err.splitlines()) == 1

    def test_a_refusal_for_programs(self, run, evidence: Path) -> None:
        evidence.write_text("{}")
        status, out, _ = run("dispute", "check", evidence, "--json")
        assert (status, json.loads(out)["proven"]) == (1, False)

    def test_a_file_that_is_not_there(self, run, tmp_path: Path) -> None:
        status, _, err = run("dispute", "check", tmp_path / "none.json")
        assert status == 2
        assert "none.json" in err


class TestWithoutDispute:
    def test_list_is_empty(self, answer) -> None:
        assert answer("dispute", "list") == []

    @pytest.mark.parametrize(
        "arguments",
        [("export", "RS"), ("resolve", "RS", "--accept", "held", "--reason", "none")],
        ids=["export", "resolve"],
    )
    def test_there_is_nothing_to_export_or_decide(self, veza, arguments: tuple[str, ...]) -> None:
        status, out, err = veza("dispute", *arguments)
        assert (status, out) == (1, "")
        assert err.startswith("veza: not_found: ")

    @pytest.mark.parametrize(
        "options",
        [
            ("--accept", "held"),
            ("--reason", "why"),
            ("--accept", "both", "--reason", "why"),
            ("--accept", "held", "--reason", "  "),
        ],
    )
    def test_usage(self, veza, options: tuple[str, ...]) -> None:
        assert veza("dispute", "resolve", "RS", *options)[0] == 2


class TestDisputed:
    def test_list(self, answer, veza, disputed: SimulatedNode) -> None:
        [row] = answer("dispute", "list")
        assert (row["participant"], row["state"], row["held_size"], row["offered_size"]) == ("RS", "open", 6, 7)
        assert "without the offered headers" in row["evidence"]
        assert row["first_difference"] is None
        assert "RS" in veza("dispute", "list")[1]

    def test_list_says_from_where_on_they_differ(self, answer, veza, data: Path, disputed: SimulatedNode) -> None:
        (kept,) = answer("dispute", "list")
        offered = two_histories()[1]
        headers = [[entry.header for entry in node.entries] for node in (disputed, offered)]
        divergence = find_divergence(*headers, kept["held_size"], kept["offered_size"])
        with opened_node(data) as (_, node), writing(node.engine) as session:
            (found,) = load_disputes(session)
            assert divergence is not None
            add_divergence(session, found, divergence)
        (row,) = answer("dispute", "list")
        assert row["first_difference"]["seq"] == 2
        assert row["first_difference"]["held"]["record"] in veza("dispute", "list")[1]

    @pytest.mark.parametrize("header", ["", "{}", "\x1b[2J", "[]", '{"seq":2}'])
    def test_a_header_that_is_none_is_said_to_be_so(self, header: str) -> None:
        found = dispute_facts.first_difference(SimpleNamespace(evidence={"headers": [[2, header, header]]}))
        assert found == {"seq": 2, "held": None, "offered": None}

    def test_export_says_what_is_missing_yet(self, veza, run, tmp_path: Path, disputed: SimulatedNode) -> None:
        status, out, err = veza("dispute", "export", "RS")
        assert status == 0
        assert list(json.loads(out)) == ["participant", "held", "offered", "configurations", "headers", "proofs"]
        assert "veza sync RS" in err
        path = tmp_path / "out.json"
        path.write_text(out)
        status, _, err = run("dispute", "check", path)
        assert status == 1
        assert "could not be had yet" in err

    def test_federation_says_what_to_do(self, veza, disputed: SimulatedNode) -> None:
        _, out, _ = veza("federation")
        assert "RS is disputed: it signed two histories" in out

    def test_withholding_says_what_to_do(self, veza, data: Path, disputed: SimulatedNode) -> None:
        veza("dispute", "resolve", "RS", "--accept", "held", "--reason", "called")
        with opened_node(data) as (_, node), writing(node.engine) as session:
            mark_withholding(session, "RS", withholding=True)
        _, out, _ = veza("federation")
        assert "RS is withholding: peers hold more than https://rs.example shows" in out

    def test_accept_held(self, answer, veza, disputed: SimulatedNode) -> None:
        decided = answer("dispute", "resolve", "RS", "--accept", "held", "--reason", "their duty officer was called")
        assert decided == {"participant": "RS", "accepted": "held", "size": 6}
        [row] = answer("dispute", "list")
        assert (row["state"], row["reason"]) == ("accepted held", "their duty officer was called")
        assert next(row for row in answer("federation") if row["participant"] == "RS")["state"] != "disputed"
        assert json.loads(veza("dispute", "export", "RS")[1])["participant"] == "RS"  # kept for ever
        assert veza("dispute", "resolve", "RS", "--accept", "held", "--reason", "again")[0] == 1

    def test_accept_offered_that_nobody_serves_changes_nothing(self, answer, veza, disputed: SimulatedNode) -> None:
        before = answer("federation")
        status, _, err = veza("dispute", "resolve", "RS", "--accept", "offered", "--reason", "why not")
        assert status == 1
        assert err.startswith("veza: ")
        assert answer("federation") == before
        assert answer("dispute", "list")[0]["state"] == "open"
