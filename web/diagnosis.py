"""What ``veza doctor`` finds: one line per thing that must be right, with what to do where it is not.

``Finding.result`` is ``ok``, ``warning`` (it goes on, but somebody should look) or ``failure`` (something does not work
until somebody acts). Nothing is changed by looking.
"""

import datetime as dt
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import WAL_SAFE_SINCE
from directory.instants import format_instant
from federation.listed_keys import load_listed
from federation.log import load_head
from federation.own_node import OwnNode, held_back_words, load_own_node
from federation.participants import TrustedNode, load_configuration, load_participants
from sync.clock_watch import PeerClock, ask_peers_clocks, most_agree
from sync.instance import Shown, ask_instance, judge_instance, load_instance
from sync.node import Node
from sync.push import load_pushed
from sync.status import Status, load_statuses
from sync.tables import LeaseRow
from web.config import Config

Result = Literal["ok", "warning", "failure"]

GIB = 1024**3
LEAST_FREE, LITTLE_FREE = GIB // 10, GIB
"""Bytes of disk space below which the node will fail, or may soon."""
OLD_KEY = dt.timedelta(days=365)
CHECKPOINT_RESERVE = dt.timedelta(hours=6)
CONFIGURATION_RESERVE = dt.timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    result: Result
    detail: str
    advice: str = ""
    """What to do; empty where nothing is to be done."""


def diagnose(config: Config, node: Node, now: dt.datetime) -> list[Finding]:
    """Everything, the outside world asked; raises the database's errors where it cannot be read."""
    with Session(node.engine) as session:
        newest = load_instance(session)
    clocks, shown = ask_peers_clocks(node), ask_instance(node)
    with node.engine.connect() as connection:
        found = [judge_database(connection)]
    with Session(node.engine) as session:
        own = load_own_node(session)
        found += [judge_clock(own, clocks), judge_own_log(session, config.participant, own)]
        found.append(judge_instance_shown(session, shown, config, newest))
        found += [*judge_keys(session, config, now), judge_checkpoint(session, config.participant, now)]
        found += [judge_configuration(session, config.participant, now), judge_disk(config)]
        found += [*judge_peers(session, now), judge_worker(session, now)]
    return found


def judge_database(connection: sa.Connection) -> Finding:
    """Version and journal mode: write-ahead logging in an older SQLite can corrupt a database (abuse.md F11)."""
    if connection.dialect.name != "sqlite":
        version = ".".join(map(str, connection.dialect.server_version_info or ()))
        return Finding("database", "ok", f"{connection.dialect.name} {version}")
    mode = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar()).upper()
    detail = f"SQLite {sqlite3.sqlite_version}, journal mode {mode}"
    if mode == "WAL" and sqlite3.sqlite_version_info < WAL_SAFE_SINCE:
        wanted = ".".join(map(str, WAL_SAFE_SINCE))
        return Finding("database", "warning", detail, f"use SQLite {wanted} or later, or the rollback journal")
    return Finding("database", "ok", detail)


def judge_clock(own: OwnNode, clocks: list[PeerClock]) -> Finding:
    """Which rule the clock breaks, if any, and what the peers' clocks say."""
    agreeing = sum(clock.agrees for clock in clocks)
    said = f"{agreeing} of {len(clocks)} peers that answer agree"
    if own.clock_refused is not None:
        advice = "set the clock right, or confirm it with `veza doctor --accept-clock`; nothing is signed until then"
        return Finding("clock", "failure", f"clock_implausible: {own.clock_refused}; {said}", advice)
    if 2 * agreeing < len(clocks):
        others = ", ".join(f"{clock.participant} {clock.ahead.total_seconds():+.0f} s" for clock in clocks)
        return Finding("clock", "warning", f"{said} ({others})", "compare this machine's clock with a time server")
    sure = "confirmed" if most_agree(clocks) else "plausible"
    return Finding("clock", "ok", f"{sure}; {said}")


def judge_own_log(session: Session, participant: str, own: OwnNode) -> Finding:
    """Whether the own log may be signed and served."""
    head = load_head(session, participant)
    if own.held_back is not None:
        result: Result = "failure" if own.held_back in ("restored", "elsewhere") else "warning"
        return Finding("own_log", result, own.held_back, held_back_words(own.held_back))
    if head is not None and head.disputed is not None:
        advice = "`veza dispute list` shows both histories; decide with `veza dispute resolve`"
        return Finding("own_log", "failure", "peers hold another history of the own log", advice)
    return Finding("own_log", "ok", f"{0 if head is None else head.size} entries, signed and served")


def judge_instance_shown(session: Session, shown: Shown | None, config: Config, newest: str | None = None) -> Finding:
    """Who answers at the node's own address; ``newest`` is the instance that this database had before it was asked."""
    if shown is None:
        advice = "nothing is wrong where the node is not served now, or cannot be reached from inside"
        return Finding("instance", "warning", f"{config.url} gives no answer of this node", advice)
    if shown.participant != config.participant:
        advice = "correct the address, or what stands before it"
        return Finding("instance", "warning", f"{config.url} is answered by {shown.participant}", advice)
    if judge_instance(session, shown.instance, newest or shown.instance) is not None:
        return Finding("instance", "failure", "another database answers there", held_back_words("elsewhere"))
    return Finding("instance", "ok", f"{config.url} is answered from this database")


