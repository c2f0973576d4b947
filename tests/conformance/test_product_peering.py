"""The product and the second node as peers, without an anchor: each pins the other, and trusts no more than that."""

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import second_node
from tests.conformance.test_second_node import DOCUMENT, OUTAGE, WEB, serving, write_config
from tests.conformance.test_second_vectors import WORDS
from tests.flows.federation import FlowNode, stopping, sync
from tests.waiting import eventually

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("flows")]
CODES = iter("SI HR BA BG RO HU GR MD AT IT DE TR PL CZ SK PT ES FR NL BE DK SE FI EE LV LT".split())  # noqa: SIM905 - a list would be eight lines
SECONDS = 20


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlowNode]:
    """A node of the product that trusts no anchor."""
    node = FlowNode.at(tmp_path_factory.mktemp("peering"), "ME")
    with stopping([node]):
        node.make()
        node.start()
        yield node


class Peer:
    """A second node of its own code, and what it and the product's operator do."""

    def __init__(self, product: FlowNode, folder: Path, **values: Any) -> None:
        self.product, self.code = product, next(CODES)
        self.config = write_config(folder, self.code, document="document.json", **values)
        (folder / "document.json").write_text(json.dumps(DOCUMENT | {"country": self.code}))
        self.settings = second_node.Settings(self.config)

    @property
    def url(self) -> str:
        return self.settings.url

    @property
    def fingerprint(self) -> str:
        return self.settings.keys.signer("federation").kid

    @property
    def signer(self) -> second_node.Signer:
        """The operating key that signs now."""
        return second_node.Settings(self.config).keys.signer("operating")

    def control(self, **command: Any) -> second_node.Json:
        port = self.settings.values["control_port"]
        body = json.dumps(command).encode() if command else None
        answer = WEB.ask(f"http://127.0.0.1:{port}/", body=body, media_type="application/json", timeout=30)
        assert answer.status == 200, answer.body
        return second_node.strict_object(answer.body)

    def pin(self) -> None:
        """Let the second node trust the product, as its operator compared the fingerprint."""
        keys = self.product.answer("keys", "list")
        (kid,) = [key["kid"] for key in keys if key["use"] == "federation" and key["signs"]]
        self.control(do="pin", url=self.product.url, participant="ME", thumbprint=kid)

    def add(self) -> None:
        """Let the product's operator pin the second node, whose words were read out over the telephone."""
        words = " ".join(second_node.fingerprint_words(self.fingerprint, WORDS.decode().split()))
        self.product.answer("peer", "add", self.url, "--participant", self.code, "--fingerprint", words)

    def proposals(self) -> list[Any]:
        """What waits for the product's operator from this node."""
        return [row for row in self.product.answer("peer", "list")["proposals"] if row["url"] == self.url]

    def result(self) -> str:
        """What the product says of following the second node."""
        (found,) = sync(self.product, self.code)
        return found.result

    def report(self) -> second_node.Json:
        """What the second node says of following the product."""
        found: second_node.Json = self.control(do="follow", participants=["ME"])["nodes"]["ME"]
        return found

    def message(self, signer: second_node.Signer | None = None, header: Any = None, **changes: Any) -> str:
        """A proposal to the product, or what the changes make of it."""
        now = second_node.clock()
        shown = WEB.ask(f"{self.url}/.well-known/openid-federation").text
        claims: second_node.Json = {"iss": self.url, "aud": self.product.url, "iat": now, "exp": now + 600}
        claims |= {"jti": str(uuid.uuid4()), "type": "peering.proposed"}
        claims |= {"body": {"participant": self.code, "configuration": shown}}
        whole = {name: value for name, value in (claims | changes).items() if value is not ...}
        kind = {"typ": second_node.MESSAGE.typ} | (header or {})
        return (signer or self.signer).token(kind.pop("typ"), whole, **kind)

    def post(self, raw: str) -> second_node.Response:
        return WEB.ask(f"{self.product.url}/federation/v1/messages", body=raw.encode())

    def read(self, token: str) -> second_node.Response:
        url = f"{self.product.url}/federation/v1/logs/ME/checkpoint"
        return WEB.ask(url, headers={"Authorization": f"Bearer {token}"})


