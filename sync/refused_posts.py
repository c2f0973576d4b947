"""Who posted, or read with, something that was refused: counted where the signature proves who it was (abuse.md, I3).

Whoever captured one signed statement can send it again and again. So a process writes the first refusals of a minute
one by one, and after those one write stands for many: a flood costs little, and still shows how large it was.
"""

import datetime as dt
import logging
import threading

import sqlalchemy as sa

from federation.errors import FederationError
from federation.keys import KeySet
from federation.refusals import record_refusal
from federation.signing import is_signed_by
from sync.errors import StorageError
from sync.storing import store

WRITTEN_ONE_BY_ONE = 100
STEP = 100
"""How many of the further refusals of a minute one write stands for."""
_NO_SIGNATURE = frozenset({"bad_signature", "unknown_key", "unauthenticated", "unknown_participant"})
"""Codes that say by themselves that no signature of a known node was found."""
_LOG = logging.getLogger(__name__)


class RefusedPosts:
    """Counts what this process refused. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute: dt.datetime | None = None
        self._counts: dict[tuple[str, str], int] = {}

    def due(self, peer: str, code: str, now: dt.datetime) -> int:
        """Count one refusal; how many are to be written now, 0 for none."""
        minute = now.replace(second=0, microsecond=0)
        with self._lock:
            if minute != self._minute:
                self._minute, self._counts = minute, {}
            count = self._counts[peer, code] = self._counts.get((peer, code), 0) + 1
        if count <= WRITTEN_ONE_BY_ONE:
            return 1
        return STEP if count % STEP == 0 else 0

    def note(
        self,
        engine: sa.Engine,
        peer: str,
        keys: KeySet,
        token: str | bytes,
        error: FederationError,
        now: dt.datetime,
    ) -> None:
        """Count the refusal of ``token`` against ``peer`` where one of its ``keys`` signed it; else write nothing.

        Makes a transaction of its own; where the database cannot be written, the log alone says so.
        """
        if error.code in _NO_SIGNATURE or not is_signed_by(token, keys):
            return
        count = self.due(peer, error.code, now)
        if not count:
            return
        try:
            store(engine, lambda session: record_refusal(session, peer, error.code, error.detail, now, count))
        except StorageError as unrecorded:
            _LOG.warning("the refusal of %s could not be recorded: %s", peer, unrecorded)
