"""Errors as RFC 9457 problems (protocol.md, section 9): one table from problem code to HTTP status.

People's pages get the same words as a page; everything else gets ``application/problem+json``. Nothing internal is
told: an unforeseen error is logged with an id, and the answer carries that id alone.
"""

import http
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import sqlalchemy as sa
import structlog
from flask import Flask, Request, Response, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError, SecurityError

from directory.database_faults import database_fault
from directory.errors import DirectoryError, InvalidInputError
from federation.errors import FederationError
from sync.errors import SyncError
from web.errors import RateLimitedError, WebError
from web.exhaustion import exhaustion_code

MIMETYPE = "application/problem+json"
URN = "urn:veza:problem:"
_CODES = {
    400: "malformed bad_header bad_request bad_entry wrong_type wrong_issuer wrong_audience wrong_participant expired "
    "not_yet_valid weak_key rollback fork unsupported_version",
    401: "bad_signature unknown_key unauthenticated",
    403: "forbidden not_a_party unknown_participant participant_taken key_reused insecure_url",
    404: "not_found out_of_range",
    409: "wrong_state jti_conflict conflict",
    412: "stale_version",
    413: "too_large",
    428: "precondition_required",
    429: "rate_limited",
    503: "busy storage_full clock_implausible",
}
STATUS: Mapping[str, int] = {code: status for status, codes in _CODES.items() for code in codes.split()}
"""The HTTP status of every problem code that may leave the node."""

_CODE_OF_STATUS = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    412: "stale_version",
    413: "too_large",
    428: "precondition_required",
    429: "rate_limited",
    503: "busy",
}
MACHINE_PATHS = (
    "/api/",
    "/federation/",
    "/anchor/",
    "/.well-known/",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/metrics",
)
_log = structlog.get_logger("veza.web")


def problem(code: str, detail: str, *, status: int | None = None, **members: object) -> Response:
    """A problem response; ``members`` are further members of the object, such as ``errors``."""
    status = status or STATUS[code]
    title = code.replace("_", " ").capitalize()
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status == 503:
        headers["Retry-After"] = "5"
    body = {"type": URN + code, "title": title, "status": status, "detail": detail, **members}
    return _response(body, status, headers)


def is_for_machines(asked: Request) -> bool:
    """Whether a request is to what programs, other nodes and monitoring use."""
    return asked.path.startswith(MACHINE_PATHS)


def register_problem_handlers(app: Flask) -> None:
    """Make every error that leaves ``app`` a problem, or a page for people."""
    for kind in (DirectoryError, FederationError, SyncError, WebError):
        app.register_error_handler(kind, _known_problem)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(sa.exc.DBAPIError, _database_problem)
    app.register_error_handler(MemoryError, _exhausted)
    app.register_error_handler(OSError, _exhausted)


def _known_problem(error: DirectoryError | FederationError | SyncError | WebError) -> Response:
    if error.code not in STATUS:
        return _unforeseen(error)
    members: dict[str, object] = dict(error.members) if isinstance(error, WebError) else {}
    if isinstance(error, InvalidInputError):
        members["errors"] = [
            {"pointer": f.place, "detail": f"{f.expected} (found {f.found!r})"[:500]} for f in error.faults
        ]
    status = error.status if isinstance(error, WebError) else None
    response = problem(error.code, error.detail, status=status, **members)
    if isinstance(error, RateLimitedError):
        response.headers["Retry-After"] = str(error.retry_after)
    return _for_people(response, error.detail)


def _http_problem(error: HTTPException) -> Response:
    """What Flask, Werkzeug and the argument parser raise."""
    if error.response is not None:  # a redirect or an answer that is complete as it is
        return error.response  # type: ignore[return-value]
    if isinstance(error, InternalServerError) and error.original_exception is not None:
        return _unforeseen(error.original_exception)
    if isinstance(error, SecurityError):  # no page: under a foreign name this node makes no links
        return problem("bad_request", "this node does not answer under that host name")
    faults = _argument_faults(error)
    detail = _words(faults) or str(error.description)
    response = _problem_of_status(error.code or 500, error.name, detail, faults)
    response.headers.update(_kept(error.get_headers()))
    return _for_people(response, detail)


def _words(faults: Iterable[Mapping[str, str]]) -> str:
    return "; ".join(f"{fault['pointer']}: {fault['detail']}" for fault in faults)


def _kept(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers that tell the caller what to do instead."""
    return {name: value for name, value in headers if name in ("Allow", "Retry-After")}


def _problem_of_status(status: int, title: str, detail: str, faults: list[dict[str, str]]) -> Response:
    """The problem that an HTTP status stands for; ``about:blank`` where the protocol has no code of its own."""
    members = {"errors": faults} if faults else {}
    if status in _CODE_OF_STATUS:
        return problem(_CODE_OF_STATUS[status], detail, status=status, **members)
    return _response({"type": "about:blank", "title": title, "status": status, "detail": detail}, status, {})


def _argument_faults(error: HTTPException) -> list[dict[str, str]]:
    """What the argument parser found: messages by place of origin (``query``), then by name."""
    data: Mapping[str, Any] = getattr(error, "data", None) or {}
    by_name = [item for names in data.get("messages", {}).values() for item in names.items()]
    return [{"pointer": f"/{name}", "detail": str(text)} for name, texts in by_name for text in texts]


def _database_problem(error: sa.exc.DBAPIError) -> Response:
    """A database that is locked for too long, full, away or damaged: nothing was changed, the caller may come again."""
    fault = database_fault(error)
    if fault is None:
        return _unforeseen(error)
    _log.error("database_unavailable", reason=str(error.orig))
    words = fault.words.partition(":")[0]  # what the caller can do nothing about stands in the log
    return _for_people(problem(fault.code, f"{words}; nothing was changed, try again"), words)


def _exhausted(error: MemoryError | OSError) -> Response:
    """A process that has no memory, files or disk left answers so, and goes on (abuse.md F22)."""
    code = exhaustion_code(error)
    if code is None:
        return _unforeseen(error)
    _log.error("resources_exhausted", reason=repr(error))
    words = "the disk is full" if code == "storage_full" else "the node has no memory or files left"
    return _for_people(problem(code, f"{words}; try again"), words)


def _unforeseen(error: BaseException) -> Response:
    """A mistake of ours: the log holds it under an id, and the answer holds the id alone."""
    incident = str(uuid.uuid4())
    _log.error("unforeseen_error", incident=incident, path=request.path, exc_info=error)
    detail = f"an unforeseen error; the node's log holds it under {incident}"
    body = {"type": "about:blank", "title": "Internal Server Error", "status": 500, "detail": detail}
    return _for_people(_response({**body, "instance": f"urn:uuid:{incident}"}, 500, {}), detail)


def _response(body: Mapping[str, object], status: int, headers: Mapping[str, str]) -> Response:
    return Response(orjson.dumps(body, default=str), status, headers, content_type=MIMETYPE)


def _for_people(response: Response, detail: str) -> Response:
    """The same answer as a page, where a browser asks for one."""
    if is_for_machines(request) or not request.accept_mimetypes.accept_html:
        return response
    accepts_json = request.accept_mimetypes.best_match([MIMETYPE, "text/html"]) == MIMETYPE
    if accepts_json:
        return response
    title = http.HTTPStatus(response.status_code).phrase
    page = Response(
        render_template("problem.html", title=title, detail=detail, status=response.status_code),
        response.status_code,
        content_type="text/html; charset=utf-8",
    )
    page.headers.update(_kept(response.headers))
    return page
