"""Who may use this node: accounts, their API tokens and sessions, and wrong passwords that still count."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from directory.database import Base, UTCDateTime


class UserRow(Base):
    """A local account."""

    __tablename__ = "user_account"

    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    password_hash: Mapped[str] = mapped_column(sa.String(200))
    roles: Mapped[str] = mapped_column(sa.String(200))
    """Roles in alphabetical order, as a JSON list."""
    unit: Mapped[str | None] = mapped_column(sa.String(63))
    """The slug of the user's own unit; its agency is what the user may edit."""
    disabled: Mapped[bool] = mapped_column(sa.Boolean)
    created_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)


class ApiTokenRow(Base):
    """A token for programs; only its SHA-256 is kept."""

    __tablename__ = "api_token"

    digest: Mapped[bytes] = mapped_column(sa.LargeBinary(32), primary_key=True)
    user: Mapped[str] = mapped_column("user_name", sa.ForeignKey("user_account.name", ondelete="CASCADE"), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)


class SessionRow(Base):
    """A browser that is signed in; only the SHA-256 of its secret is kept, and deleting the row ends it."""

    __tablename__ = "session"

    digest: Mapped[bytes] = mapped_column(sa.LargeBinary(32), primary_key=True)
    user: Mapped[str] = mapped_column("user_name", sa.ForeignKey("user_account.name", ondelete="CASCADE"), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[dt.datetime] = mapped_column(UTCDateTime)


class FailedLoginRow(Base):
    """A wrong password: counted per name and known device, and per address, for a minute."""

    __tablename__ = "failed_login"

    id: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    name_digest: Mapped[bytes] = mapped_column(sa.LargeBinary(32), index=True)
    """SHA-256 of the name typed: people type passwords there, and those must not be stored."""
    device: Mapped[str] = mapped_column(sa.String(64))
    address: Mapped[str] = mapped_column(sa.String(64), index=True)
    at: Mapped[dt.datetime] = mapped_column(UTCDateTime, index=True)
