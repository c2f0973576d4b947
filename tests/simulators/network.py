"""A transport in memory: simulated nodes and an anchor behind their URLs, with a record of what was asked."""

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from federation.encoding import dump_json
from federation.identity import AnchorIdentity
from sync.addresses import Network
from sync.errors import PeerResponseError, PeerUnreachableError
from sync.transport import ENTITY_STATEMENT, JSON, JWT, NDJSON, PROBLEM, PROBLEM_PREFIX, Response
from tests.simulators.node_simulator import NOW, SimulatedAnchor, SimulatedNode, named_identity

Fault = Callable[[str], Response | None]


class SimulatedNetwork:
    """Implements ``PeerTransport``. ``requests`` are the methods and URLs asked, in order."""

    def __init__(self) -> None:
        self.nodes: dict[str, SimulatedNode] = {}
        self.anchor = SimulatedAnchor()
        self.requests: list[tuple[str, str]] = []
        self.bearers: list[str | None] = []
        self.faults: dict[str, Fault] = {}
        """Called with the URL, by a part of it: raises, or gives the answer in place of the node's (None: go on)."""
        self.port: int | None = None
        """Of every node that is added, where it is not the usual one."""
        self._lock = threading.Lock()

    def listen_on(self, port: int) -> None:
        """Every node, and the anchor, is behind this port."""
        self.port = port
        self.anchor.identity = AnchorIdentity(f"{self.anchor.entity_id}:{port}", self.anchor.identity.key)

    def add(self, participant: str, *, enrolled: bool = True) -> SimulatedNode:
        """A node for ``participant``, vouched for by the anchor where ``enrolled``."""
        identity = named_identity(participant)
        if self.port is not None:
            identity = replace(identity, entity_id=f"{identity.entity_id}:{self.port}")
        node = SimulatedNode(identity)
        self.nodes[node.entity_id] = node
        if enrolled:
            self.anchor.enrol(node)
        return node

    def set_time(self, now: dt.datetime) -> None:
        """The clock of every simulated node."""
        self.anchor.now = now
        for node in self.nodes.values():
            node.now = now

    def forget_requests(self) -> None:
        """Count from here."""
        self.requests.clear()
        self.bearers.clear()

    def asked(self, part: str) -> int:
        """How many requests went to URLs with this part."""
        return sum(part in url for _, url in self.requests)

    def fail(self, part: str, code: str, times: int | None = None) -> None:
        """Let requests to URLs with this part fail as the HTTP client would say it; ``times`` None: always."""
        left = [times]
        kind = PeerUnreachableError if code in ("unreachable", "timeout") else PeerResponseError

        def fault(url: str) -> None:
            if left[0] == 0:
                return
            if left[0] is not None:
                left[0] -= 1
            raise kind(code, f"{url} fails in this test")

        self.faults[part] = fault

    def refuse(self, part: str, status: int, code: str) -> None:
        """Let requests to URLs with this part be answered with a problem."""
        self.faults[part] = lambda url: problem(status, code)

    def serve(self, url: str, bearer: str | None = None) -> Response:
        """What is answered at ``url``, whoever asks; raises as a transport does where nobody answers."""
        return self._prepared("GET", url, bearer) or self._answer(url)

    # PeerTransport

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
        response = self.serve(url, bearer)
        if response.status == 200 and response.content_type != accept:
            raise PeerResponseError("bad_response", f"expected {accept}, found {response.content_type}")
        if len(response.body) > max_bytes:
            raise PeerResponseError("too_large", f"expected at most {max_bytes} bytes")
        return response

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
        prepared = self._prepared("POST", url, None)
        if prepared is not None:
            return prepared
        self._find(url).taken.append(body)
        return Response(202, JSON, b"{}")

    def stop(self) -> None:
        """Nothing is ever under way."""

    def _prepared(self, method: str, url: str, bearer: str | None) -> Response | None:
        with self._lock:
            self.requests.append((method, url))
            self.bearers.append(bearer)
            faults = [fault for part, fault in self.faults.items() if part in url]
        for fault in faults:
            response = fault(url)
            if response is not None:
                return response
        return None

    def _answer(self, url: str) -> Response:
        if url.startswith(self.anchor.entity_id):
            return self._answer_of_anchor(url)
        node, parts = self._find(url), urlsplit(url)
        match parts.path.strip("/").split("/"):
            case [".well-known", "openid-federation"]:
                token = node.configuration_token or node.configuration().encode("ascii")
                return answer(token, ENTITY_STATEMENT)
            case ["federation", "v1", "configurations", participant]:
                held = self._held(node, participant)
                return problem(404, "not_found") if held is None else answer(held.served_chain(), JSON)
            case ["federation", "v1", "logs", participant, "checkpoint"]:
                held = self._held(node, participant)
                return problem(404, "not_found") if held is None else answer(held.served_checkpoint(), JWT)
            case ["federation", "v1", "logs", participant, "entries"]:
                held = self._held(node, participant)
                start = int(parse_qs(parts.query)["start"][0])
                page = None if held is None else held.served_page(start)
                return problem(404, "out_of_range") if page is None else answer(page, NDJSON)
        return problem(404, "not_found")

    def _answer_of_anchor(self, url: str) -> Response:
        if not self.anchor.online:
            raise PeerUnreachableError("unreachable", "the anchor is silent")
        parts = urlsplit(url)
        match parts.path:
            case "/.well-known/openid-federation":
                return answer(self.anchor.served_configuration(), ENTITY_STATEMENT)
            case "/list":
                return answer(self.anchor.served_list(), JSON)
            case "/fetch":
                statement = self.anchor.served_statement(parse_qs(parts.query)["sub"][0])
                if statement is not None:
                    return answer(statement, ENTITY_STATEMENT)
                return Response(404, JSON, dump_json({"error": "not_found"}))
        return problem(404, "not_found")

    def _held(self, node: SimulatedNode, participant: str) -> SimulatedNode | None:
        return node if participant == node.participant else node.relayed.get(participant)

    def _find(self, url: str) -> SimulatedNode:
        parts = urlsplit(url)
        node = self.nodes.get(f"{parts.scheme}://{parts.netloc}")
        if node is None or not node.online:
            raise PeerUnreachableError("unreachable", f"nothing answers at {parts.netloc}")
        return node


def answer(body: bytes, content_type: str) -> Response:
    """An answer as the HTTP client gives it."""
    return Response(200, content_type, body, wire_bytes=len(body))


def problem(status: int, code: str) -> Response:
    """A refusal (protocol.md, section 9)."""
    body = dump_json({"type": PROBLEM_PREFIX + code, "title": code, "status": status, "detail": "as the test wants"})
    return Response(status, PROBLEM, body, wire_bytes=len(body))


__all__ = ["NOW", "SimulatedNetwork", "answer", "problem"]
