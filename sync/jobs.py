"""What is done when: the jobs of the timetable, and which of them are due.

Times are UTC. A daily job is due where it has not succeeded since its last appointed time, whoever was to do it then:
so a start, or a new leader, catches up, and a night has one run however often the worker was killed.
"""

import datetime as dt
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import reading
from directory.store import purge_rota_versions
from federation.checkpoint import read_checkpoint
from federation.head import Head
from federation.log import erase_superseded, load_head
from federation.mailbox import forget_received
from federation.own_node import load_own_node
from federation.participants import load_configuration
from federation.peering import forget_proposals
from federation.publishing import renew_checkpoint
from federation.refusals import KEPT_FOR, purge_refusals
from federation.statements import NodeConfiguration
from sync.instance import KEPT_FOR as INSTANCES_KEPT_FOR
from sync.instance import purge_instances
from sync.key_changes import continue_federation_rotation
from sync.lease import Fence, check_epoch
from sync.node import Node
from sync.own_configuration import renew_own_configuration
from sync.pull import pull_all, pull_newcomers, pull_participants
from sync.repair import keep_proven
from sync.status import load_due_retries
from sync.storing import put_row, store
from sync.strangers import INTRODUCTIONS
from sync.tables import JobRow

_LOG = logging.getLogger(__name__)

CHECKPOINT_AGE = dt.timedelta(minutes=55)
"""A checkpoint is renewed before it is an hour old."""
_SPREAD_SECONDS = 3600
_HOUSEKEEPING_AT = dt.time(4, 0)

Work = Callable[[Node, dt.datetime, Fence | None], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of scheduled work: once a day at ``daily``, or each time ``every`` has passed."""

    name: str
    work: Work
    daily: dt.time | None = None
    every: dt.timedelta | None = None


def make_timetable(node: Node) -> tuple[Job, ...]:
    """The node's jobs; its nightly pull has a second of its own within the hour after ``nightly``."""
    minute = dt.timedelta(minutes=1)
    return (
        Job("nightly-pull", pull_nightly, daily=spread(node.settings.nightly, node.identity.entity_id)),
        Job("housekeeping", keep_house, daily=_HOUSEKEEPING_AT),
        Job(INTRODUCTIONS, meet_newcomers, every=dt.timedelta(hours=1)),
        Job("retries", retry_failing, every=dt.timedelta(seconds=30)),
        Job("configuration", renew_own_configuration, every=minute),
        Job("key-rotation", continue_federation_rotation, every=5 * minute),
        Job("checkpoint", renew_own_checkpoint, every=minute),
        Job("erasure", erase, every=minute),
    )


def spread(start: dt.time, name: str) -> dt.time:
    """A second within the hour after ``start`` that is always the same for ``name``."""
    offset = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % _SPREAD_SECONDS
    midnight = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    return (dt.datetime.combine(midnight, start, dt.UTC) + dt.timedelta(seconds=offset)).time()


def last_appointed(daily: dt.time, now: dt.datetime) -> dt.datetime:
    """The latest instant up to ``now`` at which a daily job was appointed."""
    today = dt.datetime.combine(now.astimezone(dt.UTC).date(), daily, dt.UTC)
    return today if today <= now else today - dt.timedelta(days=1)


def is_due(job: Job, last_success: dt.datetime | None, now: dt.datetime) -> bool:
    """Whether a daily job still has to be done for its last appointed time; other jobs always may run."""
    return job.daily is None or last_success is None or last_success < last_appointed(job.daily, now)


def load_successes(session: Session) -> Mapping[str, dt.datetime | None]:
    """When each daily job last succeeded."""
    rows = session.execute(sa.select(JobRow.name, JobRow.last_success_at))
    return {row.name: row.last_success_at for row in rows}


def run_job(node: Node, job: Job, now: dt.datetime, fence: Fence | None) -> bool:
    """Do the job where it is due, and remember its success; whether it was done. Errors are the caller's."""
    if job.daily is None:
        job.work(node, now, fence)
        return True
    with reading(node.engine) as session:
        last_success = load_successes(session).get(job.name)
    if not is_due(job, last_success, now):
        return False
    job.work(node, now, fence)

    def remember(session: Session) -> None:
        check_epoch(session, fence)
        put_row(session, JobRow, {"name": job.name}, {"last_success_at": now, "last_attempt_at": now})

    if not node.stopping.is_set():  # a run that was given up half-way is done again at the next start
        store(node.engine, remember)
    return True


def pull_nightly(node: Node, now: dt.datetime, fence: Fence | None) -> None:
    """Ask the anchor, then pull everybody; who fails is tried again by ``retry_failing``."""
    results = pull_all(node, now, fence=fence)
    failed = [result.participant for result in results if result.result != "ok"]
    _LOG.info("nightly pull: %d of %d participants well, failing: %s", len(results) - len(failed), len(results), failed)


def meet_newcomers(node: Node, now: dt.datetime, fence: Fence | None) -> None:
    """Ask the anchor within the day too: who joined can be answered, who left is trusted no more."""
    pull_newcomers(node, now, fence=fence)


def retry_failing(node: Node, now: dt.datetime, fence: Fence | None) -> None:
    """Pull the participants whose pause after a failure is over."""
    with reading(node.engine) as session:
        due = load_due_retries(session, now)
    if due:
        pull_participants(node, now, due, fence=fence)


def renew_own_checkpoint(node: Node, now: dt.datetime, fence: Fence | None) -> None:
    """Sign the own log anew before its checkpoint is an hour old, so that silence shows."""
    with reading(node.engine) as session:
        head, own = load_head(session, node.participant), load_own_node(session)
        configuration = load_configuration(session, node.participant)
    if head is None or not _is_checkpoint_due(head, configuration, now):
        return
    if own.held_back or own.clock_refused or head.disputed:
        return  # said elsewhere, and signed as soon as that is over

    def renew(session: Session) -> None:
        check_epoch(session, fence)
        renew_checkpoint(session, node.identity, now)

    store(node.engine, renew)


def _is_checkpoint_due(head: Head, configuration: NodeConfiguration | None, now: dt.datetime) -> bool:
    """Whether it is old, or its key was removed while the log was disputed or held back: nobody takes it then."""
    if head.checkpoint is None or head.issued_at is None or now - head.issued_at >= CHECKPOINT_AGE:
        return True
    return configuration is not None and read_checkpoint(head.checkpoint).kid not in configuration.operating_keys


def erase(node: Node, now: dt.datetime, fence: Fence | None) -> None:
    """Erase own payloads that were superseded an hour ago."""

    def work(session: Session) -> int:
        check_epoch(session, fence)
        return erase_superseded(session, now)

    store(node.engine, work)


def keep_house(node: Node, now: dt.datetime, fence: Fence | None) -> None:
    """Drop what is kept for a time only, then verify everything held and repair what can be proven.

    On PostgreSQL give erased payloads' space back, so that they are gone.
    """

    def purge(session: Session) -> None:
        check_epoch(session, fence)
        purge_rota_versions(session, now - node.settings.rota_history)
        purge_refusals(session, now - KEPT_FOR)
        forget_received(session, now)
        forget_proposals(session, now)
        purge_instances(session, now - INSTANCES_KEPT_FOR)

    store(node.engine, purge)
    if node.engine.dialect.name == "postgresql":
        with node.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM entry"))
    keep_proven(node, now, fence)
