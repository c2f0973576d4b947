"""A node that rewrote its history, met by real ones: found, passed on, proven to a third person, decided."""

import json

import pytest

from directory.database import writing
from federation.log import reset_log
from federation.publishing import PendingChange, publish
from tests import fork_checker
from tests.flows.federation import FlowNode, ask_anchor, join, stopping, sync
from tests.waiting import eventually
from web.cli import main
from web.cli.nodes import opened_node
from web.cli.parameters import now
from web.demo_plan import sample_document

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("flows")]


@pytest.fixture(scope="module")
def liar(trio, tmp_path_factory):
    """BA, which two nodes follow, and which then replaces its whole log by another."""
    me, rs, mk = trio
    ba = FlowNode.at(tmp_path_factory.mktemp("liar"), "BA")
    ba.make(sample_document("BA"))
    with stopping([ba]):
        ba.start("--no-worker")
        join([me, rs, mk, ba], [ba])
        sync(ba)
        for node in (me, rs):
            eventually(lambda node=node: sync(node, "BA")[0].result == "ok", 20)
        rewrite(ba)
        yield ba
    assert me.answer("anchor", "remove", "BA") == {"removed": "BA"}
    ask_anchor(trio)


def rewrite(node: FlowNode) -> None:
    """Replace the whole log by a short one, behind the back of the node that is being served."""
    with opened_node(node.data) as (_, opened), writing(opened.engine) as session:
        reset_log(session, node.participant, own=True)
        officer = PendingChange("member/somebody-else", "put", {"name": "Somebody Else"})
        many = [PendingChange(f"member/other-{number}", "put", {"name": f"Other {number}"}) for number in range(60)]
        publish(session, opened.identity, [officer, *many], now())


def test_from_the_fork_to_the_decision(trio, liar, tmp_path, capsys):
    me, rs, _ = trio
    before = me.held("BA")
    [result] = sync(me, "BA")
    assert result.result == "fork"
    held = me.held("BA")
    assert (held["state"], held["size"], held["root"]) == ("disputed", before["size"], before["root"])
    assert me.veza("sync", "BA")[0] == 1
    assert [row["state"] for row in me.get("/federation")["disputes"] if row["participant"] == "BA"] == ["open"]

    # what was held is still served, and said to be disputed
    answer = me.get("/lookup", country="BA", urgency="urgent")
    assert {candidate["freshness"]["state"] for candidate in answer["candidates"]} == {"disputed"}

    # a peer that has not asked itself was told
    eventually(lambda: rs.held("BA")["state"] == "disputed", 30)

    # a third person checks the file with no node at hand
    evidence = tmp_path / "evidence.json"
    evidence.write_text(me.veza("dispute", "export", "BA")[1])
    fork_checker.check(json.loads(evidence.read_text()))
    assert main(["dispute", "check", str(evidence)]) == 0
    altered = json.loads(evidence.read_text())
    altered["held"] = altered["offered"]
    evidence.write_text(json.dumps(altered))
    assert main(["dispute", "check", str(evidence)]) == 1
    capsys.readouterr()

    # one operator believes the new history, the other keeps the old one
    decided = me.answer("dispute", "resolve", "BA", "--accept", "offered", "--reason", "they restored by hand")
    assert decided == {"participant": "BA", "accepted": "offered", "size": 61}
    assert me.get("/units/BA/ba-spoc") is None
    assert sync(me, "BA")[0].result == "ok"
    assert me.held("BA")["state"] == "fresh"
    assert me.answer("verify") == []

    rs.answer("dispute", "resolve", "BA", "--accept", "held", "--reason", "not believed")
    assert sync(rs, "BA")[0].result == "fork"  # refused for ever, and disputed no more
    assert rs.held("BA")["state"] != "disputed"
    assert rs.held("BA")["size"] == before["size"]
    assert rs.get("/units/BA/ba-spoc") is not None
    assert rs.answer("verify") == []
