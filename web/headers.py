"""What every answer says to browsers, and which requests are refused before anything looks at them."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, request
from werkzeug.exceptions import BadRequest

from web.config import Config
from web.errors import ForbiddenError
from web.mounting import Application, Environ

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
        """Refuse what no honest client sends; a NUL is no text to PostgreSQL."""
        if "\x00" in request.path or b"%00" in request.query_string:
            raise BadRequest("expected no NUL in the address")
        if request.query_string:
            if len(request.query_string) > LONGEST_QUERY:
                raise BadRequest(f"the query is longer than {LONGEST_QUERY} bytes")
            _refuse_repeated_parameters()
        if request.method not in SAFE_METHODS:
            _refuse_other_origins(origins)

    app.wsgi_app = Marked(app.wsgi_app)  # type: ignore[method-assign]


class Marked:
    """Adds the headers to whatever ``application`` answers; what an answer decided itself stays.

    At this level a request pays for one list, where eight headers set one by one cost as much as a small answer.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer with the headers added."""
        is_file = environ.get("PATH_INFO", "").startswith("/static/")

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:  # noqa: ANN401
            return start_response(status, _marked(headers, is_file), exc_info)

        return self._application(environ, start)


def _marked(headers: list[tuple[str, str]], is_file: bool) -> list[tuple[str, str]]:
    varies, kept, decided = ["Cookie"], [], False
    for name, value in headers:
        if name == "Vary":
            varies += [part for part in map(str.strip, value.split(",")) if part != "Cookie"]
        elif name != "Cache-Control":
            kept.append((name, value))
        elif not is_file:
            kept.append((name, value))
            decided = True
    if not decided:
        kept.append(("Cache-Control", "no-store"))
    return [*kept, ("Vary", ", ".join(varies)), *_HEADERS]


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
