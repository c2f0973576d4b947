"""Log entries and the pages they travel in: exact bytes, checked form (protocol.md, sections 4 and 6).

A header and its payload are kept, hashed and passed on as the bytes the origin wrote. Reading a page checks only the
form of its lines and the limits; what a header or payload *says* is the origin's own matter and is judged when the
entry is projected, so that one bad record poisons nothing else.
"""

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

import orjson

from directory.instants import format_instant, parse_instant
from federation.encoding import MAX_INTEGER, b64url_decode, b64url_encode, dump_json, parse_json
from federation.errors import EntryError, FederationError

PAGE = 256
"""Entries per page: a page ends at the next multiple, or at the log's size."""
MAX_HEADER_BYTES = 1024
MAX_PAYLOAD_BYTES = 64 * 1024
MAX_PAGE_BYTES = 40 * 1024 * 1024
SALT_BYTES = 16

RECORD = re.compile(r"[a-z]{1,20}/[a-z0-9][a-z0-9-]{0,62}")
_OP = re.compile(r"[a-z]{1,20}")
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_OWN_FORM = re.compile(
    rb'\{"seq":(0|[1-9][0-9]{0,14}),"record":"([a-z]{1,20}/[a-z0-9][a-z0-9-]{0,62})","op":"(?:(put)|delete)",'
    rb'"at":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)"'
    rb'(?(3),"digest":"([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])")\}'
)
"""The header as this program writes it: read by one match; every other form goes through the strict reading."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as its exact bytes; the payload is None for a delete, or where it was erased."""

    header: bytes
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class Header:
    """What a well-formed header says. ``op`` is ``put``, ``delete``, or a word of a newer version."""

    seq: int
    record: str
    op: str
    at: dt.datetime
    digest: bytes | None


def make_put(seq: int, record: str, data: Mapping[str, Any], at: dt.datetime, salt: bytes | None = None) -> Entry:
    """An entry that creates or replaces a record; the random salt keeps an erased payload from being guessed.

    Raises EntryError ``too_large`` where the payload exceeds 64 KiB.
    """
    salted = {"salt": b64url_encode(salt or secrets.token_bytes(SALT_BYTES)), "data": data}
    payload = dump_json(salted)
    digest = b64url_encode(payload_digest(payload))
    header = f'{{"seq":{seq},"record":"{record}","op":"put","at":"{format_instant(at)}","digest":"{digest}"}}'
    entry = Entry(header.encode("ascii"), payload)
    _check_limits(entry, f"{record}: ")
    return entry


def make_delete(seq: int, record: str, at: dt.datetime) -> Entry:
    """An entry that removes a record."""
    header = f'{{"seq":{seq},"record":"{record}","op":"delete","at":"{format_instant(at)}"}}'
    return Entry(header.encode("ascii"), None)


def payload_digest(payload: bytes) -> bytes:
    """SHA-256 of the payload's exact bytes."""
    return hashlib.sha256(payload).digest()


def parse_header(header: bytes) -> Header:
    """Read a header; EntryError ``bad_entry`` where it is not of section 4's form."""
    own = _OWN_FORM.fullmatch(header)
    if own is not None:
        seq, record, put, at, digest = own.groups()
        instant = _instant(at.decode("ascii"))
        if put is None:
            return Header(int(seq), record.decode("ascii"), "delete", instant, None)
        return Header(int(seq), record.decode("ascii"), "put", instant, b64url_decode(digest.decode("ascii")))
    return _parse_other_form(header)


def _parse_other_form(header: bytes) -> Header:
    value = _read_object(header, "entry header")
    _check_members(value)
    seq, record, op = value["seq"], value["record"], value["op"]
    if type(seq) is not int or not 0 <= seq < MAX_INTEGER:
        raise _bad(f"expected seq to be an integer from 0 below 2^53, found {seq!r}")
    if not isinstance(record, str) or not RECORD.fullmatch(record):
        raise _bad(f"expected record to be type/slug, found {record!r}")
    digest = _digest(value["digest"]) if "digest" in value else None
    return Header(seq, record, op, _instant(value["at"]), digest)


def _check_members(value: Mapping[str, Any]) -> None:
    """A put has a digest, a delete has none; a word of a newer version may have one."""
    op = value.get("op")
    if not isinstance(op, str) or not _OP.fullmatch(op):
        raise _bad(f"expected op to be put or delete, found {op!r}")
    plain = {"seq", "record", "op", "at"}
    allowed = {"put": [plain | {"digest"}], "delete": [plain]}.get(op, [plain, plain | {"digest"}])
    if value.keys() not in allowed:
        raise _bad(f"expected a header of exactly {', '.join(sorted(allowed[0]))}, found {sorted(value)}")


def _instant(at: object) -> dt.datetime:
    if not isinstance(at, str) or not _AT.fullmatch(at):
        raise _bad(f"expected at as 2026-11-21T20:00:00Z, found {at!r}")
    try:
        return parse_instant(at)
    except ValueError as error:
        raise _bad(f"expected at to be an instant, found {at!r}") from error


