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
