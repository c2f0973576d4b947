"""Every table of version 1.

Revision ID: 0001
Revises: nothing

There is no way down: what a newer version wrote is left by restoring a backup.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table of version 1."""
    op.create_table(
        "anchor",
        sa.Column("entity_id", sa.String(length=300), nullable=False),
        sa.Column("jwks", sa.Text(), nullable=False),
        sa.Column("allowed_networks", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_anchor")),
    )
    op.create_table(
        "configuration",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("participant", "issued_at", name=op.f("pk_configuration")),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.create_table(
        "enrolment",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("entity_id", sa.String(length=300), nullable=False),
        sa.Column("jwks", sa.Text(), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("participant", name=op.f("pk_enrolment")),
        sa.UniqueConstraint("entity_id", name=op.f("uq_enrolment_entity_id")),
    )
    op.create_table(
        "entry",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("participant", "seq", name=op.f("pk_entry")),
    )
    op.create_index(
        "ix_entry_superseded_at",
        "entry",
        ["superseded_at"],
        unique=False,
        sqlite_where=sa.text("superseded_at IS NOT NULL"),
        postgresql_where=sa.text("superseded_at IS NOT NULL"),
    )

    op.create_table(
        "failed_login",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_failed_login")),
    )
    op.create_index(op.f("ix_failed_login_address"), "failed_login", ["address"], unique=False)
    op.create_index(op.f("ix_failed_login_at"), "failed_login", ["at"], unique=False)
    op.create_index(op.f("ix_failed_login_name_digest"), "failed_login", ["name_digest"], unique=False)

    op.create_table(
        "job",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job")),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=120), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "log",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disputed", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("participant", name=op.f("pk_log")),
    )
    op.create_table(
        "participant",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("entity_id", sa.String(length=300), nullable=False),
        sa.Column("trust", sa.String(length=10), nullable=False),
        sa.Column("federation_jwks", sa.Text(), nullable=False),
        sa.Column("statement_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("allowed_networks", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("participant", name=op.f("pk_participant")),
        sa.UniqueConstraint("entity_id", name=op.f("uq_participant_entity_id")),
    )
    op.create_table(
        "pushed",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=15), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("participant", "kind", name=op.f("pk_pushed")),
    )
    op.create_table(
        "record",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("record", sa.String(length=84), nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("participant", "record", name=op.f("pk_record")),
    )
    op.create_index("ix_record_type", "record", ["participant", "type"], unique=False)
    op.create_index("ix_record_version", "record", ["version"], unique=False)

    op.create_table(
        "rota_version",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("record", sa.String(length=84), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota_version")),
    )
    op.create_index(op.f("ix_rota_version_record"), "rota_version", ["record"], unique=False)
    op.create_index(op.f("ix_rota_version_replaced_at"), "rota_version", ["replaced_at"], unique=False)

    op.create_table(
        "seen_checkpoint",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("participant", "size", name=op.f("pk_seen_checkpoint")),
    )
    op.create_table(
        "skipped",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.String(length=84), nullable=True),
        sa.Column("code", sa.String(length=30), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("participant", "seq", name=op.f("pk_skipped")),
    )
    op.create_table(
        "sync_status",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("last_result", sa.String(length=30), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.String(length=300), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withholding", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("participant", name=op.f("pk_sync_status")),
    )
    op.create_table(
        "user_account",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("roles", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=63), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_user_account")),
    )
    op.create_table(
        "wanted_pull",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("participant", name=op.f("pk_wanted_pull")),
    )
    op.create_table(
        "api_token",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_name"], ["user_account.name"], name=op.f("fk_api_token_user_name"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_api_token")),
    )
    op.create_index(op.f("ix_api_token_user_name"), "api_token", ["user_name"], unique=False)

    op.create_table(
        "session",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_name"], ["user_account.name"], name=op.f("fk_session_user_name"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_session")),
    )
    op.create_index(op.f("ix_session_user_name"), "session", ["user_name"], unique=False)