@contextmanager
def served(product: FlowNode, folder: Path, **values: Any) -> Iterator[Peer]:
    made = Peer(product, folder, **values)
    with serving(made.config):
        yield made
        if product.held(made.code):
            product.answer("peer", "remove", made.code, "--forget")


@pytest.fixture
def stranger(product: FlowNode, tmp_path: Path) -> Iterator[Peer]:
    """A second node that nobody has pinned."""
    with served(product, tmp_path) as made:
        yield made


@pytest.fixture
def peer(product: FlowNode, tmp_path: Path) -> Iterator[Peer]:
    """A second node and the product, each of which has pinned the other."""
    with served(product, tmp_path) as made:
        made.pin()
        made.add()
        assert made.result() == "ok"
        yield made


# ---------------------------------------------------------------- peering


def test_the_second_nodes_proposal_is_approved(stranger: Peer) -> None:
    stranger.pin()
    assert stranger.control(do="propose", url=stranger.product.url)["code"] == "ok"
    (waiting,) = stranger.proposals()
    assert waiting["kid"] == stranger.fingerprint
    assert stranger.product.held(stranger.code) is None, "expected a proposal to pin nothing"
    stranger.product.answer("peer", "approve", stranger.code)
    eventually(lambda: stranger.control()["answers"] == {stranger.product.url: "peering.approved"}, SECONDS)
    assert stranger.result() == "ok"
    assert stranger.report()["result"] == "accepted"


def test_the_second_nodes_proposal_is_refused(stranger: Peer) -> None:
    stranger.control(do="propose", url=stranger.product.url)
    stranger.product.answer("peer", "refuse", stranger.code)
    eventually(lambda: stranger.control()["answers"] == {stranger.product.url: "peering.refused"}, SECONDS)
    assert stranger.proposals() == []
    assert stranger.product.held(stranger.code) is None


def test_the_products_proposal_is_approved(stranger: Peer) -> None:
    stranger.add()
    eventually(lambda: stranger.product.url in stranger.control()["proposals"], SECONDS)
    kids = {key["kid"] for key in stranger.product.answer("keys", "list") if key["use"] == "federation"}
    assert stranger.control()["proposals"][stranger.product.url]["fingerprint"] in kids
    assert stranger.control(do="approve", url=stranger.product.url)["code"] == "ok"
    assert stranger.report()["result"] == "accepted"
    assert stranger.result() == "ok"


def test_the_second_node_finds_no_fault_with_a_pinned_product(peer: Peer) -> None:
    peer.settings.values |= {"probes": True}
    report = second_node.follow(peer.settings)
    assert [item for part in (report["anchor"], *report["nodes"]) for item in part["deviations"]] == []
    assert [part["participant"] for part in report["nodes"]] == ["ME"]


# ---------------------------------------------------------------- messages


