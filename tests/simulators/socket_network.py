"""Simulated nodes on real sockets: TLS with names, one listener for all of them, and hostile answers where wanted."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sync.client import HttpTransport
from sync.errors import PeerError
from sync.transport import Response
from tests.simulators.certificates import make_certificate
from tests.simulators.network import SimulatedNetwork
from tests.simulators.raw_server import Answer, RawServer, http_answer

LOOPBACK = "127.0.0.0/8"


class SocketNetwork:
    """A ``SimulatedNetwork`` behind one port of loopback, under the nodes' own names.

    ``hostile`` are answers in place of the honest ones, by a part of the URL (host, port and path).
    """

    def __init__(self, folder: Path, hosts: Sequence[str]) -> None:
        self.ca_file, context = make_certificate(folder, *hosts)
        self.network = SimulatedNetwork()
        self.hostile: dict[str, Answer] = {}
        self.server = RawServer(self._answer, keep_open=True, tls=context)
        self.network.listen_on(self.server.port)

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)

    def transport(self) -> HttpTransport:
        """A client that finds every name at this listener, and proves it by TLS."""
        return HttpTransport(ca_file=str(self.ca_file), resolve=lambda host, port: ["127.0.0.1"])

    def _answer(self, server: RawServer, request: bytes) -> Answer:
        lines = request.split(b"\r\n")
        path = lines[0].split(b" ")[1].decode()
        host = next(line.split(b" ")[1].decode() for line in lines if line.lower().startswith(b"host:"))
        url = f"https://{host}{path}"
        for part, answer in self.hostile.items():
            if part in url:
                return answer(server, request) if callable(answer) else answer
        try:
            return _as_http(self.network.serve(url))
        except PeerError:
            return http_answer(status="502 Bad Gateway", content_type=None)


def _as_http(response: Response) -> bytes:
    return http_answer(response.body, response.content_type, f"{response.status} X")
