"""Gossip: what other peers hold of a participant, asked at each sync (protocol.md, section 7).

Up to three peers, chosen afresh each time, are asked for the checkpoint that they hold while the origin is asked for
its own; so a peer that is slow or silent costs a run no more than its own limit, and fails nothing. What they show is
believed for the origin's signature alone: a bad one, another's or an older one accuses nobody.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from federation.checkpoint import Checkpoint
from federation.errors import FederationError
from sync.errors import PeerError
from sync.relays import peer_sources
from sync.run import Run, Traffic
from sync.source import Source

_LOG = logging.getLogger(__name__)

Verify = Callable[[bytes], Checkpoint]


class Gossip:
    """With ``with``: the peers are being asked. Nobody is asked any more at its end."""

    def __init__(self, run: Run, participant: str, traffic: Traffic) -> None:
        self._seconds = run.node.limits.gossip_seconds
        self._sources = peer_sources(run, participant, traffic, run.node.limits.gossip_peers)
        self._pool: ThreadPoolExecutor | None = None
        self._asked: list[tuple[Source, Future[bytes]]] = []

    def __enter__(self) -> Self:
        if self._sources:
            self._pool = ThreadPoolExecutor(len(self._sources), thread_name_prefix="gossip")
            self._asked = [(each, self._pool.submit(each.checkpoint, self._seconds)) for each in self._sources]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def shown(self, verify: Verify) -> Iterator[tuple[Source, Checkpoint]]:
        """What the peers show, verified; those that answer nothing, or nothing that verifies, are passed over."""
        for source, answer in self._asked:
            try:
                yield source, verify(answer.result())
            except (PeerError, FederationError) as error:
                _LOG.debug("%s shows nothing that can be used: %s", source.entity_id, error)
