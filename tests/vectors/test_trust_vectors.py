"""The program answers as the vectors of trust ask: keys, chains, standings, readers."""

import datetime as dt
from typing import Any

import pytest

from federation.checkpoint import Checkpoint, compare_checkpoint
from federation.encoding import b64url_decode
from federation.head import Head
from federation.keys import parse_jwks
from federation.merkle import Frontier
from federation.read_tokens import verify_read_token
from federation.trust import follow_chain
from tests.vectors.test_vectors import answer, cases, load, now_of


@pytest.mark.parametrize("item", cases("keys", "jwks"))
def test_keys(item: Any) -> None:
    assert answer(parse_jwks, item["jwks"]) == item["expect"]
    if "kids" in item:
        assert sorted(parse_jwks(item["jwks"])) == item["kids"]


@pytest.mark.parametrize("item", cases("chains", "chains"))
def test_chains(item: Any) -> None:
    vectors = load("chains")
    tokens = item["tokens"] if "tokens" in item else vectors["long"][slice(*item["slice"])]
    assert item["expect"] == answer(
        follow_chain,
        tokens,
        start=parse_jwks(item["pinned"]),
        held=None,
        entity_id=vectors["entity_id"],
        participant=vectors["participant"],
        now=now_of(vectors),
    )


@pytest.mark.parametrize("relayed", [False, True], ids=["origin", "relay"])
@pytest.mark.parametrize("item", cases("standings"))
def test_standings(item: Any, relayed: bool) -> None:
    held, offered = load("standings")["held"], item["offered"]

    def standing() -> str:
        return compare_checkpoint(_head(held), _checkpoint(offered), relayed=relayed)

    found = answer(standing)
    assert (standing() if found == "ok" else found) == item["from_a_relay" if relayed else "expect"]


def _head(held: Any) -> Head:
    return Head(
        "ME", False, held["size"], b64url_decode(held["root"]), Frontier(), None, _at(held["iat"]), None, None, None
    )


def _checkpoint(offered: Any) -> Checkpoint:
    at, root = _at(offered["iat"]), b64url_decode(offered["root"])
    return Checkpoint("ME", "https://spoc.example.me", offered["size"], root, at, at + dt.timedelta(days=2), "", "")


def _at(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


@pytest.mark.parametrize("item", cases("readers"))
def test_readers(item: Any) -> None:
    vectors = load("readers")
    known = {vectors["known"]["entity_id"]: parse_jwks(vectors["known"]["keys"])}
    assert item["expect"] == answer(verify_read_token, item["token"], vectors["entity_id"], known.get, now_of(vectors))
