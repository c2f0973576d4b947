"""Simulated nodes behind real sockets: a ``SimulatedNetwork`` served over HTTP on loopback."""

import datetime as dt
import http.server
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from federation.identity import Identity
from sync.errors import PeerUnreachableError
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode, named_key


class ServedNode:
    """One simulated node at ``url``; its clock is this machine's. ``url`` is another where a proxy stands before it."""

    def __init__(self, participant: str, url: str | None = None) -> None:
        network = SimulatedNetwork()
        served = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                served.node.now = dt.datetime.now(dt.UTC)
                try:
                    response = network._answer(served.url + self.path)
                except PeerUnreachableError:
                    self.close_connection = True
                    return
                self.send_response(response.status)
                self.send_header("Content-Type", response.content_type)
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)

            def do_POST(self) -> None:
                served.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                served.asked.append(self.path)

        self.asked: list[str] = []
        self.posted: list[bytes] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = url or f"http://127.0.0.1:{self.port}"
        name = participant.lower()
        keys = named_key(f"{name} federation"), named_key(f"{name} operating")
        self.node = SimulatedNode(Identity(participant, self.url, *keys), dt.datetime.now(dt.UTC))
        network.nodes[self.url] = self.node

    @property
    def port(self) -> int:
        return urlsplit(f"//127.0.0.1:{self._server.server_address[1]}").port or 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
