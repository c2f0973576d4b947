"""A transport over real databases: what a node serves is what it holds, its own log and those it relays."""

from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from sqlalchemy.orm import Session

from directory.database import reading
from federation.encoding import dump_json
from federation.entries import encode_page
from federation.errors import NotHeldError
from federation.log import load_head, read_page
from federation.participants import configurations_chain, load_configuration
from sync.addresses import Network
from sync.errors import PeerUnreachableError
from sync.node import Node
from sync.transport import ENTITY_STATEMENT, JSON, JWT, NDJSON, Response
from tests.simulators.network import answer, problem


class HeldNetwork:
    """Implements ``PeerTransport``; ``silent`` are the entity identifiers that do not answer."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.silent: set[str] = set()

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
        parts = urlsplit(url)
        node = self._find(f"{parts.scheme}://{parts.netloc}")
        try:
            with reading(node.engine) as session:
                return self._answer(session, node, parts.path.strip("/").split("/"), parts.query)
        except NotHeldError as error:
            return problem(404, error.code)

    def _answer(self, session: Session, node: Node, path: list[str], query: str) -> Response:
        match path:
            case [".well-known", "openid-federation"]:
                configuration = load_configuration(session, node.participant)
                assert configuration is not None
                return answer(configuration.token.encode("ascii"), ENTITY_STATEMENT)
            case ["federation", "v1", "configurations", participant]:
                return answer(dump_json(configurations_chain(session, participant)), JSON)
            case ["federation", "v1", "logs", participant, "checkpoint"]:
                head = load_head(session, participant)
                if head is None or head.checkpoint is None:
                    return problem(404, "not_found")
                return answer(head.checkpoint.encode("ascii"), JWT)
            case ["federation", "v1", "logs", participant, "entries"]:
                start = int(parse_qs(query)["start"][0])
                return answer(encode_page(read_page(session, participant, start)), NDJSON)
        return problem(404, "not_found")

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
        parts = urlsplit(url)
        self._find(f"{parts.scheme}://{parts.netloc}")
        return Response(202, JSON, b"{}")

    def stop(self) -> None:
        """Nothing is ever under way."""

    def _find(self, entity_id: str) -> Node:
        if entity_id in self.silent or entity_id not in self.nodes:
            raise PeerUnreachableError("unreachable", f"nothing answers at {entity_id}")
        return self.nodes[entity_id]
