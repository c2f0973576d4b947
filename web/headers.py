"""What every answer says to browsers, and which requests are refused before anything looks at them."""

from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest

from web.config import Config
from web.errors import ForbiddenError

LONGEST_QUERY = 8 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_REPEATABLE = frozenset({"involves", "outage", "outages"})
_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Referrer-Policy", "same-origin"),
    ("Strict-Transport-Security", "max-age=63072000"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)


def protect(app: Flask, config: Config) -> None:
    """Guard every request of ``app`` and mark every answer."""
    origins = {config.url} if not config.insecure_urls else None

    @app.before_request
    def refuse_odd_requests() -> None:
        """Refuse what no honest client sends."""
        if len(request.query_string) > LONGEST_QUERY:
            raise BadRequest(f"the query is longer than {LONGEST_QUERY} bytes")
        if request.query_string:
            _refuse_repeated_parameters()
        if request.method not in SAFE_METHODS:
            _refuse_other_origins(origins)

    @app.after_request
    def mark(response: Response) -> Response:
        """Add the headers; whatever an answer decided itself stays."""
        headers = response.headers
        for name, value in _HEADERS:
            headers[name] = value
        if "Cache-Control" not in headers or request.endpoint == "static":
            headers["Cache-Control"] = "no-store"
        response.vary.add("Cookie")
        return response


def _refuse_repeated_parameters() -> None:
    """A parameter given twice is read differently by different programs, so it is not read at all."""
    for name, values in request.args.lists():
        if len(values) > 1 and name not in _REPEATABLE:
            raise BadRequest(f"{name}: expected once, found {len(values)} times")


def _refuse_other_origins(origins: set[str] | None) -> None:
    """A change must come from this node's own pages or from a program: browsers name the origin of every change.

    Without a fixed origin (demo, tests: the node answers under several names) the request's own host counts.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return
    own = {f"{part.scheme}://{part.netloc}" for part in map(urlsplit, origins or {request.host_url})}
    if origin not in own:
        raise ForbiddenError("changes are taken from this node's own pages only")
