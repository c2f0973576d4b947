"""What is known of every log's freshness (directory.md, section 2)."""

from sqlalchemy.orm import Session

from directory.freshness import LogFacts
from federation.log import load_heads
from federation.participants import load_participants
from sync.federation_report import log_facts
from sync.status import load_statuses


def load_log_facts(session: Session) -> dict[str, LogFacts]:
    """The facts of every log that is held, by participant."""
    statuses = load_statuses(session)
    ended = {node.participant for node in load_participants(session) if node.ended_at is not None}
    return {
        head.participant: log_facts(head, statuses.get(head.participant), ended=head.participant in ended)
        for head in load_heads(session)
    }
