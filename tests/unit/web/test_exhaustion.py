"""What a process has run out of, as a problem code, a page's status and a command's one line."""

import errno

import pytest

from web.cli.failure import describe_failure
from web.exhaustion import exhaustion_code

CASES = [
    (MemoryError(), "busy"),
    (OSError(errno.EMFILE, "too many open files"), "busy"),
    (OSError(errno.EIO, "input/output error"), "busy"),
    (OSError(errno.ENOSPC, "no space left on device"), "storage_full"),
    (OSError(errno.EDQUOT, "disk quota exceeded"), "storage_full"),
    (OSError(errno.EFBIG, "file too large"), "storage_full"),
    (OSError(errno.ENOENT, "no such file"), None),
    (OSError("without a number"), None),
]


@pytest.mark.parametrize(("error", "code"), CASES, ids=repr)
def test_code(error: MemoryError | OSError, code: str | None) -> None:
    assert exhaustion_code(error) == code


@pytest.mark.parametrize(("error", "code"), [case for case in CASES if case[1]], ids=repr)
def test_a_command_says_it_in_one_line(error: Exception, code: str) -> None:
    found, detail, faults = describe_failure(error)
    assert (found, faults) == (code, ())
    assert detail
    assert "\n" not in detail
