"""An origin as a follower meets it, without a network between them.

The answers are the bytes that the origin's own code makes from its database, compressed as they travel; what was
prepared ahead costs nothing when it is asked for, as if another machine had made it.
"""

import gzip
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa

from directory.database import reading
from federation.entries import encode_page
from federation.identity import Identity
from federation.log import load_head, read_page
from federation.participants import load_configuration
from sync.transport import ENTITY_STATEMENT, JWT, NDJSON, Response
from web.federation_answers import compressed

Answer = tuple[str, bytes]


class DirectOrigin:
    """A ``PeerTransport`` that leads to one database. ``wire_bytes`` are those of the bodies alone."""

    def __init__(self, engine: sa.Engine, identity: Identity) -> None:
        self._engine = engine
        self._identity = identity
        self._kept: dict[str, Answer] = {}

    def prepare(self, starts: Sequence[int]) -> "DirectOrigin":
        """Make the answers to one pull ahead: the statements, and the pages from ``starts``."""
        log = self._identity.log_url
        urls = [f"{self._identity.entity_id}/.well-known/openid-federation", f"{log}/checkpoint"]
        for url in urls + [f"{log}/entries?start={start}" for start in starts]:
            self._kept[url] = self._answer(url)
        return self

    def get(self, url: str, **options: object) -> Response:
        """Answer as the origin does."""
        kind, packed = self._kept.get(url) or self._answer(url)
        return Response(200, kind, gzip.decompress(packed), {}, len(packed))

    def post(self, url: str, body: bytes, **options: object) -> Response:
        """A pull posts nothing."""
        raise AssertionError(f"unexpected post to {url}")

    def _answer(self, url: str) -> Answer:
        parts, participant = urlsplit(url), self._identity.participant
        with reading(self._engine) as session:
            if parts.path.endswith("/openid-federation"):
                configuration = load_configuration(session, participant)
                assert configuration is not None
                return ENTITY_STATEMENT, compressed(configuration.token.encode())
            if parts.path.endswith("/checkpoint"):
                head = load_head(session, participant)
                assert head is not None
                assert head.checkpoint is not None
                return JWT, compressed(head.checkpoint.encode())
            start = int(parse_qs(parts.query)["start"][0])
            return NDJSON, compressed(encode_page(read_page(session, participant, start)))
