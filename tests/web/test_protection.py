"""What every answer says to browsers, and what is refused before anything looks at it (abuse.md, group W)."""

import sqlite3
from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.web.building import ServedNode, serve_copy
from tests.web.test_sign_in import HTML

PLACES = [
    "/",
    "/sign-in",
    "/static/veza.css",
    "/nope",
    "/healthz",
    "/docs",
    "/openapi.json",
    "/api/v1/units",
    "/metrics",
]


@pytest.mark.parametrize("path", PLACES)
def test_every_answer_is_marked(node: ServedNode, path: str) -> None:
    headers = node.app.test_client().get(path, buffered=True).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Strict-Transport-Security"].startswith("max-age=")
    assert headers["Cache-Control"] == "no-store"
    assert "Cookie" in headers["Vary"]


@pytest.mark.parametrize("path", ["/", "/api/v1/units", "/healthz", "/federation/v1/logs/ME/checkpoint", "/nope"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8100"])
def test_a_forged_host_is_refused(node: ServedNode, path: str, host: str) -> None:
    response = node.app.test_client().get(path, headers={"Host": host})
    assert response.status_code == 400
    assert "evil" not in response.get_data(as_text=True)


def test_a_node_with_secure_urls_answers_under_its_own_name_only(node_template: Path, tmp_path: Path) -> None:
    settings = (node_template / "veza.toml").read_text().replace("insecure_urls = true\n", "")
    (tmp_path / "ME").mkdir()
    node = serve_copy(node_template, tmp_path / "ME")
    node.close()
    (node.data / "veza.toml").write_text(settings.replace("http://127.0.0.1:8100", "https://spoc.example.com"))
    secure = serve_copy(node.data, tmp_path / "secure")
    client = secure.app.test_client()
    assert client.get("/healthz", headers={"Host": "127.0.0.1"}).status_code == 400
    assert client.get("/healthz", headers={"Host": "spoc.example.com"}).status_code == 200
    assert secure.app.config["SESSION_COOKIE_SECURE"] is True
    foreign = {"Host": "spoc.example.com", "Origin": "http://spoc.example.com"}
    assert client.post("/sign-in", headers=foreign).status_code == 403
    secure.close()


def test_changes_from_other_origins_are_refused(node: ServedNode) -> None:
    client = node.app.test_client()
    for rule in node.app.url_map.iter_rules():
        for method in rule.methods - {"GET", "HEAD", "OPTIONS"}:
            path = rule.rule.replace("<code>", "ME").replace("<slug>", "me-spoc")
            response = client.open(path, method=method, headers={"Origin": "https://evil.example"})
            assert response.status_code == 403, (method, path)
    own = {"Origin": "http://localhost", "Authorization": f"Bearer {node.tokens['ana']}"}
    assert client.post("/api/v1/rotas/r-desk/preview", json={}, headers=own).status_code == 400
    assert client.post("/api/v1/rotas/r-desk/preview", headers=own | {"Origin": "null"}).status_code == 403


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PATCH", "FOO"])
def test_odd_methods_are_refused(node: ServedNode, method: str) -> None:
    client = node.client("ana")
    response = client.client.open("/api/v1/units/me-spoc", method=method, headers=client.headers)
    assert response.status_code == 405
    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        "/federation/v1/configurations/RS%00",
        "/federation/v1/logs/%00/checkpoint",
        "/anchor/fetch?sub=https://a.example%00",
        "/api/v1/units/RS/%00",
        "/sign-in?next=%00",
    ],
)
def test_a_nul_is_refused_before_a_database_sees_it(node: ServedNode, path: str) -> None:
    """SQLite looks for it, PostgreSQL fails: anybody could have filled the log of such a node with traces."""
    response = node.app.test_client().get(path)
    assert (response.status_code, response.json["type"]) == (400, "urn:veza:problem:bad_request")