def _digest(text: object) -> bytes:
    try:
        digest = b64url_decode(text) if isinstance(text, str) else b""
    except FederationError as error:
        raise _bad(f"digest: {error.detail}") from error
    if len(digest) != hashlib.sha256().digest_size:
        raise _bad("expected digest to be 32 bytes of base64url")
    return digest


def _read_object(data: bytes, what: str) -> dict[str, Any]:
    if b"\n" in data or b"\r" in data:
        raise _bad(f"expected {what} without line breaks")
    try:
        value = parse_json(data, what)
    except FederationError as error:
        raise _bad(error.detail) from error
    if not isinstance(value, dict):
        raise _bad(f"expected {what} to be an object")
    return value


def _bad(detail: str) -> EntryError:
    return EntryError("bad_entry", detail[:400])


def parse_payload(payload: bytes) -> dict[str, Any]:
    """The record that a payload carries; EntryError ``bad_entry`` where it is not of section 4's form."""
    value = _read_object(payload, "payload")
    salt, data = value.get("salt"), value.get("data")
    if len(value) != 2 or not isinstance(data, dict) or not isinstance(salt, str):
        raise _bad("expected a payload of exactly salt (a text) and data (an object)")
    try:
        length = len(b64url_decode(salt))
    except FederationError as error:
        raise _bad(f"salt: {error.detail}") from error
    if length != SALT_BYTES:
        raise _bad(f"expected a salt of {SALT_BYTES} bytes, found {length}")
    return data


def covered_digest(header: bytes) -> bytes | None:
    """The digest by which a header covers a payload, also where the header breaks other rules; else None."""
    try:
        return parse_header(header).digest
    except EntryError:
        pass
    try:
        return _digest(_read_object(header, "entry header").get("digest"))
    except EntryError:
        return None


def check_payload(entry: Entry) -> None:
    """Check (3) of section 6: EntryError ``bad_digest`` where a payload is not the one that its header covers."""
    if entry.payload is not None and payload_digest(entry.payload) != covered_digest(entry.header):
        raise EntryError("bad_digest", f"the payload is not the one that the header covers: {entry.header[:200]!r}")


def page_end(start: int, size: int) -> int:
    """Where the page that begins at ``start`` ends: the next multiple of 256, or ``size`` if that comes first."""
    return min((start // PAGE + 1) * PAGE, size)


def encode_page(entries: Iterable[Entry]) -> bytes:
    """A page as it travels: per line a JSON array of header and payload (or null), escaping only what JSON requires.

    A payload that follows the rules is UTF-8; UnicodeDecodeError for bytes that could not have been accepted.
    """
    lines = []
    for entry in entries:
        payload = "null" if entry.payload is None else encode_basestring(entry.payload.decode("utf-8"))
        lines.append(f"[{encode_basestring(entry.header.decode('utf-8'))},{payload}]\n")
    return "".join(lines).encode("utf-8")


def decode_page(body: bytes, count: int, most: int = PAGE) -> list[Entry]:
    """The first ``count`` entries of a page; lines beyond the checkpoint's size are ignored.

    ``most`` is the number of lines the page can hold at all. Raises EntryError in the order of section 6:
    ``bad_range`` for too few or too many lines, ``bad_entry`` for a line of another form, ``too_large`` beyond the
    limits of section 4.
    """
    if len(body) > MAX_PAGE_BYTES:
        raise EntryError("too_large", f"expected a page of at most {MAX_PAGE_BYTES} bytes, found {len(body)}")
    lines = body.split(b"\n", most + 1)
    if lines[-1] == b"":
        lines.pop()
    if not count <= len(lines) <= most:
        raise EntryError("bad_range", f"expected {count} to {most} lines, found {len(lines)}")
    entries = [_decode_line(line, number) for number, line in enumerate(lines[:count])]
    for number, entry in enumerate(entries):
        _check_limits(entry, f"line {number + 1}: ")
    return entries


def _decode_line(line: bytes, number: int) -> Entry:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _bad(f"line {number + 1}: expected JSON: {error}") from error
    match value:
        case [str(header), str(payload)]:
            return Entry(header.encode("utf-8"), payload.encode("utf-8"))
        case [str(header), None]:
            return Entry(header.encode("utf-8"), None)
    raise _bad(f"line {number + 1}: expected an array of a header and a payload or null")


def _check_limits(entry: Entry, place: str) -> None:
    if len(entry.header) > MAX_HEADER_BYTES:
        raise EntryError("too_large", f"{place}expected a header of at most 1 KiB, found {len(entry.header)} bytes")
    if entry.payload is not None and len(entry.payload) > MAX_PAYLOAD_BYTES:
        raise EntryError("too_large", f"{place}expected a payload of at most 64 KiB, found {len(entry.payload)} bytes")
