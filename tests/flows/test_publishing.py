"""What one country saves is seen in the others: by push within seconds, else by the next sync, and erased alike."""

import datetime as dt

import pytest

from directory.database import reading, writing
from directory.instants import format_instant
from federation.log import erase_superseded, read_entries
from tests.flows.federation import sync
from tests.waiting import eventually
from web.cli.databases import opened_database
from web.cli.parameters import now

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("flows")]


def published_phone(node, ref):
    record = node.get(ref)
    return record and record["data"]["endpoints"]["phone"]


def with_phone(node, ref, phone):
    data = node.get(ref)["data"]
    return data | {"endpoints": data["endpoints"] | {"phone": phone}}


def test_all_hold_all_and_verify(trio):
    for node in trio:
        assert {node.held(code)["state"] for code in ("ME", "RS", "MK")} == {"fresh"}
        assert node.answer("verify") == []
    for code in ("ME", "RS", "MK"):
        assert len({node.held(code)["root"] for node in trio}) == 1


def test_a_published_change_is_followed(trio):
    me, rs, mk = trio
    me.save("/units/me-enu", with_phone(me, "/units/ME/me-enu", "+99970009901"))
    for other in (rs, mk):
        eventually(lambda other=other: published_phone(other, "/units/ME/me-enu") == "+99970009901")


def test_an_override_is_seen_abroad_within_ten_seconds(trio):
    me, rs, _ = trio
    start = now() + dt.timedelta(days=200)
    at = format_instant(start + dt.timedelta(hours=1))
    before = me.get("/on-duty", unit="RS:unit/rs-spoc", at=at)
    rota_ref = rs.get("/units/RS/rs-spoc")["data"]["rota"]
    rota = rs.get(f"/rotas/RS/{rota_ref}")["data"]
    away = before["member"]["id"]
    stand_in = next(member for member in rota["layers"][0]["members"] if member != away)
    end = format_instant(start + dt.timedelta(hours=2))
    override = {"start": format_instant(start), "end": end, "member": stand_in, "replaces": away, "reason": "leave"}
    rs.save(f"/rotas/{rota_ref}", rota | {"overrides": [*rota["overrides"], override]})

    def on_duty_abroad():
        return me.get("/on-duty", unit="RS:unit/rs-spoc", at=at)["member"]["id"] == stand_in

    eventually(on_duty_abroad, 10)


def test_a_deleted_record_is_gone_abroad(trio):
    me, rs, _ = trio
    me.save("/members/m-7k2p9x4q", {"name": "Duty officer 9", "unit": "me-spoc", "phone": "+99970009902"})
    eventually(lambda: rs.get("/members/ME/m-7k2p9x4q"))
    me.delete("/members/m-7k2p9x4q")
    eventually(lambda: rs.get("/members/ME/m-7k2p9x4q") is None)


def test_somebody_who_saved_first_is_not_overwritten(trio):
    me, _, _ = trio
    seq = me.get("/units/ME/me-ncb")["seq"]
    me.save("/units/me-ncb", with_phone(me, "/units/ME/me-ncb", "+99970009903"))
    late = with_phone(me, "/units/ME/me-ncb", "+99970009904")
    status, _, problem = me.request("PUT", "/api/v1/units/me-ncb", late, If_Match=f'"{seq}"')
    assert status == 412
    assert problem["type"] == "urn:veza:problem:stale_version"
    assert published_phone(me, "/units/ME/me-ncb") == "+99970009903"


def test_a_superseded_payload_is_erased_everywhere_and_the_log_still_verifies(trio):
    me, rs, mk = trio
    secret = "+99970001234567"
    me.save("/units/me-fiu", with_phone(me, "/units/ME/me-fiu", secret))
    seq = me.get("/units/ME/me-fiu")["seq"]
    for other in (rs, mk):
        eventually(lambda other=other: published_phone(other, "/units/ME/me-fiu") == secret)
    me.save("/units/me-fiu", with_phone(me, "/units/ME/me-fiu", "+99970009905"))
    for other in (rs, mk):
        eventually(lambda other=other: published_phone(other, "/units/ME/me-fiu") == "+99970009905")
    with opened_database(me.data) as (_, engine), writing(engine) as session:
        erase_superseded(session, now(), after=dt.timedelta(0))
    for node in trio:
        with opened_database(node.data) as (_, engine), reading(engine) as session:
            (entry,) = read_entries(session, "ME", seq, seq + 1)
            assert entry.payload is None
            assert b"me-fiu" in entry.header
        assert secret.encode() not in (node.data / "veza.db").read_bytes()
        assert node.answer("verify") == []


def test_a_push_that_was_lost_is_made_up_by_sync(trio):
    me, rs, mk = trio
    sync(mk)  # what other flows changed
    mk.stop()
    me.save("/units/me-enu", with_phone(me, "/units/ME/me-enu", "+99970009906"))
    eventually(lambda: published_phone(rs, "/units/ME/me-enu") == "+99970009906")
    mk.start("--no-worker")
    assert published_phone(mk, "/units/ME/me-enu") != "+99970009906"
    (result,) = [result for result in sync(mk) if result.participant == "ME"]
    assert (result.result, result.entries) == ("ok", 1)
    assert published_phone(mk, "/units/ME/me-enu") == "+99970009906"
    assert mk.answer("verify") == []
