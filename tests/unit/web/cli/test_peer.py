"""``veza peer``: pinning by fingerprint, what waits, and the end of trust; the other node is not there."""

import io
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from directory.database import reading, writing
from federation.identity import Identity
from federation.keys import fingerprint, key_set
from federation.log import create_log, load_head
from federation.participants import bind_participant, load_participant
from federation.peering import keep_proposal
from federation.statements import make_configuration
from federation.words import fingerprint_words
from sync.peers import fetch_introduction
from sync.wanted import load_wanted
from tests.simulators.node_simulator import named_key
from web.cli.failure import CommandError
from web.cli.nodes import opened_node
from web.cli.parameters import now
from web.cli.peer import confirm_fingerprint, pin_peer


@pytest.fixture
def url() -> Iterator[str]:
    """Where nobody listens, and nobody can while the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def make(url: str) -> Callable[..., object]:
    """A configuration of a node that is not there."""

    def make(code: str = "RS", at: str | None = None, name: str = "rs"):
        return make_configuration(
            Identity(code, at or url, named_key(f"{name} federation"), named_key(f"{name} operating")), now=now()
        )

    return make


@pytest.fixture
def waiting(data, make):
    """RS waits for this node's operator."""
    configuration = make()
    with opened_node(data) as (_, node), writing(node.engine) as session:
        keep_proposal(session, configuration, now())
    return configuration


def trusted(data, code: str = "RS"):
    with opened_node(data) as (_, node), reading(node.engine) as session:
        found = load_participant(session, code)
    return found if found is not None and found.is_trusted(now()) else None


def refused(veza, *arguments: object) -> str:
    status, out, err = veza("peer", *arguments)
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1
    return err.removeprefix("veza: ").split(":")[0]


def test_own_fingerprint_stands_first(answer, veza, data):
    own = answer("peer", "list")["own"]
    assert own["participant"] == "ME"
    assert own["fingerprint"] == fingerprint(own["kid"])
    assert own["words"].split() == list(fingerprint_words(own["kid"]))
    lines = veza("peer", "list")[1].splitlines()
    assert lines[0].startswith("ME at ")
    assert " ".join(lines[2:6]) == own["words"]


def test_who_waits_is_listed_with_what_to_compare(answer, veza, waiting):
    (proposal,) = answer("peer", "list")["proposals"]
    assert proposal["participant"] == "RS"
    assert proposal["url"] == waiting.entity_id
    assert proposal["words"].split() == list(fingerprint_words(waiting.kid))
    text = veza("peer", "list")[1]
    assert "veza peer approve RS" in text
    assert " ".join(fingerprint_words(waiting.kid)[:6]) in text


def test_approval_pins_the_key_that_signed_the_proposal(answer, data, waiting):
    facts = answer("peer", "approve", "RS")
    assert (facts["participant"], facts["kid"], facts["message"]) == ("RS", waiting.kid, "peering.approved")
    assert facts["state"] == "waiting"
    node = trusted(data)
    assert node.trust == "peering"
    assert set(node.federation_keys) == {waiting.kid}
    assert node.configuration.token == waiting.token
    listed = answer("peer", "list")
    assert listed["proposals"] == []
    (peer,) = listed["peers"]
    assert (peer["participant"], peer["trusted"], peer["kid"]) == ("RS", True, waiting.kid)
    with opened_node(data) as (_, node), reading(node.engine) as session:
        assert set(load_wanted(session)) == {"RS"}


def test_approval_in_words(veza, waiting):
    status, out, _ = veza("peer", "approve", "RS")
    assert status == 0
    assert " ".join(fingerprint_words(waiting.kid)[:6]) in out
    assert "veza peer remove RS --forget" in out
    assert "the worker goes on trying" in out


