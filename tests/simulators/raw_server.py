"""A server on loopback that says exactly the bytes a test wants, whether they are HTTP or not."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

Answer = bytes | Iterable[bytes] | Callable[["RawServer", bytes], Iterable[bytes]]


class RawServer:
    """Answers every request with the next of ``answers`` (the last one again and again).

    An answer is bytes, or pieces of bytes that are sent one after the other; after it the connection stays open where
    ``keep_open``, else it is closed. ``requests`` are the raw requests received, ``stopping`` ends every wait.
    """

    def __init__(self, *answers: Answer, keep_open: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self.answers = list(answers)
        self.keep_open = keep_open
        self.tls = tls
        self.requests: list[bytes] = []
        self.connections = 0
        self.sent = 0
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open: list[socket.socket] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def drip(self, data: bytes, every: float = 0.02) -> Iterable[bytes]:
        """``data`` byte by byte, ``every`` so many seconds, until the test is over."""
        for position in range(len(data)):
            if self.stopping.wait(every):
                return
            yield data[position : position + 1]

    def silence(self) -> Iterable[bytes]:
        """Nothing, until the test is over."""
        self.stopping.wait()
        return ()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            self._open.append(connection)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self.tls is None:
                self._answer_all(connection)
            else:
                with self.tls.wrap_socket(connection, server_side=True) as secured:
                    self._open.append(secured)  # the plain socket is detached from here on
                    self._answer_all(secured)

    def _answer_all(self, connection: socket.socket) -> None:
        while request := read_request(connection):
            with self._lock:
                self.requests.append(request)
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
            pieces = answer(self, request) if callable(answer) else answer
            for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                connection.sendall(piece)
                self.sent += len(piece)
            if not self.keep_open:
                return


def read_request(connection: socket.socket) -> bytes:
    """One request with its body; empty where the connection ended."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            return b""
        body += part
    return head + b"\r\n\r\n" + body


def http_answer(
    body: bytes = b"",
    content_type: str | None = "application/jwt",
    status: str = "200 OK",
    headers: Iterable[tuple[str, str]] = (),
    length: int | None = None,
) -> bytes:
    """A whole HTTP answer; ``length`` lies about the body's."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
