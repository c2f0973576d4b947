"""Answers as bytes: JSON by orjson, and ``ETag`` with ``If-None-Match`` for whatever is read."""

import hashlib

import orjson
from flask import Response, request


def json_reply(body: object) -> Response:
    """``body`` as JSON, without any other ado."""
    return Response(orjson.dumps(body), content_type="application/json")


def tagged_reply(body: object) -> Response:
    """``body`` as JSON, or 304 where the reader holds exactly these bytes."""
    content = orjson.dumps(body)
    return conditional(Response(content, content_type="application/json"), bytes_tag(content))


def conditional(response: Response, tag: str) -> Response:
    """``response`` under an entity tag, or 304 where the reader has that already."""
    if request.if_none_match.contains(tag):
        response = Response(status=304)
        response.headers.pop("Content-Type", None)
    response.set_etag(tag)
    return response


def bytes_tag(content: bytes) -> str:
    """An entity tag of exact bytes."""
    return hashlib.sha256(content).hexdigest()[:32]
