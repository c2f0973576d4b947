"""What fetches bytes from other nodes, and the limits within which it does. A transport verifies nothing.

``PeerTransport`` is the one protocol of the project: the HTTP client implements it, and so does the simulator.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sync.addresses import Network
from sync.errors import PeerRefusalError, PeerResponseError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

JWT = "application/jwt"
ENTITY_STATEMENT = "application/entity-statement+jwt"
NDJSON = "application/x-ndjson"
JSON = "application/json"
PROBLEM = "application/problem+json"

PROBLEM_PREFIX = "urn:veza:problem:"
_CODE = re.compile(re.escape(PROBLEM_PREFIX) + r"([a-z][a-z_]{1,29})")


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit of a run. Sizes are bytes, times seconds; the defaults are those of protocol.md."""

    token_bytes: int = 64 * KIB
    """The longest statement (an entity statement); shorter ones are limited where they are verified."""
    list_bytes: int = 8 * MIB
    """An anchor's list, or a chain of 256 configurations of usual length."""
    page_bytes: int = 40 * MIB
    token_seconds: float = 10
    page_seconds: float = 60
    run_entries: int = 2_000_000
    run_bytes: int = 4 * GIB
    spool_bytes: int = 32 * GIB
    """What is kept unapplied between runs, of one participant."""
    memory_bytes: int = 8 * MIB
    """Pages of a run up to this are kept in memory, more of them in a file."""
    pages_ahead: int = 2
    """Pages fetched while an earlier one is verified."""
    pulls_at_once: int = 8
    relay_seconds: float = 120
    """How long a run goes on asking relays, one after the other, for one participant."""
    gossip_peers: int = 3
    """How many peers are asked at each sync what they hold of a participant."""
    gossip_seconds: float = 5
    """How long each of them has to answer: it is waited for no longer, whatever it does."""
    chase_rounds: int = 16
    """How often a growing log's newest checkpoint is fetched again, where a payload was just superseded."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whatever its status. ``body`` is decompressed, ``wire_bytes`` counts both directions as sent."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """``etag``, ``date`` and ``retry-after``, where given."""
    wire_bytes: int = 0


class PeerTransport(Protocol):
    """Fetches bytes within limits; says nothing about what they mean.

    Both methods raise InsecureUrlError for an address that must not be dialled, PeerUnreachableError where no answer
    came (``unreachable``, ``timeout``) and PeerResponseError for one that cannot be used (``redirect_refused``,
    ``too_large``, ``bad_response``, ``bad_range`` for a body that ends early). An error status is an answer.
    """

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
        """Fetch ``url``; an answer of status 200 has the content type ``accept``."""
        ...

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
        """Send ``body``; where ``accept`` is None the answer's content type does not matter."""
        ...

    def stop(self) -> None:
        """Give up every exchange under way within a moment, and refuse new ones (StoppedError)."""
        ...


def check_status(response: Response, *expected: int) -> Response:
    """Give ``response`` back where its status is one of ``expected``.

    Raises PeerRefusalError with the problem code that the other node gave; where it gave none that can be read, the
    code is ``unreachable`` for 5xx (something before the node answered) and ``bad_response`` otherwise.
    """
    if response.status in expected:
        return response
    if 200 <= response.status < 400:
        raise PeerResponseError("bad_response", f"expected status {expected[0]}, found {response.status}")
    code, detail = read_problem(response)
    if code is None:
        code = "unreachable" if response.status >= 500 else "bad_response"
    raise PeerRefusalError(response.status, code, detail or f"the node answered with status {response.status}")


def read_problem(response: Response) -> tuple[str | None, str]:
    """Code and detail of an ``application/problem+json`` answer; ``(None, "")`` for any other."""
    if response.content_type != PROBLEM or len(response.body) > 64 * KIB:
        return None, ""
    members = read_object(response.body)
    kind = _CODE.fullmatch(_text(members.get("type")))
    detail = "".join(filter(str.isprintable, _text(members.get("detail"))))
    return (kind.group(1) if kind else None), detail[:300]


def read_object(body: bytes) -> dict[str, object]:
    """The members of a JSON object that explains an error; none where ``body`` is something else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