def test_a_statement_of_unsaid_length_is_too_large(node: ServedNode) -> None:
    for size, status in ((64 * 1024, 400), (64 * 1024 + 1, 413), (200 * 1024, 413)):
        response = node.app.test_client().post(
            "/federation/v1/checkpoints",
            input_stream=BytesIO(b"a" * size),
            headers={"Transfer-Encoding": "chunked"},
            environ_overrides={"wsgi.input_terminated": True},
        )
        assert response.status_code == status


def test_a_method_cannot_be_overridden(node: ServedNode) -> None:
    client = node.client("ana")
    headers = client.headers | {"X-HTTP-Method-Override": "DELETE", "If-Match": '"8"'}
    assert client.client.get("/api/v1/units/me-spoc?_method=DELETE", headers=headers).status_code == 200
    assert client.get("/api/v1/units/me-spoc").status_code == 200


@pytest.mark.parametrize("path", ["/nope", "/api/v1/nope", "/federation/v1/nope", "/static/nope.css"])
def test_programs_get_problems(node: ServedNode, path: str) -> None:
    response = node.app.test_client().get(path)
    assert response.content_type == "application/problem+json"
    assert response.json["type"] == "urn:veza:problem:not_found"
    assert response.json["title"] == "Not found"


def test_people_get_pages(node: ServedNode) -> None:
    response = node.app.test_client().get("/nope", headers=HTML)
    assert (response.status_code, response.mimetype) == (404, "text/html")
    assert "<h1>Not Found</h1>" in response.get_data(as_text=True)
    programs = node.app.test_client().get("/api/v1/nope", headers=HTML)
    assert programs.content_type == "application/problem+json"


def test_people_are_told_which_methods_there_are(node: ServedNode) -> None:
    response = node.app.test_client().delete("/sign-in", headers=HTML)
    assert (response.status_code, response.mimetype) == (405, "text/html")
    assert "POST" in response.headers["Allow"]


def add_failing_view(app: Flask, error: Exception) -> None:
    def fail() -> str:
        raise error

    app.add_url_rule("/api/v1/fail", view_func=fail)


def test_an_unforeseen_error_tells_an_id_and_nothing_else(node: ServedNode, capsys) -> None:
    add_failing_view(node.app, RuntimeError("SELECT secret FROM /srv/veza.db"))
    response = node.app.test_client().get("/api/v1/fail")
    assert response.status_code == 500
    assert response.content_type == "application/problem+json"
    assert response.json["type"] == "about:blank"
    told = response.get_data(as_text=True)
    assert not any(word in told for word in ("SELECT", "secret", "Traceback", "veza.db"))
    incident = response.json["instance"].removeprefix("urn:uuid:")
    captured = capsys.readouterr()
    assert incident in captured.out + captured.err


@pytest.mark.parametrize(
    ("reason", "number", "code"),
    [
        ("database is locked", sqlite3.SQLITE_BUSY, "busy"),
        ("database or disk is full", sqlite3.SQLITE_FULL, "storage_full"),
    ],
)
def test_a_database_in_trouble_is_said_to_be(node: ServedNode, reason: str, number: int, code: str) -> None:
    fault = sqlite3.OperationalError(reason)
    fault.sqlite_errorcode = number
    add_failing_view(node.app, sa.exc.OperationalError("SELECT 1", None, fault))
    response = node.app.test_client().get("/api/v1/fail")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.json["type"] == f"urn:veza:problem:{code}"
    assert "SELECT" not in response.get_data(as_text=True)


def test_no_request_waits_for_ever_behind_a_writer(node: ServedNode) -> None:
    """A change while another process holds the lock: refused after the busy timeout, and nothing is half done."""
    client = node.client("ana")
    record = client.get("/api/v1/units/me-spoc")
    blocker = sqlite3.connect(node.data / "veza.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        refused = client.put(
            "/api/v1/units/me-spoc", record.json["data"] | {"note": "x"}, If_Match=record.headers["ETag"]
        )
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    assert refused.status_code == 503
    assert refused.json["type"] == "urn:veza:problem:busy"
    assert client.get("/api/v1/units/me-spoc").headers["ETag"] == record.headers["ETag"]
