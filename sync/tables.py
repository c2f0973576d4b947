"""What this node remembers about its work: sync results, pushes that wait, pulls that were asked for, the lease."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from directory.database import Base, UTCDateTime


class SyncStatusRow(Base):
    """The last attempts to follow one participant."""

    __tablename__ = "sync_status"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    last_result: Mapped[str | None] = mapped_column(sa.String(30))
    """``ok`` or a problem code."""
    detail: Mapped[str | None] = mapped_column(sa.Text)
    last_attempt_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    last_success_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    source: Mapped[str | None] = mapped_column(sa.String(300))
    failures: Mapped[int] = mapped_column(sa.Integer, default=0)
    retry_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    withholding: Mapped[bool] = mapped_column(sa.Boolean, default=False)


class WantedPullRow(Base):
    """A participant whose pushed checkpoint is ahead of what is held: the worker pulls it soon."""

    __tablename__ = "wanted_pull"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    token: Mapped[str] = mapped_column(sa.Text)
    asked_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)


class RootCheckRow(Base):
    """When checkpoints heard of a participant were last compared with roots worked out from its entries."""

    __tablename__ = "root_check"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    checked_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)


class PushedRow(Base):
    """The newest own statement that a peer has taken, per kind (``checkpoint``, ``configuration``)."""

    __tablename__ = "pushed"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(15), primary_key=True)
    issued_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
    digest: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    failures: Mapped[int] = mapped_column(sa.Integer, default=0)
    retry_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)


class LeaseRow(Base):
    """Who leads the scheduled work, until when, in which epoch: every late write must still match the epoch."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    holder: Mapped[str] = mapped_column(sa.String(120))
    epoch: Mapped[int] = mapped_column(sa.BigInteger)
    until: Mapped[dt.datetime] = mapped_column(UTCDateTime)


class JobRow(Base):
    """When a job of the timetable last succeeded, so that a start can catch up."""

    __tablename__ = "job"

    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    last_success_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)
    last_attempt_at: Mapped[dt.datetime | None] = mapped_column(UTCDateTime)


class StrangerRow(Base):
    """A sender that was not known and for whom the anchor was asked."""

    __tablename__ = "stranger"

    entity_id: Mapped[str] = mapped_column(sa.String(300), primary_key=True)
    asked_at: Mapped[dt.datetime] = mapped_column(UTCDateTime, index=True)
    known: Mapped[bool] = mapped_column(sa.Boolean)
    """False once the anchor has said no, which is kept for a while; True while it has not."""


class ProcessRow(Base):
    """A process of this node that serves or works, so that the first one to start can be told."""

    __tablename__ = "process"

    name: Mapped[str] = mapped_column(sa.String(120), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(20))
    seen_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
