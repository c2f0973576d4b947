"""The HTTP client against hostile servers on real sockets (abuse.md group T)."""

import gzip
import os
import resource
import socket
import ssl
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sync.client import HttpTransport
from sync.errors import InsecureUrlError, PeerResponseError, PeerUnreachableError, StoppedError, SyncError
from sync.transport import JWT, Response
from tests.simulators.certificates import make_certificate
from tests.simulators.raw_server import RawServer, http_answer

OK = http_answer(b"token")
LIMIT = 100_000


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    client = HttpTransport(insecure_urls=True)
    yield client
    client.close()


def get(transport: HttpTransport, url: str, *, max_bytes: int = LIMIT, seconds: float = 5) -> Response:
    return transport.get(url, accept=JWT, max_bytes=max_bytes, seconds=seconds)


def chunked(parts: Iterator[bytes]) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/jwt\r\nTransfer-Encoding: chunked\r\n\r\n"
    for part in parts:
        yield b"%x\r\n%b\r\n" % (len(part), part)


def endless(server: RawServer, request: bytes) -> Iterator[bytes]:
    return chunked(iter(lambda: b"x" * 8192, b""))


def dripping_body(server: RawServer, request: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/jwt\r\nContent-Length: 100000\r\n\r\n"
    yield from server.drip(b"x" * 100_000)


def dripping_headers(server: RawServer, request: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from server.drip(b"X-Slow: " + b"y" * 60_000)


def endless_interim_answers(server: RawServer, request: bytes) -> Iterator[bytes]:
    return iter(lambda: b"HTTP/1.1 100 Continue\r\n\r\n", b"")


def no_answer(server: RawServer, request: bytes) -> Iterator[bytes]:
    yield from server.silence()


def gzipped(data: bytes, encoding: str = "gzip") -> bytes:
    return http_answer(data, headers=[("Content-Encoding", encoding)])


BOMB = gzip.compress(b"\0" * 100_000_000, 6)

ATTACKS: dict[str, tuple[object, str]] = {
    "T01 endless chunked body": (endless, "too_large"),
    "T01 body longer than the limit": (http_answer(b"x" * (LIMIT + 1)), "too_large"),
    "T03 200 headers": (http_answer(headers=[(f"X-{i}", "y") for i in range(200)]), "bad_response"),
    "T03 header of 70 kB": (http_answer(headers=[("X-Long", "y" * 70_000)]), "bad_response"),
    "T03 90 headers of 60 kB": (http_answer(headers=[(f"X-{i}", "y" * 60_000) for i in range(90)]), "too_large"),
    "T03 endless interim answers": (endless_interim_answers, "too_large"),
    "T04 gzip bomb": (gzipped(BOMB), "too_large"),
    "T04 gzip of gzip": (gzipped(gzip.compress(gzip.compress(b"x")), "gzip, gzip"), "bad_response"),
    "T05 gzip a hundred times": (
        http_answer(b"x", headers=[("Content-Encoding", ", ".join(["gzip"] * 100))]),
        "bad_response",
    ),
    "T05 gzip in a hundred headers": (http_answer(b"x", headers=[("Content-Encoding", "gzip")] * 90), "bad_response"),
    "T05 deflate": (gzipped(zlib.compress(b"x"), "deflate"), "bad_response"),
    "T05 br": (gzipped(b"x", "br"), "bad_response"),
    "T05 unknown encoding": (gzipped(b"x", "zzz"), "bad_response"),
    "gzip that is none": (gzipped(b"plain text"), "bad_response"),
    "gzip with bytes after it": (gzipped(gzip.compress(b"x") + b"more"), "bad_response"),
    "gzip of two members": (gzipped(gzip.compress(b"x") + gzip.compress(b"y")), "bad_response"),
    "gzip that ends early": (gzipped(gzip.compress(os.urandom(5000))[:1000]), "bad_range"),
    "T06 redirect": (
        http_answer(status="302 Found", headers=[("Location", "http://127.0.0.1:1/")]),
        "redirect_refused",
    ),
    "T06 permanent redirect": (http_answer(status="308 Gone", headers=[("Location", "//evil")]), "redirect_refused"),
    "T06 redirect without target": (http_answer(status="301 Moved"), "redirect_refused"),
    "not modified, never asked": (http_answer(status="304 Not Modified", content_type=None), "redirect_refused"),
    "T08 body ends early": (http_answer(b"x" * 400, length=1000), "bad_range"),
    "T08 chunk ends early": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/jwt\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc",
        "bad_range",
    ),
    "chunk length is no number": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/jwt\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        "bad_range",
    ),
    "T09 token as text/html": (http_answer(b"x", "text/html"), "bad_response"),
    "T09 token as image/png": (http_answer(b"x", "image/png"), "bad_response"),
    "T09 no content type": (http_answer(b"x", None), "bad_response"),
    "two lengths": (http_answer(b"abc", headers=[("Content-Length", "5")]), "bad_response"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "bad_response"),
    "status is no number": (b"HTTP/1.1 abc OK\r\n\r\n", "bad_response"),
    "connection closed": (b"", "unreachable"),
}


