"""The program answers as the vectors ask, and the generator reproduces them."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from federation.checkpoint import verify_checkpoint
from federation.encoding import b64url_decode, b64url_encode
from federation.entries import check_payload, decode_page, parse_header, parse_payload
from federation.errors import FederationError
from federation.keys import parse_jwks
from federation.merkle import Frontier, inclusion_path, leaf_hash, verify_inclusion
from federation.signing import MESSAGE, READ_TOKEN, RECEIPT, parse_token, verify_token
from federation.statements import verify_configuration
from federation.trust import follow_chain, resolve_under_anchor
from tests.vectors.make_vectors import FILES, render

HERE = Path(__file__).parent
KINDS = {"read": READ_TOKEN, "message": MESSAGE, "receipt": RECEIPT}


def load(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def cases(name: str, part: str = "cases") -> list[Any]:
    return [pytest.param(item, id=f"{item.get('kind', '')} {item['name']}".strip()) for item in load(name)[part]]


def now_of(vectors: Any) -> dt.datetime:
    return dt.datetime.fromtimestamp(vectors["now"], dt.UTC)


def answer(function: Any, *arguments: Any, **options: Any) -> str:
    """``ok``, or the problem code."""
    try:
        function(*arguments, **options)
    except FederationError as error:
        return error.code
    return "ok"


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_generator_reproduces_the_vectors(name: str) -> None:
    assert (HERE / name).read_text(encoding="utf-8") == render(name)


@pytest.mark.parametrize("item", cases("checkpoints"))
def test_checkpoints(item: Any) -> None:
    vectors = load("checkpoints")
    assert item["expect"] == answer(
        verify_checkpoint,
        item["token"],
        entity_id=vectors["entity_id"],
        participant=vectors["participant"],
        keys=parse_jwks(vectors["keys"]),
        now=now_of(vectors),
        relayed=item.get("relayed", False),
    )


@pytest.mark.parametrize("item", cases("tokens"))
def test_tokens(item: Any) -> None:
    vectors = load("tokens")

    def check() -> None:
        parsed = parse_token(item["token"], KINDS[item["kind"]])
        keys, issuer, audience = parse_jwks(vectors["keys"]), vectors["issuer"], vectors["audience"]
        verify_token(parsed, keys, now_of(vectors), issuer=issuer, audience=audience)

    assert answer(check) == item["expect"]


@pytest.mark.parametrize("item", cases("statements", "configurations"))
def test_configurations(item: Any) -> None:
    vectors = load("statements")
    assert item["expect"] == answer(
        verify_configuration,
        item["token"],
        keys=parse_jwks(vectors["federation_keys"]),
        now=now_of(vectors),
        entity_id=vectors["entity_id"],
        participant=vectors["participant"],
    )


@pytest.mark.parametrize("item", cases("statements", "statements"))
def test_an_anchors_words(item: Any) -> None:
    vectors = load("statements")
    assert item["expect"] == answer(
        resolve_under_anchor,
        anchor_id=vectors["anchor"]["entity_id"],
        anchor_keys=parse_jwks(vectors["anchor"]["keys"], anchor=True),
        statement=item["token"],
        configuration=vectors["configuration"],
        entity_id=vectors["entity_id"],
        now=now_of(vectors),
    )


@pytest.mark.parametrize("item", cases("statements", "chains"))
def test_chains(item: Any) -> None:
    vectors = load("statements")
    options = {
        "start": parse_jwks(vectors["federation_keys"]),
        "held": None,
        "entity_id": vectors["entity_id"],
        "participant": vectors["participant"],
        "now": now_of(vectors),
    }
    assert answer(follow_chain, item["tokens"], **options) == item["expect"]
    if item["expect"] == "ok":
        assert item["last"] in follow_chain(item["tokens"], **options)[-1].federation_keys


def test_trees() -> None:
    vectors = load("merkle")
    leaves = [leaf_hash(header.encode()) for header in vectors["headers"]]
    assert [b64url_encode(leaf) for leaf in leaves] == vectors["leaves"]
    frontier = Frontier()
    for size, root in enumerate(vectors["roots"]):
        assert b64url_encode(frontier.root()) == root
        frontier = frontier.extend(leaves[size : size + 1])
    for proof in vectors["paths"]:
        index, size, path = proof["index"], proof["size"], [b64url_decode(node) for node in proof["path"]]
        assert inclusion_path(leaves[:size], index) == path
        verify_inclusion(leaves[index], index, size, path, b64url_decode(vectors["roots"][size]))


@pytest.mark.parametrize("item", cases("pages", "pages"))
def test_pages(item: Any) -> None:
    def check() -> None:
        for entry in decode_page(item["body"].encode(), item["count"]):
            check_payload(entry)

    assert answer(check) == item["expect"]


@pytest.mark.parametrize("item", cases("pages", "headers"))
def test_headers(item: Any) -> None:
    assert answer(parse_header, item["header"].encode()) == item["expect"]


@pytest.mark.parametrize("item", cases("pages", "payloads"))
def test_payloads(item: Any) -> None:
    assert answer(parse_payload, item["payload"].encode()) == item["expect"]


def test_most_vectors_are_refusals() -> None:
    parts = [part for name in FILES for part in load(name.removesuffix(".json")).values() if isinstance(part, list)]
    asked = [item["expect"] for part in parts for item in part if "expect" in item]
    assert sum(code != "ok" for code in asked) > len(asked) / 2
