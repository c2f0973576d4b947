"""Whether this node runs elsewhere too, from a copied data directory (protocol.md, section 5, *One's own log*).

Each start and the worker, hourly, write a random value to the database; ``/healthz`` shows the newest. The node asks
``/healthz`` at its own public URL:

- a value that its own database never held is that of another database that signs as this node does;
- so is one that was replaced here before the question was asked: whoever answered does not read this database;
- no answer proves nothing, nor does one of another form, such as a proxy's page, nor that of another participant,
  whose log is not this one.
"""

import datetime as dt
import logging
import re
import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import reading
from federation.encoding import b64url_encode
from federation.own_node import hold_back
from federation.tables import InstanceRow
from sync.addresses import parse_networks
from sync.errors import PeerError
from sync.node import Node
from sync.storing import store
from sync.transport import JSON, Response, read_object

_LOG = logging.getLogger(__name__)

KEPT_FOR = dt.timedelta(days=365)
_ANSWER_BYTES = 64 * 1024
_ASKING_SECONDS = 5.0
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
_ANYWHERE = parse_networks(("0.0.0.0/0", "::/0"))
"""The node's own name may lead to an inner address: whoever answers there is asked for one value only."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What ``/healthz`` at the node's own URL says."""

    participant: str
    instance: str


def write_instance(session: Session, now: dt.datetime) -> str:
    """A new random value, which is shown from now on."""
    value = b64url_encode(secrets.token_bytes(32))
    session.execute(sa.insert(InstanceRow).values(value=value, written_at=now))
    return value


def load_instance(session: Session) -> str | None:
    """The newest value; None before the first."""
    newest = sa.select(InstanceRow.value).order_by(InstanceRow.written_at.desc(), InstanceRow.value).limit(1)
    return session.execute(newest).scalar_one_or_none()


def purge_instances(session: Session, before: dt.datetime) -> None:
    """Forget the values written before; the newest stays."""
    newest = load_instance(session)
    session.execute(sa.delete(InstanceRow).where(InstanceRow.written_at < before, InstanceRow.value != newest))


def find_copy(node: Node, now: dt.datetime) -> str | None:
    """Write a new value and ask the node's own URL for the newest: why the node must stop, else None.

    Where it must, the own log is held back as ``elsewhere`` for all processes of this database.
    """
    written = store(node.engine, lambda session: write_instance(session, now))
    shown = ask_instance(node)
    if shown is None or shown.participant != node.participant:
        return None
    with reading(node.engine) as session:
        fault = judge_instance(session, shown.instance, written)
    if fault is None:
        return None
    store(node.engine, lambda session: hold_back(session, "elsewhere"))
    return f"{node.identity.entity_id} is answered from another database than this one: {fault}"


def ask_instance(node: Node) -> Shown | None:
    """What ``/healthz`` at the node's own URL shows; None where nothing of that form answers."""
    # a question of its own each time: a proxy that keeps answers against its orders cannot repeat an old one
    url = f"{node.identity.entity_id}/healthz?asked={secrets.token_hex(8)}"
    try:
        response = node.transport.get(
            url, accept=JSON, max_bytes=_ANSWER_BYTES, seconds=_ASKING_SECONDS, allowed_networks=_ANYWHERE
        )
    except PeerError as error:
        _LOG.info("the own address could not be asked who answers there: %s", error)
        return None
    return read_shown(response, node.participant)


def read_shown(response: Response, participant: str) -> Shown | None:
    """What an answer shows; one that names no participant speaks for ``participant``. None for another form."""
    if response.status != 200:
        return None
    members = read_object(response.body)
    instance, named = members.get("instance"), members.get("participant", participant)
    if not isinstance(instance, str) or not _VALUE.fullmatch(instance) or not isinstance(named, str):
        return None
    return Shown(named, instance)


def judge_instance(session: Session, shown: str, written: str) -> str | None:
    """Why a value that was shown after ``written`` was committed is not this database's; None where it can be."""
    held_at = {
        row.value: row.written_at
        for row in session.execute(sa.select(InstanceRow).where(InstanceRow.value.in_((shown, written)))).scalars()
    }
    if shown not in held_at:
        return "it shows an instance that was never here; a copy of the data directory runs there"
    if held_at[shown] < held_at[written]:
        return "it still shows an instance that was replaced here; a copy of the data directory runs there or here"
    return None
