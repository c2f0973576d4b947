"""The application factory: one node as a web application, from its frozen settings."""

import datetime as dt
from collections.abc import Callable

from flask import Flask
from flask_login import current_user

from directory.database import BUSY_TIMEOUT_MS, answer_soon, prepare_connections
from directory.policy import load_policy
from web import federation_views, health_views, message_views, page_views, sign_in_views
from web.config import Config, host_of, path_of
from web.extensions import csrf, db
from web.headers import protect
from web.held import EXTENSION, Held
from web.mounting import Mounted
from web.node import open_node
from web.openapi import register_api
from web.problem import register_problem_handlers
from web.schema import check_version
from web.secret_file import load_secret
from web.sessions import SESSION_LIFETIME, register_sessions

LARGEST_BODY = 256 * 1024


def utc_now() -> dt.datetime:
    """The present instant."""
    return dt.datetime.now(dt.UTC)


def create_app(config: Config, clock: Callable[[], dt.datetime] = utc_now) -> Flask:
    """The node of ``config`` as an application.

    Raises ConfigError, NotMigratedError, DatabaseNewerError or KeyFileError where the node cannot be served.
    """
    app = Flask("web")
    secret = load_secret(config.secret_file)
    app.config.from_mapping(_settings(config), SECRET_KEY=secret)
    register_problem_handlers(app)
    protect(app, config)
    _open_database(app, config, secret, clock)
    csrf.init_app(app)
    register_sessions(app)
    register_api(app)
    _register_views(app, config)
    if path_of(config.url):
        app.wsgi_app = Mounted(app.wsgi_app, path_of(config.url))  # type: ignore[method-assign]
    return app


def _settings(config: Config) -> dict[str, object]:
    name = f"veza-{config.participant.lower()}-{host_of(config.url).replace(':', '-')}"
    return {
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
        "WTF_CSRF_TIME_LIMIT": None,  # a form lives as long as its session
    }


def _engine_options(url: str) -> dict[str, object]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": BUSY_TIMEOUT_MS / 1000}}
    return {"pool_pre_ping": True, "isolation_level": "READ COMMITTED"}


def _trusted_hosts(config: Config) -> list[str]:
    own = host_of(config.url).partition(":")[0]
    return [own, "localhost", "127.0.0.1"] if config.insecure_urls else [own]


def _open_database(app: Flask, config: Config, secret: bytes, clock: Callable[[], dt.datetime]) -> None:
    """One engine per process: Flask-SQLAlchemy's, shared with the node's own work."""
    db.init_app(app)
    with app.app_context():
        prepare_connections(db.engine)
        answer_soon(db.engine)
        check_version(db.engine)
        app.extensions[EXTENSION] = Held(
            config, open_node(config, db.engine), load_policy(config.policy), secret, clock
        )


def _register_views(app: Flask, config: Config) -> None:
    app.register_blueprint(federation_views.blueprint)
    app.register_blueprint(message_views.blueprint)
    app.register_blueprint(health_views.blueprint)
    app.register_blueprint(sign_in_views.blueprint)
    app.register_blueprint(page_views.blueprint)
    csrf.exempt(federation_views.blueprint)  # nodes sign what they post; there is no cookie to ride on
    csrf.exempt(message_views.blueprint)

    @app.context_processor
    def name_node() -> dict[str, object]:
        """What every page shows: whose node this is, and who is signed in."""
        return {"node": config, "user": current_user if current_user.is_authenticated else None}
