"""The worked examples of docs/protocol.md, made from the vectors, so that the page can never say anything else.

    python -m tests.vectors.protocol_examples      write them into the page

In the page each stands between ``<!-- example NAME -->`` and ``<!-- end -->``. Only the standard library is used, so
that the examples do not rest on the program.
"""

import base64
import hashlib
import json
import re
import textwrap
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "protocol.md"
_BLOCK = re.compile(r"<!-- example ([a-z-]+) -->\n.*?<!-- end -->", re.DOTALL)
_WIDTH = 118


def _load(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def _named(name: str, part: str, title: str) -> Any:
    return next(item for item in _load(name)[part] if item["name"] == title)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _WIDTH, break_on_hyphens=False))


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def _token(token: str) -> str:
    """Header and claims as they are signed, then the token."""
    head, body, _ = token.split(".")
    return f"header  {_unb64(head).decode()}\nclaims  {_unb64(body).decode()}\ntoken\n{_wrapped(token)}"


def _leaf(header: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + header).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def thumbprint() -> str:
    """A federation key, its name, and what two operators read to each other."""
    found = _load("fingerprints")["examples"][-1]
    canonical = json.dumps({name: found["jwk"][name] for name in ("crv", "kty", "x")}, separators=(",", ":"))
    rows = [" ".join(found["words"][start : start + 6]) for start in range(0, 24, 6)]
    return "\n".join(
        [
            f"key         {json.dumps(found['jwk'])}",
            f"hashed      {canonical}",
            f"SHA-256     {hashlib.sha256(canonical.encode()).hexdigest()}",
            f"thumbprint  {found['thumbprint']}",
            f"words       {rows[0]}",
            *[f"            {row}" for row in rows[1:]],
        ]
    )


def configuration() -> str:
    """A node's entity configuration."""
    token = _load("statements")["configuration"]
    head, body, _ = token.split(".")
    claims = _pretty(json.loads(_unb64(body)))
    return f"header  {_unb64(head).decode()}\nclaims, with spaces for reading\n{claims}\ntoken\n{_wrapped(token)}"


def checkpoint() -> str:
    """A checkpoint."""
    return _token(_named("checkpoints", "cases", "an honest checkpoint")["token"])


def entry() -> str:
    """A header, its payload and its leaf."""
    header = _named("pages", "headers", "a put")["header"]
    payload = _named("pages", "payloads", "a record")["payload"]
    digest = _b64(hashlib.sha256(payload.encode()).digest())
    return "\n".join(
        [
            f"payload  {payload}",
            f"digest   {digest}",
            f"header   {header}",
            f"leaf     {_b64(_leaf(header.encode()))}   (SHA-256 over 00 and the header's bytes)",
        ]
    )


def tree() -> str:
    """Three headers, the roots on the way, and the compact range of the three."""
    vectors = _load("merkle")
    headers = [text.encode() for text in vectors["headers"][:3]]
    leaves = [_leaf(header) for header in headers]
    pair = _node(leaves[0], leaves[1])
    roots = [hashlib.sha256(b"").digest(), leaves[0], pair, _node(pair, leaves[2])]
    assert [_b64(root) for root in roots] == vectors["roots"][:4]
    lines = [f"header {seq}  {header.decode()}" for seq, header in enumerate(headers)]
    lines += [f"leaf {seq}    {_b64(leaf)}" for seq, leaf in enumerate(leaves)]
    lines += [f"root of {size} {_b64(root)}" for size, root in enumerate(roots)]
    lines += [
        f"compact range of 3: [root of 2, leaf 2] = [{_b64(pair)},",
        f"                                         {_b64(leaves[2])}]",
    ]
    path = next(item for item in vectors["paths"] if (item["index"], item["size"]) == (2, 7))
    lines += [f"inclusion path of leaf 2 in the tree of 7: {json.dumps(path['path'])}"]
    return "\n".join(lines)


def page() -> str:
    """A page of two entries, the second a delete."""
    return str(_named("pages", "pages", "two entries")["body"]).rstrip("\n")


def read_token() -> str:
    """A read token."""
    return _token(_named("readers", "cases", "a reader that is known")["token"])


def message() -> str:
    """A message, and the receipt of whoever took it."""
    vectors = _load("receipts")
    receipt = _named("receipts", "cases", "for the first token")["token"]
    head, body, _ = vectors["sent"][0].split(".")
    claims = json.loads(_unb64(body))
    claims["body"]["configuration"] = claims["body"]["configuration"][:24] + "…"
    return "\n".join(
        [
            f"header  {_unb64(head).decode()}",
            f"claims  {json.dumps(claims, ensure_ascii=False, separators=(',', ':'))}",
            "        (the configuration is that of section 3, here cut short)",
            "message",
            _wrapped(vectors["sent"][0]),
            f"SHA-256 over those bytes: {_b64(hashlib.sha256(vectors['sent'][0].encode()).digest())}",
            "",
            "receipt",
            _token(receipt),
        ]
    )


def proposal() -> str:
    """A proposal to peer."""
    return _token(_named("peering", "cases", "a proposal")["token"])


def evidence() -> str:
    """Evidence of two histories."""
    return _pretty(_named("disputes", "evidence", "a rewritten history that grew")["evidence"])


EXAMPLES = {
    "thumbprint": thumbprint,
    "configuration": configuration,
    "checkpoint": checkpoint,
    "entry": entry,
    "tree": tree,
    "page": page,
    "read-token": read_token,
    "message": message,
    "proposal": proposal,
    "evidence": evidence,
}


def filled(text: str) -> str:
    """The page with every example as the vectors have it; KeyError for one that nobody makes."""

    def block(match: re.Match[str]) -> str:
        return f"<!-- example {match[1]} -->\n```text\n{EXAMPLES[match[1]]()}\n```\n<!-- end -->"

    return _BLOCK.sub(block, text)


def main() -> None:
    """Write the examples into the page."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
