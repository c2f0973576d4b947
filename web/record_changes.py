"""What a program changes in the own country's log: checked, published and answered in one transaction."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.errors import StaleVersionError
from directory.store import LIVE, Record, load_record
from federation.errors import ConcurrentAppendError
from federation.publishing import ABSENT, PendingChange, publish
from web.accounts import Principal
from web.errors import ChangedMeanwhileError
from web.held import Held
from web.permissions import check_may_write
from web.record_answers import record_json
from web.record_references import check_references
from web.transactions import writing_session

OTHER_VERSION = -2
"""As ``expected``: a version that this record never had, so that the change is always one too late."""
_TRIES = 3


def put_record(
    here: Held, principal: Principal, record_id: str, data: Mapping[str, Any], expected: int, now: dt.datetime
) -> Record:
    """Create or replace a record that was made from version ``expected`` (ABSENT: a new one); the record as saved."""
    return _change(here, principal, PendingChange(record_id, "put", data, expected), now)


def delete_record(here: Held, principal: Principal, record_id: str, expected: int, now: dt.datetime) -> Record:
    """Delete a record that stands at version ``expected``; its last state."""
    return _change(here, principal, PendingChange(record_id, "delete", None, expected), now)


def _change(here: Held, principal: Principal, change: PendingChange, now: dt.datetime) -> Record:
    """Save, and try again where another writer of the log came first, or the connection broke before the commit.

    Nothing was lost then, only the place in the log. Where the commit itself broke nothing is tried again.
    """
    for _ in range(_TRIES - 1):
        try:
            return _save(here, principal, change, now)
        except ConcurrentAppendError:
            continue
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
    return _save(here, principal, change, now)


def _save(here: Held, principal: Principal, change: PendingChange, now: dt.datetime) -> Record:
    own = here.config.participant
    with writing_session() as session:
        held = _live(session, own, change.record)
        versions = [version for version in (held.data if held else None, change.data) if version is not None]
        check_may_write(principal, here.directory, own, change.record, versions)
        try:
            publish(session, here.node.identity, [_against(change, held)], now)
            if change.data is not None:
                check_references(session, own, change.record, change.data, held.data if held else None)
        except StaleVersionError as error:
            current = None if held is None else record_json(here, held, now)
            raise ChangedMeanwhileError(error.detail, current) from error
        saved = load_record(session, own, change.record)
        assert saved is not None
        return saved


def _against(change: PendingChange, held: Record | None) -> PendingChange:
    """``If-Match: "0"`` also says "there is none yet", unless the record is the log's very first entry."""
    if change.expected_seq == 0 and held is None and change.op == "put":
        return dataclasses.replace(change, expected_seq=ABSENT)
    return change


def _live(session: Session, own: str, record_id: str) -> Record | None:
    record = load_record(session, own, record_id)
    return record if record is not None and record.state == LIVE else None
