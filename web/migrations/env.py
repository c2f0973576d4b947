"""Runs migrations on the connection that ``web.schema`` hands over: one transaction for all of them."""  # noqa: INP001  # read by alembic, not imported

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from directory.database import Base, UTCDateTime


def render_item(kind: str, item: Any, autogen_context: AutogenContext) -> str | Literal[False]:  # noqa: ANN401
    """Write our own column type as what the database sees, so that old migrations outlive the class."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    render_as_batch=True,
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
