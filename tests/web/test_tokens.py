"""Who the API lets in."""

import datetime as dt

import pytest

from directory.database import writing
from tests.web.building import ServedNode
from web import accounts

PATH = "/api/v1/units/me-spoc"


def status(node: ServedNode, authorization: str | None) -> int:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = node.app.test_client().get(PATH, headers=headers)
    if response.status_code == 401:
        assert response.content_type == "application/problem+json"
        assert response.headers["WWW-Authenticate"] == "Bearer"
    return response.status_code


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Basic b3NrYXI6eA==", "Bearer veza_unknown", "Bearer \x7f"]
)
def test_strangers_are_refused(node: ServedNode, authorization: str | None) -> None:
    assert status(node, authorization) == 401


def test_every_operation_needs_a_token(node: ServedNode) -> None:
    client = node.app.test_client()
    for rule in node.app.url_map.iter_rules():
        if not rule.rule.startswith("/api/v1/") or rule.rule.endswith(".ics"):
            continue
        path = rule.rule.replace("<code>", "ME").replace("<slug>", "me-spoc")
        for method in rule.methods - {"OPTIONS", "HEAD"}:
            assert client.open(path, method=method).status_code == 401, (method, path)


@pytest.mark.parametrize("user", ["ana", "rada", "oskar", "dora", "audit"])
def test_every_role_reads(node: ServedNode, user: str) -> None:
    assert status(node, f"bearer {node.tokens[user]}") == 200


def test_a_token_ends_after_its_time(node: ServedNode) -> None:
    bearer = f"Bearer {node.tokens['oskar']}"
    node.clock.forward(hours=7, minutes=59)
    assert status(node, bearer) == 200
    node.clock.forward(minutes=1)
    assert status(node, bearer) == 401


@pytest.mark.parametrize(
    "change",
    [
        lambda session: accounts.revoke_tokens(session, "oskar"),
        lambda session: accounts.set_disabled(session, "oskar", True),
        lambda session: accounts.set_password(session, "oskar", "another long password"),
    ],
)
def test_a_token_that_was_remembered_ends_at_once(node: ServedNode, change) -> None:
    bearer = f"Bearer {node.tokens['oskar']}"
    assert status(node, bearer) == 200
    with writing(node.engine) as session:
        change(session)
    assert status(node, bearer) == 401


def test_a_role_that_was_taken_ends_at_once(node: ServedNode) -> None:
    client = node.client("ana")
    record = client.get(PATH)
    with writing(node.engine) as session:
        accounts.set_roles(session, "ana", ["officer"], "me-spoc")
    refused = client.put(PATH, record.json["data"] | {"note": "x"}, If_Match=record.headers["ETag"])
    assert refused.status_code == 403
    assert client.get(PATH).headers["ETag"] == record.headers["ETag"]


def test_a_new_token_works_in_a_process_that_runs(node: ServedNode) -> None:
    assert status(node, "Bearer veza_unknown") == 401
    with writing(node.engine) as session:
        token = accounts.issue_token(session, "oskar", dt.timedelta(hours=1), node.clock.now)
    assert status(node, f"Bearer {token}") == 200


def test_a_session_cookie_opens_no_api(node: ServedNode) -> None:
    client = node.app.test_client()
    client.set_cookie("veza-me-127.0.0.1-8100", "anything")
    assert client.get(PATH).status_code == 401
