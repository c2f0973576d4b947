"""The one place where a node is put together from its settings: for commands, the worker and the application."""

import sqlalchemy as sa

from directory.database import make_engine
from federation.identity import ANCHOR_FILE, AnchorIdentity, load_anchor_identity, load_identity
from sync.client import HttpTransport
from sync.node import Node, NodeSettings
from web.config import Config


def open_node(config: Config, engine: sa.Engine | None = None) -> Node:
    """The node of ``config``, on ``engine`` where the caller has one already.

    Raises KeyFileError where keys are missing, unreadable or open to others, OSError where the passphrase is.
    """
    identity = load_identity(config.keys_dir, config.participant, config.url, config.passphrase)
    return Node(
        engine=engine or make_engine(config.database),
        load_identity=lambda: identity,
        transport=HttpTransport(insecure_urls=config.insecure_urls),
        settings=NodeSettings(
            name=config.name,
            contacts=config.contacts,
            readers=config.readers,
            insecure_urls=config.insecure_urls,
            nightly=config.nightly,
            spool=config.spool_dir,
        ),
        anchor_identity=read_anchor(config),
    )


def read_anchor(config: Config) -> AnchorIdentity | None:
    """The anchor that this node runs beside itself, if the operator made it one."""
    if not (config.anchor_dir / ANCHOR_FILE).exists():
        return None
    return load_anchor_identity(config.anchor_dir, config.anchor_entity_id, config.passphrase)
