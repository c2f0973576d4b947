"""``veza anchor``: vouching for nodes, and trusting an anchor that has proven its keys."""

import dataclasses
import json
import socket
import stat
from collections.abc import Sequence

import pytest

from directory.database import reading
from federation.anchor import list_enrolled
from federation.errors import FederationError
from federation.identity import AnchorIdentity
from federation.keys import generate_key, key_set
from federation.participants import load_configuration
from federation.statements import make_anchor_configuration
from federation.trusted_anchor import load_anchor
from sync.errors import PeerRefusalError, PeerUnreachableError
from sync.transport import ENTITY_STATEMENT, Response
from web.cli.anchor import enrol_node, make_anchor, trust_anchor
from web.cli.failure import CommandError
from web.cli.init import create_node
from web.cli.nodes import opened_node
from web.cli.parameters import now

RS = "http://127.0.0.1:9101"
ANCHOR = AnchorIdentity("http://127.0.0.1:9109/anchor", generate_key())


class FakeTransport:
    """Answers with what is known of each address; everything else is unreachable."""

    def __init__(self, statements: dict[str, str], status: int = 200) -> None:
        self._statements = statements
        self._status = status
        self.networks: Sequence[object] = ()

    def get(self, url: str, *, accept: str, allowed_networks: Sequence[object] = (), **limits: object) -> Response:
        assert accept == ENTITY_STATEMENT
        self.networks = allowed_networks
        entity_id, found, _ = url.partition("/.well-known/openid-federation")
        if not found or entity_id not in self._statements:
            raise PeerUnreachableError("unreachable", f"{url} does not answer")
        return Response(self._status, ENTITY_STATEMENT, self._statements[entity_id].encode())

    def post(self, url: str, body: bytes, **more: object) -> Response:
        raise AssertionError("nothing is posted")


@pytest.fixture(scope="module")
def statement_of_rs(tmp_path_factory):
    data = tmp_path_factory.mktemp("RS") / "RS"
    create_node(data, {"participant": "RS", "url": RS, "insecure_urls": True})
    with opened_node(data) as (_, node), reading(node.engine) as session:
        return load_configuration(session, "RS").token


