"""What one process holds between requests: the node, the directory's index, and what it remembers from the database.

Each request asks once whether a counter moved (``web.counters``); what is remembered belongs to one value of its
counter and is dropped whole when that moves, so that a late writer can only fill what is already forgotten.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from flask import current_app

from directory.database import reading
from directory.freshness import LogFacts
from directory.index import Directory, IndexCache
from directory.policy import Policy
from sync.node import Node
from web.accounts import Principal, find_token
from web.config import Config
from web.counters import CounterReader
from web.log_facts import load_log_facts

EXTENSION = "veza"
MOST_TOKENS = 10_000
"""Tokens remembered at once; with more, all are looked up anew."""


V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Remembered(Generic[V]):
    generation: int
    values: dict[str, V] = field(default_factory=dict)


class Held:
    """The node of this process and its memory; shared by all threads."""

    def __init__(
        self, config: Config, node: Node, policy: Policy, secret: bytes, clock: Callable[[], dt.datetime]
    ) -> None:
        self.secret = secret
        """The key that signs cookies and secret addresses."""
        self.config = config
        self.node = node
        self.policy = policy
        self.clock = clock
        self._counters = CounterReader(node.engine)
        self._index = IndexCache()
        self._indexed = -1
        self._tokens: _Remembered[tuple[Principal, dt.datetime]] = _Remembered(-1)
        self._facts: _Remembered[LogFacts] = _Remembered(-1)

    @property
    def directory(self) -> Directory:
        """The directory as of the last ``catch_up``."""
        return self._index.directory

    def catch_up(self) -> None:
        """Forget and reload what changed; one cheap query where nothing did."""
        counters = self._counters.read()
        if counters.get("accounts", 0) != self._tokens.generation:
            self._tokens = _Remembered(counters.get("accounts", 0))
        moved = counters.get("directory", 0) != self._indexed
        if moved or counters.get("federation", 0) != self._facts.generation:
            self._reload(counters)

    def close(self) -> None:
        """Close every connection of this process."""
        self._counters.close()
        self.node.engine.dispose()

    def principal(self, token: str, now: dt.datetime) -> Principal | None:
        """Who stands behind an API token now; None where nobody does."""
        remembered = self._tokens.values
        known = remembered.get(token)
        if known is None:
            with reading(self.node.engine) as session:
                known = find_token(session, token)
            if known is None:
                return None
            if len(remembered) >= MOST_TOKENS:
                remembered.clear()
            remembered[token] = known
        return known[0] if now < known[1] else None

    def facts(self, participant: str) -> LogFacts | None:
        """What is known of a participant's log; None where none is held."""
        return self._facts.values.get(participant)

    def _reload(self, counters: Mapping[str, int]) -> None:
        with reading(self.node.engine) as session:
            self._facts = _Remembered(counters.get("federation", 0), load_log_facts(session))
            self._index.refresh(session)
        self._indexed = counters.get("directory", 0)


def held() -> Held:
    """What the application of the current request holds."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Held)
    return found
