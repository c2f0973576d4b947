"""Between the web server and the application: requests are passed on once they are whole (abuse.md, W14 and W15).

A WSGI application reads a body in the thread that answers, as slowly as it comes. So three clients that announced a
body and sent nothing would stop the whole node, without a key. Here the event loop collects a body; a thread is needed
only for a request that is all there:

- a body that did not come within ``SECONDS`` is given up;
- where too many are on their way, the one that has been so for longest is given up: those of honest clients come in
  one piece, and are never that one for long;
- a body that is longer than any the node takes is read no further: the application answers ``too_large``.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Protocol

from web.headers import SAFE_METHODS, Marked
from web.mounting import Application, Environ
from web.problem import problem

MOST_WAITING = 64
SECONDS = 10.0
_OWN_NAMES = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
_CONSTANT: Mapping[str, object] = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}


class Headers(Protocol):
    """What was sent, by names in lower case."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Every header; one that was sent twice comes twice."""
        ...


class Scope(Protocol):
    """A request without its body, as the server gives it (RSGI)."""

    method: str
    path: str
    query_string: str
    scheme: str
    http_version: str
    client: str
    server: str
    headers: Headers


class Exchange(Protocol):
    """The body, and where the answer goes (RSGI)."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        ...

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""
        ...


@dataclass(slots=True)
class _Answer:
    """What an application answers, whole."""

    status: int = 500
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], None]:
        """WSGI's ``start_response``."""
        self.status, self.headers = int(status.partition(" ")[0]), headers
        return self._write

    def _write(self, part: bytes) -> None:
        self.body += part


class Gateway:
    """Answers for ``application``, which works on ``turns`` requests at once; bodies have at most ``longest`` bytes."""

    def __init__(
        self,
        application: Application,
        *,
        turns: int,
        longest: int,
        most_waiting: int = MOST_WAITING,
        seconds: float = SECONDS,
    ) -> None:
        self._application = application
        self._pool = ThreadPoolExecutor(turns, thread_name_prefix="request")
        self._longest = longest
        self._most_waiting = most_waiting
        self._seconds = seconds
        self._arriving: dict[asyncio.Task[bytes], None] = {}

    async def answer(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request, with 503 where its body did not come."""
        environ = make_environ(scope)
        body = await self._receive(environ, exchange)
        if body is not None:
            environ["wsgi.input"] = BytesIO(body)
        application = _refuse if body is None else self._application
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._pool, _run, application, environ)
        exchange.response_bytes(answer.status, answer.headers, answer.body)

    async def _receive(self, environ: Environ, exchange: Exchange) -> bytes | None:
        """The body; None where it did not come in time. One that says that it is too long is not read."""
        length = _take_length(environ)
        if length == 0:
            return b""
        if length is not None and length > self._longest:
            environ["CONTENT_LENGTH"] = str(length)
            return b""
        body = await self._collect(exchange)
        if body is None or len(body) < (length or 0):
            return None
        environ["CONTENT_LENGTH"] = str(len(body))
        return body

    async def _collect(self, exchange: Exchange) -> bytes | None:
        arriving = asyncio.ensure_future(_read(exchange, self._longest))
        self._arriving[arriving] = None
        if len(self._arriving) > self._most_waiting:
            longest = next(iter(self._arriving))
            del self._arriving[longest]
            longest.cancel()
        await asyncio.wait({arriving}, timeout=self._seconds)
        self._arriving.pop(arriving, None)
        arriving.cancel()
        came = arriving.done() and not arriving.cancelled() and arriving.exception() is None
        return arriving.result() if came else None


async def _read(exchange: Exchange, longest: int) -> bytes:
    """The body, or what goes just beyond ``longest``."""
    body = bytearray()
    async for part in exchange:
        body += part
        if len(body) > longest:
            break
    return bytes(body)


def _take_length(environ: Environ) -> int | None:
    """How long the body says it is, None for one that does not say it; that of a read means nothing."""
    chunked = environ.pop("HTTP_TRANSFER_ENCODING", None) is not None
    length = environ.pop("CONTENT_LENGTH", "")
    if environ["REQUEST_METHOD"] in SAFE_METHODS:
        return 0
    if chunked:
        return None
    return int(length) if length.isdecimal() else 0


def make_environ(scope: Scope) -> Environ:
    """The request as a WSGI application reads it, without its body."""
    client, server = _host_and_port(scope.client), _host_and_port(scope.server)
    environ: Environ = {
        **_CONSTANT,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode("utf-8").decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": server[1],
        "REMOTE_ADDR": client[0],
        "wsgi.url_scheme": scope.scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.input": BytesIO(),
    }
    for name, value in scope.headers.items():
        _add_header(environ, name, value)
    return environ


def _add_header(environ: Environ, name: str, value: str) -> None:
    """One header more. A name with an underscore is dropped: it would pass for the one with a hyphen."""
    if "_" in name:
        return
    variable = _OWN_NAMES.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
    if variable in environ:
        separator = ";" if name == "cookie" else ","
        value = f"{environ[variable]}{separator}{value}"
    environ[variable] = value


def _host_and_port(address: str) -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), port


def _run(application: Application, environ: Environ) -> _Answer:
    """Ask the application, and take its whole answer."""
    answer = _Answer()
    parts: Any = application(environ, answer.start)
    try:
        answer.body += b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return answer


def _refuse(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    refusal = problem("busy", "the body of the request did not arrive in time; send it again, in one piece")
    return Marked(refusal)(environ, start_response)
