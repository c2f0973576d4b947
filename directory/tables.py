"""The read model: what the logs say now. Written only by ``directory.store``."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from directory.database import Base, UTCDateTime


class RecordRow(Base):
    """The newest state of one record of one participant."""

    __tablename__ = "record"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    record: Mapped[str] = mapped_column(sa.String(84), primary_key=True)
    type: Mapped[str] = mapped_column(sa.String(20))
    seq: Mapped[int] = mapped_column(sa.BigInteger)
    at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
    data: Mapped[str | None] = mapped_column(sa.Text)
    """The record as JSON; null where it is deleted, of an unknown type or unreadable."""
    state: Mapped[str] = mapped_column(sa.String(12))
    """``live``, ``deleted``, ``unknown`` (a type that this version does not know) or ``unreadable``."""
    version: Mapped[int] = mapped_column(sa.BigInteger)
    """The directory counter's value when this row was written: what an index must catch up with."""

    __table_args__ = (sa.Index("ix_record_version", "version"), sa.Index("ix_record_type", "participant", "type"))


class SkippedRow(Base):
    """An entry that stands in a proven log but breaks a rule: passed on, not projected, shown with its code."""

    __tablename__ = "skipped"

    participant: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    seq: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    record: Mapped[str | None] = mapped_column(sa.String(84))
    code: Mapped[str] = mapped_column(sa.String(30))
    detail: Mapped[str] = mapped_column(sa.Text)


class RotaVersionRow(Base):
    """A superseded version of one of the node's own rotas, kept outside the log for undo and history."""

    __tablename__ = "rota_version"

    id: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    record: Mapped[str] = mapped_column(sa.String(84), index=True)
    seq: Mapped[int] = mapped_column(sa.BigInteger)
    data: Mapped[str] = mapped_column(sa.Text)
    published_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
    replaced_at: Mapped[dt.datetime] = mapped_column(UTCDateTime, index=True)


class CounterRow(Base):
    """Counts changes per subject (``directory``, ``federation``, ``accounts``), so that caches know when to refresh."""

    __tablename__ = "counter"

    name: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    value: Mapped[int] = mapped_column(sa.BigInteger)
