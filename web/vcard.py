"""A unit as a vCard 4.0 (RFC 6350), for the address book of a telephone."""

from collections.abc import Iterator

from directory.store import Record
from web.content_lines import escaped, folded


def unit_card(record: Record) -> bytes:
    """The card of a unit's record: names, numbers, hours; CRLF lines of at most 75 bytes."""
    return b"".join(folded(line) for line in _lines(record))


def _lines(record: Record) -> Iterator[str]:
    data = record.data
    names = data["name"]
    endpoints = data.get("endpoints") or {}
    yield "BEGIN:VCARD"
    yield "VERSION:4.0"
    yield f"UID:urn:veza:{record.ref}"
    yield f"FN:{escaped(names.get('en') or next(iter(names.values())))}"
    for language, name in names.items():
        yield f"ORG;LANGUAGE={language}:{escaped(name)}"
    if endpoints.get("phone"):
        yield f"TEL;VALUE=uri;TYPE=work:tel:{endpoints['phone']}"
    if endpoints.get("email"):
        yield f"EMAIL;TYPE=work:{escaped(endpoints['email'])}"
    if data.get("timezone"):
        yield f"TZ:{escaped(data['timezone'])}"
    for language in data.get("languages", ()):
        yield f"LANG:{language}"
    yield f"NOTE:{escaped('Hours: ' + data['hours'])}"
    yield f"REV:{record.at:%Y%m%dT%H%M%SZ}"
    yield "END:VCARD"