@pytest.mark.parametrize(("answer", "code"), ATTACKS.values(), ids=ATTACKS)
def test_client_refuses(transport: HttpTransport, answer: object, code: str) -> None:
    with RawServer(answer) as server:  # type: ignore[arg-type]
        with pytest.raises(SyncError) as refusal:
            get(transport, server.url)
        assert refusal.value.code == code
        server.answers = [OK]
        assert get(transport, server.url).body == b"token"


SLOW: dict[str, Callable[[RawServer, bytes], Iterator[bytes]]] = {
    "T02 dripping body": dripping_body,
    "T03 dripping headers": dripping_headers,
    "T03 no answer": no_answer,
}


@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW)
def test_slow_answer_ends_at_the_wall_clock(transport: HttpTransport, answer: Callable[..., Iterator[bytes]]) -> None:
    with RawServer(answer) as server:
        before = time.monotonic()
        with pytest.raises(PeerUnreachableError) as refusal:
            get(transport, server.url, seconds=0.3)
        assert refusal.value.code == "timeout"
        assert time.monotonic() - before < 3


def test_no_time_left_is_a_timeout(transport: HttpTransport) -> None:
    with RawServer(OK) as server, pytest.raises(PeerUnreachableError) as refusal:
        get(transport, server.url, seconds=0)
    assert refusal.value.code == "timeout"


def test_endless_body_is_read_little_beyond_the_limit(transport: HttpTransport) -> None:
    with RawServer(endless) as server, pytest.raises(PeerResponseError):
        get(transport, server.url, max_bytes=1_000_000)
    kernel_buffers = 8_000_000  # what loopback holds between the two ends
    assert server.sent < 1_000_000 + 65_536 + kernel_buffers


def test_gzip_bomb_stays_small_in_memory(transport: HttpTransport) -> None:
    with RawServer(gzipped(BOMB)) as server:
        tracemalloc.start()
        with pytest.raises(PeerResponseError):
            get(transport, server.url, max_bytes=40 * 1024 * 1024)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 32 * 1024 * 1024


def test_nested_encodings_cost_no_processor_time(transport: HttpTransport) -> None:
    layers = gzip.compress(b"x" * 1_000_000)
    with RawServer(gzipped(layers, ", ".join(["gzip"] * 100))) as server:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_utime
        with pytest.raises(PeerResponseError):
            get(transport, server.url)
        assert resource.getrusage(resource.RUSAGE_THREAD).ru_utime - before < 0.1


def test_redirect_target_is_never_asked(transport: HttpTransport) -> None:
    with RawServer(OK) as target:
        redirect = http_answer(status="302 Found", headers=[("Location", target.url)])
        with RawServer(redirect) as server, pytest.raises(PeerResponseError):
            get(transport, server.url)
    assert target.requests == []


def test_nothing_listens(transport: HttpTransport) -> None:
    with RawServer(OK) as server:
        url = server.url
    with pytest.raises(PeerUnreachableError) as refusal:
        get(transport, url)
    assert refusal.value.code == "unreachable"


def test_insecure_url_sends_nothing() -> None:
    careful = HttpTransport()
    with RawServer(OK) as server:
        for url in (server.url, f"https://127.0.0.1:{server.port}", f"https://localhost:{server.port}"):
            with pytest.raises(InsecureUrlError):
                get(careful, url)
        assert server.connections == 0
    careful.close()


