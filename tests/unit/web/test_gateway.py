"""Requests are passed on once they are whole: slow bodies cost no thread, long ones no memory."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from web.gateway import Gateway, make_environ

LONGEST = 1000


@dataclass
class Headers:
    """Headers as they were sent."""

    sent: tuple[tuple[str, str], ...] = ()

    def items(self) -> Iterable[tuple[str, str]]:
        return self.sent


@dataclass
class Scope:
    """A request of the test's making."""

    method: str = "POST"
    path: str = "/x"
    query_string: str = ""
    scheme: str = "http"
    http_version: str = "1.1"
    client: str = "198.51.100.7:50000"
    server: str = "127.0.0.1:8000"
    headers: Headers = field(default_factory=Headers)


@dataclass
class Exchange:
    """A client that sends ``parts``, and then nothing more, or the end."""

    parts: list[bytes] = field(default_factory=list)
    ends: bool = True
    read: int = 0
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            self.read += len(part)
            yield part
        if not self.ends:
            await asyncio.Event().wait()

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answers with what it was given."""
    start_response("201 Created", [("X-Length", environ.get("CONTENT_LENGTH", "none"))])
    return iter([b"got ", environ["wsgi.input"].read()])


def gateway(**limits: Any) -> Gateway:
    return Gateway(echo, turns=1, longest=LONGEST, **limits)


def posted(*sent: tuple[str, str], method: str = "POST") -> Scope:
    return Scope(method=method, headers=Headers(sent))


CHUNKED = ("transfer-encoding", "chunked")


def ask(scope: Scope, exchange: Exchange, **limits: Any) -> Exchange:
    run(gateway(**limits).answer(scope, exchange))
    return exchange


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a thread of its own: the test's thread may have an event loop already (a browser's)."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def test_a_whole_body_reaches_the_application_with_its_length() -> None:
    answer = ask(posted(CHUNKED), Exchange([b"a" * 10, b"b" * 5]))
    assert (answer.status, answer.body) == (201, b"got " + b"a" * 10 + b"b" * 5)
    assert answer.headers == [("X-Length", "15")]


@pytest.mark.parametrize("header", [CHUNKED, ("content-length", "900")])
def test_a_body_that_never_comes_is_given_up(header: tuple[str, str]) -> None:
    answer = ask(posted(header), Exchange([b"abc"], ends=False), seconds=0.05)
    assert answer.status == 503
    assert orjson.loads(answer.body)["type"] == "urn:veza:problem:busy"
    names = {name for name, _ in answer.headers}
    assert {"Retry-After", "Content-Security-Policy", "X-Content-Type-Options"} <= names


def test_of_too_many_bodies_the_one_on_its_way_for_longest_is_given_up() -> None:
    slow = [Exchange([b"abc"], ends=False) for _ in range(4)]
    honest = Exchange([b"whole"])

    async def attack() -> None:
        node = gateway(most_waiting=2, seconds=60)
        tasks = [asyncio.ensure_future(node.answer(posted(CHUNKED), each)) for each in slow]
        await asyncio.sleep(0)
        await node.answer(posted(CHUNKED), honest)
        await asyncio.wait(tasks[:3], timeout=20)
        for task in tasks:
            task.cancel()

    run(attack())
    assert honest.body == b"got whole"
    assert [each.status for each in slow] == [503, 503, 503, None]


def test_slow_bodies_take_no_turn_from_others() -> None:
    async def attack() -> None:
        node = gateway(seconds=60)
        tasks = [asyncio.ensure_future(node.answer(posted(CHUNKED), Exchange([b"abc"], ends=False))) for _ in range(20)]
        await asyncio.sleep(0)
        await asyncio.wait_for(node.answer(posted(method="GET"), answered), timeout=20)
        for task in tasks:
            task.cancel()

    answered = Exchange()
    run(attack())
    assert answered.status == 201


def test_a_body_without_end_is_read_just_beyond_the_limit() -> None:
    exchange = Exchange([b"a" * 300] * 100)
    answer = ask(posted(CHUNKED), exchange)
    assert dict(answer.headers)["X-Length"] == "1200"  # the application sees that it is too long
    assert exchange.read == 1200


def test_a_body_that_says_that_it_is_too_long_is_not_read() -> None:
    answer = ask(posted(("content-length", "1001")), Exchange([b"a" * 1001]))
    assert (answer.read, dict(answer.headers)["X-Length"]) == (0, "1001")


def test_a_body_that_ends_early_is_not_passed_on() -> None:
    assert ask(posted(("content-length", "10")), Exchange([b"abc"])).status == 503


def test_the_body_of_a_read_means_nothing() -> None:
    answer = ask(posted(("content-length", "3"), method="GET"), Exchange([b"abc"], ends=False), seconds=20)
    assert (answer.read, answer.body) == (0, b"got ")


def test_a_header_with_an_underscore_passes_for_no_other() -> None:
    sent = (("host", "a.example"), ("x_forwarded_for", "10.0.0.1"), ("content_length", "7"), ("x-a", "1"), ("x-a", "2"))
    environ = make_environ(Scope(path="/ä", headers=Headers((*sent, ("cookie", "a=1"), ("cookie", "b=2")))))
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ
    assert (environ["HTTP_X_A"], environ["HTTP_COOKIE"]) == ("1,2", "a=1;b=2")
    assert (environ["PATH_INFO"], environ["REMOTE_ADDR"]) == ("/Ã¤", "198.51.100.7")


def test_an_address_of_version_6() -> None:
    environ = make_environ(Scope(client="[2001:db8::1]:40000"))
    assert environ["REMOTE_ADDR"] == "2001:db8::1"
