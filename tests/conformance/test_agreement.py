"""The product and the second node give the same answer to tokens that chance has spoiled, step by step of section 2.

A difference means that one of them, or the text, is wrong. Chance has a fixed seed, so that each run tries the same.
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from federation.checkpoint import verify_checkpoint
from federation.entries import check_payload, decode_page, parse_header, parse_payload
from federation.errors import FederationError
from federation.evidence import check_evidence
from federation.keys import SigningKey, parse_jwks
from federation.messages import parse_message, prove_message
from federation.signing import check_times
from federation.statements import verify_configuration
from tests.conformance import second_node
from tests.unit.federation.samples import claims_of, forge, header_of, key
from tests.vectors.test_vectors import load, now_of

TRIES = 600
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 1.0, 2**53 - 1, 2**53, 10**400, 1e300, float("nan"), [], [1], {}, {"a": 1}),
    *("", "x", "1", "\ud800", "\0", "ME", "RS", "x" * 301, "é" * 300, "A" * 43, "AA=="),
    *("EdDSA", "Ed25519", "none", "HS256", "ES256", "JWT", "veza-message+jwt", "veza-checkpoint+jwt"),
    *("entity-statement+jwt", "https://spoc.example.me", "https://spoc.example.rs"),
]
"""Values that stand where others belong."""


def dumped(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class Chance:
    """Spoils tokens of one kind."""

    def __init__(self, seed: str, honest: SigningKey, others: list[SigningKey]) -> None:
        self.random = random.Random(seed)
        self.honest, self.others = honest, others

    def spoil(self, value: dict[str, Any], depth: int = 0) -> dict[str, Any]:
        """An object with one member more, less or other, somewhere."""
        found = dict(value)
        name = self.random.choice([*found, "more"])
        inner = found.get(name)
        if isinstance(inner, dict) and self.random.random() < 0.7 and depth < 4:
            found[name] = self.spoil(inner, depth + 1)
        elif isinstance(inner, int) and not isinstance(inner, bool) and self.random.random() < 0.6:
            found[name] = inner + self.random.choice([-700_000, -301, -300, -1, 1, 300, 301, 86_400, 700_000, 10**7])
        elif self.random.random() < 0.3:
            found.pop(name, None)
        else:
            found[name] = self.random.choice(ODD)
        return found

    def token(self, token: str) -> str:
        """A token made of a good one: other members, other keys, other bytes, or several of these."""
        header, claims = header_of(token), claims_of(token)
        signing = self.random.choice([self.honest] * 6 + self.others)
        if self.random.random() < 0.3:
            header = self.spoil(header)
        if self.random.random() < 0.3:
            header["kid"] = signing.kid
        if self.random.random() < 0.8:
            claims = self.spoil(claims)
        made = forge(self._bytes(header), self._bytes(claims), signing)
        return self._cut(made) if self.random.random() < 0.15 else made

    def _bytes(self, value: dict[str, Any]) -> bytes:
        text = dumped(value)
        match self.random.randrange(25):
            case 0:
                return text[:-1] + b',"iat":1}'
            case 1:
                return text + b" x"
            case 2:
                return b" " + text.replace(b",", b" ,\n")
            case 3:
                return text.replace(b"e", b"\xe9", 1)
            case 4:
                return b"[" * self.random.choice([31, 32, 33, 5000])
        return text

    def _cut(self, token: str) -> str:
        parts = token.split(".")
        place = self.random.randrange(3)
        part = parts[place]
        parts[place] = self.random.choice(
            [part[:-1], part + "=", part + "A", "", part[:5] + "+" + part[6:], part + "\n"]
        )
        joined = ".".join(parts)
        return self.random.choice([joined, joined, joined + ".", ".".join(parts[:2]), " " + joined])


def product_says(function: Callable[[], object]) -> str:
    try:
        function()
    except FederationError as error:
        return error.code
    return "ok"


def second_says(function: Callable[[], object]) -> str:
    try:
        function()
    except second_node.Refusal as refusal:
        return refusal.code
    return "ok"


def compare(answers: list[tuple[str, str, str]], least_codes: int) -> None:
    """Both answered alike to each of the tries, and the tries reached far enough."""
    different = [(token[:3000], one, other) for token, one, other in answers if one != other]
    assert not different, f"{len(different)} of {len(answers)} (input, product, second node): {different[:3]}"
    codes = Counter(one for _, one, _ in answers)
    assert len(codes) >= least_codes, codes
    assert codes["ok"] > 0, codes


def test_on_checkpoints() -> None:
    vectors, chance = load("checkpoints"), Chance("checkpoints", key("me operating"), [key("rs operating")])
    good = vectors["cases"][0]["token"]
    keys = parse_jwks(vectors["keys"])
    named = {name: vectors[name] for name in ("entity_id", "participant")}

    def second(token: str) -> None:
        parsed = second_node.parse(token, second_node.CHECKPOINT)
        second_node.check_party(parsed, vectors["entity_id"], vectors["participant"])
        second_node.check_signature(parsed, second_node.public_keys(vectors["keys"], "keys"))
        second_node.check_times(parsed, vectors["now"])

    tokens = [chance.token(good) for _ in range(TRIES)]
    answers = [
        (
            token,
            product_says(lambda t=token: verify_checkpoint(t, **named, keys=keys, now=now_of(vectors))),
            second_says(lambda t=token: second(t)),
        )
        for token in tokens
    ]
    compare(answers, 9)


def test_on_messages() -> None:
    vectors, chance = load("messages"), Chance("messages", key("me operating"), [key("rs operating")])
    good = vectors["cases"][0]["token"]
    keys = parse_jwks(vectors["keys"])

    def product(token: str) -> None:
        parsed = parse_message(token)
        if parsed.claims["iss"] == vectors["issuer"]:
            prove_message(parsed, keys, issuer=vectors["issuer"], audience=vectors["audience"])
            check_times(parsed, now_of(vectors))

    def second(token: str) -> None:
        parsed = second_node.parse(token, second_node.MESSAGE)
        if parsed.claims["iss"] == vectors["issuer"]:
            second_node.check_signature(parsed, second_node.public_keys(vectors["keys"], "keys"))
            second_node.check_audience(parsed, vectors["audience"])
            second_node.check_times(parsed, vectors["now"])

    tokens = [chance.token(good) for _ in range(TRIES)]
    answers = [(t, product_says(lambda t=t: product(t)), second_says(lambda t=t: second(t))) for t in tokens]
    compare(answers, 8)


def test_on_configurations() -> None:
    vectors, chance = load("statements"), Chance("configurations", key("me federation"), [key("me operating")])
    named = {"entity_id": vectors["entity_id"], "participant": "ME", "now": now_of(vectors)}
    keys = parse_jwks(vectors["federation_keys"])

    def second(token: str) -> None:
        shown = second_node.public_keys(vectors["federation_keys"], "keys")
        named = {"url": vectors["entity_id"], "participant": "ME", "now": vectors["now"]}
        second_node.read_configuration(token, shown, **named)

    tokens = [chance.token(vectors["configuration"]) for _ in range(TRIES)]
    answers = [
        (t, product_says(lambda t=t: verify_configuration(t, keys=keys, **named)), second_says(lambda t=t: second(t)))
        for t in tokens
    ]
    compare(answers, 9)


@pytest.mark.parametrize("side", ["held", "offered", "configurations", "headers", "proofs", "participant"])
def test_on_evidence(side: str) -> None:
    """Whether it proves anything; which fault is named first is the checker's own matter."""
    vectors, chance = load("disputes"), Chance(side, key("me operating"), [key("nobody's operating")])
    proven = [item["evidence"] for item in vectors["evidence"] if item["expect"] == "ok"]

    def spoiled(evidence: dict[str, Any]) -> dict[str, Any]:
        if side in ("held", "offered") and chance.random.random() < 0.9:
            return evidence | {side: chance.token(evidence[side])}
        return evidence | chance.spoil({side: evidence[side]})

    for _ in range(100):
        evidence = spoiled(chance.random.choice(proven))
        found = second_says(lambda e=evidence: second_node.check_evidence(e))
        verdict = check_evidence(evidence)
        assert verdict.is_proven == (found == "ok"), (verdict.fault, found, evidence)


