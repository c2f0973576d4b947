"""What nodes have said, byte for byte, and how far it is proven. Own and followed logs share these tables."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from directory.database import Base, UTCDateTime


class LogRow(Base):
    """The head of one participant's log: moved only by compare-and-swap on ``size``."""

    __tablename__ = "log"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    own: Mapped[bool] = mapped_column(sa.Boolean)
    size: Mapped[int] = mapped_column(sa.BigInteger)
    root: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    frontier: Mapped[bytes] = mapped_column(sa.LargeBinary)
    checkpoint: Mapped[str | None] = mapped_column(sa.Text)
    """The newest accepted checkpoint token; null before the first."""
    issued_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    expires_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    checked_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    """When the origin's own address last proved this head to be the newest."""
    disputed: Mapped[str | None] = mapped_column(sa.Text)
    """The offered checkpoint token that contradicts what is held; the log is then disputed."""


class EntryRow(Base):
    """One entry of a log: the exact bytes its origin wrote."""

    __tablename__ = "entry"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    header: Mapped[bytes] = mapped_column(sa.LargeBinary)
    payload: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    superseded_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    """When a later entry of the same record took its place, while the payload still waits to be erased."""

    __table_args__ = (
        sa.Index(
            "ix_entry_superseded_at",
            "superseded_at",
            sqlite_where=sa.text("superseded_at IS NOT NULL"),
            postgresql_where=sa.text("superseded_at IS NOT NULL"),
        ),
    )


class SeenCheckpointRow(Base):
    """``(size, root)`` of every checkpoint that was accepted."""

    __tablename__ = "seen_checkpoint"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    size: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    root: Mapped[bytes] = mapped_column(sa.LargeBinary(32))


class ParticipantRow(Base):
    """A node that is trusted for a participant code, and why."""

    __tablename__ = "participant"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    entity_id: Mapped[str] = mapped_column(sa.String(300), unique=True)
    trust: Mapped[str] = mapped_column(sa.String(10))
    """``own``, ``anchor`` or ``peering``."""
    federation_jwks: Mapped[str] = mapped_column(sa.Text)
    """The federation keys that trust rests on (JWKS as JSON): the anchor's statement or the pinned key."""
    statement_expires_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    """When the anchor's word ends; null for ``own`` and ``peering``."""
    ended_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    """When trust ended (the anchor no longer lists the node); what was held stays readable as stale."""
    allowed_networks: Mapped[str] = mapped_column(sa.Text, default="[]")
    """Private networks (CIDR, a JSON list) in which the operator allowed this node's addresses to lie."""


class ConfigurationRow(Base):
    """An entity configuration that was accepted, newest by ``issued_at``; the older ones prove key changes."""

    __tablename__ = "configuration"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    issued_at: Mapped[dt.datetime] = mapped_column(UTCDateTime, primary_key=True)
    expires_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
    token: Mapped[str] = mapped_column(sa.Text)


class AnchorRow(Base):
    """The trust anchor that the operator configured (at most one), with its keys fetched out of band."""

    __tablename__ = "anchor"

    entity_id: Mapped[str] = mapped_column(sa.String(300), primary_key=True)
    jwks: Mapped[str] = mapped_column(sa.Text)
    allowed_networks: Mapped[str] = mapped_column(sa.Text, default="[]")


class EnrolmentRow(Base):
    """A node that this node's own anchor vouches for."""

    __tablename__ = "enrolment"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    entity_id: Mapped[str] = mapped_column(sa.String(300), unique=True)
    jwks: Mapped[str] = mapped_column(sa.Text)
    enrolled_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)


class ProvenKeyRow(Base):
    """A federation key that is proven to be one participant's: it signed an accepted configuration, or was pinned."""

    __tablename__ = "proven_key"

    kid: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    participant: Mapped[str] = mapped_column(sa.String(12))


class DisputeRow(Base):
    """Two histories that one participant signed, with the evidence as it was when it was found."""

    __tablename__ = "dispute"

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    participant: Mapped[str] = mapped_column(sa.String(12), index=True)
    held_size: Mapped[int] = mapped_column(sa.BigInteger)
    held_root: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    offered_size: Mapped[int] = mapped_column(sa.BigInteger)
    offered_root: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    evidence: Mapped[str] = mapped_column(sa.Text)
    """What ``veza dispute export`` prints, as JSON."""
    shown_by: Mapped[str | None] = mapped_column(sa.String(300))
    """The entity identifier of the node that showed the offered checkpoint; null where it was posted."""
    detected_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
    resolved_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    accepted: Mapped[str | None] = mapped_column(sa.String(10))
    """``held`` or ``offered``, once an operator has decided."""
    reason: Mapped[str | None] = mapped_column(sa.Text)
    passed_on_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    """When both checkpoints were passed on to the other peers; null while that is still to be done."""


