"""Signing in on the pages: sessions that die, limits that hold, targets that stay here."""

import re

import pytest
from flask.testing import FlaskClient

from directory.database import writing
from tests.web.building import PASSWORD, ServedNode
from web import accounts

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def csrf_token(client: FlaskClient, path: str = "/sign-in") -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).get_data(as_text=True))
    assert found
    return found[1]


def sign_in(client: FlaskClient, name: str = "oskar", password: str = PASSWORD, **fields: str):
    data = {"name": name, "password": password, "csrf_token": csrf_token(client), **fields}
    return client.post("/sign-in", data=data, headers=HTML)


def sign_out(client: FlaskClient):
    return client.post("/sign-out", data={"csrf_token": csrf_token(client, "/")}, headers=HTML)


def sessions(node: ServedNode) -> int:
    with node.engine.connect() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM session").scalar_one()


@pytest.mark.parametrize("path", ["/", "/suggestions?q=a", "/contacts/RS/rs-spoc", "/agencies/RS/rs-ag-mup"])
def test_strangers_are_sent_to_the_sign_in_page(node: ServedNode, path: str) -> None:
    response = node.app.test_client().get(path, headers=HTML)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/sign-in")


def test_a_script_of_a_stranger_is_told_so(node: ServedNode) -> None:
    response = node.app.test_client().get("/suggestions?q=a", headers={"Sec-Fetch-Dest": "empty"})
    assert response.status_code == 401
    assert response.json["type"] == "urn:veza:problem:unauthenticated"


def test_signing_in_and_out(node: ServedNode) -> None:
    client = node.app.test_client()
    entered = sign_in(client)
    assert (entered.status_code, entered.headers["Location"]) == (303, "/")
    page = client.get("/", headers=HTML)
    assert page.status_code == 200
    assert "oskar" in page.get_data(as_text=True)
    assert sessions(node) == 1
    assert sign_out(client).status_code == 303
    assert sessions(node) == 0
    assert client.get("/", headers=HTML).status_code == 302


def test_the_cookie_is_marked_and_named_after_the_node(node: ServedNode) -> None:
    cookies = sign_in(node.app.test_client()).headers.getlist("Set-Cookie")
    session = next(cookie for cookie in cookies if cookie.startswith("veza-me-127.0.0.1-8100="))
    assert "HttpOnly" in session
    assert "SameSite=Lax" in session
    assert "Secure" not in session, "this node allows insecure URLs"
    assert all("HttpOnly" in cookie for cookie in cookies)


def test_a_captured_cookie_is_worth_nothing_after_signing_out(node: ServedNode) -> None:
    client, thief = node.app.test_client(), node.app.test_client()
    sign_in(client)
    cookie = client.get_cookie("veza-me-127.0.0.1-8100")
    assert cookie
    thief.set_cookie(cookie.key, cookie.value)
    assert thief.get("/", headers=HTML).status_code == 200
    sign_out(client)
    assert thief.get("/", headers=HTML).status_code == 302


def test_the_session_from_before_is_not_the_one_signed_in(node: ServedNode) -> None:
    client, fixator = node.app.test_client(), node.app.test_client()
    csrf_token(client)
    before = client.get_cookie("veza-me-127.0.0.1-8100")
    assert before
    sign_in(client)
    after = client.get_cookie("veza-me-127.0.0.1-8100")
    assert after
    assert after.value != before.value
    fixator.set_cookie(before.key, before.value)
    assert fixator.get("/", headers=HTML).status_code == 302


@pytest.mark.parametrize(
    "change",
    [
        lambda session: accounts.set_password(session, "oskar", "another long password"),
        lambda session: accounts.set_disabled(session, "oskar", True),
    ],
)
def test_sessions_end_with_the_password_and_the_account(node: ServedNode, change) -> None:
    client = node.app.test_client()
    sign_in(client)
    with writing(node.engine) as session:
        change(session)
    assert client.get("/", headers=HTML).status_code == 302
    assert sessions(node) == 0


