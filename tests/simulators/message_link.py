"""Messages between nodes with real databases, without sockets: a post is taken by the very function behind the route.

What breaks on the way is chosen by a test: a post that never arrives, an answer that is lost, a process that is killed.
"""

import datetime as dt
from collections.abc import Callable, Sequence

from directory.database import reading
from federation.errors import FederationError
from federation.participants import load_configuration
from sync.addresses import Network
from sync.errors import PeerUnreachableError, SyncError
from sync.message_inbox import receive_message
from sync.node import Node
from sync.transport import ENTITY_STATEMENT, JWT, Response
from tests.simulators.network import SimulatedNetwork, answer, problem
from web.problem import STATUS

Answer = Callable[[Response], Response]


class Killed(BaseException):
    """The process ends here: nothing catches it."""


class MessageLink(SimulatedNetwork):
    """A simulated network in which some nodes are real ones (``join``), each with the time of ``now``."""

    def __init__(self, now: dt.datetime) -> None:
        super().__init__()
        self.now = now
        self.joined: dict[str, Node] = {}
        self.posted: list[bytes] = []
        self.answers: list[Answer] = []
        """Applied to the answers of the next posts, one each: may raise, or change what comes back."""

    def set_time(self, now: dt.datetime) -> None:
        super().set_time(now)
        self.now = now

    def join(self, node: Node) -> None:
        """Let a real node be reached."""
        self.joined[node.identity.entity_id] = node

    def lose_answer(self) -> None:
        """The next post arrives, and its answer does not."""
        self.answers.append(_lost)

    def get(self, url: str, **limits: object) -> Response:  # type: ignore[override]
        node = self._real(url)
        if node is None or not url.endswith("/.well-known/openid-federation"):
            return super().get(url, **limits)  # type: ignore[arg-type]
        self.requests.append(("GET", url))
        with reading(node.engine) as session:
            configuration = load_configuration(session, node.participant)
        assert configuration is not None
        return answer(configuration.token.encode(), ENTITY_STATEMENT)

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
        node = self._real(url)
        if node is None or not url.endswith("/federation/v1/messages"):
            limits = {"max_bytes": max_bytes, "seconds": seconds, "allowed_networks": allowed_networks}
            return super().post(url, body, content_type=content_type, accept=accept, **limits)  # type: ignore[arg-type]
        assert (content_type, accept) == (JWT, JWT)
        prepared = self._prepared("POST", url, None)
        if prepared is not None:
            return prepared
        self.posted.append(body)
        given = taken(node, body, self.now)
        return self.answers.pop(0)(given) if self.answers else given

    def _real(self, url: str) -> Node | None:
        return next((node for entity_id, node in self.joined.items() if url.startswith(f"{entity_id}/")), None)


def taken(node: Node, body: bytes, now: dt.datetime) -> Response:
    """What the route answers to a post."""
    try:
        return answer(receive_message(node, body, now).encode("ascii"), JWT)
    except (FederationError, SyncError) as error:
        return problem(STATUS[error.code], error.code)


def _lost(given: Response) -> Response:
    raise PeerUnreachableError("timeout", f"the answer with status {given.status} was lost")