def test_on_entries() -> None:
    vectors, chance = load("pages"), random.Random("entries")
    honest = Chance("entries", key("me operating"), [])

    def product(body: bytes) -> None:
        for entry in decode_page(body, 2):
            check_payload(entry)

    def second(body: bytes) -> None:
        entries = second_node.read_page(body, 2, second_node.PAGE, 0)
        second_node.check_digests([header for header, _ in entries], [payload for _, payload in entries])

    good = vectors["pages"][0]["body"].encode()
    answers = []
    for _ in range(TRIES):
        place = chance.randrange(len(good))
        piece = chance.choice(
            [b"", b"\n", b'"', b"\\", b",", b"]", b"\xff", b"null", b" ", b"\\u0000", bytes([good[place]])]
        )
        body = good[:place] + piece + good[place + chance.randrange(3) :]
        answers.append(
            (
                body.decode("utf-8", "replace"),
                product_says(lambda b=body: product(b)),
                second_says(lambda b=body: second(b)),
            )
        )
    compare(answers, 4)
    for name, one, other in (
        ("headers", parse_header, second_node.read_header),
        ("payloads", parse_payload, second_node.read_payload),
    ):
        base = json.loads(vectors[name][0][name[:-1]])
        texts = [dumped(honest.spoil(base)) for _ in range(TRIES)]
        compare(
            [
                (t.decode(), product_says(lambda t=t, f=one: f(t)), second_says(lambda t=t, f=other: f(t)))
                for t in texts
            ],
            2,
        )
