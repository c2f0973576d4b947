"""The second implementation among its own kind, without an anchor: peering, messages, gossip, evidence, revocation."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import second_node as node
from tests.conformance.test_second_node import DOCUMENT, OUTAGE, PROGRAM, WEB, serving, write_config
from tests.waiting import eventually

pytestmark = pytest.mark.flow


class Party:
    """One served node that pins others by hand."""

    def __init__(self, folder: Path, code: str, **values: Any) -> None:
        self.code = code
        self.config = write_config(folder / code.lower(), code, document="document.json", **values)
        (folder / code.lower() / "document.json").write_text(json.dumps(DOCUMENT | {"country": code}))
        self.settings = node.Settings(self.config)

    @property
    def url(self) -> str:
        return self.settings.url

    @property
    def fingerprint(self) -> str:
        return self.settings.keys.signer("federation").kid

    def control(self, **command: Any) -> node.Json:
        port = self.settings.values["control_port"]
        body = json.dumps(command).encode() if command else None
        answer = WEB.ask(f"http://127.0.0.1:{port}/", body=body, media_type="application/json", timeout=30)
        assert answer.status == 200, answer.body
        return node.strict_object(answer.body)

    def pin(self, other: "Party") -> None:
        self.control(do="pin", url=other.url, participant=other.code, thumbprint=other.fingerprint)

    def result(self, other: "Party") -> str:
        return str(self.report(other)["result"])

    def report(self, other: "Party") -> node.Json:
        found: node.Json = self.control(do="follow", participants=[other.code])["nodes"][other.code]
        return found


@pytest.fixture
def parties(tmp_path: Path) -> Iterator[list[Party]]:
    made = [Party(tmp_path, code) for code in ("SI", "HR", "BA")]
    with ExitStack() as stack:
        for party in made:
            stack.enter_context(serving(party.config))
        yield made


def pinned_all(parties: list[Party]) -> None:
    for one in parties:
        for other in parties:
            if one is not other:
                one.pin(other)


def test_two_nodes_peer_by_proposal_and_approval(parties: list[Party]) -> None:
    first, second, _ = parties
    assert first.control(do="propose", url=second.url)["code"] == "ok"
    waiting = second.control()["proposals"]
    assert waiting[first.url]["fingerprint"] == first.fingerprint
    assert second.control()["peers"] == [], "expected a proposal to pin nothing"
    first.pin(second)
    assert second.control(do="approve", url=first.url)["code"] == "ok"
    assert first.control()["answers"] == {second.url: "peering.approved"}
    assert (first.result(second), second.result(first)) == ("accepted", "accepted")


def test_a_refused_proposal_trusts_nobody(parties: list[Party]) -> None:
    first, second, _ = parties
    first.control(do="propose", url=second.url)
    assert second.control(do="refuse", url=first.url)["code"] == "ok"
    found = second.control()
    assert (found["proposals"], found["peers"]) == ({}, [])
    assert first.control()["answers"] == {second.url: "peering.refused"}


def test_a_repeat_gets_the_first_receipt_and_other_content_a_conflict(parties: list[Party]) -> None:
    first, second, _ = parties
    jti = "0b54f6a8-5f6e-4f0e-9d55-0f9e54a3c111"
    body = {"participant": "SI", "configuration": WEB.ask(f"{first.url}/.well-known/openid-federation").text}
    same = {"do": "send", "url": second.url, "body": body, "jti": jti}
    receipts = [first.control(**same, type="peering.proposed")["receipt"] for _ in range(2)]
    assert receipts[0] == receipts[1]
    assert len(second.control()["messages"]) == 1
    assert first.control(**same, type="peering.refused")["code"] == "jti_conflict"
    assert len(second.control()["conflicts"]) == 1
    stranger = first.control(**same | {"jti": jti[:-1] + "2"}, type="contact.requested")
    assert (stranger["status"], stranger["code"]) == (403, "unknown_participant")


def test_a_receipt_for_other_bytes_does_not_count(parties: list[Party]) -> None:
    first, second, _ = parties
    second.control(do="fault", names=["receipt"])
    assert first.control(do="propose", url=second.url)["code"] == "malformed"


def test_a_split_view_comes_to_light_by_gossip_and_is_proven(parties: list[Party], tmp_path: Path) -> None:
    liar, first, second = parties
    pinned_all(parties)
    liar.control(do="split", urls=[second.url])
    assert second.result(liar) == "accepted", "expected a history that is consistent in itself"
    report = first.report(liar)
    assert report["result"] == "fork"
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(report["facts"]["evidence"]))
    command = [sys.executable, str(PROGRAM), "check", "--evidence", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, json.loads(done.stdout)["federation_key"]) == (0, liar.fingerprint)


def test_an_origin_that_withholds_is_named(parties: list[Party]) -> None:
    origin, first, second = parties
    pinned_all(parties)
    origin.control(do="append", entries=[{"record": "outage/o-1", "data": OUTAGE}])
    assert second.result(origin) == "accepted"
    origin.control(do="truncate", size=4)
    report = first.report(origin)
    assert (report["result"], report["facts"]["withholding"]) == ("accepted", second.url)


def test_a_revoked_key_is_pushed_until_it_is_taken_and_then_dead(tmp_path: Path) -> None:
    origin, peer = Party(tmp_path, "SI", push=True), Party(tmp_path, "HR")
    with serving(origin.config), serving(peer.config):
        pinned_all([origin, peer])
        old = origin.settings.keys.signer("operating")
        peer.control(do="fault", names=["deaf"])
        origin.control(do="rotate", which="operating")

        def heard(status: int) -> bool:
            found = origin.control()["pushed"]
            return any(
                push["status"] == status and push["type"] == node.ENTITY_TYPE for push in found if "status" in push
            )

        eventually(lambda: heard(503), 20)
        assert not heard(202)
        peer.control(do="fault", names=[])
        eventually(lambda: heard(202), 30)
        token = old.token(
            node.READ.typ, {"iss": origin.url, "aud": peer.url, "iat": node.clock(), "exp": node.clock() + 60}
        )
        answer = WEB.ask(f"{peer.url}/federation/v1/logs/HR/checkpoint", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status, answer.problem()) == (401, "unknown_key")


def test_a_chain_of_rotations_is_followed_from_the_pin(parties: list[Party]) -> None:
    origin, follower, _ = parties
    pinned_all(parties)
    for _ in range(3):
        origin.control(do="rotate", which="federation", keep=True)
        origin.control(do="rotate", which="operating", keep=True)
    assert follower.result(origin) == "accepted"
    kids = [key.kid for key in node.Settings(origin.config).keys.rings["operating"]]
    origin.control(do="drop", kid=kids[-1])
    assert follower.result(origin) == "accepted"


def test_a_node_gives_an_origin_its_own_log_back(parties: list[Party]) -> None:
    origin, peer, stranger = parties
    pinned_all(parties)
    url = f"{peer.url}/federation/v1/logs/SI"

    def ask(reader: Party, what: str) -> node.Response:
        token = node.read_token(reader.settings, peer.url, node.clock())
        return WEB.ask(f"{url}/{what}", headers={"Authorization": f"Bearer {token}"})

    assert ask(origin, "checkpoint").problem() == "not_found"
    assert peer.result(origin) == "accepted"
    assert ask(origin, "entries?start=0").status == 200
    refused = ask(stranger, "entries?start=0")
    assert (refused.status, refused.problem()) == (403, "forbidden")
