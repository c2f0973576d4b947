"""The one place where a node is put together from its settings: for commands, the worker and the application."""

import sqlalchemy as sa

from directory.database import make_engine, reading
from federation.identity import ANCHOR_FILE, AnchorIdentity, load_anchor_identity
from federation.key_directory import KeyDirectory
from federation.listed_keys import ListedKeys, load_listed
from sync.client import HttpTransport
from sync.node import Node, NodeSettings
from web.config import Config


def open_node(config: Config, engine: sa.Engine | None = None) -> Node:
    """The node of ``config``, on ``engine`` where the caller has one already.

    Raises KeyFileError where keys are missing, unreadable or open to others, OSError where the passphrase is.
    """
    database = engine or make_engine(config.database)
    keys = open_keys(config, database)
    keys.check_readable()
    return Node(
        engine=database,
        load_identity=keys.load,
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


def open_keys(config: Config, engine: sa.Engine) -> KeyDirectory:
    """The node's key directory, with what the configuration stored in ``engine`` lists."""

    def load(known: ListedKeys | None) -> ListedKeys | None:
        with reading(engine) as session:
            return load_listed(session, config.participant, known)

    return KeyDirectory(config.keys_dir, config.participant, config.url, config.passphrase, load)


def read_anchor(config: Config) -> AnchorIdentity | None:
    """The anchor that this node runs beside itself, if the operator made it one."""
    if not (config.anchor_dir / ANCHOR_FILE).exists():
        return None
    return load_anchor_identity(config.anchor_dir, config.anchor_entity_id, config.passphrase)
