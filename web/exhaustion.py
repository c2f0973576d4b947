"""What a process of the node has run out of, in the codes of protocol.md, section 9."""

import errno

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EIO})


def exhaustion_code(error: MemoryError | OSError) -> str | None:
    """``storage_full`` or ``busy`` (memory, open files, threads, a failing disk); None for any other fault."""
    if isinstance(error, MemoryError):
        return "busy"
    if error.errno in _FULL:
        return "storage_full"
    return "busy" if error.errno in _SCARCE else None