def test_proxies_and_netrc_of_the_environment_are_not_used(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with RawServer(OK) as proxy, RawServer(OK) as server:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login someone password secret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        get(transport, server.url)
        assert proxy.connections == 0
        assert b"authorization" not in server.requests[0].lower()


def test_cookies_are_not_kept(transport: HttpTransport) -> None:
    with RawServer(http_answer(b"x", headers=[("Set-Cookie", "a=b")])) as server:
        get(transport, server.url)
        get(transport, server.url)
    assert b"cookie" not in server.requests[1].lower()


def test_answer_carries_what_callers_need(transport: HttpTransport) -> None:
    etag = [("ETag", '"abc"'), ("Server", "x"), ("Content-Type", "Application/JWT; charset=utf-8")]
    with RawServer(http_answer(b"token", None, headers=etag)) as server:
        found = get(transport, f"{server.url}/path?x=1")
        request = server.requests[0]
    assert (found.status, found.content_type, found.body, found.headers) == (200, JWT, b"token", {"etag": '"abc"'})
    assert found.wire_bytes == len(request) + server.sent
    assert request.startswith(b"GET /path?x=1 HTTP/1.1\r\n")


def test_gzip_body_is_inflated_and_counted_as_sent(transport: HttpTransport) -> None:
    body = b"abc" * 10_000
    with RawServer(gzipped(gzip.compress(body))) as server:
        found = get(transport, server.url)
        assert found.body == body
        assert found.wire_bytes < 1000


def test_bearer_and_etag_are_sent(transport: HttpTransport) -> None:
    unchanged = http_answer(status="304 Not Modified", content_type=None)
    with RawServer(unchanged) as server:
        found = transport.get(server.url, accept=JWT, max_bytes=10, seconds=5, bearer="abc", etag='"1"')
        assert found.status == 304
        assert b"Authorization: Bearer abc\r\n" in server.requests[0]
        assert b'If-None-Match: "1"\r\n' in server.requests[0]


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "429 Slow", "500 Oops", "503 Busy"])
def test_error_status_is_an_answer(transport: HttpTransport, status: str) -> None:
    with RawServer(http_answer(b"{}", "application/problem+json", status)) as server:
        found = get(transport, server.url)
    assert (found.status, found.content_type) == (int(status[:3]), "application/problem+json")


def test_post_sends_body_and_takes_any_type_where_none_is_expected(transport: HttpTransport) -> None:
    with RawServer(http_answer(b"", None, "202 Accepted")) as server:
        found = transport.post(server.url, b"statement", content_type=JWT, accept=None, max_bytes=10, seconds=5)
        assert found.status == 202
        assert server.requests[0].endswith(b"\r\n\r\nstatement")
        assert b"Content-Type: application/jwt\r\n" in server.requests[0]


def test_connections_are_kept_open(transport: HttpTransport) -> None:
    with RawServer(OK, keep_open=True) as server:
        for _ in range(3):
            get(transport, server.url)
        assert server.connections == 1


def test_kept_connection_that_was_closed_meanwhile_is_opened_again(transport: HttpTransport) -> None:
    closes_on_second = RawServer(OK, b"", OK, keep_open=True)
    closes_on_second.answers[1] = lambda server, request: (_ for _ in ()).throw(OSError)
    with closes_on_second as server:
        assert get(transport, server.url).body == b"token"
        assert get(transport, server.url).body == b"token"
        assert server.connections == 2


def test_post_on_a_closed_connection_is_not_repeated(transport: HttpTransport) -> None:
    with RawServer(b"") as server, pytest.raises(PeerUnreachableError):
        transport.post(server.url, b"once", content_type=JWT, accept=None, max_bytes=10, seconds=5)
    assert len(server.requests) == 1


def test_refused_answer_does_not_leak_into_the_next(transport: HttpTransport) -> None:
    with RawServer(http_answer(b"x" * 1000), OK, keep_open=True) as server:
        with pytest.raises(PeerResponseError):
            get(transport, server.url, max_bytes=10)
        assert get(transport, server.url).body == b"token"


def test_stopping_ends_an_exchange_under_way_and_refuses_new_ones() -> None:
    client = HttpTransport(insecure_urls=True)

    def stop_then_be_silent(server: RawServer, request: bytes) -> Iterator[bytes]:
        client.stop()
        yield from server.silence()

    with RawServer(stop_then_be_silent) as server:
        before = time.monotonic()
        for _ in range(2):
            with pytest.raises(StoppedError):
                get(client, server.url, seconds=60)
        assert time.monotonic() - before < 5
        assert len(server.requests) == 1
    client.close()