class HeardCheckpointRow(Base):
    """A checkpoint that its origin signed and that was shown or posted here, not proven against the log yet."""

    __tablename__ = "heard_checkpoint"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    size: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    root: Mapped[bytes] = mapped_column(sa.LargeBinary(32), primary_key=True)
    token: Mapped[str] = mapped_column(sa.Text)
    shown_by: Mapped[str | None] = mapped_column(sa.String(300))
    """The entity identifier of the node that showed it; null where it was posted."""
    heard_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)


class ProposalRow(Base):
    """A node that proposed to peer and waits for this node's operator (``peering.proposed``)."""

    __tablename__ = "proposal"

    entity_id: Mapped[str] = mapped_column(sa.String(300), primary_key=True)
    participant: Mapped[str] = mapped_column(sa.String(12))
    configuration: Mapped[str] = mapped_column(sa.Text)
    received_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)


class ReceivedMessageRow(Base):
    """A message that was taken, with the receipt that it got; the same ``jti`` with other content is kept beside."""

    __tablename__ = "received_message"

    issuer: Mapped[str] = mapped_column(sa.String(300), primary_key=True)
    jti: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    content: Mapped[bytes] = mapped_column(sa.LargeBinary(32), primary_key=True)
    """SHA-256 over what the message says (``aud``, ``type``, ``body``), however often it is signed anew."""
    type: Mapped[str] = mapped_column(sa.String(40))
    token: Mapped[str] = mapped_column(sa.Text)
    receipt: Mapped[str | None] = mapped_column(sa.Text)
    """Null for one that was refused as ``jti_conflict``."""
    received_at: Mapped[dt.datetime] = mapped_column(UTCDateTime, index=True)

    __table_args__ = (
        sa.Index(
            "ix_received_message_receipted",  # of two contents that arrive at once under one jti, one is the first
            "issuer",
            "jti",
            unique=True,
            sqlite_where=sa.text("receipt IS NOT NULL"),
            postgresql_where=sa.text("receipt IS NOT NULL"),
        ),
    )


class SentMessageRow(Base):
    """A message of this node: it waits here until the other node's receipt is held, or it is given up."""

    __tablename__ = "sent_message"

    jti: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    audience: Mapped[str] = mapped_column(sa.String(300))
    """The entity identifier of the node it is for."""
    participant: Mapped[str] = mapped_column(sa.String(12))
    url: Mapped[str] = mapped_column(sa.Text)
    """Where that node takes messages."""
    type: Mapped[str] = mapped_column(sa.String(40))
    body: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
    tokens: Mapped[str] = mapped_column(sa.Text, default="")
    """Every token that was signed for it, oldest first, one a line: a receipt may be for any of them."""
    attempts: Mapped[int] = mapped_column(sa.Integer, default=0)
    retry_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime, index=True)
    """When it is due; null once it is done."""
    state: Mapped[str] = mapped_column(sa.String(15))
    """``waiting``, ``delivered`` or ``undeliverable``."""
    detail: Mapped[str | None] = mapped_column(sa.Text)
    receipt: Mapped[str | None] = mapped_column(sa.Text)
    answer: Mapped[str | None] = mapped_column(sa.String(15))
    """What the other node's operator decided (``approved``, ``refused``); null before, and where nobody decides."""
    done_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)


class RefusalRow(Base):
    """How often something of a peer was refused with a code within one minute."""

    __tablename__ = "refusal"

    peer: Mapped[str] = mapped_column(sa.String(300), primary_key=True)
    code: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    minute: Mapped[dt.datetime] = mapped_column(UTCDateTime, primary_key=True)
    count: Mapped[int] = mapped_column(sa.Integer)
    detail: Mapped[str] = mapped_column(sa.Text)
    """The first of that minute."""


class OwnNodeRow(Base):
    """What this database knows of the node it belongs to; one row."""

    __tablename__ = "own_node"

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    held_back: Mapped[str | None] = mapped_column(sa.String(20))
    """Why the own log is neither signed nor served: ``starting``, ``restored``, ``clock``, ``elsewhere``, or null."""
    clock_refused: Mapped[str | None] = mapped_column(sa.Text)
    """Why the clock cannot be right; null while it is plausible."""
    clock_accepted_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    """When an operator, or the peers' clocks, last confirmed it."""


class InstanceRow(Base):
    """A random value that this database held: one that the node's own address shows and that is not here is foreign."""

    __tablename__ = "instance"

    value: Mapped[str] = mapped_column(sa.String(43), primary_key=True)
    written_at: Mapped[dt.datetime] = mapped_column(UTCDateTime, index=True)
