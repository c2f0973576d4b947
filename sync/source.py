"""One node as a source of one participant's statements: its origin, or another that relays them byte for byte."""

import datetime as dt
import threading
from collections.abc import Callable

from directory.database import reading
from federation.errors import EntryError
from federation.own_node import check_clock_plausible
from federation.participants import TrustedNode
from federation.read_tokens import make_read_token
from sync.errors import PeerRefusalError, PeerResponseError, PeerUnreachableError
from sync.run import Run, Traffic
from sync.transport import ENTITY_STATEMENT, JSON, JWT, NDJSON, Response, check_status

_TOKEN_USED_FOR = dt.timedelta(seconds=200)


class Source:
    """Fetches what ``node`` says about ``participant``; verifies nothing.

    Every method raises the errors of ``PeerTransport`` and PeerRefusalError for an answer that refuses; those that
    need a read token raise ClockError while this node signs nothing.
    """

    def __init__(self, run: Run, node: TrustedNode, participant: str, traffic: Traffic) -> None:
        self._run = run
        self._node = node
        self._participant = participant
        self._traffic = traffic
        self._lock = threading.Lock()
        self._bearer: tuple[str, dt.datetime] | None = None

    @property
    def entity_id(self) -> str:
        """The node asked."""
        return self._node.entity_id

    @property
    def is_origin(self) -> bool:
        """Whether the node speaks for the participant itself."""
        return self._node.participant == self._participant

    def configuration(self) -> bytes:
        """The node's own entity configuration."""
        url = f"{self.entity_id}/.well-known/openid-federation"
        limits = self._run.node.limits
        return self._get(url, ENTITY_STATEMENT, limits.token_bytes, limits.token_seconds, signed_in=False).body

    def configurations(self) -> bytes:
        """The participant's chain of configurations."""
        url = f"{self.entity_id}/federation/v1/configurations/{self._participant}"
        limits = self._run.node.limits
        return self._get(url, JSON, limits.list_bytes, limits.page_seconds, signed_in=False).body

    def checkpoint(self, seconds: float | None = None) -> bytes:
        """The newest checkpoint of the participant that the node has, within ``seconds`` where they are given."""
        limits = self._run.node.limits
        allowed = limits.token_seconds if seconds is None else seconds
        return self._get(f"{self._log_url()}/checkpoint", JWT, limits.token_bytes, allowed).body

    def page(self, start: int) -> bytes:
        """The page of entries from ``start``; EntryError ``bad_range`` where the node has none."""
        limits = self._run.node.limits
        url = f"{self._log_url()}/entries?start={start}"
        try:
            return self._get(url, NDJSON, limits.page_bytes, limits.page_seconds).body
        except PeerRefusalError as error:
            if error.status != 404:
                raise
            raise EntryError("bad_range", f"{self.entity_id} has no entries from {start}: {error.detail}") from error

    def _log_url(self) -> str:
        """Where the node serves the log: beside its own, under the participant's code."""
        configuration = self._node.configuration
        own = f"{self.entity_id}/federation/v1/logs/-" if configuration is None else configuration.log_url
        return f"{own.rpartition('/')[0]}/{self._participant}"

    def _get(self, url: str, accept: str, max_bytes: int, seconds: float, *, signed_in: bool = True) -> Response:
        return repeated_once(
            lambda: self._ask(url, accept, max_bytes, seconds, self._read_token() if signed_in else None)
        )

    def _ask(self, url: str, accept: str, max_bytes: int, seconds: float, bearer: str | None) -> Response:
        self._run.check_going_on()
        self._traffic.count_request()
        response = self._run.node.transport.get(
            url,
            accept=accept,
            max_bytes=max_bytes,
            seconds=seconds,
            bearer=bearer,
            allowed_networks=self._node.allowed_networks,
        )
        self._traffic.count_bytes(response.wire_bytes)
        return check_status(response, 200)

    def _read_token(self) -> str:
        """A token that is still young enough to arrive before it ends; ClockError where nothing may be signed."""
        instant = self._run.instant()
        with self._lock:
            if self._bearer is None or instant - self._bearer[1] > _TOKEN_USED_FOR:
                with reading(self._run.node.engine) as session:
                    check_clock_plausible(session, instant)
                self._bearer = (make_read_token(self._run.node.identity, self.entity_id, instant), instant)
            return self._bearer[0]


def repeated_once(ask: Callable[[], Response]) -> Response:
    """Ask a second time where no answer came or it was cut off; a time-out is not repeated."""
    try:
        return ask()
    except (PeerUnreachableError, PeerResponseError) as error:
        if error.code not in ("unreachable", "bad_range"):
            raise
    return ask()