@pytest.fixture
def closed_port():
    """A port at which nobody listens, and nobody can while the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def node(data):
    with opened_node(data) as (_, node):
        yield node


@pytest.fixture
def anchored(data):
    """The node as an anchor."""
    with opened_node(data) as (config, _):
        make_anchor(config)
    with opened_node(data) as (_, node):
        yield node


def with_answers(node, statements, status=200):
    return dataclasses.replace(node, transport=FakeTransport(statements, status))


def anchor_statement():
    return {ANCHOR.entity_id: make_anchor_configuration(ANCHOR, now()).token}


def test_init_makes_a_key_once(veza, answer, data):
    first, second = answer("anchor", "init"), answer("anchor", "init")
    assert first == second
    assert first["anchor"] == "http://127.0.0.1:9100/anchor"
    assert first["jwks"] == json.loads((data / "anchor" / "jwks.json").read_text())
    assert stat.S_IMODE((data / "anchor" / "anchor.pem").stat().st_mode) == 0o600
    assert "d" not in first["jwks"]["keys"][0]
    assert str(data / "anchor" / "jwks.json") in veza("anchor", "init")[1]


def test_enrolled_nodes_are_listed_until_they_are_removed(veza, answer, anchored, statement_of_rs):
    configuration = enrol_node(with_answers(anchored, {RS: statement_of_rs}), RS, "RS")
    assert configuration.participant == "RS"
    assert answer("anchor", "list") == [{"participant": "RS", "url": RS}]
    assert RS in veza("anchor", "list")[1]
    assert answer("anchor", "remove", "RS") == {"removed": "RS"}
    assert veza("anchor", "remove", "RS")[2].startswith("veza: not_found: ")
    assert answer("anchor", "list") == []


def test_removal_is_said(veza, anchored, statement_of_rs):
    enrol_node(with_answers(anchored, {RS: statement_of_rs}), RS, "RS")
    assert veza("anchor", "remove", "RS")[:2] == (0, "removed RS\n")


@pytest.mark.parametrize(
    ("participant", "statements", "error", "code"),
    [
        ("MK", {RS: None}, FederationError, "wrong_participant"),
        ("RS", {}, PeerUnreachableError, "unreachable"),
        ("RS", {RS: "not.a.token"}, FederationError, "malformed"),
        ("RS", {RS: ""}, FederationError, "malformed"),
    ],
)
def test_who_does_not_prove_its_code_is_not_enrolled(anchored, statement_of_rs, participant, statements, error, code):
    answers = {url: statement_of_rs if token is None else token for url, token in statements.items()}
    with pytest.raises(error) as caught:
        enrol_node(with_answers(anchored, answers), RS, participant)
    assert caught.value.code == code
    with reading(anchored.engine) as session:
        assert list_enrolled(session) == []


def test_a_statement_of_another_address_is_refused(anchored, statement_of_rs):
    with pytest.raises(FederationError) as caught:
        enrol_node(with_answers(anchored, {"http://127.0.0.1:9102": statement_of_rs}), "http://127.0.0.1:9102", "RS")
    assert caught.value.code == "wrong_issuer"


def test_an_answer_that_refuses_is_passed_on(anchored, statement_of_rs):
    with pytest.raises(PeerRefusalError):
        enrol_node(with_answers(anchored, {RS: statement_of_rs}, status=503), RS, "RS")


def test_a_node_that_is_no_anchor_vouches_for_nobody(node, statement_of_rs):
    with pytest.raises(CommandError) as caught:
        enrol_node(with_answers(node, {RS: statement_of_rs}), RS, "RS")
    assert caught.value.code == "wrong_state"


def test_a_trusted_anchor_stands_in_the_own_configuration(node):
    trust_anchor(with_answers(node, anchor_statement()), ANCHOR.entity_id, key_set(ANCHOR.key), ["10.1.0.0/16"])
    with reading(node.engine) as session:
        assert load_anchor(session).entity_id == ANCHOR.entity_id
        assert load_configuration(session, "ME").authority_hints == (ANCHOR.entity_id,)


@pytest.mark.parametrize(
    ("statements", "key"),
    [({}, ANCHOR.key), (anchor_statement(), generate_key()), ({ANCHOR.entity_id: "a.b.c"}, ANCHOR.key)],
)
def test_an_anchor_that_does_not_prove_its_keys_is_not_trusted(node, statements, key):
    with pytest.raises((FederationError, CommandError, PeerUnreachableError)):
        trust_anchor(with_answers(node, statements), ANCHOR.entity_id, key_set(key))
    with reading(node.engine) as session:
        assert load_anchor(session) is None
        assert load_configuration(session, "ME").authority_hints == ()


def test_an_anchor_with_other_keys_says_which_address_and_file_are_meant(node):
    with pytest.raises(CommandError, match=r"anchor/jwks\.json") as refusal:
        trust_anchor(with_answers(node, anchor_statement()), ANCHOR.entity_id, key_set(generate_key()))
    assert refusal.value.code == "unknown_key"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("trust", "http://127.0.0.1:{port}/anchor", "--jwks", "{keys}"), "unreachable"),
        (("trust", "ftp://anchor.example", "--jwks", "{keys}"), "insecure_url"),
        (("trust", "http://127.0.0.1:{port}/anchor", "--jwks", "{empty}"), "malformed"),
        (("trust", "http://127.0.0.1:{port}/anchor", "--jwks", "{broken}"), "bad_request"),
        (("trust", "http://127.0.0.1:{port}/anchor", "--jwks", "{missing}"), "bad_request"),
        (("trust", "http://127.0.0.1:{port}/anchor", "--jwks", "{keys}", "--allow-network", "ten"), "insecure_url"),
        (("enrol", "http://127.0.0.1:{port}", "--participant", "RS"), "wrong_state"),
        (("remove", "RS"), "not_found"),
    ],
)
def test_what_cannot_be_is_one_line(veza, write, tmp_path, closed_port, arguments, code):
    files = {
        "port": closed_port,
        "keys": write({"jwks": {"keys": [generate_key().public_jwk()]}}, "keys.json"),
        "empty": write({"keys": []}, "empty.json"),
        "broken": write("{", "broken.json"),
        "missing": tmp_path / "missing.json",
    }
    status, out, err = veza("anchor", *(argument.format(**files) for argument in arguments))
    assert (status, out) == (1, "")
    assert err.startswith(f"veza: {code}: ")
    assert len(err.splitlines()) == 1


def test_an_unreachable_node_is_not_enrolled(veza, anchored, closed_port):
    status, _, err = veza("anchor", "enrol", f"http://127.0.0.1:{closed_port}", "--participant", "RS")
    assert status == 1
    assert err.startswith("veza: unreachable: ")


def test_keys_must_be_given_to_trust(veza):
    assert veza("anchor", "trust", "http://127.0.0.1:9109/anchor")[0] == 2
