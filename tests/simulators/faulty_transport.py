"""A transport that fails at a chosen request: before the other node sees it, or after it was served."""

from collections.abc import Callable, Sequence

from sync.addresses import Network
from sync.errors import PeerUnreachableError
from sync.transport import PeerTransport, Response


class FaultyTransport:
    """Wraps a transport. Request number ``at`` (from 0) fails ``before`` or after it reached the other node.

    With ``at`` None it only counts. A fault is what a broken connection looks like from here: no answer.
    """

    def __init__(self, transport: PeerTransport, at: int | None = None, *, before: bool = True) -> None:
        self.transport = transport
        self.at = at
        self.before = before
        self.count = 0

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
        return self._carry_out(
            lambda: self.transport.get(
                url,
                accept=accept,
                max_bytes=max_bytes,
                seconds=seconds,
                bearer=bearer,
                allowed_networks=allowed_networks,
                etag=etag,
            )
        )

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
        return self._carry_out(
            lambda: self.transport.post(
                url,
                body,
                content_type=content_type,
                accept=accept,
                max_bytes=max_bytes,
                seconds=seconds,
                allowed_networks=allowed_networks,
            )
        )

    def stop(self) -> None:
        self.transport.stop()

    def _carry_out(self, exchange: Callable[[], Response]) -> Response:
        number, self.count = self.count, self.count + 1
        if number == self.at and self.before:
            raise PeerUnreachableError("timeout", f"request {number} fails before it is served")
        response = exchange()
        if number == self.at:
            raise PeerUnreachableError("timeout", f"request {number} fails after it was served")
        return response
