"""Who is signed in on the pages: Flask-Login over our own table, so that a session dies with its row."""

import datetime as dt

from flask import Flask, Request, Response, redirect, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_login import UserMixin, current_user, login_user, logout_user

from web.accounts import Principal, authenticate, close_session, open_session, principal_of_session
from web.errors import UnauthenticatedError
from web.extensions import db, login_manager
from web.held import held
from web.problem import is_for_machines
from web.sign_in import Attempt, count_attempt, forgive_attempt
from web.transactions import writing_session

SESSION_LIFETIME = dt.timedelta(hours=12)


class PageSessions(SecureCookieSessionInterface):
    """Cookies for pages alone: what machines ask neither reads nor sets one, and does not pay for it."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of a page; an empty one for machines."""
        return self.session_class() if is_for_machines(request) else super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the cookie of a page."""
        if not is_for_machines(request):
            super().save_session(app, session, response)


class SignedIn(UserMixin):  # type: ignore[misc]  # untyped library
    """A user of the pages; its id is the session's secret, which only this browser holds."""

    def __init__(self, secret: str, principal: Principal) -> None:
        self.secret = secret
        self.principal = principal

    @property
    def name(self) -> str:
        """The account's name."""
        return self.principal.name

    def get_id(self) -> str:
        """What the cookie carries."""
        return self.secret


def register_sessions(app: Flask) -> None:
    """Let Flask-Login find users by our table, and send strangers to the sign-in page."""
    app.session_interface = PageSessions()
    login_manager.session_protection = None  # addresses change on the move; the secret is what counts
    login_manager.user_loader(_load)
    login_manager.unauthorized_handler(_send_to_sign_in)
    login_manager.init_app(app)


def enter(attempt: Attempt, password: str) -> Principal:
    """Sign in; UnauthenticatedError or RateLimitedError in equal words whatever was wrong."""
    now = held().clock()
    with writing_session() as database:
        number = count_attempt(database, attempt, now)
    principal = authenticate(db.session(), attempt.name, password)  # slow on purpose, so outside any write lock
    with writing_session() as database:
        forgive_attempt(database, number)
        secret = open_session(database, principal.name, SESSION_LIFETIME, now)
    session.clear()  # nothing of the stranger's session lives on
    session.permanent = True
    login_user(SignedIn(secret, principal))
    return principal


def leave() -> None:
    """Sign out: the row goes first, so that a copy of the cookie is worth nothing."""
    if current_user.is_authenticated:
        with writing_session() as database:
            close_session(database, current_user.secret)
    logout_user()
    session.clear()


def _load(secret: str) -> SignedIn | None:
    principal = principal_of_session(db.session(), secret, held().clock())
    return None if principal is None else SignedIn(secret, principal)


def _send_to_sign_in() -> Response:
    if request.headers.get("Sec-Fetch-Dest") == "empty" or request.method != "GET":
        raise UnauthenticatedError("you are signed out; sign in again")
    target = request.full_path if request.query_string else request.path
    return redirect(url_for("sign_in.show", next=target if target != "/" else None))  # type: ignore[return-value]
