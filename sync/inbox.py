"""Statements that somebody passes on: a checkpoint or a configuration of any known participant (section 7).

Anybody may post them, because the signature decides. So a refused post costs a verification and no write to the
database, but a count where its author signed it, and nothing is dialled here: what is ahead, or signed by a key that is
not known yet, is noted for the worker. An older checkpoint is compared with what is held (``sync.comparing``): alone
it accuses nobody, but two that cannot both be true are a fork, wherever they came from.
"""

import datetime as dt

from sqlalchemy.orm import Session

from directory.database import reading
from federation.checkpoint import Checkpoint, read_checkpoint, verify_checkpoint
from federation.errors import ConcurrentAppendError, FederationError, LogIntegrityError, TokenError, TrustError
from federation.head import Head
from federation.log import create_log, load_head, touch_head
from federation.participants import TrustedNode, load_by_entity, load_participant, store_configuration
from federation.signing import CHECKPOINT, ENTITY_STATEMENT, ParsedToken, parse_token
from sync.comparing import Comparison, Place
from sync.configurations import federation_keys, is_usable, verify_offered
from sync.node import Node
from sync.run import Run
from sync.storing import store
from sync.strangers import ask_for_configuration
from sync.wanted import load_wanted, want_pull, want_refresh


def receive_statement(node: Node, token: bytes, now: dt.datetime) -> None:
    """Take a statement that was posted; returns where it was accepted, already known, or of no use.

    Makes its own transactions, and only where there is something to write. Raises FederationError with the code of
    the first rule that the statement breaks, also for a fork, whose evidence is kept; StorageError where the database
    could not be written.
    """
    run, parsed = Run(node, now), _parse(token)
    with reading(node.engine) as session:
        author = _load_author(session, parsed, now)
        head = load_head(session, author.participant)
    try:
        if parsed.kind is ENTITY_STATEMENT:
            _take_configuration(run, author, token)
        else:
            _take_checkpoint(run, author, head, token)
    except FederationError as error:
        if error.code == "unknown_key":
            ask_for_configuration(node, author, now)
        keys = {**federation_keys(author), **author.operating_keys}
        node.refused.note(node.engine, author.participant, keys, token, error, now)
        raise


def _parse(token: bytes) -> ParsedToken:
    """The statement as a checkpoint or else a configuration, by its ``typ``."""
    try:
        return parse_token(token, CHECKPOINT)
    except TokenError as error:
        if error.code not in ("wrong_type", "too_large"):
            raise
        refusal = error
    try:
        return parse_token(token, ENTITY_STATEMENT)
    except TokenError as error:
        raise (refusal if error.code == "wrong_type" else error) from error


def _load_author(session: Session, parsed: ParsedToken, now: dt.datetime) -> TrustedNode:
    """Whom the statement speaks for: a checkpoint names its participant, a configuration its node."""
    subject = str(parsed.claims["sub"])
    find = load_by_entity if parsed.kind is ENTITY_STATEMENT else load_participant
    author = find(session, subject)
    if author is None or not author.is_trusted(now):
        raise TrustError("unknown_participant", f"{subject[:120]!r} is nobody that this node follows")
    return author


def _take_configuration(run: Run, author: TrustedNode, token: bytes) -> None:
    offered = verify_offered(run, author, token)
    if author.trust != "own" and (author.configuration is None or offered.token != author.configuration.token):
        store(run.node.engine, lambda session: store_configuration(session, offered))


def _take_checkpoint(run: Run, author: TrustedNode, head: Head | None, token: bytes) -> None:
    offered = _verify_posted(run, author, head, token)
    if author.trust == "own":
        return  # nobody tells this node about its own log by a push
    if head is None:
        head = store(run.node.engine, lambda session: create_log(session, author.participant, own=False))
    place = _compare(run, author, head, offered)
    if place == "ahead" and head.disputed is None:
        _note(run, author, offered)
    if _is_newer(head, offered, run.now):
        _touch(run, offered)


def _verify_posted(run: Run, author: TrustedNode, head: Head | None, token: bytes) -> Checkpoint:
    """The checkpoint; an expired one is refused, and yet a fork where it contradicts: its signature stays true."""
    try:
        return _verify(run, author, token, relayed=False)
    except TokenError as error:
        if error.code == "expired" and head is not None and not head.own:
            _compare(run, author, head, _verify(run, author, token, relayed=True))
        raise


def _verify(run: Run, author: TrustedNode, token: bytes, *, relayed: bool) -> Checkpoint:
    return verify_checkpoint(
        token,
        entity_id=author.entity_id,
        participant=author.participant,
        keys=author.operating_keys if is_usable(author, run.now) else {},
        now=run.now,
        relayed=relayed,
    )


def _compare(run: Run, author: TrustedNode, head: Head, offered: Checkpoint) -> Place:
    """Where the checkpoint stands; a fork is kept with its evidence, and the worker is told to see to it."""
    comparison = Comparison(run, author)
    try:
        return comparison.place(head, offered, None)
    except LogIntegrityError:
        if comparison.has_opened:
            store(run.node.engine, lambda session: want_refresh(session, author.participant, run.now))
        raise


def _is_newer(head: Head, offered: Checkpoint, now: dt.datetime) -> bool:
    """Whether it says anew what is held; it does not contradict it, and is not settled, where the roots agree.

    One from the future does not count: whoever stole a key would make what the origin itself signs next a rollback,
    also after the key was revoked.
    """
    same = (offered.size, offered.root) == (head.size, head.root)
    return same and offered.issued_at <= now and (head.issued_at is None or head.issued_at < offered.issued_at)


def _note(run: Run, author: TrustedNode, offered: Checkpoint) -> None:
    """Let the worker pull up to this checkpoint, unless it is asked to go as far already; it is kept in any case."""
    Comparison(run, author).keep(offered, None)
    with reading(run.node.engine) as session:
        wanted = load_wanted(session).get(offered.participant)
    if not wanted or read_checkpoint(wanted).size < offered.size:
        store(run.node.engine, lambda session: want_pull(session, offered.participant, offered.token, run.now))


def _touch(run: Run, offered: Checkpoint) -> None:
    """The log stands where it stood, and its origin has said so anew."""

    def touch(session: Session) -> None:
        try:
            touch_head(session, offered.participant, offered, run.now, from_origin=False)
        except ConcurrentAppendError:
            return  # a newer one came meanwhile

    store(run.node.engine, touch)