def test_a_session_ends_after_its_time(node: ServedNode) -> None:
    client = node.app.test_client()
    sign_in(client)
    node.clock.forward(hours=12, seconds=1)
    assert client.get("/", headers=HTML).status_code == 302


@pytest.mark.parametrize(
    ("name", "password"),
    [("oskar", "wrong wrong wrong"), ("nobody", PASSWORD), ("", ""), ("OSKAR", PASSWORD), ("oskar", PASSWORD + " ")],
)
def test_wrong_names_and_passwords_get_the_same_words(node: ServedNode, name: str, password: str) -> None:
    response = sign_in(node.app.test_client(), name, password)
    assert response.status_code == 401
    assert "The name or the password is wrong." in response.get_data(as_text=True)
    assert sessions(node) == 0


def test_a_closed_account_cannot_sign_in(node: ServedNode) -> None:
    with writing(node.engine) as session:
        accounts.set_disabled(session, "oskar", True)
    assert sign_in(node.app.test_client()).status_code == 401


def test_the_sixth_wrong_password_in_a_minute_is_refused(node: ServedNode) -> None:
    statuses = [sign_in(node.app.test_client(), "oskar", "wrong").status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    refused = sign_in(node.app.test_client())
    assert refused.status_code == 429, "the right password does not tell a guesser that it was right"
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    assert sessions(node) == 0
    node.clock.forward(seconds=61)
    assert sign_in(node.app.test_client()).status_code == 303


def test_a_forged_address_does_not_dodge_the_limit(node: ServedNode) -> None:
    client = node.app.test_client()
    statuses = [
        client.post(
            "/sign-in",
            data={"name": "oskar", "password": "wrong", "csrf_token": csrf_token(client)},
            headers=HTML | {"X-Forwarded-For": f"192.0.2.{number}"},
        ).status_code
        for number in range(6)
    ]
    assert statuses[-1] == 429


def test_a_known_browser_is_not_locked_out_by_strangers(node: ServedNode) -> None:
    own = node.app.test_client()
    sign_in(own)
    sign_out(own)
    for _ in range(6):
        sign_in(node.app.test_client(), "oskar", "wrong")
    assert sign_in(node.app.test_client()).status_code == 429
    assert sign_in(own).status_code == 303


def test_a_known_browser_is_known_for_its_own_user_only(node: ServedNode) -> None:
    own = node.app.test_client()
    sign_in(own)
    sign_out(own)
    for _ in range(6):
        sign_in(node.app.test_client(), "dora", "wrong")
    assert sign_in(own, "dora").status_code == 429


def test_signing_in_needs_the_pages_own_form(node: ServedNode) -> None:
    client = node.app.test_client()
    response = client.post("/sign-in", data={"name": "oskar", "password": PASSWORD}, headers=HTML)
    assert response.status_code == 400
    assert sessions(node) == 0
    sign_in(client)
    assert client.post("/sign-out", headers=HTML).status_code == 400
    assert sessions(node) == 1


@pytest.mark.parametrize(
    ("target", "goes_to"),
    [
        ("/contacts/RS/rs-spoc", "/contacts/RS/rs-spoc"),
        ("/?country=RS", "/?country=RS"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https:evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("%2f%2fevil.example", "/"),
        ("/\tevil", "/"),
        ("/a\\b", "/"),
        ("", "/"),
    ],
)
def test_nobody_is_led_elsewhere(node: ServedNode, target: str, goes_to: str) -> None:
    assert sign_in(node.app.test_client(), next=target).headers["Location"] == goes_to


def test_the_page_asked_for_comes_after_signing_in(node: ServedNode) -> None:
    client = node.app.test_client()
    sent = client.get("/contacts/RS/rs-spoc?x=1", headers=HTML).headers["Location"]
    page = client.get(sent).get_data(as_text=True)
    assert 'value="/contacts/RS/rs-spoc?x=1"' in page
