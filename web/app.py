"""The application factory: one node as a web application, from its frozen settings."""

import datetime as dt
from collections.abc import Callable

from flask import Flask

from directory.database import BUSY_TIMEOUT_MS, prepare_sqlite
from directory.policy import load_policy
from web.config import Config, host_of
from web.extensions import csrf, db
from web.headers import protect
from web.held import EXTENSION, Held
from web.node import open_node
from web.problem import register_problem_handlers
from web.schema import check_version
from web.secret_file import load_secret

LARGEST_BODY = 256 * 1024
SESSION_LIFETIME = dt.timedelta(hours=12)


def utc_now() -> dt.datetime:
    """The present instant."""
    return dt.datetime.now(dt.UTC)


def create_app(config: Config, clock: Callable[[], dt.datetime] = utc_now) -> Flask:
    """The node of ``config`` as an application.

    Raises ConfigError, NotMigratedError or DatabaseNewerError where the node cannot be served.
    """
    app = Flask("web", static_url_path="/static")
    app.config.from_mapping(_settings(config))
    register_problem_handlers(app)
    protect(app, config)
    _open_database(app, config, clock)
    csrf.init_app(app)
    return app


def _settings(config: Config) -> dict[str, object]:
    name = f"veza-{config.participant.lower()}-{host_of(config.url).replace(':', '-')}"
    return {
        "SECRET_KEY": load_secret(config.secret_file),
        "SQLALCHEMY_DATABASE_URI": config.database,
        "SQLALCHEMY_ENGINE_OPTIONS": _engine_options(config.database),
        "TRUSTED_HOSTS": _trusted_hosts(config),
        "MAX_CONTENT_LENGTH": LARGEST_BODY,
        "MAX_FORM_MEMORY_SIZE": LARGEST_BODY,
        "MAX_FORM_PARTS": 200,
        "SESSION_COOKIE_NAME": name,  # cookies ignore ports: two nodes on one host must not share one
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": not config.insecure_urls,
        "PERMANENT_SESSION_LIFETIME": SESSION_LIFETIME,
    }


def _engine_options(url: str) -> dict[str, object]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": BUSY_TIMEOUT_MS / 1000}}
    return {"pool_pre_ping": True, "isolation_level": "READ COMMITTED"}


def _trusted_hosts(config: Config) -> list[str]:
    own = host_of(config.url).partition(":")[0]
    return [own, "localhost", "127.0.0.1"] if config.insecure_urls else [own]


def _open_database(app: Flask, config: Config, clock: Callable[[], dt.datetime]) -> None:
    """One engine per process: Flask-SQLAlchemy's, shared with the node's own work."""
    db.init_app(app)
    with app.app_context():
        prepare_sqlite(db.engine)
        check_version(db.engine)
        app.extensions[EXTENSION] = Held(config, open_node(config, db.engine), load_policy(config.policy), clock)
