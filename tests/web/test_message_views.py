"""The route for messages: receipts, problems, limits; nothing to ride on, nothing internal told."""

import datetime as dt
import io

import pytest
import sqlalchemy as sa

from directory.database import reading
from federation.identity import Identity
from federation.key_directory import KeyDirectory
from federation.messages import make_message, new_jti, verify_receipt
from federation.peering import MOST_NEW, make_body
from federation.statements import NodeConfiguration, make_configuration, read_configuration
from tests.simulators.node_simulator import named_key
from tests.web.building import NOW, URL, ServedNode

MESSAGES = "/federation/v1/messages"


def neighbour(node: ServedNode) -> Identity:
    return KeyDirectory(node.data / "neighbours" / "RS", "RS", "http://127.0.0.1:8110").load()


def stranger(name: str = "n", code: str = "BG") -> Identity:
    return Identity(code, f"http://{name}.example", named_key(f"{name} federation"), named_key(f"{name} operating"))


def configured(sender: Identity) -> NodeConfiguration:
    return make_configuration(sender, now=NOW)


def message(sender: Identity, **changes: object) -> str:
    arguments: dict[str, object] = {
        "audience": URL,
        "jti": new_jti(),
        "type_": "peering.proposed",
        "body": make_body(configured(sender)),
        "now": NOW,
    }
    return make_message(sender, **(arguments | changes))


def post(node: ServedNode, body: str | bytes, **headers: str):
    return node.app.test_client().post(MESSAGES, data=body, content_type="application/jwt", headers=headers)


def problem(response) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    found = response.json
    assert found["status"] == response.status_code
    assert found["detail"]
    assert "Traceback" not in found["detail"]
    return response.status_code, found["type"].removeprefix("urn:veza:problem:")


def counted(node: ServedNode, table: str) -> int:
    with reading(node.engine) as session:
        return int(session.execute(sa.text(f'SELECT count(*) FROM "{table}"')).scalar_one())


def test_a_message_is_answered_with_its_receipt(node: ServedNode) -> None:
    sender, jti = stranger(), new_jti()
    token = message(sender, jti=jti)
    response = post(node, token)
    assert (response.status_code, response.content_type) == (200, "application/jwt")
    own = read_configuration(node.app.test_client().get("/.well-known/openid-federation").get_data(as_text=True))
    held = verify_receipt(
        response.data,
        own.operating_keys,
        NOW,
        issuer=URL,
        audience=sender.entity_id,
        jti=jti,
        tokens=[token],
    )
    assert held == NOW
    assert post(node, token).data == response.data
    assert (counted(node, "received_message"), counted(node, "proposal")) == (1, 1)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed"),
        (b"x.y.z", 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (b"x" * (32 * 1024 + 1), 413, "too_large"),
        (b"x" * 10_000_000, 413, "too_large"),
        (b"{" * 30_000, 400, "malformed"),
    ],
)
def test_what_is_no_message_is_refused(node: ServedNode, body: bytes, status: int, code: str) -> None:
    assert problem(post(node, body)) == (status, code)
    assert counted(node, "received_message") == 0


def test_a_body_of_unknown_length_is_bounded_too(node: ServedNode) -> None:
    response = node.app.test_client().post(
        MESSAGES,
        input_stream=io.BytesIO(b"x" * 1_000_000),
        environ_overrides={"wsgi.input_terminated": True},
        headers={"Transfer-Encoding": "chunked"},
    )
    assert problem(response) == (413, "too_large")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"audience": "http://127.0.0.1:8110"}, 400, "wrong_audience"),
        ({"audience": [URL, "http://127.0.0.1:8110"]}, 400, "wrong_audience"),
        ({"now": NOW + dt.timedelta(seconds=360)}, 400, "not_yet_valid"),
        ({"now": NOW - dt.timedelta(days=2)}, 400, "expired"),
        ({"type_": "contact.requested"}, 403, "unknown_participant"),
        ({"body": {}}, 400, "bad_request"),
    ],
)
def test_a_strangers_message_is_refused_with_its_code(
    node: ServedNode, changes: dict[str, object], status: int, code: str
) -> None:
    assert problem(post(node, message(stranger(), **changes))) == (status, code)
    assert counted(node, "received_message") == counted(node, "proposal") == 0


def test_times_are_told_with_both_clocks(node: ServedNode) -> None:
    detail = post(node, message(stranger(), now=NOW + dt.timedelta(days=1))).json["detail"]
    assert str(int(NOW.timestamp())) in detail
    assert str(int((NOW + dt.timedelta(days=1)).timestamp())) in detail


def test_unknown_keys_and_forgeries_are_401(node: ServedNode) -> None:
    forged = Identity("RS", "http://127.0.0.1:8110", None, named_key("x"))
    token = message(neighbour(node), body={})
    assert problem(post(node, make_message(forged, audience=URL, jti=new_jti(), type_="x", body={}, now=NOW))) == (
        401,
        "unknown_key",
    )
    head, body, _ = token.split(".")
    other = message(neighbour(node)).split(".")[2]
    assert problem(post(node, f"{head}.{body}.{other}")) == (401, "bad_signature")


def test_a_code_that_is_bound_is_taken(node: ServedNode) -> None:
    assert problem(post(node, message(stranger(code="RS")))) == (403, "participant_taken")
    assert problem(post(node, message(stranger(code="ME")))) == (403, "participant_taken")


def test_one_name_for_two_messages_is_a_conflict(node: ServedNode) -> None:
    sender, jti = stranger(), new_jti()
    assert post(node, message(sender, jti=jti)).status_code == 200
    assert problem(post(node, message(sender, jti=jti, type_="peering.refused"))) == (409, "jti_conflict")


def test_too_many_proposals_are_asked_to_come_again(node: ServedNode) -> None:
    for number in range(MOST_NEW):
        assert post(node, message(stranger(f"n{number}"))).status_code == 200
    response = post(node, message(stranger("one-more")))
    assert problem(response) == (429, "rate_limited")
    assert int(response.headers["Retry-After"]) > 0
    assert post(node, message(neighbour(node))).status_code == 200, "peers are not held up"


def test_a_type_that_is_not_known_is_refused_with_those_that_are(node: ServedNode) -> None:
    response = post(node, message(neighbour(node), type_="contact.imagined"))
    assert problem(response) == (400, "bad_request")
    assert "peering.proposed" in response.json["detail"]


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_messages_are_posted_only(node: ServedNode, method: str) -> None:
    response = getattr(node.app.test_client(), method)(MESSAGES)
    assert response.status_code == 405


def test_a_foreign_page_gains_nothing(node: ServedNode) -> None:
    assert problem(post(node, message(stranger()), Origin="https://evil.example")) == (403, "forbidden")
    assert counted(node, "received_message") == 0


def test_what_waits_is_seen_by_programs(node: ServedNode) -> None:
    post(node, message(stranger()))
    peerings = node.client().get("/api/v1/federation").json["peerings"]
    assert [each["participant"] for each in peerings["peers"]] == ["HR", "RS", "XK"]
    (proposal,) = peerings["proposals"]
    assert (proposal["participant"], proposal["url"]) == ("BG", "http://n.example")
    assert proposal["kid"] == configured(stranger()).kid
    assert len(proposal["words"].split()) == 24
    assert peerings["proposed"] == []
