"""Keys of real nodes: rotated while everybody works, revoked at every peer within a minute, taken by who was down."""

import http.client
import threading
import time
from collections.abc import Callable

import pytest

from directory.database import reading
from federation.checkpoint import Checkpoint, make_checkpoint, read_checkpoint
from federation.identity import Identity
from federation.log import load_head
from federation.participants import load_configuration
from federation.read_tokens import make_read_token
from federation.statements import NodeConfiguration, make_configuration
from tests.flows.conftest import Trio
from tests.flows.federation import START_SECONDS, FlowNode, sync
from tests.waiting import eventually
from web.cli.nodes import opened_node
from web.cli.parameters import now

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("flows")]

WITHIN_SECONDS = 60.0
"""How soon a removed key is dead at every peer that can be reached."""


def identity(node: FlowNode) -> Identity:
    """What a thief has who copied the key directory now."""
    with opened_node(node.data) as (_, opened):
        return opened.identity


def held(node: FlowNode, participant: str) -> NodeConfiguration:
    with opened_node(node.data) as (_, opened), reading(opened.engine) as session:
        found = load_configuration(session, participant)
    assert found is not None
    return found


def newest_checkpoint(node: FlowNode, participant: str) -> Checkpoint:
    with opened_node(node.data) as (_, opened), reading(opened.engine) as session:
        head = load_head(session, participant)
    assert head is not None
    assert head.checkpoint is not None
    return read_checkpoint(head.checkpoint)


def post(node: FlowNode, token: str, content_type: str) -> tuple[int, str]:
    """What a node answers to a statement that somebody posts: the status, and the problem it names."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=10)
    try:
        connection.request("POST", "/federation/v1/checkpoints", token, {"Content-Type": content_type})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


class Thief:
    """Somebody with a copy of a node's keys, who speaks for it to another node."""

    def __init__(self, owner: FlowNode) -> None:
        self.owner = owner
        self.copy = identity(owner)

    @property
    def kid(self) -> str:
        return self.copy.operating_key.kid

    def read_at(self, peer: FlowNode) -> bool:
        """Whether a read token still opens the owner's log there."""
        token = make_read_token(self.copy, peer.url, now())
        path = f"/federation/v1/logs/{self.owner.participant}/checkpoint"
        connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def tell(self, peer: FlowNode) -> tuple[int, str]:
        """Post a checkpoint of the true log, backdated to the one held, signed with the stolen key."""
        head = newest_checkpoint(self.owner, self.owner.participant)
        token = make_checkpoint(self.copy, head.size, head.root, head.issued_at).token
        return post(peer, token, "application/jwt")

    def succeeds_at(self, peer: FlowNode) -> bool:
        return self.read_at(peer) or self.tell(peer)[0] == 202


def seconds_until(condition: Callable[[], bool], at_most: float) -> float:
    started = time.monotonic()
    eventually(condition, at_most, pause=0.2)
    return time.monotonic() - started


def phone(node: FlowNode, ref: str) -> str:
    return node.get(ref)["data"]["endpoints"]["phone"]


def save_phone(node: FlowNode, number: str) -> None:
    data = node.get("/units/RS/rs-spoc")["data"]
    node.save("/units/rs-spoc", data | {"endpoints": data["endpoints"] | {"phone": number}})


def test_an_operating_key_is_rotated_while_everybody_works(trio: Trio) -> None:
    """No restart, no refused save, no failed sync: peers see the new key and nothing else."""
    me, rs, mk = trio
    before, stop, saved = identity(rs).operating_key.kid, threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            number = f"+99900{len(saved):04}"
            save_phone(rs, number)  # which fails the test where it is refused
            saved.append(number)

    desk = threading.Thread(target=work)
    desk.start()
    try:
        made = [rs.answer("keys", "rotate")["operating_key"] for _ in range(3)]
        count = len(saved)
        eventually(lambda: len(saved) > count + 2, 30)
    finally:
        stop.set()
        desk.join(30)
    assert newest_checkpoint(rs, "RS").kid == made[-1]
    assert held(rs, "RS").operating_keys.keys() >= {before, *made}
    for peer in (me, mk):
        eventually(lambda peer=peer: phone(peer, "/units/RS/rs-spoc") == saved[-1], 30)
        assert sync(peer, "RS")[0].result == "ok"
        assert held(peer, "RS").operating_keys.keys() == held(rs, "RS").operating_keys.keys()
    assert rs.answer("verify") == []


