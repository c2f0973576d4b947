"""The one place where a request's changes become durable: one transaction, committed at its end or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from directory.database import begin_writing, commit
from web.extensions import db


@contextmanager
def writing_session() -> Iterator[Session]:
    """The request's session in a new writing transaction; rolled back whole on any error.

    Raises OutcomeUnknownError where the commit itself failed and may have been kept.
    """
    session = db.session()
    session.rollback()  # whatever was read before is read again under the lock
    begin_writing(session)
    try:
        yield session
        commit(session)
    finally:
        session.rollback()  # nothing to undo where the commit went well