def test_address_that_takes_no_connection_ends_at_the_wall_clock() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = listener.getsockname()[1]
    waiting = [socket.socket() for _ in range(6)]  # fill the queue of a server that accepts nobody
    for connection in waiting:
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", port))
    client = HttpTransport(insecure_urls=True)
    for _ in range(3):
        with pytest.raises(PeerUnreachableError) as refusal:
            get(client, f"http://127.0.0.1:{port}", seconds=0.4)
        assert refusal.value.code == "timeout"
    for connection in (*waiting, listener):
        connection.close()
    client.close()


class TestTls:
    """TLS proves the name; there is no falling back (abuse.md T10)."""

    def fetch(self, file: Path, url: str, addresses: list[str] | None = None, seconds: float = 10) -> Response:
        client = HttpTransport(
            insecure_urls=True, ca_file=str(file), resolve=lambda host, port: addresses or ["127.0.0.1"]
        )
        try:
            return get(client, url, seconds=seconds)
        finally:
            client.close()

    def test_trusted_certificate(self, tmp_path: Path) -> None:
        file, context = make_certificate(tmp_path)
        with RawServer(OK, tls=context) as server:
            found = self.fetch(file, server.url)
            assert found.wire_bytes == len(server.requests[0]) + server.sent

    def test_name_is_proven_while_the_checked_address_is_dialled(self, tmp_path: Path) -> None:
        file, context = make_certificate(tmp_path, "node.example")
        with RawServer(OK, tls=context) as server:
            url = f"https://node.example:{server.port}"
            assert self.fetch(file, url).body == b"token"
            assert b"Host: node.example:" in server.requests[0]

    def test_second_address_is_dialled_where_the_first_refuses(self, tmp_path: Path) -> None:
        file, context = make_certificate(tmp_path, "node.example")
        with RawServer(OK, tls=context) as server:
            url = f"https://node.example:{server.port}"
            assert self.fetch(file, url, ["127.0.0.2", "127.0.0.1"]).body == b"token"

    @pytest.mark.parametrize(
        ("host", "start", "days"), [("127.0.0.1", -9, 3), ("127.0.0.1", 3, 3), ("other.example", -1, 3)]
    )
    def test_expired_future_or_foreign_certificate(self, tmp_path: Path, host: str, start: int, days: int) -> None:
        file, context = make_certificate(tmp_path, host, start=start, days=days)
        with RawServer(OK, tls=context) as server:
            with pytest.raises(PeerUnreachableError) as refusal:
                self.fetch(file, server.url)
            assert (refusal.value.code, server.requests) == ("unreachable", [])

    def test_self_signed_certificate(self, tmp_path: Path) -> None:
        _, context = make_certificate(tmp_path)
        trusted, _ = make_certificate(tmp_path, name="other")
        with RawServer(OK, tls=context) as server:
            with pytest.raises(PeerUnreachableError):
                self.fetch(trusted, server.url)
            assert server.requests == []

    def test_old_tls_version(self, tmp_path: Path) -> None:
        file, context = make_certificate(tmp_path)
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with RawServer(OK, tls=context) as server:
            with pytest.raises(PeerUnreachableError):
                self.fetch(file, server.url)
            assert server.requests == []

    def test_plain_http_server_behind_https(self, tmp_path: Path) -> None:
        file, _ = make_certificate(tmp_path)
        with RawServer(OK) as server, pytest.raises(PeerUnreachableError):
            self.fetch(file, server.url.replace("http", "https"), seconds=0.3)

    def test_silent_handshake_ends_at_the_wall_clock(self, tmp_path: Path) -> None:
        file, _ = make_certificate(tmp_path)
        client = HttpTransport(insecure_urls=True, ca_file=str(file))
        with RawServer(no_answer) as server, pytest.raises(PeerUnreachableError) as refusal:
            get(client, server.url.replace("http", "https"), seconds=0.3)
        client.close()
        assert refusal.value.code == "timeout"

    def test_dripping_body_ends_at_the_wall_clock(self, tmp_path: Path) -> None:
        file, context = make_certificate(tmp_path)
        client = HttpTransport(insecure_urls=True, ca_file=str(file))
        with RawServer(dripping_body, tls=context) as server, pytest.raises(PeerUnreachableError) as refusal:
            get(client, server.url, seconds=0.5)
        client.close()
        assert refusal.value.code == "timeout"
