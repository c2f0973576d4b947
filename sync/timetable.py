"""The worker: one process that does the node's scheduled work, by a timetable in UTC.

One leader among all workers of a database, by a lease whose epoch every late write must match (``sync.lease``). A
worker that does not lead keeps its scheduler paused and waits. Jobs that fell due meanwhile are done when it leads.
"""

import datetime as dt
import logging
import threading
from collections.abc import Callable

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.orm import Session

from sync.clock_watch import ClockWatch, utc_now
from sync.errors import ElsewhereError
from sync.express import Express
from sync.jobs import Job, make_timetable, run_job
from sync.lease import LIFETIME, Fence, acquire, release, release_dead, renew
from sync.node import Node
from sync.node_watch import NodeWatch
from sync.process_name import is_dead, make_process_name
from sync.processes import known_process
from sync.storing import store

_LOG = logging.getLogger(__name__)

LEASE = "worker"
WORKER = "worker"
TICK = 0.3
"""Seconds between two looks at what cannot wait."""
RENEW_EVERY = dt.timedelta(seconds=5)
CATCH_UP_EVERY = dt.timedelta(minutes=5)
_JOBS_AT_ONCE = 8

Clock = Callable[[], dt.datetime]


def run_worker(node: Node, stop_event: threading.Event, clock: Clock = utc_now) -> None:
    """Do the node's scheduled work until ``stop_event`` is set; then give up what is under way and return.

    ElsewhereError where the node runs elsewhere too.
    """
    with known_process(node.engine, WORKER, clock()) as name:
        watch = NodeWatch(node, name, WORKER, clock=ClockWatch(clock))
        worker = Worker(node, clock, before_job=watch.look_before_signing)
        try:
            while watch.elsewhere is None and not stop_event.wait(TICK):
                worker.guard("looking after the node", watch.tick)
                worker.tick()
        finally:
            worker.close()
            watch.close()
    if watch.elsewhere is not None:
        raise ElsewhereError(watch.elsewhere)


class Worker:
    """The loop's state: whether it leads, its scheduler, and the work that cannot wait."""

    def __init__(
        self,
        node: Node,
        clock: Clock = utc_now,
        holder: str | None = None,
        before_job: Callable[[], None] = lambda: None,
    ) -> None:
        self._node = node
        self._before_job = before_job
        self._clock = clock
        self._holder = holder or make_process_name()
        self._express = Express(node, clock)
        self._timetable = {job.name: job for job in make_timetable(node)}
        self._scheduler = self._make_scheduler()
        self._fence: Fence | None = None
        self._until = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._asked_at = self._until

    @property
    def leads(self) -> bool:
        """Whether this worker may work now."""
        return self._fence is not None

    def tick(self) -> None:
        """Keep the lease, and do what cannot wait. Whatever goes wrong, the next tick comes."""
        self.guard("keeping the lease", self._keep_lease)
        if self.leads:
            self.guard("pushing and pulling", lambda: self._express.tick(self._fence))

    def close(self) -> None:
        """Stop the scheduler, give up what is under way, and let another worker lead."""
        self._node.stop()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        self._express.close()
        fence = self._fence
        if fence is not None:
            self.guard("giving back the lease", lambda: self._give_back(fence))

    def run(self, name: str) -> None:
        """Do one job of the timetable where it is due and this worker leads."""
        if self.leads:
            self.guard(name, lambda: self._do(self._timetable[name]))

    def _do(self, job: Job) -> None:
        """A job may begin in the moment in which a machine is resumed, before the loop has looked at its clock."""
        self._before_job()
        run_job(self._node, job, self._clock(), self._fence)

    def _make_scheduler(self) -> BackgroundScheduler:
        """A scheduler in UTC that never skips a run because it comes late, and never doubles one."""
        scheduler = BackgroundScheduler(
            timezone=dt.UTC,
            executors={"default": ThreadPoolExecutor(_JOBS_AT_ONCE)},
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        )
        for job in self._timetable.values():
            scheduler.add_job(self.run, _trigger(job), args=[job.name], id=job.name)
        scheduler.add_job(self._catch_up, IntervalTrigger(seconds=int(CATCH_UP_EVERY.total_seconds())), id="catch-up")
        scheduler.start(paused=True)
        return scheduler

    def _catch_up(self) -> None:
        """Do every job now that is due: at the start, and where one failed at its appointed time."""
        for name in self._timetable:
            self._scheduler.modify_job(name, next_run_time=dt.datetime.now(dt.UTC))

    def _keep_lease(self) -> None:
        now = self._clock()
        if dt.timedelta(0) <= now - self._asked_at < RENEW_EVERY:  # a clock that went back asks at once
            return
        self._asked_at = now
        if self._fence is not None and now >= self._until:
            self._stop_leading("it ended before it could be renewed")
        if self._fence is None:
            self._start_leading(now)
        elif store(self._node.engine, lambda session: renew(session, self._held(), now)):
            self._until = now + LIFETIME
        else:
            self._stop_leading("another worker holds it")

    def _held(self) -> Fence:
        assert self._fence is not None
        return self._fence

    def _start_leading(self, now: dt.datetime) -> None:
        def take(session: Session) -> Fence | None:
            release_dead(session, LEASE, now, is_dead)
            return acquire(session, LEASE, self._holder, now)

        self._fence = store(self._node.engine, take)
        if self._fence is not None:
            self._until = now + LIFETIME
            _LOG.info("leading the scheduled work in epoch %d", self._fence.epoch)
            self._catch_up()
            self._scheduler.resume()

    def _stop_leading(self, why: str) -> None:
        _LOG.warning("no longer leading the scheduled work: the lease is lost, %s", why)
        self._fence = None
        self._scheduler.pause()

    def _give_back(self, fence: Fence) -> None:
        store(self._node.engine, lambda session: release(session, fence, self._clock()))

    def guard(self, what: str, work: Callable[[], object]) -> None:
        """The outermost loop: whatever one piece of work raises is logged, and the worker lives on."""
        try:
            work()
        except Exception as error:  # noqa: BLE001
            if not self._node.stopping.is_set():
                _LOG.warning("%s failed: %s", what, error, exc_info=True)


def _trigger(job: Job) -> BaseTrigger:
    if job.daily is not None:
        return CronTrigger(hour=job.daily.hour, minute=job.daily.minute, second=job.daily.second, timezone=dt.UTC)
    assert job.every is not None
    return IntervalTrigger(seconds=int(job.every.total_seconds()), timezone=dt.UTC)