def judge_keys(session: Session, config: Config, now: dt.datetime) -> Iterator[Finding]:
    """Who may open the files of the keys, and how old the keys are that sign."""
    yield judge_key_files(config)
    listed = load_listed(session, config.participant)
    since = [] if listed is None else [*listed.operating.values()]
    newest = max(since, default=dt.datetime.min.replace(tzinfo=dt.UTC))
    if now - newest > OLD_KEY:
        yield Finding("keys", "warning", "no operating key is younger than a year", "run `veza keys rotate`")
    else:
        yield Finding("keys", "ok", f"the newest operating key is from {format_instant(newest)}")


def judge_key_files(config: Config) -> Finding:
    """Whether anybody but their owner can open the key files."""
    places = [config.keys_dir, *sorted(config.keys_dir.glob("*.pem*"))]
    exposed = [str(path) for path in places if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if not exposed:
        return Finding("key_files", "ok", "readable by their owner alone")
    advice = f"chmod 700 {config.keys_dir}; chmod 600 {config.keys_dir}/*.pem, and rotate what others may have read"
    return Finding("key_files", "failure", f"open to others: {', '.join(exposed)}", advice)


def judge_checkpoint(session: Session, participant: str, now: dt.datetime) -> Finding:
    """Whether the own checkpoint is about to expire."""
    head = load_head(session, participant)
    ends = None if head is None else head.expires_at
    return _judge_expiry("checkpoint", ends, now, CHECKPOINT_RESERVE, "start `veza serve` or `veza worker`")


def judge_configuration(session: Session, participant: str, now: dt.datetime) -> Finding:
    """Whether the own configuration is about to expire."""
    configuration = load_configuration(session, participant)
    ends = None if configuration is None else configuration.expires_at
    advice = "start `veza serve` or `veza worker`; a federation key kept offline must sign a new one by hand"
    return _judge_expiry("configuration", ends, now, CONFIGURATION_RESERVE, advice)


def _judge_expiry(check: str, ends: dt.datetime | None, now: dt.datetime, reserve: dt.timedelta, do: str) -> Finding:
    if ends is None:
        return Finding(check, "failure", "there is none", "run `veza init`")
    detail = f"expires at {format_instant(ends)}"
    if ends <= now:
        return Finding(check, "failure", detail, do)
    return Finding(check, "warning", detail, do) if ends - now < reserve else Finding(check, "ok", detail)


def judge_disk(config: Config) -> Finding:
    """Whether there is room for what comes."""
    free = shutil.disk_usage(config.data).free
    result: Result = "failure" if free < LEAST_FREE else "warning" if free < LITTLE_FREE else "ok"
    advice = "" if result == "ok" else f"make room where {config.data} lies; without it nothing can be stored"
    return Finding("disk", result, f"{free / GIB:.1f} GiB free", advice)


def judge_peers(session: Session, now: dt.datetime) -> Iterator[Finding]:
    """The last result with each peer, and what it has not taken."""
    statuses, pushed = load_statuses(session), load_pushed(session)
    for node in load_participants(session):
        if node.trust != "own":
            untaken = [kind for (code, kind), push in pushed.items() if code == node.participant and push.failures]
            yield judge_peer(node, statuses.get(node.participant), untaken, now)


def judge_peer(node: TrustedNode, status: Status | None, untaken: list[str], now: dt.datetime) -> Finding:
    """How it stands with one peer; ``untaken`` are the kinds of statements that it did not take."""
    result = None if status is None else status.last_result
    faults = [] if node.is_trusted(now) else ["trust in it has ended"]
    if status is not None and result not in (None, "ok"):
        faults.append(f"{result}: {status.detail}")
    faults += [f"it has not taken the {kind}" for kind in untaken]
    if not faults:
        words = "not synced yet" if result is None else "the last sync went well"
        return Finding(f"peer {node.participant}", "ok", words)
    return Finding(f"peer {node.participant}", "warning", "; ".join(faults), _peer_advice(node, result, now))


def _peer_advice(node: TrustedNode, result: str | None, now: dt.datetime) -> str:
    if result == "fork":
        decide = f"`veza dispute resolve {node.participant}`"
        return f"`veza dispute list` shows both histories; call its operators, then {decide}"
    if not node.is_trusted(now):
        return "nothing is asked of it any more; `veza peer add`, or its anchor, trusts it again"
    return f"`veza sync {node.participant}` tries again; ask its operators where that does not help"


def judge_worker(session: Session, now: dt.datetime) -> Finding:
    """Whether somebody does the scheduled work."""
    until = session.scalar(sa.select(sa.func.max(LeaseRow.until)))
    if until is None or until <= now:
        return Finding("worker", "warning", "no worker is running", "start `veza serve` or `veza worker`")
    return Finding("worker", "ok", "a worker leads the timetable")
