"""What each process of a node looks after while it runs: its sign of life, the clock, the own log, the instance.

``tick`` is called several times a second and waits for nothing on the network: what asks other nodes is done in a
thread of its own, again with growing pauses where it does not succeed. Several processes may do the same at once; the
database decides.
"""

import datetime as dt
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import reading
from federation.clock import find_clock_fault
from federation.errors import FederationError
from federation.own_node import OwnNode, forget_acceptance, held_back_words, load_last_issued
from sync.clock_watch import JUMP, ClockWatch, confirm_clock, look_at_clock
from sync.errors import ElsewhereError, StoppedError, SyncError
from sync.instance import find_copy
from sync.node import Node
from sync.own_log import COMPARED_FOR, settle_own_log
from sync.processes import BEAT_SECONDS, beat
from sync.push import pause
from sync.storing import store

_LOG = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
INSTANCE_SECONDS = 3600.0
_FORGOTTEN_AFTER = dt.timedelta(hours=1)
"""How long a confirmation of the clock stays, so that every process has seen it."""


class _Attempts:
    """Something that is tried again with growing pauses until it succeeds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._failures = 0
        self._due = float("-inf")

    @property
    def is_due(self) -> bool:
        """Whether the next try may begin."""
        return self._monotonic() >= self._due

    def record(self, succeeded: bool) -> None:
        """Note what came of a try."""
        self._failures = 0 if succeeded else self._failures + 1
        self._due = self._monotonic() + (0.0 if succeeded else pause(self._failures).total_seconds())


class NodeWatch:
    """One process's watch. The ``active`` one of a node also asks the peers for the time, and the own URL each hour.

    Not for several threads, but for ``look_before_signing``.
    """

    def __init__(
        self,
        node: Node,
        process: str,
        kind: str,
        *,
        active: bool = True,
        clock: ClockWatch | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node = node
        self._process, self._kind = process, kind
        self._active = active
        self._clock = clock or ClockWatch()
        self._monotonic = monotonic
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="node-watch")
        self._task: Future[None] | None = None
        self._looked_at = self._beaten_at = self._instance_at = float("-inf")
        self._confirming, self._comparing = _Attempts(monotonic), _Attempts(monotonic)
        self.elsewhere: str | None = None
        """Why this node must stop, once it was found to run elsewhere too."""

    def tick(self) -> None:
        """Look after what is due; raises the errors of a database that cannot be read or written now."""
        instant = self._monotonic()
        if instant - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = instant
        self._collect()
        self._beat(instant)
        own = self.look_at_clock()
        self._forget_acceptance(own)
        if own.held_back == "elsewhere" and self.elsewhere is None:
            self.elsewhere = held_back_words("elsewhere")
        if self._task is None:
            self._begin(own, instant)

    def look_at_clock(self) -> OwnNode:
        """Judge this process's clock now."""
        return look_at_clock(self._node, self._clock)

    def look_before_signing(self) -> None:
        """Judge the clock where it jumped since the last tick: a machine that was resumed may be asked at once."""
        if abs(self._clock.jump()) > JUMP:
            self.look_at_clock()

    def close(self) -> None:
        """Begin nothing more; ``Node.stop`` ends what is under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _collect(self) -> None:
        if self._task is not None and self._task.done():
            self._task = None

    def _beat(self, instant: float) -> None:
        if instant - self._beaten_at < BEAT_SECONDS:
            return
        self._beaten_at = instant
        now = self._clock.wall()
        store(self._node.engine, lambda session: beat(session, self._process, self._kind, now))

    def _begin(self, own: OwnNode, instant: float) -> None:
        """Begin the one thing that matters most now."""
        if own.clock_refused is not None:
            if self._active and self._confirming.is_due:
                self._submit(self._confirm)
        elif own.held_back in COMPARED_FOR and self._comparing.is_due:
            self._submit(self._compare)
        elif self._active and instant - self._instance_at >= INSTANCE_SECONDS:
            self._instance_at = instant
            self._submit(self._look_elsewhere)

    def _submit(self, work: Callable[[], None]) -> None:
        self._task = self._pool.submit(self._explained, work)

    def _explained(self, work: Callable[[], None]) -> None:
        """Do it; what goes wrong is said, and the next try comes."""
        try:
            work()
        except StoppedError:
            return
        except ElsewhereError as error:
            self.elsewhere = error.detail
        except (FederationError, SyncError, sa.exc.SQLAlchemyError, OSError) as error:
            _LOG.warning("looking after this node: %s", error)

    def _confirm(self) -> None:
        confirmed = False
        try:
            confirmed = confirm_clock(self._node, self._clock.wall)
        finally:
            self._confirming.record(confirmed)
        _LOG.warning("the peers' clocks %s", "confirm this node's" if confirmed else "do not confirm this node's yet")

    def _compare(self) -> None:
        released = False
        try:
            comparison = settle_own_log(self._node, self._clock.wall())
            released = comparison.released
        finally:
            self._comparing.record(released)
        level = logging.INFO if released else logging.WARNING
        _LOG.log(level, "the own log was compared with the peers': %s", comparison.detail)

    def _look_elsewhere(self) -> None:
        found = find_copy(self._node, self._clock.wall())
        if found is not None:
            raise ElsewhereError(found)

    def _forget_acceptance(self, own: OwnNode) -> None:
        """Drop a confirmation that says nothing any more: all that was signed lies before the clock."""
        accepted_at, now = own.clock_accepted_at, self._clock.wall()
        if not self._active or accepted_at is None or now - accepted_at < _FORGOTTEN_AFTER:
            return
        with reading(self._node.engine) as session:
            last = load_last_issued(session)
        if find_clock_fault(now, last) is None:
            store(self._node.engine, lambda session: _forget(session, accepted_at))


def _forget(session: Session, accepted_at: dt.datetime) -> None:
    forget_acceptance(session, accepted_at)
