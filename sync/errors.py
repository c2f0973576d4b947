"""What can go wrong between this node and another. Codes are those of protocol.md, section 9."""


class SyncError(Exception):
    """Root of this package's errors."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class PeerError(SyncError):
    """Another node did not give what was asked of it: what it gave, or why it gave nothing, is in the code."""


class PeerUnreachableError(PeerError):
    """No answer (``unreachable``, ``timeout``): retried with growing pauses."""


class PeerResponseError(PeerError):
    """An answer that cannot be used (``bad_response``, ``too_large``, ``redirect_refused``, ``bad_range`` …)."""


class PeerRefusalError(PeerError):
    """The other node answered with a problem; ``status`` is its HTTP status, ``code`` the problem code it gave."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.status = status


class InsecureUrlError(PeerError):
    """An address that this node must not dial (``insecure_url``)."""

    def __init__(self, detail: str) -> None:
        super().__init__("insecure_url", detail)


class LeaseLostError(SyncError):
    """Another process leads the scheduled work now: what was begun must not be written."""

    def __init__(self, detail: str) -> None:
        super().__init__("conflict", detail)


class StorageError(SyncError):
    """This node could not write (``busy``, ``storage_full``): tried again later."""


class ElsewhereError(SyncError):
    """This node runs elsewhere too, from a copied data directory: the operator must stop one of the two."""

    def __init__(self, detail: str) -> None:
        super().__init__("conflict", f"{detail}; stop one of the two, and give a second node a directory of its own")


class RunLimitError(SyncError):
    """A run fetched as much as one run may; what it fetched is kept, and the next run goes on from there."""

    def __init__(self, detail: str) -> None:
        super().__init__("too_large", detail)


class StoppedError(SyncError):
    """This process was asked to stop: what was under way is given up and done again at the next start."""

    def __init__(self, detail: str) -> None:
        super().__init__("unreachable", detail)
