"""The node as the jobs of this package see it: what it is, where it stores, how it reaches others."""

import datetime as dt
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from federation.identity import AnchorIdentity, Identity
from sync.refused_posts import RefusedPosts
from sync.transport import Limits, PeerTransport


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What the operator chose, as far as scheduled work needs it."""

    name: str = ""
    contacts: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    """Entity identifiers that may have this participant's log relayed to them (protocol.md, section 6)."""
    insecure_urls: bool = False
    nightly: dt.time = dt.time(2, 0)
    """When the nightly pull starts (UTC); the node's own minute lies within the hour after it."""
    spool: Path | None = None
    """Where pages of a run that reached its limit wait for the next; without it they are dropped."""
    rota_history: dt.timedelta = dt.timedelta(days=396)
    """How long superseded versions of own rotas are kept (13 months; directory.md, section 3)."""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Node:
    """Everything a job needs; made once per process by ``web.node`` and by tests."""

    engine: sa.Engine
    load_identity: Callable[[], Identity]
    """Who this node is, with the keys that lie in its key directory now: a rotation needs no restart."""
    transport: PeerTransport
    settings: NodeSettings = field(default_factory=NodeSettings)
    anchor_identity: AnchorIdentity | None = None
    chance: random.Random = field(default_factory=random.SystemRandom)
    """Chooses whom to compare notes with: nobody can foresee it, and a test can repeat it."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the process is asked to stop."""
    refused: RefusedPosts = field(default_factory=RefusedPosts)
    """What this process refused of others' posts in the minute under way."""

    def stop(self) -> None:
        """Give up work under way: it raises StoppedError within a moment, and nothing half done stays."""
        self.stopping.set()
        self.transport.stop()

    @property
    def identity(self) -> Identity:
        """Who this node is now."""
        return self.load_identity()

    @property
    def participant(self) -> str:
        """The node's own participant code."""
        return self.identity.participant

    @property
    def limits(self) -> Limits:
        """The limits of a run."""
        return self.settings.limits
