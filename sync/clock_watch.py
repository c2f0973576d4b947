"""Whether this process's clock can be right, and what the peers' clocks say (protocol.md, section 5, *Clock*).

A process sees a jump by comparing the wall clock with the monotonic one, which stands still while a machine is
suspended and starts at nought when it is reset. What is found is written to the database, for every process of the
node; it is taken back when the clock is where it was plausible, when most peers agree with it, or by an operator.
"""

import datetime as dt
import email.utils
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy.orm import Session

from directory.database import reading
from federation.clock import JUMPED, TOLERANCE, find_clock_fault
from federation.own_node import (
    OwnNode,
    accept_clock,
    believe_clock,
    hold_back,
    load_last_issued,
    load_own_node,
    refuse_clock,
)
from federation.participants import TrustedNode, load_participants
from sync.errors import PeerError, StoppedError
from sync.node import Node
from sync.storing import store
from sync.transport import JSON

JUMP = dt.timedelta(minutes=10)
FEWEST_PEERS = 2
_ANSWER_BYTES = 64 * 1024
_ASKING_SECONDS = 4.0
_PEERS_AT_ONCE = 32

Wall = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """The wall clock of this machine."""
    return dt.datetime.now(dt.UTC)


class ClockWatch:
    """The wall clock of one process beside its monotonic clock."""

    def __init__(self, wall: Wall = utc_now, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.wall = wall
        self._monotonic = monotonic
        self._offset = self._measure()
        self._accepted_at: dt.datetime | None = None
        self.saw_jump = False
        """Whether this process itself found the jump for which the clock is refused."""

    def jump(self) -> dt.timedelta:
        """How far the wall clock moved against the monotonic one since it was believed last."""
        return self._measure() - self._offset

    def believe(self, accepted_at: dt.datetime | None) -> None:
        """Count from here on, where the clock was confirmed since the last call."""
        if accepted_at is not None and accepted_at != self._accepted_at:
            self._accepted_at = accepted_at
            self._offset = self._measure()
            self.saw_jump = False

    def look(self) -> tuple[str | None, bool]:
        """The jump in words, as ``jumped: …``, None where there is none; and whether it is seen for the first time."""
        jump = self.jump()
        if abs(jump) <= JUMP:
            return None, False
        is_new, self.saw_jump = not self.saw_jump, True
        return f"{JUMPED}: the clock moved by {round(jump.total_seconds())} s against the time that passed", is_new

    def _measure(self) -> dt.timedelta:
        return self.wall() - dt.datetime.min.replace(tzinfo=dt.UTC) - dt.timedelta(seconds=self._monotonic())


@dataclass(frozen=True, slots=True)
class PeerClock:
    """How far a peer's clock is ahead of this node's."""

    participant: str
    ahead: dt.timedelta

    @property
    def agrees(self) -> bool:
        """Whether the two are as near as statements must be."""
        return abs(self.ahead) <= TOLERANCE


def look_at_clock(node: Node, watch: ClockWatch) -> OwnNode:
    """Judge the clock, write what changed, and give what is known of the node then."""
    now = watch.wall()
    with reading(node.engine) as session:
        own, last = load_own_node(session), load_last_issued(session)
    watch.believe(own.clock_accepted_at)
    jumped, is_new = watch.look()
    fault = jumped or find_clock_fault(now, last, own.clock_accepted_at)
    if fault is not None:
        known = own.clock_refused is not None and not is_new
        return own if known else store(node.engine, lambda session: _refuse(session, fault))
    if own.clock_refused is None or not _may_believe(own.clock_refused, watch):
        return own
    watch.saw_jump, reason = False, own.clock_refused
    return store(node.engine, lambda session: _believe(session, reason))


def _may_believe(refused: str, watch: ClockWatch) -> bool:
    """A jump is taken back only by a process that saw it: the others cannot tell where the clock was before."""
    return watch.saw_jump or not refused.startswith(f"{JUMPED}:")


def _refuse(session: Session, fault: str) -> OwnNode:
    """Sign nothing; after a jump the own log is compared again, as the machine may be an older one."""
    own = load_own_node(session)
    if own.clock_refused is None:
        refuse_clock(session, fault)
    if fault.startswith(f"{JUMPED}:") and own.held_back is None:
        hold_back(session, "clock")
    return load_own_node(session)


def _believe(session: Session, reason: str) -> OwnNode:
    believe_clock(session, reason)
    return load_own_node(session)


def ask_peers_clocks(node: Node, wall: Wall = utc_now) -> list[PeerClock]:
    """The clocks of the peers that answer, by the ``Date`` of their ``/healthz``, asked side by side."""
    with reading(node.engine) as session:
        peers = [peer for peer in load_participants(session) if peer.trust != "own" and peer.ended_at is None]
    if not peers:
        return []
    with ThreadPoolExecutor(min(len(peers), _PEERS_AT_ONCE), thread_name_prefix="clock") as pool:
        found = pool.map(lambda peer: _ask(node, peer, wall), peers)
        return [clock for clock in found if clock is not None]


def _ask(node: Node, peer: TrustedNode, wall: Wall) -> PeerClock | None:
    try:
        response = node.transport.get(
            f"{peer.entity_id}/healthz",
            accept=JSON,
            max_bytes=_ANSWER_BYTES,
            seconds=_ASKING_SECONDS,
            allowed_networks=peer.allowed_networks,
        )
    except StoppedError:
        raise
    except PeerError:
        return None
    date = read_date(response.headers.get("date", ""))
    return None if date is None else PeerClock(peer.participant, date - wall())


def read_date(text: str) -> dt.datetime | None:
    """The instant of a ``Date`` header; None where it is none."""
    try:
        found = email.utils.parsedate_to_datetime(text)
        return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    except (ValueError, TypeError, OverflowError):  # numbers beyond a calendar overflow
        return None


def most_agree(clocks: Iterable[PeerClock]) -> bool:
    """Whether most of the peers that answered, two at least, agree with this node's clock."""
    judged = [clock.agrees for clock in clocks]
    return sum(judged) >= FEWEST_PEERS and 2 * sum(judged) > len(judged)


def confirm_clock(node: Node, wall: Wall = utc_now) -> bool:
    """Ask the peers, and believe the clock again where most of them agree with it; whether they do."""
    if not most_agree(ask_peers_clocks(node, wall)):
        return False
    now = wall()
    store(node.engine, lambda session: accept_clock(session, now))
    return True
