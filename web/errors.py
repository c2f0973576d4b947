"""What can be wrong at the node's door: its settings, its database, who asks, and what the request promises.

Every error carries a problem ``code`` (protocol.md, section 9) and a ``detail`` that an operator can act on.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType


class WebError(Exception):
    """Root of this package's errors."""

    code = "bad_request"
    status: int | None = None
    """The HTTP status where it is not the usual one of the code."""
    members: Mapping[str, object] = MappingProxyType({})
    """Further members of the problem object."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ConfigError(WebError):
    """Settings are missing or wrong; all of them are named at once. The operator must correct them."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


class DatabaseNewerError(WebError):
    """A newer version of the program wrote the database: this one must not touch it."""

    code = "unsupported_version"


class NotMigratedError(WebError):
    """The database lacks tables or columns of this version: the operator must run ``veza migrate``."""

    code = "unsupported_version"


class AccountError(WebError):
    """An account cannot be made or changed as asked: the giver must correct it."""


class TooLargeError(WebError):
    """A file holds more than the node takes in at once: the giver must split it."""

    code = "too_large"


class UnknownUserError(WebError):
    """There is no such account."""

    code = "not_found"


class UnauthenticatedError(WebError):
    """Nobody, or nobody known, asks: a valid token or sign-in is needed."""

    code = "unauthenticated"


class ForbiddenError(WebError):
    """Who asks is known and must not do this."""

    code = "forbidden"


class PreconditionRequiredError(WebError):
    """A change must name the version it was made from (``If-Match``)."""

    code = "precondition_required"


class RateLimitedError(WebError):
    """Too many tries; the answer says after how many seconds the next one counts."""

    code = "rate_limited"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ReadTokenError(WebError):
    """A reader's token was refused: always 401, with the code of the check that failed (protocol.md, section 6)."""

    status = 401

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class ChangedMeanwhileError(WebError):
    """Somebody saved first; ``current`` is the record as it stands now, None where it was deleted."""

    code = "stale_version"

    def __init__(self, detail: str, current: Mapping[str, object] | None) -> None:
        super().__init__(detail)
        self.members = {"current": current}
