"""What other nodes fetch and post (protocol.md, sections 3, 5, 6 and 7)."""

import orjson
from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from federation.errors import NotHeldError
from sync.inbox import receive_statement
from sync.transport import ENTITY_STATEMENT, JSON, JWT, NDJSON
from web import federation_answers
from web.extensions import db
from web.held import held
from web.replies import bytes_tag, conditional

blueprint = Blueprint("nodes", __name__)
LARGEST_STATEMENT = 64 * 1024
_LARGEST_START = 2**53


@blueprint.get("/.well-known/openid-federation")
def show_configuration() -> Response:
    """The node's own entity configuration."""
    return Response(federation_answers.own_configuration(db.session(), held()), content_type=ENTITY_STATEMENT)


@blueprint.get("/federation/v1/configurations/<participant>")
def show_configurations(participant: str) -> Response:
    """The configurations with which a participant's federation keys changed, then the current one."""
    chain = federation_answers.configurations(db.session(), participant)
    return Response(orjson.dumps(chain), content_type=JSON)


@blueprint.get("/federation/v1/logs/<participant>/checkpoint")
def show_checkpoint(participant: str) -> Response:
    """The newest checkpoint held of a participant."""
    here = held()
    authorization = request.headers.get("Authorization")
    token = federation_answers.checkpoint(db.session(), here, authorization, participant, here.clock())
    return Response(token, content_type=JWT)


@blueprint.get("/federation/v1/logs/<participant>/entries")
def show_entries(participant: str) -> Response:
    """One page of a participant's log."""
    here = held()
    authorization = request.headers.get("Authorization")
    start = _start(request.args.get("start"))
    page = federation_answers.entries_page(db.session(), here, authorization, participant, start, here.clock())
    return _page_reply(page)


@blueprint.post("/federation/v1/checkpoints")
def take_statement() -> tuple[Response, int]:
    """A newer checkpoint or configuration that somebody passes on."""
    request.max_content_length = LARGEST_STATEMENT + 1  # a body that does not say how long it is ends there, too long
    here = held()
    token = request.get_data(cache=False)
    federation_answers.check_clock(db.session())
    receive_statement(here.node, token, here.clock())
    return Response(b"{}", content_type=JSON), 202


@blueprint.get("/anchor/.well-known/openid-federation")
def show_anchor_configuration() -> Response:
    """The configuration of the anchor that this node runs."""
    here = held()
    token = federation_answers.anchor_configuration(db.session(), here, here.clock())
    return Response(token, content_type=ENTITY_STATEMENT)


@blueprint.get("/anchor/list")
def show_anchor_list() -> Response:
    """The entity identifiers that the anchor vouches for."""
    return Response(orjson.dumps(federation_answers.anchor_list(db.session(), held())), content_type=JSON)


@blueprint.get("/anchor/fetch")
def show_anchor_statement() -> Response:
    """The anchor's word about one node, or the error object of OpenID Federation."""
    here = held()
    subject = request.args.get("sub")
    if not subject:
        return _anchor_error("invalid_request", "expected the parameter sub", 400)
    try:
        token = federation_answers.anchor_statement(db.session(), here, subject, here.clock())
    except NotHeldError as error:
        return _anchor_error("not_found", error.detail, 404)
    return Response(token, content_type=ENTITY_STATEMENT)


def _start(text: str | None) -> int:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 16 or int(text) >= _LARGEST_START:
        raise BadRequest("start: expected a whole number from 0 on")
    return int(text)


def _page_reply(page: bytes) -> Response:
    """The page as it is accepted, under a tag over the bytes sent."""
    packed = request.accept_encodings.quality("gzip") > 0
    body = federation_answers.compressed(page) if packed else page
    response = conditional(Response(body, content_type=NDJSON), bytes_tag(body))
    if packed and response.status_code == 200:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Cache-Control"] = "private, max-age=600"
    response.vary.add("Accept-Encoding")
    return response


def _anchor_error(error: str, detail: str, status: int) -> Response:
    return Response(orjson.dumps({"error": error, "error_description": detail}), status, content_type=JSON)