def test_expected_fingerprint_decides(veza, data, waiting, make):
    other = make(name="other")
    for wrong in (" ".join(fingerprint_words(other.kid)), fingerprint(other.kid)):
        assert refused(veza, "approve", "RS", "--fingerprint", wrong) == "unknown_key"
    assert refused(veza, "approve", "RS", "--fingerprint", "abandon ability") == "bad_request"
    assert trusted(data) is None
    assert veza("peer", "approve", "RS", "--fingerprint", fingerprint(waiting.kid))[0] == 0
    assert trusted(data) is not None


class Terminal(io.StringIO):
    """Standard input with somebody at it."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("typed", "pinned"), [("y\n", True), ("n\n", False), ("", False)])
def test_somebody_at_a_terminal_is_asked(veza, data, waiting, monkeypatch, typed, pinned):
    monkeypatch.setattr("io.StringIO", Terminal)
    status, _, err = veza("peer", "approve", "RS", typed=typed)
    assert status == (0 if pinned else 1)
    assert " ".join(fingerprint_words(waiting.kid)[:6]) in err
    assert (trusted(data) is not None) == pinned


def test_refusal_drops_the_proposal_and_trusts_nobody(answer, data, waiting):
    assert answer("peer", "refuse", "RS")["refused"] == "RS"
    assert answer("peer", "list")["proposals"] == []
    assert trusted(data) is None


def test_several_that_claim_one_code_are_told_apart_by_their_address(veza, data, waiting, make):
    other = make(at="http://127.0.0.1:9999", name="other")
    with opened_node(data) as (_, node), writing(node.engine) as session:
        keep_proposal(session, other, now())
    status, _, err = veza("peer", "approve", "RS")
    assert status == 1
    assert err.startswith("veza: conflict: 2 nodes wait to peer as RS")
    assert waiting.entity_id in err
    assert other.entity_id in err
    assert refused(veza, "approve", "RS", "--url", "http://127.0.0.1:9998") == "not_found"
    assert veza("peer", "approve", "RS", "--url", waiting.entity_id)[0] == 0
    assert trusted(data).entity_id == waiting.entity_id
    assert refused(veza, "approve", "RS") == "participant_taken", "the code is bound now"
    assert veza("peer", "refuse", "RS")[0] == 0


class TestRemoval:
    @pytest.fixture(autouse=True)
    def pinned(self, data, waiting):
        with opened_node(data) as (_, node):
            pin_peer(node, waiting, ())
            with writing(node.engine) as session:
                create_log(session, "RS", own=False)

    def held(self, data):
        with opened_node(data) as (_, node), reading(node.engine) as session:
            return load_head(session, "RS"), load_participant(session, "RS")

    def test_ends_trust_and_keeps_what_was_held(self, answer, veza, data):
        assert answer("peer", "remove", "RS")["forgotten"] is False
        head, node = self.held(data)
        assert head is not None
        assert node.ended_at is not None
        (peer,) = answer("peer", "list")["peers"]
        assert peer["trusted"] is False
        assert answer("peer", "list")["proposed"] == []
        assert {row["participant"]: row["state"] for row in answer("federation")} == {"ME": "fresh", "RS": "stale"}
        assert "RS is stale: trust in its node has ended" in veza("federation")[1]
        assert veza("sync", "RS")[2].splitlines()[-1].startswith("veza: unknown_participant")

    def test_forgets_where_asked(self, answer, veza, data):
        assert "nothing of it is held" in veza("peer", "remove", "RS", "--forget")[1]
        assert self.held(data) == (None, None)
        assert answer("peer", "list")["peers"] == []

    def test_frees_the_code_for_another_node(self, veza, data, make):
        other = make(at="http://127.0.0.1:9999", name="other")
        with opened_node(data) as (_, node), writing(node.engine) as session:
            keep_proposal(session, other, now())
        assert refused(veza, "approve", "RS") == "participant_taken"
        assert veza("peer", "remove", "RS")[0] == 0
        assert veza("peer", "approve", "RS")[0] == 0
        node = trusted(data)
        assert (node.entity_id, set(node.federation_keys)) == (other.entity_id, {other.kid})
        assert node.configuration.token == other.token, "the former node's keys speak for the code no more"

    def test_that_is_made_again_later_trusts_again(self, veza, data, waiting):
        assert veza("peer", "remove", "RS")[0] == 0
        with opened_node(data) as (_, node):
            pin_peer(node, waiting, ())
        assert trusted(data) is not None


def test_removing_what_an_anchor_vouches_for_says_that_it_comes_back(veza, data, url):
    with opened_node(data) as (_, node), writing(node.engine) as session:
        bind_participant(session, "RS", url, "anchor", key_set(named_key("rs federation")))
    assert "trust returns with the next sync" in veza("peer", "remove", "RS")[1]
    assert trusted(data) is None


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("approve", "RS"), "not_found"),
        (("refuse", "RS"), "not_found"),
        (("remove", "RS"), "not_found"),
        (("remove", "ME"), "forbidden"),
        (("add", "{url}", "--participant", "RS"), "unreachable"),
        (("add", "{url}", "--participant", "ME"), "participant_taken"),
        (("add", "http://127.0.0.1:9100", "--participant", "RS"), "participant_taken"),
        (("add", "{url}", "--participant", "RS", "--allow-network", "ten"), "insecure_url"),
        (("add", "ftp://127.0.0.1", "--participant", "RS"), "insecure_url"),
        (("add", "https://ok@evil.example", "--participant", "RS"), "insecure_url"),
        (("add", "https://rs.example:22", "--participant", "RS"), "insecure_url"),
        (("add", "https://127.1", "--participant", "RS"), "insecure_url"),
        (("add", "https://2130706433", "--participant", "RS"), "insecure_url"),
        (("add", "https://0x7f.1", "--participant", "RS"), "insecure_url"),
        (("add", "https://0177.0.0.1", "--participant", "RS"), "insecure_url"),
        (("add", "https://①②⑦.example", "--participant", "RS"), "insecure_url"),
        (("add", "https://rs.example/", "--participant", "RS"), "insecure_url"),
    ],
)
def test_what_cannot_be_is_one_line(veza, data, url, arguments, code):
    assert refused(veza, *(argument.format(url=url) for argument in arguments)) == code
    assert trusted(data) is None


@pytest.mark.parametrize("arguments", [("add", "https://rs.example"), ("approve",), ("remove",), ("refuse",), ()])
def test_usage_errors(veza, arguments):
    assert veza("peer", *arguments)[0] == 2


class TestFetching:
    """Addresses on a node that allows no insecure URLs."""

    class Refusing:
        def get(self, url: str, **options: object) -> None:
            raise AssertionError(f"{url} must not be dialled")

    @pytest.mark.parametrize(
        "address",
        [
            "https://127.0.0.1",
            "https://10.1.2.3",
            "https://169.254.169.254",
            "https://[::1]",
            "https://[::ffff:127.0.0.1]",
            "https://[64:ff9b::7f00:1]",
            "https://[2002:7f00:1::]",
            "https://[::]",
            "https://localhost",
            "http://rs.example",
        ],
    )
    def test_inner_addresses_are_not_dialled(self, data, address):
        with opened_node(data) as (_, node), pytest.raises(Exception, match="insecure_url"):
            fetch_introduction(strict(node, self.Refusing()), address, "RS", (), now())

    def test_one_in_an_allowed_network_is(self, data):
        with opened_node(data) as (_, node), pytest.raises(AssertionError, match="must not be dialled"):
            fetch_introduction(strict(node, self.Refusing()), "https://10.1.2.3", "RS", ("10.1.0.0/16",), now())


def strict(node, transport):
    return replace(node, transport=transport, settings=replace(node.settings, insecure_urls=False))


def test_expectation_and_fingerprint_are_compared_whole(make):
    configuration = make()
    words = fingerprint_words(configuration.kid)
    confirm_fingerprint(configuration, " ".join(words))
    with pytest.raises(CommandError, match="another fingerprint"):
        confirm_fingerprint(configuration, fingerprint(named_key("x").kid))
