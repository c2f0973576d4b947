"""Connections that go to exactly the addresses that were checked, and end at the deadline of their exchange.

The socket time-out of the standard library starts anew with every byte, so a peer that drips one byte at a time holds
a thread for ever. Here each read of a socket waits for what is left of the whole exchange, and counts what came.
The exchange under way is known by a context variable: one thread carries out one exchange at a time.
"""

import errno
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from sync.addresses import Destination
from sync.errors import PeerResponseError, PeerUnreachableError, StoppedError

HEADER_BYTES = 64 * 1024
"""What an answer may have beside its body."""
_SLICE = 0.25
"""Longest uninterrupted wait, in seconds: so soon does an exchange end when the process is asked to stop."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer: where to, until when (monotonic seconds), and how much."""

    destination: Destination
    deadline: float
    max_bytes: int
    stopping: threading.Event = field(default_factory=threading.Event)
    received: int = 0
    sent: int = 0

    def remaining(self) -> float:
        """Seconds left; raises PeerUnreachableError (``timeout``) when there are none, StoppedError on stopping."""
        if self.stopping.is_set():
            raise StoppedError("this node is stopping")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise PeerUnreachableError("timeout", f"{self.destination.host} did not finish its answer in time")
        return left

    def count(self, received: int) -> None:
        """Add what was received; raises PeerResponseError (``too_large``) above the limit."""
        self.received += received
        if self.received > self.max_bytes + HEADER_BYTES:
            raise PeerResponseError("too_large", f"expected an answer of at most {self.max_bytes} bytes, found more")


_CURRENT: ContextVar[Exchange] = ContextVar("exchange")


@contextmanager
def carrying_out(exchange: Exchange) -> Iterator[Exchange]:
    """Make ``exchange`` the one that this thread's sockets belong to."""
    token = _CURRENT.set(exchange)
    try:
        yield exchange
    finally:
        _CURRENT.reset(token)


class ClockedSocket(socket.socket):
    """A socket whose reads and writes end at the deadline of the exchange under way."""

    def recv_into(self, buffer: memoryview, nbytes: int = 0, flags: int = 0) -> int:  # type: ignore[override]
        """Read what is there, within what is left of the exchange."""
        exchange = _CURRENT.get()
        while True:
            self.settimeout(min(exchange.remaining(), _SLICE))
            try:
                received = super().recv_into(buffer, nbytes, flags)
            except TimeoutError:
                continue
            exchange.count(received)
            return received

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]
        """Write all of ``data`` within what is left of the exchange."""
        exchange = _CURRENT.get()
        self.settimeout(exchange.remaining())
        super().sendall(data, flags)
        exchange.sent += len(data)


class ClockedTLSSocket(ssl.SSLSocket):
    """The same for TLS."""

    def recv_into(self, buffer: memoryview, nbytes: int | None = None, flags: int = 0) -> int:  # type: ignore[override]
        """Read what is there, within what is left of the exchange."""
        exchange = _CURRENT.get()
        while True:
            self.settimeout(min(exchange.remaining(), _SLICE))
            try:
                received = super().recv_into(buffer, nbytes, flags)
            except TimeoutError:
                continue
            exchange.count(received)
            return received

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]
        """Write all of ``data`` within what is left of the exchange."""
        exchange = _CURRENT.get()
        self.settimeout(exchange.remaining())
        super().sendall(data, flags)
        exchange.sent += len(data)


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Verify certificates and names against ``ca_file`` and the system's authorities, TLS 1.2 at least."""
    context = ssl.create_default_context(cafile=ca_file)
    context.load_default_certs()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = ClockedTLSSocket
    return context


def _dial() -> ClockedSocket:
    """Connect to the first checked address that answers, giving each its share of the time that is left."""
    exchange = _CURRENT.get()
    addresses = exchange.destination.addresses
    last: OSError | None = None
    for position, address in enumerate(addresses):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = ClockedSocket(family, socket.SOCK_STREAM)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _connect(connection, address, exchange, exchange.remaining() / (len(addresses) - position))
        except OSError as error:
            connection.close()
            last = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    exchange.remaining()
    raise PeerUnreachableError("unreachable", f"no connection to {exchange.destination.place} ({last})")


def _connect(connection: socket.socket, address: str, exchange: Exchange, seconds: float) -> None:
    """Connect within ``seconds``, looking up in between whether the exchange still goes on; OSError otherwise."""
    ends = time.monotonic() + seconds
    connection.setblocking(False)
    code = connection.connect_ex((address, exchange.destination.port))
    if code == errno.EINPROGRESS:
        poll = select.poll()
        poll.register(connection, select.POLLOUT)
        while not poll.poll(1000 * min(exchange.remaining(), _SLICE)):
            if time.monotonic() >= ends:
                raise TimeoutError(f"{address} did not take the connection in time")
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
    connection.settimeout(exchange.remaining())


class PinnedHTTPConnection(HTTPConnection):
    """Dials the checked addresses of the exchange under way."""

    def _new_conn(self) -> socket.socket:
        return _dial()


class PinnedHTTPSConnection(HTTPSConnection):
    """Dials the checked addresses of the exchange under way; TLS still proves the name."""

    def _new_conn(self) -> socket.socket:
        return _dial()


class PinnedHTTPPool(HTTPConnectionPool):
    """Connections to one host, kept open between exchanges."""

    ConnectionCls = PinnedHTTPConnection


class PinnedHTTPSPool(HTTPSConnectionPool):
    """Connections to one host, kept open between exchanges."""

    ConnectionCls = PinnedHTTPSConnection


POOL_CLASSES = {"http": PinnedHTTPPool, "https": PinnedHTTPSPool}
