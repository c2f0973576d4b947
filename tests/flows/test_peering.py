"""Real nodes without any anchor: propose, compare, approve, follow each other; refuse; remove; killed in between."""

from collections.abc import Iterator

import pytest

from tests.flows.federation import START_SECONDS, FlowNode, stopping
from tests.waiting import eventually

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("flows")]

Trio = tuple[FlowNode, FlowNode, FlowNode]
WITHIN = 30.0
"""Seconds within which a worker has done what it does at once; machines may be busy."""


@pytest.fixture
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """ME, RS and MK, served, with no anchor, each unknown to the others."""
    root = tmp_path_factory.mktemp("peering")
    me, rs, mk = (FlowNode.at(root, code) for code in ("ME", "RS", "MK"))
    with stopping([me, rs, mk]):
        for node in (me, rs, mk):
            node.make()
        for node in (me, rs, mk):
            node.start(wait=False)
        for node in (me, rs, mk):
            eventually(node.answers, START_SECONDS)
        yield me, rs, mk


def own(node: FlowNode) -> dict[str, str]:
    """What an operator reads out over the telephone."""
    found: dict[str, str] = node.answer("peer", "list")["own"]
    return found


def follows(node: FlowNode, other: FlowNode) -> bool:
    """Whether all that the other has is held here, proven and fresh."""
    here, there = node.held(other.participant), other.held(other.participant)
    return here is not None and here["state"] == "fresh" and here["root"] == there["root"]


def proposed(node: FlowNode) -> dict[str, str]:
    return {each["participant"]: each["state"] for each in node.answer("peer", "list")["proposed"]}


def waiting(node: FlowNode) -> list[str]:
    return [each["participant"] for each in node.answer("peer", "list")["proposals"]]


def test_operators_compare_approve_and_part(strangers: Trio) -> None:
    me, rs, mk = strangers

    added = me.answer("peer", "add", rs.url, "--participant", "RS", "--fingerprint", own(rs)["words"])
    assert (added["state"], added["message"], added["kid"]) == ("delivered", "peering.proposed", own(rs)["kid"])
    (proposal,) = rs.answer("peer", "list")["proposals"]
    assert (proposal["participant"], proposal["words"]) == ("ME", own(me)["words"])
    assert rs.held("ME") is None, "a proposal trusts nobody"
    assert me.veza("sync", "RS")[0] == 1
    assert proposed(me) == {"RS": "delivered"}

    wrong = rs.veza("peer", "approve", "ME", "--fingerprint", own(mk)["words"])
    assert (wrong[0], wrong[2].split(":")[1].strip()) == (1, "unknown_key")
    assert rs.held("ME") is None
    approved = rs.answer("peer", "approve", "ME", "--fingerprint", own(me)["fingerprint"])
    assert (approved["state"], approved["message"]) == ("delivered", "peering.approved")
    eventually(lambda: follows(me, rs), WITHIN)
    eventually(lambda: follows(rs, me), WITHIN)
    assert proposed(me) == {"RS": "approved"}
    assert me.held("RS")["trust"] == rs.held("ME")["trust"] == "peering"

    # what one saves is pushed to the other
    me.save("/members/m-7k2p9x4q", {"name": "Duty officer 9", "unit": "me-spoc", "phone": "+99970009902"})
    eventually(lambda: rs.get("/members/ME/m-7k2p9x4q"), WITHIN)

    # a third one is refused, and nobody relays to whom nobody trusts
    mk.answer("peer", "add", rs.url, "--participant", "RS")
    assert waiting(rs) == ["MK"]
    assert rs.answer("peer", "refuse", "MK")["state"] == "delivered"
    eventually(lambda: proposed(mk) == {"RS": "refused"}, WITHIN)
    assert waiting(rs) == []
    assert rs.held("MK") is None
    assert mk.veza("sync", "RS")[0] == 1

    # the end: at once, on one side; what was held stays until it is forgotten
    assert rs.answer("peer", "remove", "ME")["removed"] == "ME"
    assert me.veza("sync", "RS")[0] == 1
    assert rs.get("/members/ME/m-7k2p9x4q"), "what was held stays readable"
    assert rs.answer("verify") == []
    assert rs.answer("peer", "remove", "ME", "--forget")["forgotten"] is True
    assert rs.held("ME") is None
    assert rs.get("/members/ME/m-7k2p9x4q") is None
    assert rs.answer("verify") == []

    # and once more from the beginning
    assert me.answer("peer", "add", rs.url, "--participant", "RS")["state"] == "delivered"
    assert rs.answer("peer", "approve", "ME")["state"] == "delivered"
    eventually(lambda: follows(rs, me), WITHIN)
    eventually(lambda: rs.get("/members/ME/m-7k2p9x4q"), WITHIN)


def test_a_proposal_outlasts_kills_on_both_sides(strangers: Trio) -> None:
    me, rs, _ = strangers
    kid = own(rs)["kid"]
    rs.stop()
    status, _, err = me.veza("peer", "add", rs.url, "--participant", "RS")
    assert (status, err.split(":")[1].strip()) == (1, "unreachable"), "nobody can be compared who does not answer"
    assert me.held("RS") is None

    rs.start()
    rs.answer("peer", "add", me.url, "--participant", "ME")
    assert waiting(me) == ["RS"]
    rs.kill()
    approved = me.answer("peer", "approve", "RS")
    assert (approved["kid"], approved["state"]) == (kid, "waiting")
    me.kill()
    rs.start()
    me.start()
    eventually(lambda: proposed(rs) == {"ME": "approved"}, WITHIN)
    eventually(lambda: follows(me, rs), WITHIN)
    eventually(lambda: follows(rs, me), WITHIN)


def test_a_node_that_is_not_who_it_says_is_not_added(strangers: Trio) -> None:
    me, rs, mk = strangers
    for arguments, code in (
        ((rs.url, "--participant", "MK"), "wrong_participant"),
        ((rs.url, "--participant", "RS", "--fingerprint", own(mk)["words"]), "unknown_key"),
        ((me.url, "--participant", "RS"), "participant_taken"),
    ):
        status, _, err = me.veza("peer", "add", *arguments)
        assert (status, err.split(":")[1].strip()) == (1, code)
    assert me.answer("peer", "list")["peers"] == []
    assert waiting(rs) == []
