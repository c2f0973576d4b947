"""What other nodes are answered (protocol.md, sections 3, 5, 6): bytes from the database, for whoever may read them."""

import datetime as dt
import gzip

from sqlalchemy.orm import Session

from federation.anchor import fetch_statement, list_subordinates
from federation.entries import encode_page, page_end
from federation.errors import NotHeldError, TokenError
from federation.head import Head
from federation.identity import AnchorIdentity
from federation.keys import KeySet
from federation.log import load_head, read_entries
from federation.own_node import check_clock_plausible, check_own_log_open
from federation.participants import configurations_chain, load_by_entity, load_configuration
from federation.read_tokens import check_may_read_entries, load_reader_keys, verify_read_token
from federation.statements import make_anchor_configuration
from sync.strangers import note_unknown_reader
from web.errors import ReadTokenError, UnauthenticatedError
from web.held import Held
from web.node import read_anchor

_GZIP_LEVEL = 6
_MAY_BE_NEW = frozenset({"unauthenticated", "unknown_key"})
"""Refusals that may only mean that this node has not heard yet of a new node or a new key."""


def own_configuration(session: Session, here: Held) -> str:
    """The node's own entity configuration; NotHeldError before ``init`` made one."""
    configuration = load_configuration(session, here.config.participant)
    if configuration is None:
        raise NotHeldError("this node has no configuration yet")
    return configuration.token


def configurations(session: Session, participant: str) -> list[str]:
    """The chain of a participant's configurations, oldest first."""
    return configurations_chain(session, participant)


def checkpoint(session: Session, here: Held, authorization: str | None, participant: str, now: dt.datetime) -> str:
    """The newest checkpoint held of a participant, for every trusted node; the own one only while it may be shown."""
    _admit(session, here, authorization, now)
    _check_shown(session, here, participant)
    token = _held_head(session, participant).checkpoint
    if token is None:
        raise NotHeldError(f"no checkpoint of {participant} is held here")
    return token


def entries_page(
    session: Session, here: Held, authorization: str | None, participant: str, start: int, now: dt.datetime
) -> bytes:
    """The page of a log that begins at ``start``, for whoever its origin shares it with."""
    reader = _admit(session, here, authorization, now)
    _check_shown(session, here, participant)
    head = _held_head(session, participant)
    if reader is not None:
        check_may_read_entries(session, reader, participant)
    if start >= head.size:
        raise NotHeldError(f"expected start below the log's size {head.size}, found {start}", "out_of_range")
    return encode_page(read_entries(session, participant, start, page_end(start, head.size)))


def check_clock(session: Session) -> None:
    """Raise ClockError while what others post cannot be judged: the sender comes again (abuse.md F26)."""
    check_clock_plausible(session)
    session.rollback()  # the statement is taken in transactions of its own


def compressed(page: bytes) -> bytes:
    """The same bytes for the same page, so that a compressed page keeps its tag."""
    return gzip.compress(page, _GZIP_LEVEL, mtime=0)


def anchor_configuration(session: Session, here: Held, now: dt.datetime) -> str:
    """The configuration of the anchor that this node runs; ClockError where the clock cannot be right."""
    check_clock_plausible(session, now)
    return make_anchor_configuration(_anchor(here), now).token


def anchor_list(session: Session, here: Held) -> list[str]:
    """Whom that anchor vouches for."""
    _anchor(here)
    return list_subordinates(session)


def anchor_statement(session: Session, here: Held, subject: str, now: dt.datetime) -> str:
    """The anchor's word about one node; NotHeldError where it vouches for no such node."""
    check_clock_plausible(session, now)
    return fetch_statement(session, _anchor(here), subject, now).token


def _anchor(here: Held) -> AnchorIdentity:
    # the operator may have made this node an anchor since it was started
    anchor = here.node.anchor_identity or read_anchor(here.config)
    if anchor is None:
        raise NotHeldError("this node is no anchor")
    return anchor


def _admit(session: Session, here: Held, authorization: str | None, now: dt.datetime) -> str | None:
    """The reader's entity identifier; None where logs are open to everybody."""
    if here.config.open_logs:
        return None
    token = _bearer(authorization)
    asked: dict[str, KeySet | None] = {}

    def keys_of(issuer: str) -> KeySet | None:
        asked[issuer] = load_reader_keys(session, issuer, now)
        return asked[issuer]

    try:
        return verify_read_token(token, here.config.url, keys_of, now)
    except TokenError as error:
        session.rollback()  # the notes are written in transactions of their own
        for issuer, keys in asked.items():
            if error.code in _MAY_BE_NEW:
                note_unknown_reader(here.node, issuer, now)
            if keys:
                _note_refused(session, here, issuer, keys, token, error, now)
        raise ReadTokenError(error.code, error.detail) from error


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError("expected a read token of a trusted node")
    return token.strip()


def _note_refused(
    session: Session, here: Held, issuer: str, keys: KeySet, token: str, error: TokenError, now: dt.datetime
) -> None:
    """Count a refused token of a trusted reader under its code, where it is the reader's own."""
    reader = load_by_entity(session, issuer)
    session.rollback()
    if reader is not None:
        here.node.refused.note(here.node.engine, reader.participant, keys, token, error, now)


def _check_shown(session: Session, here: Held, participant: str) -> None:
    """Raise FederationError ``busy`` for the own log while it is not known to be the newest (section 5)."""
    if participant == here.config.participant:
        check_own_log_open(session)


def _held_head(session: Session, participant: str) -> Head:
    head = load_head(session, participant)
    if head is None:
        raise NotHeldError(f"no log of {participant} is held here")
    return head