def test_a_revoked_key_is_dead_at_every_peer_within_a_minute(trio: Trio) -> None:
    me, rs, mk = trio
    thief = Thief(rs)
    for peer in (me, mk):
        eventually(lambda peer=peer: thief.read_at(peer) and thief.tell(peer)[0] == 202, 30)
    revocation = rs.answer("keys", "revoke", thief.kid)
    assert (revocation["revoked"], revocation["not_taken_by"]) == (thief.kid, [])
    for peer in (me, mk):
        seconds = seconds_until(lambda peer=peer: not thief.succeeds_at(peer), WITHIN_SECONDS)
        assert seconds < WITHIN_SECONDS, f"dead at {peer.participant} after {seconds:.1f} s"
        status, answer = thief.tell(peer)
        assert (status, "unknown_key" in answer) == (401, True)
    assert not list((rs.data / "keys").glob(f"*{thief.kid}*"))
    assert newest_checkpoint(rs, "RS").kid == identity(rs).operating_key.kid != thief.kid
    save_phone(rs, "+999001234")
    for peer in (me, mk):
        eventually(lambda peer=peer: phone(peer, "/units/RS/rs-spoc") == "+999001234", 30)


def test_a_peer_that_was_down_takes_the_revocation_when_it_returns(trio: Trio) -> None:
    me, rs, mk = trio
    thief = Thief(rs)
    mk.stop()
    assert rs.answer("keys", "revoke", thief.kid)["not_taken_by"] == ["MK"]
    assert {code for key in rs.answer("keys", "list") for code in key["not_taken_by"]} == {"MK"}
    assert "not taken yet by MK" in rs.veza("keys", "list")[1]
    assert not thief.succeeds_at(me)
    mk.start(wait=False)
    eventually(mk.answers, START_SECONDS)
    seconds = seconds_until(lambda: thief.tell(mk)[0] == 401, WITHIN_SECONDS)
    assert seconds < WITHIN_SECONDS, f"dead at MK {seconds:.1f} s after it came back"
    eventually(lambda: not any(key["not_taken_by"] for key in rs.answer("keys", "list")), WITHIN_SECONDS)


def test_a_federation_key_is_rotated_under_the_anchor_and_the_old_one_revoked(trio: Trio) -> None:
    me, rs, mk = trio
    old, thief = held(rs, "RS").kid, Thief(rs)
    begun = rs.answer("keys", "rotate", "--federation")
    assert (begun["signs"], "veza anchor enrol" in begun["waits"]) == (False, True)
    assert held(rs, "RS").kid == old
    assert rs.veza("keys", "revoke", old)[0] == 1  # nobody would follow the new one yet
    me.answer("anchor", "enrol", rs.url, "--participant", "RS")
    done = rs.answer("keys", "rotate", "--federation")
    assert (done["federation_key"], done["signs"]) == (begun["federation_key"], True)
    for peer in (me, mk):
        assert sync(peer, "RS")[0].result == "ok"
        assert held(peer, "RS").kid == done["federation_key"]
    assert "veza anchor enrol" in rs.veza("keys", "revoke", old)[1]
    me.answer("anchor", "enrol", rs.url, "--participant", "RS")
    stolen = make_configuration(thief.copy, now=now(), not_before=held(rs, "RS").issued_at).token
    for peer in (me, mk):
        assert sync(peer, "RS")[0].result == "ok"
        assert held(peer, "RS").federation_keys.keys() == {done["federation_key"]}
        status, answer = post(peer, stolen, "application/entity-statement+jwt")
        assert (status, "unknown_key" in answer) == (401, True)
        assert sync(peer, "RS")[0].result == "ok"
