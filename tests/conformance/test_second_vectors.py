"""The second node answers as the vectors ask: what the text says, and not only what the product does."""

from pathlib import Path
from typing import Any

import mnemonic
import pytest

from tests.conformance import second_node as node
from tests.vectors.test_vectors import cases, load

WORDS = (Path(mnemonic.__file__).parent / "wordlist" / "english.txt").read_bytes()


def answer(function: Any, *arguments: Any, **options: Any) -> str:
    """``ok``, or the problem code."""
    try:
        function(*arguments, **options)
    except node.Refusal as refusal:
        return refusal.code
    return "ok"


def keys_of(jwks: Any, **options: Any) -> dict[str, node.Json]:
    return node.public_keys(jwks, "keys", **options)


def fits(found: str, expected: str) -> bool:
    return found == expected or (expected == "refused" and found != "ok")


@pytest.mark.parametrize("item", cases("checkpoints"))
def test_checkpoints(item: Any) -> None:
    vectors = load("checkpoints")

    def verify() -> None:
        token = node.parse(item["token"], node.CHECKPOINT)
        node.check_party(token, vectors["entity_id"], vectors["participant"])
        node.check_signature(token, keys_of(vectors["keys"]))
        node.check_times(token, vectors["now"], expiry=not item.get("relayed", False))

    assert answer(verify) == item["expect"]


KINDS = {"read": node.READ, "message": node.MESSAGE, "receipt": node.RECEIPT}


def verify_token(vectors: Any, raw: str, kind: node.Kind) -> node.Token:
    token = node.parse(raw, kind)
    node.check_party(token, vectors["issuer"])
    node.check_signature(token, keys_of(vectors["keys"]))
    node.check_audience(token, vectors["audience"])
    return token


@pytest.mark.parametrize("item", cases("tokens"))
def test_tokens(item: Any) -> None:
    vectors = load("tokens")

    def verify() -> None:
        node.check_times(verify_token(vectors, item["token"], KINDS[item["kind"]]), vectors["now"])

    assert answer(verify) == item["expect"]


@pytest.mark.parametrize("item", cases("statements", "configurations"))
def test_configurations(item: Any) -> None:
    vectors = load("statements")
    found = answer(
        node.read_configuration,
        item["token"],
        keys_of(vectors["federation_keys"]),
        now=vectors["now"],
        url=vectors["entity_id"],
        participant=vectors["participant"],
    )
    assert found == item["expect"]


@pytest.mark.parametrize("item", cases("statements", "statements"))
def test_an_anchors_words(item: Any) -> None:
    vectors = load("statements")

    def verify() -> None:
        keys = keys_of(vectors["anchor"]["keys"], anchor=True)
        token = node.read_statement(
            item["token"], keys, iss=vectors["anchor"]["entity_id"], sub=vectors["entity_id"], now=vectors["now"]
        )
        node.read_configuration(
            vectors["configuration"],
            keys_of(token.claims["jwks"]),
            now=vectors["now"],
            url=vectors["entity_id"],
            participant=node.metadata_of(token, "veza_node")["participant"],
        )

    assert answer(verify) == item["expect"]


def follow(vectors: Any, tokens: Any, pinned: Any) -> str:
    named = {"url": vectors["entity_id"], "participant": vectors["participant"]}
    return answer(node.follow_chain, tokens, keys_of(pinned), now=vectors["now"], **named)


@pytest.mark.parametrize("item", cases("statements", "chains"))
def test_short_chains(item: Any) -> None:
    vectors = load("statements")
    assert follow(vectors, item["tokens"], vectors["federation_keys"]) == item["expect"]


@pytest.mark.parametrize("item", cases("chains", "chains"))
def test_chains(item: Any) -> None:
    vectors = load("chains")
    tokens = item["tokens"] if "tokens" in item else vectors["long"][slice(*item["slice"])]
    assert follow(vectors, tokens, item["pinned"]) == item["expect"]


@pytest.mark.parametrize("item", cases("keys", "jwks"))
def test_keys(item: Any) -> None:
    assert answer(keys_of, item["jwks"]) == item["expect"]
    if "kids" in item:
        assert sorted(keys_of(item["jwks"])) == item["kids"]


@pytest.mark.parametrize("item", load("fingerprints")["examples"], ids=lambda item: item["hex"][:8])
def test_fingerprints(item: Any) -> None:
    assert node.hashlib.sha256(WORDS).hexdigest() == load("fingerprints")["words_sha256"]
    assert node.fingerprint_words(item["thumbprint"], WORDS.decode().split()) == item["words"]
    if "jwk" in item:
        assert node.thumbprint(item["jwk"]) == item["thumbprint"]


