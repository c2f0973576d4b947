"""The HTTP client for other nodes: fetches bytes within limits and believes nothing.

What requests does by default and this client does not: follow redirects, read proxies and passwords from the
environment, keep cookies, wait without end for a dripping body, inflate without bound, dial another address than the
one that was checked.
"""

import http.client
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager

from federation.refusals import printable
from sync.addresses import Network, Resolver, check_url
from sync.connections import POOL_CLASSES, Exchange, carrying_out, tls_context
from sync.errors import PeerResponseError, PeerUnreachableError, StorageError
from sync.transport import Response

_CHUNK = 64 * 1024
_IN_MEMORY = 1024 * 1024
"""A longer body waits on disk until it is whole: many peers that send without end must not fill the memory."""
_KEPT_HEADERS = ("etag", "date", "retry-after")
_USER_AGENT = "veza/1"
_CUT_OFF = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
_UNREADABLE = (http.client.HTTPException, requests.exceptions.InvalidHeader)
_FREE_INFLATION = 1024 * 1024
_MAX_RATIO = 64
"""How much longer than its gzip form a body may be (entries reach 10): a bomb is stopped long before the size limit."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    accept: str | None
    max_bytes: int
    seconds: float
    allowed_networks: Sequence[Network]


class _PinnedAdapter(HTTPAdapter):
    """Makes connections by ``sync.connections``; used without a session, which would bring cookies and redirects."""

    def __init__(self, ca_file: str) -> None:
        self._tls = tls_context(ca_file)
        super().__init__(pool_connections=64, pool_maxsize=8)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:  # noqa: ANN401
        """Use pools whose connections are pinned."""
        self.poolmanager = PoolManager(
            num_pools=connections, maxsize=maxsize, block=block, ssl_context=self._tls, **kwargs
        )
        self.poolmanager.pool_classes_by_scheme = POOL_CLASSES

    def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:  # noqa: ANN401
        """Leave certificates to the TLS context: requests would load its own list again for every connection."""
        conn.cert_reqs = "CERT_REQUIRED"


class HttpTransport:
    """The transport between real nodes. Safe for several threads; ``close`` ends the connections that are kept."""

    def __init__(
        self, *, insecure_urls: bool = False, ca_file: str | None = None, resolve: Resolver | None = None
    ) -> None:
        self._insecure_urls = insecure_urls
        self._resolve = resolve
        self._stopping = threading.Event()
        self._adapter = _PinnedAdapter(ca_file or certifi.where())

    def close(self) -> None:
        """Close every connection."""
        self._adapter.close()

    def stop(self) -> None:
        """Give up every exchange under way within a moment, and refuse new ones (StoppedError)."""
        self._stopping.set()

    def get(
        self,
        url: str,
        *,
        accept: str,
        max_bytes: int,
        seconds: float,
        bearer: str | None = None,
        allowed_networks: Sequence[Network] = (),
        etag: str | None = None,
    ) -> Response:
        """Fetch ``url``; errors as in ``PeerTransport``."""
        headers = {"Accept": f"{accept}, application/problem+json", "Accept-Encoding": "gzip"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        if etag is not None:
            headers["If-None-Match"] = etag
        return self._exchange(_Request("GET", url, headers, None, accept, max_bytes, seconds, allowed_networks))

    def post(
        self,
        url: str,
        body: bytes,
        *,
        content_type: str,
        accept: str | None,
        max_bytes: int,
        seconds: float,
        allowed_networks: Sequence[Network] = (),
    ) -> Response:
        """Send ``body``; errors as in ``PeerTransport``."""
        headers = {"Content-Type": content_type, "Accept": accept or "*/*", "Accept-Encoding": "identity"}
        return self._exchange(_Request("POST", url, headers, body, accept, max_bytes, seconds, allowed_networks))

    def _exchange(self, request: _Request) -> Response:
        """Carry out one exchange; whatever goes wrong is one of the errors of this package."""
        deadline = time.monotonic() + request.seconds
        destination = check_url(
            request.url,
            insecure_urls=self._insecure_urls,
            allowed_networks=request.allowed_networks,
            resolve=self._resolve,
            seconds=request.seconds,
        )
        with carrying_out(Exchange(destination, deadline, request.max_bytes, self._stopping)) as exchange:
            try:
                return self._send(request, exchange)
            except _FAILURES as error:
                if not _was_idle(error, request, exchange):
                    raise _explain(error, destination.place) from error
            try:
                return self._send(request, exchange)
            except _FAILURES as error:
                raise _explain(error, destination.place) from error

    def _send(self, request: _Request, exchange: Exchange) -> Response:
        prepared = requests.Request(
            request.method, request.url, {**request.headers, "User-Agent": _USER_AGENT}, data=request.body
        ).prepare()
        answer = self._adapter.send(prepared, stream=True, timeout=exchange.remaining())
        try:
            content_type = _check_answer(answer, request)
            body = _read_body(answer, request.max_bytes, exchange)
        except BaseException:
            answer.raw.close()  # what is left of the body must not be read as the next answer
            raise
        return Response(
            answer.status_code,
            content_type,
            body,
            {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers},
            exchange.received + exchange.sent,
        )


def _check_answer(answer: requests.Response, request: _Request) -> str:
    """Status and headers: no redirect, the content type that was asked for. Gives the content type."""
    status = answer.status_code
    content_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if 300 <= status < 400 and not (status == 304 and "If-None-Match" in request.headers):
        raise PeerResponseError("redirect_refused", f"expected an answer, found status {status} and another address")
    if status == 200 and request.accept is not None and content_type != request.accept:
        raise PeerResponseError("bad_response", f"expected {request.accept}, found {content_type[:80] or 'no type'!r}")
    return content_type


def _read_body(answer: requests.Response, max_bytes: int, exchange: Exchange) -> bytes:
    """The body, inflated where it was compressed once with gzip; bounded before and after."""
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise PeerResponseError("bad_response", f"expected gzip or no content encoding, found {encoding[:80]!r}")
    inflate = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as body:
        for part in _parts(answer, max_bytes, exchange, inflate):
            _keep(body, part)
        body.seek(0)
        return body.read()


def _parts(
    answer: requests.Response, max_bytes: int, exchange: Exchange, inflate: "zlib._Decompress | None"
) -> Iterator[bytes]:
    """The body as it comes, inflated."""
    size = 0
    while chunk := answer.raw.read(_CHUNK, decode_content=False):
        exchange.remaining()
        part = chunk if inflate is None else _inflate(inflate, chunk, _room(max_bytes, exchange) - size)
        size += len(part)
        if size > max_bytes:
            raise PeerResponseError("too_large", f"expected a body of at most {max_bytes} bytes, found more")
        yield part
    if inflate is not None and not inflate.eof:
        raise PeerResponseError("bad_range", "expected a whole gzip body, found one that ends early")


def _keep(body: IO[bytes], part: bytes) -> None:
    try:
        body.write(part)
    except OSError as error:
        raise StorageError("storage_full", f"a long answer could not be kept on disk: {error}") from error


def _room(max_bytes: int, exchange: Exchange) -> int:
    """How long the inflated body may be, after what came so far."""
    return min(max_bytes, max(_FREE_INFLATION, exchange.received * _MAX_RATIO))


def _inflate(inflate: "zlib._Decompress", chunk: bytes, room: int) -> bytes:
    """Inflate ``chunk``; more than there is ``room`` for is refused."""
    try:
        part = inflate.decompress(chunk, room + 1)
    except zlib.error as error:
        raise PeerResponseError("bad_response", f"expected a gzip body, found other bytes ({error})") from error
    if len(part) > room:
        raise PeerResponseError("too_large", f"expected at most {room} bytes more, found a gzip body that holds more")
    if inflate.unused_data:
        raise PeerResponseError("bad_response", "expected one gzip member, found bytes after it")
    return part


def _was_idle(error: Exception, request: _Request, exchange: Exchange) -> bool:
    """Whether a kept connection may have been closed while it was idle: a read is then asked once more."""
    cut_off = any(isinstance(cause, _CUT_OFF) for cause in _causes(error))
    return cut_off and request.method == "GET" and exchange.received == 0


def _explain(error: Exception, host: str) -> PeerUnreachableError | PeerResponseError:
    """Which of our errors a failure of the HTTP libraries is: the cause at the bottom decides."""
    chain = _causes(error)

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in chain)

    if has(http.client.IncompleteRead):
        return PeerResponseError("bad_range", f"expected a whole body from {host}, found one that ends early")
    if has(TimeoutError):
        return PeerUnreachableError("timeout", f"{host} did not answer in time")
    if has(*_CUT_OFF):
        return PeerUnreachableError("unreachable", f"{host} closed the connection")
    if has(*_UNREADABLE):
        return PeerResponseError("bad_response", f"expected an HTTP answer from {host}, found {_quoted(chain[-1])}")
    return PeerUnreachableError("unreachable", f"no connection to {host} ({_quoted(chain[-1])})")


def _quoted(error: BaseException) -> str:
    """What a library says, which may quote the peer's own bytes: control characters would break log and database."""
    return printable(str(error))[:300]


def _causes(error: BaseException) -> list[BaseException]:
    """``error`` and what it wraps: by cause, by context, or as an argument (urllib3 does all three)."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop(0)
        if current is None or current in found:
            continue
        found.append(current)
        inner = [argument for argument in current.args if isinstance(argument, BaseException)]
        reason = getattr(current, "reason", None)
        waiting += [*inner, reason if isinstance(reason, BaseException) else None]
        waiting += [current.__cause__, current.__context__]
    return found
