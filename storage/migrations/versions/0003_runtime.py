"""Suspended runs, schedules, webhooks, credentials, the engine's lease, limits and retries of runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables of waits, schedules, webhooks and credentials, and the columns of limits and retries."""
    op.create_table(
        "credential",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("folded_name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("hosts", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("folded_name"),
    )
    op.create_table(
        "engine_lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("beat_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "schedule",
        sa.Column("flow_id", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("next_due_at", sa.BigInteger(), nullable=True),
        sa.Column("last_due_at", sa.BigInteger(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("flow_id", "node"),
    )
    op.create_index(op.f("ix_schedule_next_due_at"), "schedule", ["next_due_at"], unique=False)
    op.create_table(
        "wait",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("iteration", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=True),
        sa.Column("match", sa.Text(), nullable=True),
        sa.Column("match_fields", sa.String(), nullable=True),
        sa.Column("match_digest", sa.String(), nullable=True),
        sa.Column("token_digest", sa.String(), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("run_id", "node", "iteration"),
        sa.UniqueConstraint("token_digest"),
        sqlite_autoincrement=True,
    )
    wanted = ["event", "match_fields", "match_digest"]
    op.create_index("ix_wait_event", "wait", wanted, sqlite_where=sa.text("resolved_at IS NULL"))
    op.create_table(
        "wait_event",
        sa.Column("wait_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("wait_id", "event_id"),
    )
    op.create_index("ix_wait_event_event", "wait_event", ["event_id"])
    op.create_table(
        "webhook",
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("flow_id", sa.String(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("path", "method"),
    )
    op.create_index(op.f("ix_webhook_flow_id"), "webhook", ["flow_id"], unique=False)
    op.add_column("flow", sa.Column("limits", sa.Text(), nullable=True))
    op.add_column("flow", sa.Column("notice", sa.Text(), nullable=True))
    op.create_index(
        "ix_flow_admission",
        "flow",
        ["id", "state", "limits"],
        sqlite_where=sa.text("state = 'paused' OR limits IS NOT NULL"),
    )
    op.add_column("run", sa.Column("scope", sa.Text(), nullable=True))
    op.add_column("run", sa.Column("key", sa.String(), nullable=True))
    op.add_column("run", sa.Column("crashes", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("run", sa.Column("is_dead", sa.Boolean(), nullable=False, server_default="0"))
    op.add_column("run", sa.Column("called_by", sa.Integer(), nullable=True))
    op.add_column("run", sa.Column("output", sa.Text(), nullable=True))
    op.drop_index("ix_run_open", "run")
    op.create_index("ix_run_flow_status", "run", ["flow_id", "status", "id"])
    op.create_index("ix_run_ended", "run", ["flow_id", "ended_at"], sqlite_where=sa.text("ended_at IS NOT NULL"))
    op.create_index("ix_run_wake", "run", ["wake_at"], sqlite_where=sa.text("wake_at IS NOT NULL"))
    op.create_index("ix_run_queued", "run", ["flow_id", "id"], sqlite_where=sa.text("status = 'queued'"))
    op.create_index("ix_run_started", "run", ["flow_id", "started_at"], sqlite_where=sa.text("key IS NOT NULL"))
    op.create_index("ix_run_dead", "run", ["id"], sqlite_where=sa.text("is_dead = 1"))
    op.create_index("ix_run_parent", "run", ["parent_run"], sqlite_where=sa.text("parent_run IS NOT NULL"))
    op.create_index("ix_event_root", "event", ["root_id"], sqlite_where=sa.text("depth > 1"))
    op.drop_index("ix_event_name", "event")  # no query reads by these two, and each event paid for them
    op.drop_index("ix_event_created_at", "event")
    op.add_column("step", sa.Column("input_hash", sa.String(), nullable=True))
