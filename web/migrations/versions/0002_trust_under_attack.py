"""Messages between nodes, peering, disputes with their evidence, refusals, and what a node knows of itself.

Revision ID: 0002
Revises: 0001

There is no way down: what a newer version wrote is left by restoring a backup.
"""

import base64
import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and note whose each federation key is that signed a configuration held already."""
    op.create_table(
        "dispute",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("held_size", sa.BigInteger(), nullable=False),
        sa.Column("held_root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("offered_size", sa.BigInteger(), nullable=False),
        sa.Column("offered_root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("shown_by", sa.String(length=300), nullable=True),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted", sa.String(length=10), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("passed_on_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
    )
    op.create_index(op.f("ix_dispute_participant"), "dispute", ["participant"], unique=False)
    op.create_table(
        "heard_checkpoint",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("shown_by", sa.String(length=300), nullable=True),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("participant", "size", "root", name=op.f("pk_heard_checkpoint")),
    )
    op.create_table(
        "root_check",
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("participant", name=op.f("pk_root_check")),
    )
    op.create_table(
        "instance",
        sa.Column("value", sa.String(length=43), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("value", name=op.f("pk_instance")),
    )
    op.create_index(op.f("ix_instance_written_at"), "instance", ["written_at"], unique=False)
    op.create_table(
        "own_node",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("held_back", sa.String(length=20), nullable=True),
        sa.Column("clock_refused", sa.Text(), nullable=True),
        sa.Column("clock_accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_own_node")),
    )
    op.create_table(
        "process",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_process")),
    )
    op.create_table(
        "proposal",
        sa.Column("entity_id", sa.String(length=300), nullable=False),
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("configuration", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_proposal")),
    )
    op.create_table(
        "proven_key",
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_proven_key")),
    )
    op.create_table(
        "received_message",
        sa.Column("issuer", sa.String(length=300), nullable=False),
        sa.Column("jti", sa.String(length=36), nullable=False),
        sa.Column("content", sa.LargeBinary(length=32), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "jti", "content", name=op.f("pk_received_message")),
    )
    op.create_index(op.f("ix_received_message_received_at"), "received_message", ["received_at"], unique=False)
    op.create_index(
        "ix_received_message_receipted",
        "received_message",
        ["issuer", "jti"],
        unique=True,
        sqlite_where=sa.text("receipt IS NOT NULL"),
        postgresql_where=sa.text("receipt IS NOT NULL"),
    )
    op.create_table(
        "refusal",
        sa.Column("peer", sa.String(length=300), nullable=False),
        sa.Column("code", sa.String(length=30), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("peer", "code", "minute", name=op.f("pk_refusal")),
    )
    op.create_table(
        "sent_message",
        sa.Column("jti", sa.String(length=36), nullable=False),
        sa.Column("audience", sa.String(length=300), nullable=False),
        sa.Column("participant", sa.String(length=12), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tokens", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(length=15), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("answer", sa.String(length=15), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_sent_message")),
    )
    op.create_index(op.f("ix_sent_message_retry_at"), "sent_message", ["retry_at"], unique=False)
    op.create_table(
        "stranger",
        sa.Column("entity_id", sa.String(length=300), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_stranger")),
    )
    op.create_index(op.f("ix_stranger_asked_at"), "stranger", ["asked_at"], unique=False)
    _note_proven_keys()


def _note_proven_keys() -> None:
    connection = op.get_bind()
    configuration = sa.table("configuration", sa.column("participant"), sa.column("issued_at"), sa.column("token"))
    rows = connection.execute(
        sa.select(configuration.c.participant, configuration.c.token).order_by(configuration.c.issued_at)
    )
    proven: dict[str, str] = {}
    for participant, token in rows:
        proven.setdefault(_kid(token), participant)
    for participant, jwks in connection.execute(
        sa.text("SELECT participant, federation_jwks FROM participant WHERE trust <> 'anchor'")
    ):
        for key in json.loads(jwks)["keys"]:
            proven.setdefault(key["kid"], participant)
    if proven:
        table = sa.table("proven_key", sa.column("kid"), sa.column("participant"))
        op.bulk_insert(table, [{"kid": kid, "participant": code} for kid, code in proven.items()])


def _kid(token: str) -> str:
    header = token.split(".", 1)[0]
    kid: str = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]
    return kid
