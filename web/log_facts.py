"""What is known of every log's freshness, read in one query (directory.md, section 2)."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.freshness import LogFacts
from federation.tables import LogRow
from sync.tables import SyncStatusRow


def load_log_facts(session: Session) -> dict[str, LogFacts]:
    """The facts of every log that is held, by participant."""
    rows = session.execute(
        sa.select(
            LogRow.participant,
            LogRow.issued_at,
            LogRow.expires_at,
            LogRow.checked_at,
            SyncStatusRow.last_result,
            LogRow.disputed.is_not(None),
            sa.func.coalesce(SyncStatusRow.withholding, sa.false()),
            LogRow.own,
        ).outerjoin(SyncStatusRow, SyncStatusRow.participant == LogRow.participant)
    )
    return {
        participant: LogFacts(
            issued_at=issued_at,
            expires_at=expires_at,
            checked_at=issued_at if own else checked_at,  # nobody has to ask a node about its own log
            last_result=last_result,
            disputed=bool(disputed),
            withholding=bool(withholding),
            own=own,
        )
        for participant, issued_at, expires_at, checked_at, last_result, disputed, withholding, own in rows
    }
