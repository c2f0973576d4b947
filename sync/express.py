"""The work that cannot wait for the timetable: pushes of what is new here, pulls of what others have pushed, messages.

A saved rota is visible at every peer within seconds (performance.md), so the worker looks several times a second
whether there is anything to do: one row of counters, one table that is usually empty, and the messages that are due.
Pushes, pulls and messages run side by side in threads of their own; what one of them waits for delays no other.
"""

import datetime as dt
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy.orm import Session

from directory.database import reading
from directory.store import read_counters
from sync.delivery import Outbox
from sync.errors import StoppedError, SyncError
from sync.lease import Fence, check_epoch
from sync.node import Node
from sync.pull import pull_all, pull_newcomers, pull_pushed
from sync.push import Outcome, Push, load_lacking, load_pushed, load_statements, plan_pushes, record_outcomes, send_push
from sync.storing import store
from sync.wanted import NEWCOMERS, REFRESH, forget_wanted, load_wanted

_LOG = logging.getLogger(__name__)
_PUSHES_AT_ONCE = 16
_BETWEEN_PUSHES = 1.0
"""Seconds between two pushes to one peer."""

Clock = Callable[[], dt.datetime]
R = TypeVar("R")


class Express:
    """Called by the worker's loop (``tick``) with the fence under which it leads; not for several threads."""

    def __init__(self, node: Node, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._clock = clock
        self._monotonic = monotonic
        self._pushers = ThreadPoolExecutor(_PUSHES_AT_ONCE, thread_name_prefix="push")
        self._pullers = ThreadPoolExecutor(node.limits.pulls_at_once, thread_name_prefix="wanted")
        self._outbox = Outbox(node, clock)
        self._pushing: dict[str, Future[list[Outcome]]] = {}
        self._pulling: dict[str, Future[None]] = {}
        self._pushed_at: dict[str, float] = {}
        self._counter = -1
        self._look_again_at: dt.datetime | None = None

    def tick(self, fence: Fence | None) -> None:
        """Begin what is due, take in what is done; waits for nothing on the network."""
        self._outbox.tick(fence)
        self._record_pushes(fence)
        with reading(self._node.engine) as session:
            counter = read_counters(session).get("federation", 0)
            wanted = load_wanted(session)
        for participant, token in wanted.items():
            self._pull(participant, token, fence)
        now = self._clock()
        if counter != self._counter or (self._look_again_at is not None and self._look_again_at <= now):
            self._plan(counter, now)

    def close(self) -> None:
        """Begin nothing more; ``Node.stop`` ends what is under way."""
        self._pushers.shutdown(wait=True, cancel_futures=True)
        self._pullers.shutdown(wait=True, cancel_futures=True)
        self._outbox.close()

    def _plan(self, counter: int, now: dt.datetime) -> None:
        """Push to every peer that lacks something, as far as it is not too soon after the last push to it."""
        with reading(self._node.engine) as session:
            statements, pushed = load_statements(session, self._node.participant), load_pushed(session)
            due, look_again_at = plan_pushes(load_lacking(session, statements, pushed, now), statements, pushed, now)
        free = [push for push in due if push.peer.participant not in self._pushing]  # for others the end is a new look
        postponed = [push for push in free if not self._push(push)]
        self._look_again_at = now if postponed else look_again_at
        self._counter = counter

    def _push(self, push: Push) -> bool:
        """Begin a push; False where one was just made."""
        code, instant = push.peer.participant, self._monotonic()
        last = self._pushed_at.get(code)
        if last is not None and instant - last < _BETWEEN_PUSHES:
            return False
        self._pushed_at[code] = instant
        self._pushing[code] = self._pushers.submit(send_push, self._node, push)
        return True

    def _record_pushes(self, fence: Fence | None) -> None:
        codes = [code for code, future in self._pushing.items() if future.done()]
        done = [self._pushing.pop(code) for code in codes]  # first: what one may raise is raised once
        if done:
            self._look_again_at = self._clock()
        outcomes = [outcome for future in done for outcome in _result(future, [])]
        if outcomes:
            self._record(outcomes, fence)

    def _record(self, outcomes: list[Outcome], fence: Fence | None) -> None:
        now = self._clock()

        def keep(session: Session) -> None:
            check_epoch(session, fence)
            record_outcomes(session, outcomes, now)

        store(self._node.engine, keep)
        for outcome in outcomes:
            if outcome.failure is not None:
                _LOG.info("%s did not take the %s: %s", outcome.participant, outcome.statement.kind, outcome.failure)

    def _pull(self, participant: str, token: str, fence: Fence | None) -> None:
        running = self._pulling.get(participant)
        if running is not None and not running.done():
            return
        if running is not None:
            del self._pulling[participant]  # first, as above: it is begun again at the next tick
            _result(running, None)
        self._pulling[participant] = self._pullers.submit(self._pull_wanted, participant, token, fence)

    def _pull_wanted(self, participant: str, token: str, fence: Fence | None) -> None:
        now = self._clock()
        if participant == NEWCOMERS:
            pull_newcomers(self._node, now, fence=fence)
        elif token == REFRESH:
            pull_all(self._node, now, [participant], fence=fence)
        else:
            pull_pushed(self._node, participant, token, now, fence=fence)
        if self._node.stopping.is_set():
            return

        def forget(session: Session) -> None:
            check_epoch(session, fence)
            forget_wanted(session, participant, token)

        store(self._node.engine, forget)


def _result(future: "Future[R]", otherwise: R) -> R:
    """What a thread brought; where it was stopped, or the database was busy, it is done again."""
    try:
        return future.result()
    except StoppedError:
        return otherwise
    except SyncError as error:
        _LOG.warning("%s", error)
        return otherwise
