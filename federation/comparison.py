"""Where a signed checkpoint stands beside a held log, as far as the stored bytes tell (protocol.md, sections 5 and 7).

A root at the size held, or at a size of which a checkpoint was accepted, is known at once. At any other smaller size it
is worked out from the leaves, which costs a pass over the log: callers limit how often. Nothing here asks who showed
the checkpoint: what its origin signed is true or contradicts, wherever it came from.
"""

from collections.abc import Iterable
from typing import Literal

from sqlalchemy.orm import Session

from federation.checkpoint import Checkpoint
from federation.head import Head
from federation.log import compute_roots, load_seen_root, remember_checkpoint
from federation.merkle import EMPTY_ROOT, Frontier

Place = Literal["ahead", "proven", "unproven", "contradicting"]


def place_checkpoint(session: Session, head: Head, offered: Checkpoint) -> Place:
    """Where a verified checkpoint stands, without work.

    ``ahead`` is one that is larger than what is held, ``unproven`` a smaller one whose root was never worked out.
    """
    root = _known_root(session, head, offered.size)
    if root is None:
        return "ahead" if offered.size > head.size else "unproven"
    if root != offered.root:
        return "contradicting"
    return "ahead" if offered.size > head.size else "proven"


def find_contradicting(
    session: Session, head: Head, offered: Iterable[Checkpoint], since: Frontier | None = None
) -> dict[Checkpoint, bool]:
    """Whether each of these checkpoints contradicts the log that is held, in one pass over its leaves.

    With ``since``, a frontier of the log, the pass begins there. Those that are larger than what is held, or smaller
    than ``since`` and of no known root, are left out: nothing can be said of them here.
    """
    asked = list(offered)
    known = {each.size: _known_root(session, head, each.size) for each in asked}
    unknown = [size for size, root in known.items() if root is None and size <= head.size]
    roots = known | (compute_roots(session, head.participant, unknown, since) if unknown else {})
    return {each: roots[each.size] != each.root for each in asked if roots[each.size] is not None}


def remember_proven(session: Session, proven: Iterable[Checkpoint]) -> None:
    """Keep these checkpoints as true, so that the same ones cost nothing when they come again."""
    for checkpoint in proven:
        remember_checkpoint(session, checkpoint)


def _known_root(session: Session, head: Head, size: int) -> bytes | None:
    if size == 0:
        return EMPTY_ROOT
    return head.root if size == head.size else load_seen_root(session, head.participant, size)
