"""An origin that is gone: its data are served with their age, and handed on by those who hold them."""

import datetime as dt

import pytest
import time_machine

from tests.flows.federation import FlowNode, ask_anchor, join, stopping, sync
from tests.waiting import eventually
from web.cli.parameters import now
from web.demo_plan import sample_document

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("flows")]

OLD = dt.timedelta(hours=27)


@pytest.fixture(scope="module")
def silent(trio, tmp_path_factory):
    """AL, whose newest checkpoint is older than a day; ME and RS have followed it, MK was away while it was there."""
    me, rs, mk = trio
    al = FlowNode.at(tmp_path_factory.mktemp("silent"), "AL")
    with time_machine.travel(now() - OLD, tick=True):
        al.make(sample_document("AL"))
    mk.stop()
    with stopping([al]):
        al.start("--no-worker")
        join([me, rs, mk, al], [al])
        sync(al)
        for node in (me, rs):
            eventually(lambda node=node: sync(node, "AL")[0].result == "ok", 20)
        al.stop()
        mk.start()
        yield al
    with stopping([]):
        assert me.answer("anchor", "remove", "AL") == {"removed": "AL"}
        ask_anchor(trio)


def test_answers_go_on_as_stale_with_their_age(trio, silent):
    me, _, _ = trio
    assert me.held("AL")["state"] == "stale"
    answer = me.get("/lookup", country="AL", urgency="urgent")
    first = answer["candidates"][0]
    assert first["unit"].startswith("AL:unit/")
    assert first["freshness"]["state"] == "stale"
    assert first["freshness"]["age_s"] >= OLD.total_seconds()


def test_a_third_node_gets_the_log_from_another_peer(trio, silent):
    me, rs, mk = trio
    (result,) = eventually(lambda: [r for r in sync(mk, "AL") if r.result == "ok"], 20)
    assert result.source in {me.url, rs.url}
    assert result.size == me.held("AL")["size"]
    assert mk.held("AL")["root"] == me.held("AL")["root"]
    assert mk.get("/units/AL/al-spoc")["data"] == me.get("/units/AL/al-spoc")["data"]
    assert mk.held("AL")["state"] == "stale"
    assert mk.answer("verify") == []


def test_one_that_fails_delays_no_other(trio, silent):
    me, _, _ = trio
    results = {result.participant: result.result for result in sync(me)}
    assert results["RS"] == results["MK"] == "ok"


def test_a_participant_that_nobody_holds_fails_and_is_named(trio):
    status, out, err = trio[0].veza("sync", "TR")
    assert status == 1
    assert "TR" in out
    assert err.splitlines()[-1].startswith("veza: unknown_participant: 1 of 1 failed: TR")


def test_trust_ends_with_the_anchors_word(trio, silent):
    me, _, mk = trio
    held = mk.held("AL")
    assert held is not None
    assert me.answer("anchor", "list")[0] == {"participant": "AL", "url": silent.url}