def test_a_repeat_gets_the_first_receipt_and_has_no_second_effect(stranger: Peer) -> None:
    first = stranger.message()
    claims = second_node.parse(first, second_node.MESSAGE).claims
    anew = stranger.message(jti=claims["jti"], body=claims["body"], exp=claims["exp"] + 60)
    answers = [stranger.post(raw) for raw in (first, first, anew)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert len({answer.body for answer in answers}) == 1
    shown = WEB.ask(f"{stranger.product.url}/.well-known/openid-federation").text
    second_node.check_receipt(
        answers[0].text,
        second_node.read_configuration(shown, None, now=second_node.clock()).operating,
        iss=stranger.product.url,
        aud=stranger.url,
        jti=claims["jti"],
        sent=[first],
        now=second_node.clock(),
    )
    assert len(stranger.proposals()) == 1
    other = stranger.post(stranger.message(jti=claims["jti"], type="peering.refused"))
    assert (other.status, other.problem()) == (409, "jti_conflict")


def test_the_product_refuses_each_spoiled_message_with_its_code(stranger: Peer) -> None:
    now = second_node.clock()
    wrong = second_node.Signer.new()
    shown = WEB.ask(f"{stranger.url}/.well-known/openid-federation").text
    foreign = WEB.ask(f"{stranger.product.url}/.well-known/openid-federation").text
    good = stranger.message()
    head, body, _ = good.split(".")
    spoiled: dict[str, tuple[str, int, str]] = {
        "32 KiB and a byte": ("A" * 32_769, 413, "too_large"),
        "two parts": (f"{head}.{body}", 400, "malformed"),
        "padding": (f"{good}=", 400, "malformed"),
        "a key in the header": (stranger.message(header={"jwk": {}}), 400, "bad_header"),
        "a checkpoint": (stranger.message(header={"typ": second_node.CHECKPOINT.typ}), 400, "wrong_type"),
        "no algorithm": (stranger.message(header={"alg": "none"}), 401, "bad_signature"),
        "no signature": (f"{head}.{body}.", 401, "bad_signature"),
        "no jti": (stranger.message(jti=...), 400, "malformed"),
        "25 hours": (stranger.message(exp=now + 25 * 3600), 400, "malformed"),
        "another's configuration": (
            stranger.message(body={"participant": "ME", "configuration": foreign}), 400, "wrong_issuer",
        ),
        "another code": (
            stranger.message(body={"participant": "XK", "configuration": shown}), 400, "wrong_participant",
        ),
        "no configuration": (stranger.message(body={"participant": stranger.code}), 400, "bad_request"),
        "a key that is not listed": (stranger.message(wrong), 401, "unknown_key"),
        "forged": (stranger.message(wrong, header={"kid": stranger.signer.kid}), 401, "bad_signature"),
        "for another": (stranger.message(aud=stranger.url), 400, "wrong_audience"),
        "for several": (stranger.message(aud=[stranger.product.url]), 400, "wrong_audience"),
        "of the future": (stranger.message(iat=now + 1000, exp=now + 2000), 400, "not_yet_valid"),
        "expired": (stranger.message(iat=now - 2000, exp=now - 1000), 400, "expired"),
        "a request of a stranger": (stranger.message(type="contact.requested"), 403, "unknown_participant"),
    }  # fmt: skip
    answers = {name: stranger.post(raw) for name, (raw, _, _) in spoiled.items()}
    found = {name: (answer.status, answer.problem()) for name, answer in answers.items()}
    assert found == {name: (status, code) for name, (_, status, code) in spoiled.items()}
    assert stranger.proposals() == []


def test_a_type_that_is_not_known_yet_is_a_bad_request(peer: Peer) -> None:
    answer = peer.post(peer.message(type="contact.requested"))
    assert (answer.status, answer.problem()) == (400, "bad_request")


def test_a_false_receipt_leaves_the_message_undelivered(stranger: Peer) -> None:
    stranger.control(do="fault", names=["receipt"])
    stranger.add()
    eventually(lambda: stranger.product.url in stranger.control()["proposals"], SECONDS)
    (sent,) = [row for row in stranger.product.answer("peer", "list")["proposed"] if row["url"] == stranger.url]
    assert (sent["state"], sent["detail"].partition(":")[0]) == ("waiting", "malformed")
    stranger.control(do="fault", names=[])
    eventually(lambda: _proposed(stranger) == "delivered", SECONDS)


def _proposed(stranger: Peer) -> str:
    (sent,) = [row for row in stranger.product.answer("peer", "list")["proposed"] if row["url"] == stranger.url]
    return str(sent["state"])


def test_another_fingerprint_than_was_read_out_is_not_pinned(stranger: Peer) -> None:
    words = " ".join(second_node.fingerprint_words(second_node.Signer.new().kid, WORDS.decode().split()))
    command = ("peer", "add", stranger.url, "--participant", stranger.code, "--fingerprint", words)
    status, _, err = stranger.product.veza(*command)
    assert (status, "unknown_key" in err) == (1, True)
    assert stranger.product.held(stranger.code) is None


# ---------------------------------------------------------------- keys


def test_a_revoked_key_of_the_second_node_is_dead_at_the_product(product: FlowNode, tmp_path: Path) -> None:
    with served(product, tmp_path, push=True) as peer:
        peer.pin()
        peer.add()
        assert peer.result() == "ok"
        old = peer.signer
        peer.control(do="rotate", which="operating")
        eventually(lambda: _taken(peer), SECONDS)
        now = second_node.clock()
        read: second_node.Json = {"iss": peer.url, "aud": product.url, "iat": now, "exp": now + 60}
        refused = peer.read(old.token(second_node.READ.typ, read))
        assert (refused.status, refused.problem()) == (401, "unknown_key")
        assert peer.read(peer.signer.token(second_node.READ.typ, read)).status == 200
        late = peer.post(peer.message(old))
        assert (late.status, late.problem()) == (401, "unknown_key")


def test_a_revocation_after_a_missed_change_of_federation_keys_is_taken_in_seconds(
    product: FlowNode, tmp_path: Path
) -> None:
    with served(product, tmp_path, push=True) as peer:
        peer.pin()
        peer.add()
        assert peer.result() == "ok"
        peer.control(do="rotate", which="federation")
        peer.control(do="rotate", which="operating")
        eventually(lambda: _taken(peer), SECONDS)
        assert peer.result() == "ok"


def _taken(peer: Peer) -> bool:
    """Whether the product has taken the configuration of the second node as it is now."""
    shown = WEB.ask(f"{peer.url}/.well-known/openid-federation").body
    digest = second_node.b64(second_node.hashlib.sha256(shown).digest())
    return any(push.get("status") == 202 and push["digest"] == digest for push in peer.control()["pushed"])


def test_the_products_rotations_and_revocation_are_followed(peer: Peer) -> None:
    assert peer.report()["result"] == "accepted"
    product = peer.product
    before = {key["kid"] for key in product.answer("keys", "list")}
    product.answer("keys", "rotate")
    product.answer("keys", "rotate", "--federation")
    assert peer.report()["result"] == "accepted"
    (old,) = [key for key in product.answer("keys", "list") if key["use"] == "operating" and key["kid"] in before]
    product.answer("keys", "revoke", old["kid"])
    report = peer.report()
    assert (report["result"], report["deviations"]) == ("accepted", [])
    shown = WEB.ask(f"{product.url}/.well-known/openid-federation").text
    assert old["kid"] not in second_node.read_configuration(shown, None, now=second_node.clock()).operating


# ---------------------------------------------------------------- forks


def test_a_fork_of_the_second_node_is_disputed_and_its_evidence_holds(peer: Peer) -> None:
    peer.control(do="append", entries=[{"record": "outage/o-1", "data": OUTAGE}])
    assert peer.result() == "ok"
    before = peer.product.held(peer.code)
    peer.control(do="rewrite", seq=2)
    peer.control(do="append", entries=[{"record": "outage/o-2", "data": OUTAGE}])
    assert peer.result() == "fork"
    after = peer.product.held(peer.code)
    assert (after["state"], after["size"], after["root"]) == ("disputed", before["size"], before["root"])
    evidence = _exported(peer)
    verdict = second_node.check_evidence(evidence)
    assert (verdict["participant"], verdict["federation_key"]) == (peer.code, peer.fingerprint)
    assert evidence["headers"][0][0] == 2
    with pytest.raises(second_node.Refusal):
        second_node.check_evidence(evidence | {"offered": evidence["held"]})
    peer.product.answer("dispute", "resolve", peer.code, "--accept", "held", "--reason", "their operator says so")
    assert peer.product.held(peer.code)["root"] == before["root"]


def _exported(peer: Peer) -> second_node.Json:
    status, out, err = peer.product.veza("dispute", "export", peer.code)
    assert status == 0, err
    return second_node.strict_object(out.encode(), "the evidence")


def test_two_roots_of_one_size_are_evidence_too(peer: Peer) -> None:
    peer.control(do="rewrite", seq=1)
    assert peer.result() == "fork"
    evidence = _exported(peer)
    assert (evidence["headers"], evidence["proofs"]) == ([], {"held": [], "offered": []})
    assert second_node.check_evidence(evidence)["participant"] == peer.code


def test_the_products_checker_takes_the_second_nodes_evidence(peer: Peer, tmp_path: Path) -> None:
    """The second node meets a fork of a third, and the product, which never saw it, checks what it says."""
    with served(peer.product, tmp_path / "liar") as liar:
        peer.control(do="pin", url=liar.url, participant=liar.code, thumbprint=liar.fingerprint)
        liar.control(do="pin", url=peer.url, participant=peer.code, thumbprint=peer.fingerprint)
        assert peer.control(do="follow", participants=[liar.code])["nodes"][liar.code]["result"] == "accepted"
        liar.control(do="rewrite", seq=0)
        liar.control(do="append", entries=[{"record": "outage/o-2", "data": OUTAGE}])
        found = peer.control(do="follow", participants=[liar.code])["nodes"][liar.code]
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(found["facts"]["evidence"]))
    status, out, err = peer.product.veza("dispute", "check", path)
    assert status == 0, err
    path.write_text(json.dumps(found["facts"]["evidence"] | {"headers": []}))
    assert peer.product.veza("dispute", "check", path)[0] == 1
    assert out


