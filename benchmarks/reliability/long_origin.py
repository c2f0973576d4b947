"""An origin whose log has a million tiny entries, made page by page into one file: quick to make, cheap to ask.

What is served from it are the bytes that the program's own code made, read from the file page by page, so that neither
making them nor keeping them is counted as the follower's work or memory.
"""

import datetime as dt
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.nodes import NOW, make_identity
from federation.checkpoint import make_checkpoint
from federation.entries import PAGE, Entry, encode_page, make_put
from federation.merkle import Frontier, leaf_hash
from federation.statements import make_configuration
from sync.transport import ENTITY_STATEMENT, JWT, NDJSON, PROBLEM, Response

ORIGIN = make_identity("ME")
HELD = 4 * PAGE
"""What the follower holds before the flood comes."""
LATER = NOW + dt.timedelta(hours=1)
_PLACE = struct.Struct(">QQ")
_SALT = bytes(16)


def make_origin(folder: Path, entries: int) -> None:
    """Write the pages of a log of so many entries, where each of them lies, and what is signed about it."""
    frontier, tokens = Frontier(), {"configuration": make_configuration(ORIGIN, now=NOW).token}
    with (folder / "pages").open("wb") as pages, (folder / "places").open("wb") as places:
        for start in range(0, entries, PAGE):
            page = list(_make_entries(start, min(start + PAGE, entries)))
            frontier = frontier.extend(leaf_hash(entry.header) for entry in page)
            body = encode_page(page)
            places.write(_PLACE.pack(pages.tell(), len(body)))
            pages.write(body)
            if frontier.size == HELD:
                tokens["held"] = make_checkpoint(ORIGIN, frontier.size, frontier.root(), NOW).token
    tokens["whole"] = make_checkpoint(ORIGIN, frontier.size, frontier.root(), LATER).token
    (folder / "tokens").write_text(json.dumps(tokens), encoding="ascii")


def _make_entries(start: int, end: int) -> Iterator[Entry]:
    for seq in range(start, end):
        yield make_put(seq, f"member/m-{seq}", {"name": f"D {seq}"}, NOW, _SALT)


@dataclass
class LongOrigin:
    """A ``PeerTransport`` that leads to such a file. ``shown`` names the checkpoint that is served."""

    folder: Path
    spool: Path
    shown: str = "held"
    spool_peak: int = 0
    """The most that lay in the follower's spool when a page was asked for, in bytes."""

    def get(self, url: str, **options: object) -> Response:
        """Answer as the origin does; of a gossip route it knows nothing."""
        parts, tokens = urlsplit(url), self._tokens()
        if parts.path.endswith("/openid-federation"):
            return _answer(ENTITY_STATEMENT, tokens["configuration"].encode())
        if parts.path.endswith("/ME/checkpoint"):
            return _answer(JWT, tokens[self.shown].encode())
        if parts.path.endswith("/ME/entries"):
            return _answer(NDJSON, self._page(int(parse_qs(parts.query)["start"][0])))
        return Response(404, PROBLEM, b"{}")

    def post(self, url: str, body: bytes, **options: Any) -> Response:  # noqa: ANN401
        """A pull posts nothing."""
        raise AssertionError(f"unexpected post to {url}")

    def stop(self) -> None:
        """Nothing is ever under way."""

    def _tokens(self) -> Mapping[str, str]:
        tokens: dict[str, str] = json.loads((self.folder / "tokens").read_text(encoding="ascii"))
        return tokens

    def _page(self, start: int) -> bytes:
        self.spool_peak = max(self.spool_peak, spooled(self.spool))
        with (self.folder / "places").open("rb") as places, (self.folder / "pages").open("rb") as pages:
            places.seek(start // PAGE * _PLACE.size)
            place, length = _PLACE.unpack(places.read(_PLACE.size))
            pages.seek(place)
            return pages.read(length)


def spooled(spool: Path) -> int:
    """What lies in the spool now, in bytes."""
    return sum(path.stat().st_size for path in spool.iterdir()) if spool.exists() else 0


def _answer(kind: str, body: bytes) -> Response:
    return Response(200, kind, body, wire_bytes=len(body))