@pytest.mark.parametrize("relayed", [False, True], ids=["origin", "relay"])
@pytest.mark.parametrize("item", cases("standings"))
def test_standings(item: Any, relayed: bool) -> None:
    held = load("standings")["held"]
    assert node.standing(held, item["offered"], relayed=relayed) == item["from_a_relay" if relayed else "expect"]


def test_trees() -> None:
    vectors = load("merkle")
    headers = [text.encode() for text in vectors["headers"]]
    assert [node.b64(node.leaf_hash(header)) for header in headers] == vectors["leaves"]
    assert [node.b64(node.merkle_root(headers[:size])) for size in range(len(headers) + 1)] == vectors["roots"]
    for proof in vectors["paths"]:
        index, size, path = proof["index"], proof["size"], [node.unb64(step) for step in proof["path"]]
        assert node.inclusion_path(headers[:size], index) == path
        root = node.proven_root(node.leaf_hash(headers[index]), index, size, path)
        assert node.b64(root) == vectors["roots"][size]


@pytest.mark.parametrize("item", cases("pages", "pages"))
def test_pages(item: Any) -> None:
    def read() -> None:
        entries = node.read_page(item["body"].encode(), item["count"], node.PAGE, 0)
        node.check_digests([header for header, _ in entries], [payload for _, payload in entries])

    assert answer(read) == item["expect"]


@pytest.mark.parametrize("item", cases("pages", "headers"))
def test_headers(item: Any) -> None:
    assert answer(node.read_header, item["header"].encode()) == item["expect"]


@pytest.mark.parametrize("item", cases("pages", "payloads"))
def test_payloads(item: Any) -> None:
    assert answer(node.read_payload, item["payload"].encode()) == item["expect"]


@pytest.mark.parametrize("item", cases("readers"))
def test_readers(item: Any) -> None:
    vectors = load("readers")

    def judge() -> None:
        token = node.parse(item["token"], node.READ)
        if token.claims["iss"] != vectors["known"]["entity_id"]:
            raise node.Refusal("unauthenticated", f"expected a reader that is known, found {token.claims['iss']}")
        node.check_signature(token, keys_of(vectors["known"]["keys"]))
        node.check_audience(token, vectors["entity_id"])
        node.check_times(token, vectors["now"])

    assert answer(judge) == item["expect"]


def inbox(vectors: Any) -> node.MessageBox:
    """A receiver that knows whom the file says."""
    known = {}
    if "configuration" in vectors:
        configuration = node.read_configuration(vectors["configuration"], None, now=vectors["now"])
        known[configuration.url] = configuration

    def bound(url: str, kid: str) -> node.Configuration:
        if url not in known:
            raise node.Refusal("unknown_participant", f"expected a node that is bound, found {url}")
        return known[url]

    signers = [node.Signer.new()]
    return node.MessageBox(vectors["audience"], "RS", lambda: signers, bound, insecure=False)


@pytest.mark.parametrize("item", cases("messages"))
def test_messages(item: Any) -> None:
    vectors = load("messages")
    assert answer(inbox(vectors).receive, item["token"], vectors["now"]) == item["expect"]


@pytest.mark.parametrize("item", cases("messages", "repeats"))
def test_repeats(item: Any) -> None:
    vectors = load("messages")
    box = inbox(vectors)
    first = box.receive(item["first"], vectors["now"])
    assert answer(box.receive, item["token"], vectors["now"] + 3600) == item["expect"]
    assert item["expect"] != "ok" or box.receive(item["token"], vectors["now"] + 3600) == first
    assert len(box.messages) == 1


@pytest.mark.parametrize("item", cases("peering"))
def test_peering(item: Any) -> None:
    vectors = load("peering")
    box = inbox(vectors)
    assert answer(box.receive, item["token"], vectors["now"]) == item["expect"]
    proposed = {vectors["issuer"]} if item["name"] == "a proposal" else set()
    assert set(box.proposals) == proposed
    assert all(found["fingerprint"] == vectors["fingerprint"] for found in box.proposals.values())


@pytest.mark.parametrize("item", cases("receipts"))
def test_receipts(item: Any) -> None:
    vectors = load("receipts")
    named = {name: vectors[name] for name in ("jti", "sent", "now")}
    found = answer(
        node.check_receipt,
        item["token"],
        keys_of(vectors["keys"]),
        iss=vectors["issuer"],
        aud=vectors["audience"],
        **named,
    )
    assert fits(found, item["expect"])


@pytest.mark.parametrize("item", cases("disputes", "evidence"))
def test_evidence(item: Any) -> None:
    assert fits(answer(node.check_evidence, item["evidence"]), item["expect"])
    if item["expect"] == "ok":
        assert node.check_evidence(item["evidence"])["federation_key"] == load("disputes")["fingerprint"]
