"""What a hostile server says on the wire."""

import gzip
from collections.abc import Iterator

from tests.simulators.raw_server import Answer, RawServer, http_answer


def typed(part: bytes = b"application/jwt") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: " + part + b"\r\n"


def content_type(request: bytes) -> str:
    return "application/x-ndjson" if b"/entries" in request else "application/jwt"


def endless(server: RawServer, request: bytes) -> Iterator[bytes]:
    yield typed(content_type(request).encode()) + b"Transfer-Encoding: chunked\r\n\r\n"
    while not server.stopping.is_set():
        yield b"8000\r\n" + b"x" * 0x8000 + b"\r\n"


def endless_plain(server: RawServer, request: bytes) -> Iterator[bytes]:
    yield typed(content_type(request).encode()) + b"\r\n"
    while not server.stopping.is_set():
        yield b"x" * 0x8000


def dripping(server: RawServer, request: bytes) -> Iterator[bytes]:
    yield typed(content_type(request).encode()) + b"Content-Length: 100000\r\n\r\n"
    yield from server.drip(b"x" * 100_000, 0.4)


def dripping_headers(server: RawServer, request: bytes) -> Iterator[bytes]:
    yield from server.drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 60_000, 0.1)


def silent(server: RawServer, request: bytes) -> Iterator[bytes]:
    yield from server.silence()


def bomb(server: RawServer, request: bytes) -> bytes:
    return http_answer(BOMB, content_type(request), headers=[("Content-Encoding", "gzip")])


def headed(*headers: tuple[str, str], body: bytes = b"x", status: str = "200 OK") -> Answer:
    return lambda server, request: http_answer(body, content_type(request), status, headers)


BOMB = gzip.compress(b"\0" * 200_000_000, 9)