def test_a_split_view_is_seen_by_asking_the_second_node(product: FlowNode, tmp_path: Path) -> None:
    """The liar shows the product one history and a peer of the product another; gossip brings them together."""
    with served(product, tmp_path / "liar") as liar, served(product, tmp_path / "witness", gossip=0) as witness:
        for one, other in ((liar, witness), (witness, liar)):
            one.pin()
            one.add()
            one.control(do="pin", url=other.url, participant=other.code, thumbprint=other.fingerprint)
        liar.control(do="split", urls=[witness.url])
        followed = witness.control(do="follow", participants=[liar.code])["nodes"][liar.code]
        assert followed["result"] == "accepted"
        assert witness.result() == "ok"
        eventually(lambda: liar.result() == "fork", 60, pause=1)
        assert product.held(liar.code)["state"] == "disputed"
        assert second_node.check_evidence(_exported(liar))["participant"] == liar.code
        others = [row for row in product.answer("federation") if row["participant"] in ("ME", witness.code)]
        assert {row["state"] for row in others} == {"fresh"}


def test_the_product_gives_the_second_node_its_own_log_back(product: FlowNode, tmp_path: Path) -> None:
    peer = Peer(product, tmp_path, recover=True)
    with serving(peer.config):
        peer.pin()
        peer.add()
        peer.control(do="append", entries=[{"record": f"outage/o-{n}", "data": OUTAGE} for n in range(3)])
        assert peer.result() == "ok"
        size = peer.control()["size"]
    (tmp_path / "state.json").unlink()
    with serving(peer.config):
        assert peer.control()["size"] >= size
        eventually(lambda: peer.result() == "ok", 60, pause=1)
    assert product.held(peer.code)["state"] == "fresh"


def test_a_product_restored_from_an_old_copy_takes_its_log_back(peer: Peer, tmp_path: Path) -> None:
    product = peer.product
    product.stop()
    old = tmp_path / "old.db"
    shutil.copyfile(product.data / "veza.db", old)
    product.start()
    product.save("/outages/restored", OUTAGE)
    newest = product.held("ME")
    assert peer.report()["result"] == "accepted"
    product.stop()
    shutil.copyfile(old, product.data / "veza.db")
    product.start()
    eventually(lambda: product.held("ME")["size"] >= newest["size"], SECONDS)
    assert product.get("/outages/ME/restored")["data"]["reason"] == OUTAGE["reason"]
    assert peer.report()["result"] == "accepted", "expected one history, as the second node holds it"
