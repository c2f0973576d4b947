"""What can be wrong with what nodes say. Every error carries its problem code (protocol.md, section 9).

The kinds are split by who is at fault and who must act; the code says which rule was broken.
"""


class FederationError(Exception):
    """Root of this package's errors."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class TokenError(FederationError):
    """A signed statement was refused (protocol.md, section 2): its sender must correct it."""


class TrustError(FederationError):
    """A node is not trusted for what it claims (section 3): its operator or the anchor must act."""


class EntryError(FederationError):
    """An entry or page is not what its log says (sections 4 and 6): another source may be asked."""


class LogIntegrityError(FederationError):
    """A log contradicts what is held (section 5: ``rollback``, ``fork``, ``root_mismatch``): never retried blindly."""


class ConcurrentAppendError(FederationError):
    """Another writer moved the head first (compare-and-swap lost): the caller may read again and retry."""

    def __init__(self, detail: str) -> None:
        super().__init__("conflict", detail)


class NotHeldError(FederationError):
    """This node holds no such log, record or page."""

    def __init__(self, detail: str, code: str = "not_found") -> None:
        super().__init__(code, detail)


class MessageError(FederationError):
    """A message that its sender did sign cannot be taken as it is (section 8): the code says what must change."""


class KeyFileError(FederationError):
    """A key file is missing, unreadable or open to others: the operator must act."""

    def __init__(self, detail: str) -> None:
        super().__init__("malformed", detail)


class ClockError(FederationError):
    """This node's clock cannot be right (section 5, *Clock*): it signs nothing until the operator has looked at it."""

    def __init__(self, detail: str) -> None:
        super().__init__("clock_implausible", detail)
