"""What an answer of another node is taken for."""

import json

import pytest

from sync.errors import PeerRefusalError, PeerResponseError
from sync.transport import PROBLEM, Response, check_status, read_problem


def problem(**members: object) -> Response:
    return Response(400, PROBLEM, json.dumps(members).encode())


@pytest.mark.parametrize("status", [200, 202])
def test_expected_status_gives_the_answer_back(status: int) -> None:
    response = Response(status, "", b"")
    assert check_status(response, 200, 202) is response


@pytest.mark.parametrize("status", [201, 204, 299, 304])
def test_other_good_status_is_no_answer_to_the_question(status: int) -> None:
    with pytest.raises(PeerResponseError) as refusal:
        check_status(Response(status, "", b""), 200)
    assert refusal.value.code == "bad_response"


@pytest.mark.parametrize(
    ("status", "response", "code"),
    [
        (400, {"type": "urn:veza:problem:malformed", "detail": "x"}, "malformed"),
        (503, {"type": "urn:veza:problem:busy"}, "busy"),
        (404, {"type": "about:blank"}, "bad_response"),
        (500, {"type": "about:blank"}, "unreachable"),
        (500, {"type": "urn:veza:problem:"}, "unreachable"),
        (500, {"type": "urn:veza:problem:<script>"}, "unreachable"),
        (500, {"type": "urn:veza:problem:" + "a" * 31}, "unreachable"),
        (500, {"type": ["urn:veza:problem:busy"]}, "unreachable"),
        (500, {}, "unreachable"),
    ],
)
def test_refusal_has_the_code_that_was_given_where_it_is_one(
    status: int, response: dict[str, object], code: str
) -> None:
    with pytest.raises(PeerRefusalError) as refusal:
        check_status(Response(status, PROBLEM, json.dumps(response).encode()), 200)
    assert (refusal.value.status, refusal.value.code) == (status, code)
    assert refusal.value.detail


@pytest.mark.parametrize(
    "response",
    [
        Response(400, "text/html", b"<html>"),
        Response(400, PROBLEM, b"not json"),
        Response(400, PROBLEM, b"[]"),
        Response(400, PROBLEM, b"[" * 100_000),
        Response(400, PROBLEM, b'{"type": "urn:veza:problem:busy"}' + b" " * 70_000),
        Response(400, PROBLEM, b"\xff\xfe"),
    ],
)
def test_problem_that_cannot_be_read_says_nothing(response: Response) -> None:
    assert read_problem(response) == (None, "")


def test_detail_is_printable_and_bounded() -> None:
    code, detail = read_problem(problem(type="urn:veza:problem:busy", detail="a\r\n\x1b[31mb\u202e" + "x" * 1000))
    assert code == "busy"
    assert detail.startswith("a[31mbx")
    assert len(detail) == 300


def test_detail_of_another_kind_is_left_out() -> None:
    assert read_problem(problem(type="urn:veza:problem:busy", detail={"a": 1})) == ("busy", "")
