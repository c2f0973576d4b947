"""The table from problem codes to statuses is that of protocol.md, section 9."""

import pytest
from flask import Flask

from directory.errors import Fault, InvalidInputError
from federation.errors import FederationError
from web.errors import RateLimitedError, ReadTokenError
from web.problem import STATUS, register_problem_handlers

NEVER_AS_HTTP = "root_mismatch bad_range bad_digest withheld_payload bad_response redirect_refused timeout unreachable"


def answer_to(error: Exception):
    app = Flask("web")
    register_problem_handlers(app)

    def fail() -> str:
        raise error

    app.add_url_rule("/api/v1/fail", view_func=fail)
    return app.test_client().get("/api/v1/fail")


@pytest.mark.parametrize(("code", "status"), STATUS.items())
def test_every_code_is_a_problem_with_its_status(code: str, status: int) -> None:
    response = answer_to(FederationError(code, "expected one thing, found another"))
    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    assert response.json["type"] == f"urn:veza:problem:{code}"
    assert response.json["status"] == status
    assert response.json["detail"] == "expected one thing, found another"
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    assert ("Retry-After" in response.headers) == (status == 503)


@pytest.mark.parametrize("code", NEVER_AS_HTTP.split())
def test_some_codes_never_leave_as_http(code: str) -> None:
    assert code not in STATUS
    response = answer_to(FederationError(code, "inner matters"))
    assert response.status_code == 500
    assert "inner matters" not in response.get_data(as_text=True)


def test_every_fault_keeps_its_place_and_long_values_are_cut() -> None:
    response = answer_to(InvalidInputError([Fault("/a", "x" * 2000, "expected b"), Fault("/c", 1, "expected d")]))
    assert [error["pointer"] for error in response.json["errors"]] == ["/a", "/c"]
    assert all(len(error["detail"]) <= 500 for error in response.json["errors"])


def test_a_refused_read_token_is_always_401() -> None:
    response = answer_to(ReadTokenError("expired", "too old"))
    assert response.status_code == 401
    assert response.json["type"] == "urn:veza:problem:expired"
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_whoever_is_too_fast_is_told_when_to_come_again() -> None:
    response = answer_to(RateLimitedError("too many tries", 17))
    assert (response.status_code, response.headers["Retry-After"]) == (429, "17")
