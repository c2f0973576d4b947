"""Content lines of vCard and iCalendar (RFC 6350 and RFC 5545, both section 3): escaped, folded, CRLF."""

import re

LINE_BYTES = 75


def escaped(text: str) -> str:
    """A text value: backslash, comma, semicolon and line breaks do not end it."""
    return re.sub(r"([\\,;])", r"\\\1", text).replace("\r", "").replace("\n", "\\n")


def folded(line: str) -> bytes:
    """The line in UTF-8, continued on lines that begin with a space, never within a character."""
    pieces, current = [], b""
    for character in line:
        encoded = character.encode()
        if len(current) + len(encoded) > LINE_BYTES:
            pieces.append(current)
            current = b" "
        current += encoded
    return b"\r\n".join([*pieces, current]) + b"\r\n"
