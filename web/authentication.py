"""Who asks the API: a bearer token, and the roles that stand behind it (interface.md, section 3)."""

import datetime as dt

from flask import g, request

from web.accounts import Principal
from web.errors import ForbiddenError, UnauthenticatedError
from web.held import held


def admit_program() -> None:
    """Let a request in that carries a valid token: ``asking()`` and ``asked_at()`` answer from here on."""
    here = held()
    here.catch_up()
    now = here.clock()
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError("expected a bearer token; `veza user token` makes one")
    principal = here.principal(token.strip(), now)
    if principal is None:
        raise UnauthenticatedError("the token is unknown, expired or revoked")
    g.principal, g.now = principal, now


def asking() -> Principal:
    """Who asks."""
    principal: Principal = g.principal
    return principal


def asked_at() -> dt.datetime:
    """The one "now" of this request."""
    now: dt.datetime = g.now
    return now


def require(*roles: str) -> None:
    """Refuse whoever holds none of ``roles``."""
    if not asking().has(*roles):
        raise ForbiddenError(f"this needs one of the roles {', '.join(roles)}")
