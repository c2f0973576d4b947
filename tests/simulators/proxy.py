"""A TCP proxy on loopback that delays, slices, slows, cuts and loses what goes through it."""

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_PIECE = 65_536


@dataclass
class Weather:
    """What happens to connections now; may be changed while they are open."""

    latency: float = 0.0
    """Seconds before each piece is passed on, either way."""
    slice: int = _PIECE
    """Bytes per piece that comes back."""
    rate: float | None = None
    """Bytes per second that come back."""
    cut_after: int | None = None
    """Bytes of answers after which a connection is reset."""
    loses_replies: bool = False
    """Requests arrive; what comes back is lost, and nobody is told."""
    partitioned: bool = False
    """Nothing arrives either way, and nobody is told."""
    reset_every: int | None = None
    """Every so manieth connection is reset at once."""


@dataclass
class Proxy:
    """Listens at ``port`` and passes on to ``target`` on this machine."""

    target: int = 0
    weather: Weather = field(default_factory=Weather)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            _close(connection)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            every = self.weather.reset_every
            if every is not None and self.connections % every == 0:
                _reset(near)
                continue
            far = socket.create_connection(("127.0.0.1", self.target))
            self._open += [near, far]
            for source, sink, answers in ((near, far, False), (far, near, True)):
                thread = threading.Thread(target=self._pass_on, args=(source, sink, answers), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(self.weather.slice if answers else _PIECE):
                weather = self.weather
                pause = weather.latency + (len(piece) / weather.rate if answers and weather.rate else 0)
                if self._stopping.wait(pause):
                    break
                if weather.partitioned or (answers and weather.loses_replies):
                    continue
                passed += len(piece)
                if answers and weather.cut_after is not None and passed > weather.cut_after:
                    sink.sendall(piece[: len(piece) - (passed - weather.cut_after)])
                    time.sleep(0.02)  # let the last bytes out before the reset overtakes them
                    _reset(sink)
                    break
                sink.sendall(piece)
        _close(sink)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
