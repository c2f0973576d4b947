"""What an origin can do wrong, and that nothing comes of it (abuse.md group C, protocol.md sections 2, 5 and 6).

Each row is an attack on a follower that holds 100 entries of RS. After every refusal: what was held is unchanged and
still proves itself, the other participant was synced in the same run, and the next honest sync needs no manual step.
"""

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from federation.encoding import b64url_encode, dump_json
from federation.entries import Entry
from federation.merkle import EMPTY_ROOT
from federation.signing import CHECKPOINT, ENTITY_STATEMENT, sign
from federation.statements import CONFIGURATION_LIFETIME
from sync.errors import PeerUnreachableError
from sync.transport import JWT, Response
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW, SimulatedNode, lines, named_identity, named_key

HELD = 100
HOUR = dt.timedelta(hours=1)
Attack = Callable[[SimulatedNode], None]


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork) -> Follower:
    """Holds 100 entries of RS, and follows MK, which is honest."""
    network.add("RS").grow(HELD)
    network.add("MK").grow(3)
    follower = make_follower(engine, network)
    assert {result.result for result in follower.pull_all().values()} == {"ok"}
    follower.pass_time(HOUR)
    return follower


# Attacks


def claims(**changes: object) -> Attack:
    """A checkpoint over ten more entries with these claims in place of the true ones."""

    def attack(origin: SimulatedNode) -> None:
        origin.grow(10)
        origin.checkpoint_claims = changes

    return attack


def seconds(origin: SimulatedNode) -> int:
    return int(origin.now.timestamp())


def times(issued: int, expires: int) -> Attack:
    """A checkpoint whose times lie so many seconds from now."""

    def attack(origin: SimulatedNode) -> None:
        origin.grow(10)
        origin.checkpoint_claims = {"iat": seconds(origin) + issued, "exp": seconds(origin) + expires}

    return attack


def token(make: Callable[[SimulatedNode], bytes]) -> Attack:
    """These bytes as the checkpoint."""

    def attack(origin: SimulatedNode) -> None:
        origin.grow(10)
        origin.checkpoint_token = make(origin)

    return attack


def honest_claims(origin: SimulatedNode) -> dict[str, object]:
    return {
        "iss": origin.entity_id,
        "sub": origin.participant,
        "size": origin.size,
        "root": b64url_encode(origin.root),
        "iat": seconds(origin),
        "exp": seconds(origin) + 3600,
    }


def with_header(header: dict[str, object] | bytes, body: bytes | None = None) -> Attack:
    """A token over any header (members in place of the true ones) and claims, signed with the right key."""

    def make(origin: SimulatedNode) -> bytes:
        key = origin.identity.operating_key
        true: dict[str, object] = {"alg": "EdDSA", "typ": CHECKPOINT.typ, "kid": key.kid}
        first = header if isinstance(header, bytes) else dump_json(true | header)
        text = f"{b64url_encode(first)}.{b64url_encode(body or dump_json(honest_claims(origin)))}"
        return f"{text}.{b64url_encode(key.private.sign(text.encode()))}".encode()

    return token(make)


def with_body(change: Callable[[bytes], bytes]) -> Attack:
    """A rightly signed token over claims that no writer of JSON would make."""

    def make(origin: SimulatedNode) -> bytes:
        key = origin.identity.operating_key
        header = dump_json({"alg": "EdDSA", "typ": CHECKPOINT.typ, "kid": key.kid})
        text = f"{b64url_encode(header)}.{b64url_encode(change(dump_json(honest_claims(origin))))}"
        return f"{text}.{b64url_encode(key.private.sign(text.encode()))}".encode()

    return token(make)


def hmac_with_public_key(origin: SimulatedNode) -> bytes:
    key = origin.identity.operating_key
    header = dump_json({"alg": "HS256", "typ": CHECKPOINT.typ, "kid": key.kid})
    text = f"{b64url_encode(header)}.{b64url_encode(dump_json(honest_claims(origin)))}"
    secret = base64.urlsafe_b64decode(key.public_jwk()["x"] + "=")
    return f"{text}.{b64url_encode(hmac.digest(secret, text.encode(), hashlib.sha256))}".encode()


def unsigned(algorithm: str) -> Attack:
    def make(origin: SimulatedNode) -> bytes:
        header = dump_json({"alg": algorithm, "typ": CHECKPOINT.typ, "kid": origin.identity.operating_key.kid})
        return f"{b64url_encode(header)}.{b64url_encode(dump_json(honest_claims(origin)))}.".encode()

    return token(make)


def anothers_checkpoint(origin: SimulatedNode) -> bytes:
    other = SimulatedNode(named_identity("MK"), origin.now)
    other.grow(200)
    return other.served_checkpoint()


def signed_by(name: str) -> Attack:
    def attack(origin: SimulatedNode) -> None:
        origin.grow(10)
        origin.signing_key = named_key(name)

    return attack


def older_time(origin: SimulatedNode) -> None:
    origin.now = NOW - HOUR


def page(change: Callable[[list[Entry]], "list[Entry] | bytes"]) -> Attack:
    """Ten more entries, served changed; the checkpoint is true."""

    def attack(origin: SimulatedNode) -> None:
        origin.grow(10)
        origin.page_lie = lambda start, entries: change(entries)

    return attack


def swapped(entries: list[Entry]) -> list[Entry]:
    return [*entries[:3], entries[4], entries[3], *entries[5:]]


def grown(then: Callable[[SimulatedNode], None]) -> Attack:
    def attack(origin: SimulatedNode) -> None:
        origin.grow(10)
        then(origin)

    return attack


def node_for_leaf(entries: list[Entry]) -> list[Entry]:
    """An inner node's two hashes as a header: with one hash function for both it would prove."""
    children = hashlib.sha256(b"\x00a").digest() + hashlib.sha256(b"\x00b").digest()
    return [*entries[:-1], Entry(children.hex().encode(), None)]


def replaced_page(size: int) -> Attack:
    return page(lambda entries: b"x" * size)


def long_header(entries: list[Entry]) -> list[Entry]:
    return [Entry(b'{"seq":1,"pad":"' + b"x" * 1024 + b'"}', None), *entries[1:]]


def long_payload(entries: list[Entry]) -> list[Entry]:
    return [replace(entries[0], payload=b"x" * 65_537), *entries[1:]]


def payload_for_delete(entries: list[Entry]) -> list[Entry]:
    return [*entries[:-1], replace(entries[-1], payload=b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":{}}')]


def delete_with_payload(origin: SimulatedNode) -> None:
    origin.grow(3)
    origin.delete("member/m-1")
    origin.page_lie = lambda start, entries: payload_for_delete(entries)


def configuration(make: Callable[[SimulatedNode], str]) -> Attack:
    def attack(origin: SimulatedNode) -> None:
        origin.grow(10)
        origin.configuration_token = make(origin).encode()

    return attack


def stolen_federation_key(origin: SimulatedNode) -> str:
    """T16: somebody else's keys behind the node's name."""
    thief = SimulatedNode(replace(origin.identity, federation_key=named_key("thief")), origin.now)
    return thief.configuration()


def claims_another_code(origin: SimulatedNode) -> str:
    return SimulatedNode(replace(origin.identity, participant="MK"), origin.now).configuration()


def other_nodes_configuration(origin: SimulatedNode) -> str:
    return SimulatedNode(named_identity("MK"), origin.now).configuration()


def older_configuration(origin: SimulatedNode) -> str:
    return origin.sign_configuration(now=NOW - HOUR)


def same_time_other_configuration(origin: SimulatedNode) -> str:
    return origin.sign_configuration(now=NOW, contacts=["other@node.example"])


def expired_configuration(origin: SimulatedNode) -> str:
    return origin.sign_configuration(now=origin.now - dt.timedelta(seconds=1000), lifetime=dt.timedelta(seconds=600))


def future_configuration(origin: SimulatedNode) -> str:
    return origin.sign_configuration(now=origin.now + dt.timedelta(seconds=301))


def forged(change: Callable[[dict[str, Any]], None]) -> Callable[[SimulatedNode], str]:
    """A configuration that says something else, signed with the right federation key."""

    def make(origin: SimulatedNode) -> str:
        assert origin.identity.federation_key is not None
        body = origin.sign_configuration().split(".")[1]
        content = json.loads(base64.urlsafe_b64decode(body + "=="))
        change(content)
        return sign(content, origin.identity.federation_key, ENTITY_STATEMENT.typ)

    return make


def with_reused_key(content: dict[str, Any]) -> None:
    content["metadata"]["veza_node"]["jwks"] = content["jwks"]


def with_small_order_key(content: dict[str, Any]) -> None:
    weak = {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(bytes([1]) + bytes(31))}
    content["metadata"]["veza_node"]["jwks"]["keys"].append(weak)


def with_foreign_log(content: dict[str, Any]) -> None:
    content["metadata"]["veza_node"]["log"] = "https://evil.example/federation/v1/logs/RS"


def of_another_version(content: dict[str, Any]) -> None:
    content["metadata"]["veza_node"]["protocol"] = 2


def of_91_days(content: dict[str, Any]) -> None:
    content["exp"] = content["iat"] + 91 * 86_400


ROOT_31, ROOT_33 = b64url_encode(bytes(31)), b64url_encode(bytes(33))

ATTACKS: dict[str, tuple[Attack, str]] = {
    "C01 smaller": (lambda origin: origin.roll_back_to(HELD - 1), "rollback"),
    "C12 empty again": (lambda origin: origin.roll_back_to(0), "rollback"),
    "C08 same but older": (older_time, "rollback"),
    "C10 negative size": (claims(size=-1), "malformed"),
    "C10 size as float": (claims(size=110.0), "malformed"),
    "C10 size as text": (claims(size="110"), "malformed"),
    "C10 size as boolean": (claims(size=True), "malformed"),
    "C10 size null": (claims(size=None), "malformed"),
    "C10 size 0110": (with_body(lambda body: body.replace(b'"size":110', b'"size":0110')), "malformed"),
    "C10 size 1e2": (with_body(lambda body: body.replace(b'"size":110', b'"size":1e2')), "malformed"),
    "C11 root of 31 bytes": (claims(root=ROOT_31), "malformed"),
    "C11 root of 33 bytes": (claims(root=ROOT_33), "malformed"),
    "C11 root in hexadecimal": (claims(root="AB" * 32), "malformed"),
    "C11 root padded": (claims(root=base64.urlsafe_b64encode(bytes(32)).decode()), "malformed"),
    "C11 root not canonical": (claims(root=b64url_encode(bytes(32))[:-1] + "B"), "malformed"),
    "C11 root empty": (claims(root=""), "malformed"),
    "C12 size 0, other root": (claims(size=0), "malformed"),
    "C13 header altered": (grown(lambda origin: origin.tamper_with_header(104)), "root_mismatch"),
    "C13 payload altered": (grown(lambda origin: origin.tamper_with_payload(104)), "bad_digest"),
    "C14 swapped": (page(swapped), "root_mismatch"),
    "C15 twice and dropped": (page(lambda entries: [*entries[:5], *entries[4:9]]), "root_mismatch"),
    "C16 nine of ten": (page(lambda entries: entries[:9]), "bad_range"),
    "C16 none of ten": (page(lambda entries: []), "bad_range"),
    "C17 more than the page holds": (page(lambda entries: entries * 20), "bad_range"),
    "C18 node for leaf": (page(node_for_leaf), "root_mismatch"),
    "C21 another's checkpoint": (token(anothers_checkpoint), "wrong_issuer"),
    "C21 another's code": (claims(sub="MK"), "wrong_participant"),
    "C22 another's key": (signed_by("mk operating"), "unknown_key"),
    "C22 federation key": (signed_by("rs federation"), "unknown_key"),
    "C27 none": (unsigned("none"), "bad_signature"),
    "C27 None": (unsigned("None"), "bad_signature"),
    "C27 empty signature": (unsigned("EdDSA"), "bad_signature"),
    "C28 HS256 with the public key": (token(hmac_with_public_key), "bad_signature"),
    "C29 RS256": (with_header({"alg": "RS256"}), "bad_signature"),
    "C29 ES256": (with_header({"alg": "ES256"}), "bad_signature"),
    "C30 kid is a path": (with_header({"kid": "../../etc/passwd"}), "unknown_key"),
    "C30 kid is SQL": (with_header({"kid": "' OR 1=1 --"}), "unknown_key"),
    "C30 kid is a number": (with_header({"kid": 5}), "malformed"),
    "C30 kid is null": (with_header({"kid": None}), "malformed"),
    "C31 jwk": (with_header({"jwk": named_key("thief").public_jwk()}), "bad_header"),
    "C31 jku": (with_header({"jku": "https://evil.example/keys"}), "bad_header"),
    "C32 crit": (with_header({"crit": ["x"]}), "bad_header"),
    "C32 b64": (with_header({"b64": False}), "bad_header"),
    "another kind of statement": (with_header({"typ": "veza-read+jwt"}), "wrong_type"),
    "C34 no exp": (claims(exp=...), "malformed"),
    "C34 exp as text": (claims(exp="1795292126"), "malformed"),
    "C34 exp as boolean": (claims(exp=True), "malformed"),
    "C34 ten years": (times(0, 315_360_000), "malformed"),
    "C34 exp before iat": (times(0, -10), "malformed"),
    "unknown claim": (claims(jti="x"), "malformed"),
    "C35 301 s ahead": (times(301, 3600), "not_yet_valid"),
    "C35 a day ahead": (times(86_400, 90_000), "not_yet_valid"),
    "expired": (times(-4000, -301), "expired"),
    "C37 NaN": (with_body(lambda body: body.replace(b'"size":110', b'"size":NaN')), "malformed"),
    "C37 Infinity": (with_body(lambda body: body.replace(b'"size":110', b'"size":Infinity')), "malformed"),
    "C37 1e400": (with_body(lambda body: body.replace(b'"size":110', b'"size":1e400')), "malformed"),
    "C37 2^63": (claims(size=2**63), "malformed"),
    "C37 5000 digits": (with_body(lambda body: body.replace(b'"size":110', b'"size":' + b"9" * 5000)), "malformed"),
    "size twice": (with_body(lambda body: body.replace(b'"size":110', b'"size":1,"size":110')), "malformed"),
    "C38 deep nesting": (with_body(lambda body: b'{"iss":' + b"[" * 1000 + b"]" * 1000 + b"}"), "malformed"),
    "C39 10 MB token": (token(lambda origin: b"x" * 10_000_000), "too_large"),
    "token of 8 KiB + 1": (token(lambda origin: b"x" * 8193), "too_large"),
    "no token": (token(lambda origin: b"<html>"), "malformed"),
    "withheld payload": (grown(lambda origin: origin.withhold_payload(105)), "withheld_payload"),
    "payload beside a delete": (delete_with_payload, "bad_digest"),
    "line is no array": (page(lambda entries: b'{"a":1}\n' * 10), "bad_entry"),
    "line of one string": (page(lambda entries: b'["a"]\n' * 10), "bad_entry"),
    "line of three": (page(lambda entries: b'["a",null,null]\n' * 10), "bad_entry"),
    "line is no JSON": (page(lambda entries: lines(entries).replace(b'"', b"'", 1)), "bad_entry"),
    "line not UTF-8": (page(lambda entries: b'["\xff",null]\n' * 10), "bad_entry"),
    "line with a lone surrogate": (page(lambda entries: b'["\\ud800",null]\n' * 10), "bad_entry"),
    "E09 header of 1 KiB and more": (page(long_header), "too_large"),
    "E09 payload of 65,537 bytes": (page(long_payload), "too_large"),
    "E09 page of 41 MiB": (replaced_page(41 * 1024 * 1024), "too_large"),
    "T16 another federation key": (configuration(stolen_federation_key), "unknown_key"),
    "configuration of another code": (configuration(claims_another_code), "wrong_participant"),
    "configuration of another node": (configuration(other_nodes_configuration), "wrong_issuer"),
    "configuration older": (configuration(older_configuration), "rollback"),
    "configuration same second": (configuration(same_time_other_configuration), "rollback"),
    "configuration expired": (configuration(expired_configuration), "expired"),
    "configuration of tomorrow": (configuration(future_configuration), "not_yet_valid"),
    "configuration with one key for both": (configuration(forged(with_reused_key)), "key_reused"),
    "configuration with a small-order key": (configuration(forged(with_small_order_key)), "weak_key"),
    "configuration with a log elsewhere": (configuration(forged(with_foreign_log)), "insecure_url"),
    "F27 configuration of version 2": (configuration(forged(of_another_version)), "unsupported_version"),
    "configuration of 91 days": (configuration(forged(of_91_days)), "malformed"),
    "configuration of 64 KiB and more": (configuration(lambda origin: "x" * 65_537), "too_large"),
    "configuration is no token": (configuration(lambda origin: "{}"), "malformed"),
}


def heal(origin: SimulatedNode, before: SimulatedNode) -> None:
    """The origin as it was before the attack, with ten honest entries more."""
    origin.identity = before.identity
    origin.now = before.now
    origin.entries = list(before.entries)
    origin.grow(10)
    origin.signing_key = origin.checkpoint_token = origin.configuration_token = origin.page_lie = None
    origin.checkpoint_claims = {}


@pytest.mark.parametrize(("attack", "code"), ATTACKS.values(), ids=ATTACKS)
def test_pull_resists(follower: Follower, network: SimulatedNetwork, attack: Attack, code: str) -> None:
    origin, other = network.nodes["https://rs.example"], network.nodes["https://mk.example"]
    before, honest = follower.snapshot("RS"), origin.copy()
    attack(origin)
    other.grow(2)

    results = follower.pull_all()

    assert (results["RS"].result, results["RS"].entries, results["RS"].size) == (code, 0, HELD)
    assert results["RS"].detail
    assert follower.snapshot("RS") == before
    assert follower.state("RS") == "failing"
    assert (results["MK"].result, results["MK"].entries) == ("ok", 2)
    follower.check_logs()

    heal(origin, honest)
    follower.pass_time(HOUR)
    result = follower.pull("RS")
    assert (result.result, result.entries, result.size) == ("ok", 10, HELD + 10)
    assert follower.state("RS") == "fresh"
    follower.check_holds(origin)


def fork_at_same_size(origin: SimulatedNode) -> None:
    origin.rewrite(50)


def fork_under_growth(origin: SimulatedNode) -> None:
    origin.rewrite(57)
    origin.grow(10)


def fork_of_the_last_entry(origin: SimulatedNode) -> None:
    origin.rewrite(HELD - 1)
    origin.grow(1)


def fork_at_a_smaller_size(origin: SimulatedNode) -> None:
    origin.rewrite(3)
    origin.roll_back_to(HELD - 10)


FORKS: dict[str, Attack] = {
    "C02 same size, other root": fork_at_same_size,
    "C03 leaf 57 rewritten under growth": fork_under_growth,
    "last leaf rewritten under growth": fork_of_the_last_entry,
    "smaller, and another history": fork_at_a_smaller_size,
}


@pytest.mark.parametrize("attack", FORKS.values(), ids=FORKS)
def test_rewritten_history_is_a_fork_and_stays_one(
    follower: Follower, network: SimulatedNetwork, attack: Attack
) -> None:
    origin = network.nodes["https://rs.example"]
    before, honest = follower.snapshot("RS"), origin.copy()
    attack(origin)
    evidence = origin.served_checkpoint().decode()

    results = follower.pull_all()

    assert results["RS"].result == "fork"
    assert results["MK"].result == "ok"
    assert follower.snapshot("RS") == before
    assert follower.head("RS").disputed == evidence
    assert follower.state("RS") == "disputed"
    assert follower.status("RS").retry_at is None
    follower.check_logs()

    heal(origin, honest)  # even an honest checkpoint later does not settle it: an operator must decide
    follower.pass_time(HOUR)
    assert follower.pull("RS").result == "fork"
    assert follower.snapshot("RS").size == HELD


def test_dispute_ends_for_the_held_history_when_the_offered_key_is_revoked(
    follower: Follower, network: SimulatedNetwork
) -> None:
    origin = network.nodes["https://rs.example"]
    honest = origin.copy()
    fork_under_growth(origin)
    assert follower.pull("RS").result == "fork"
    heal(origin, honest)
    follower.pass_time(HOUR)
    origin.rotate_operating_key("rs operating, the thief's one revoked")
    assert follower.pull("RS").result == "ok"
    assert follower.head("RS").disputed is not None
    assert follower.state("RS") == "disputed"
    follower.check_holds(origin)


def test_root_mismatch_on_a_first_pull_is_no_fork(engine: sa.Engine, network: SimulatedNetwork) -> None:
    network.add("RS").grow(20)
    network.nodes["https://rs.example"].tamper_with_header(7)
    follower = make_follower(engine, network)
    assert follower.pull_all()["RS"].result == "root_mismatch"
    assert follower.head("RS").disputed is None
    assert follower.head("RS").root == EMPTY_ROOT


def test_whole_log_that_does_not_give_the_signed_root_is_no_fork(follower: Follower, network: SimulatedNetwork) -> None:
    origin = network.nodes["https://rs.example"]
    origin.grow(10)
    origin.checkpoint_claims = {"root": b64url_encode(bytes(32))}
    assert follower.pull("RS").result == "root_mismatch"
    assert follower.head("RS").disputed is None


@pytest.mark.parametrize("limits", [{"run_entries": HELD}, {"run_bytes": 10}], ids=["entries", "bytes"])
def test_fork_that_is_too_long_to_be_shown_in_a_run_stays_a_mismatch(
    follower: Follower, network: SimulatedNetwork, limits: dict[str, int]
) -> None:
    fork_under_growth(network.nodes["https://rs.example"])
    assert follower.limited(**limits).pull("RS").result == "root_mismatch"
    assert follower.head("RS").disputed is None


def test_fork_is_not_claimed_of_a_log_that_cannot_be_read_from_its_start(
    follower: Follower, network: SimulatedNetwork
) -> None:
    origin = network.nodes["https://rs.example"]
    fork_under_growth(origin)
    origin.page_lie = lambda start, entries: b"nonsense" if start == 0 else entries
    assert follower.pull("RS").result == "root_mismatch"
    assert follower.head("RS").disputed is None


def test_other_root_at_a_size_that_was_accepted_is_a_fork_even_above_what_is_held(
    follower: Follower, network: SimulatedNetwork, engine: sa.Engine
) -> None:
    """After a restore from a backup the held log is shorter than what was once accepted."""
    origin = network.nodes["https://rs.example"]
    origin.grow(1)
    with engine.begin() as connection:
        seen = sa.text("INSERT INTO seen_checkpoint (participant, size, root) VALUES ('RS', :size, :root)")
        connection.execute(seen, {"size": origin.size, "root": bytes(32)})
    before = follower.snapshot("RS")
    assert follower.pull("RS").result == "fork"
    assert follower.snapshot("RS") == before
    assert follower.head("RS").disputed == origin.served_checkpoint().decode()


def test_withheld_payload_stays_withheld_where_no_newer_checkpoint_comes(
    follower: Follower, network: SimulatedNetwork
) -> None:
    origin = network.nodes["https://rs.example"]
    origin.grow(10)
    origin.withhold_payload(105)
    shown = [None]

    def silent_after_the_first(url: str) -> Response | None:
        if not shown:
            raise PeerUnreachableError("timeout", "no newer one")
        return shown.pop()

    network.faults["rs.example/federation/v1/logs/RS/checkpoint"] = silent_after_the_first
    assert follower.pull("RS").result == "withheld_payload"


@pytest.mark.parametrize("status", [401, 403, 500])
def test_refused_page_is_shown_with_the_code_of_the_refusal(
    follower: Follower, network: SimulatedNetwork, status: int
) -> None:
    network.nodes["https://rs.example"].grow(1)
    network.refuse("/logs/RS/entries", status, "forbidden")
    assert follower.pull("RS").result == "forbidden"


def test_rollback_is_believed_only_when_it_is_shown_twice(follower: Follower, network: SimulatedNetwork) -> None:
    origin = network.nodes["https://rs.example"]
    older = origin.copy()
    older.roll_back_to(90)
    shown = [older.served_checkpoint()]
    network.faults["rs.example/federation/v1/logs/RS/checkpoint"] = lambda url: _jwt(shown.pop()) if shown else None
    origin.grow(5)
    assert (follower.pull("RS").result, follower.head("RS").size) == ("ok", HELD + 5)
    assert network.asked("rs.example/federation/v1/logs/RS/checkpoint") == 3  # the fixture's, the old one, once more


def _jwt(body: bytes) -> Response:
    return Response(200, JWT, body)


def test_revoked_key_verifies_nothing_whatever_its_date(follower: Follower, network: SimulatedNetwork) -> None:
    """C24: the time of receipt counts, not the ``iat``."""
    origin = network.nodes["https://rs.example"]
    stolen = origin.identity.operating_key
    origin.rotate_operating_key("rs operating 2")
    assert follower.pull("RS").result == "ok"
    follower.pass_time(HOUR)
    origin.grow(10)
    origin.signing_key = stolen
    origin.checkpoint_claims = {"iat": seconds(origin) - 7200, "exp": seconds(origin) + 3600}
    before = follower.snapshot("RS")
    assert follower.pull("RS").result == "unknown_key"
    assert follower.snapshot("RS") == before


def test_key_that_only_the_log_announces_is_unknown(follower: Follower, network: SimulatedNetwork) -> None:
    """C25: what an entry says about keys counts for nothing."""
    origin = network.nodes["https://rs.example"]
    new = named_key("announced by an entry")
    origin.publish("participant/keys", {"jwks": {"keys": [new.public_jwk()]}})
    origin.signing_key = new
    assert follower.pull("RS").result == "unknown_key"


def test_unknown_key_makes_no_further_requests(follower: Follower, network: SimulatedNetwork) -> None:
    """C23, C31: keys come from the configuration of this run, and from nowhere else."""
    origin = network.nodes["https://rs.example"]
    origin.grow(1)
    origin.signing_key = named_key("random")
    network.forget_requests()
    assert follower.pull("RS").result == "unknown_key"
    asked = [url.rpartition("/")[2] for _, url in network.requests if url.startswith(origin.entity_id)]
    assert asked == ["openid-federation", "checkpoint"]


def test_lines_beyond_the_checkpoint_are_ignored(follower: Follower, network: SimulatedNetwork) -> None:
    """The log may have grown since the checkpoint was signed: what lies beyond is nobody's yet."""
    origin = network.nodes["https://rs.example"]
    origin.grow(10)
    origin.freeze()
    origin.grow(2)
    result = follower.pull("RS")
    assert (result.result, result.entries, follower.head("RS").size) == ("ok", 10, HELD + 10)


@pytest.mark.parametrize("code", ["timeout", "unreachable", "bad_response", "too_large", "redirect_refused"])
@pytest.mark.parametrize("part", ["openid-federation", "/checkpoint", "/entries"])
def test_unusable_answers_fail_with_their_code_where_nobody_relays(
    follower: Follower, network: SimulatedNetwork, part: str, code: str
) -> None:
    origin = network.nodes["https://rs.example"]
    origin.grow(10)
    before = follower.snapshot("RS")
    for other in (".well-known/openid-federation", "/checkpoint", "/entries"):
        if part in other or part == "openid-federation":
            network.fail(f"rs.example{'/federation/v1/logs/RS' if other[0] == '/' else '/'}{other}", code)
    assert follower.pull("RS").result == code
    assert follower.snapshot("RS") == before
    network.faults.clear()
    assert follower.pull("RS").result == "ok"


@pytest.mark.parametrize(
    ("status", "given", "code"),
    [
        (401, "unauthenticated", "unauthenticated"),
        (403, "forbidden", "forbidden"),
        (503, "busy", "busy"),
        (429, "rate_limited", "rate_limited"),
        (500, "Nonsense <script>", "unreachable"),
        (404, "not_found", "not_found"),
    ],
)
def test_refusals_of_the_other_node_are_shown_with_their_code(
    follower: Follower, network: SimulatedNetwork, status: int, given: str, code: str
) -> None:
    network.refuse("/logs/RS/checkpoint", status, given)
    assert follower.pull("RS").result == code


def test_expired_checkpoint_is_refused_but_the_data_stay_and_age(follower: Follower, network: SimulatedNetwork) -> None:
    """C06: a frozen origin. The data are shown as stale, nothing is deleted."""
    origin = network.nodes["https://rs.example"]
    origin.freeze()
    records = follower.records("RS")
    follower.pass_time(dt.timedelta(hours=49))
    assert follower.pull("RS").result == "expired"
    assert follower.state("RS") == "stale"
    assert follower.records("RS") == records


def test_configuration_lifetime_is_seven_days() -> None:
    assert dt.timedelta(days=7) == CONFIGURATION_LIFETIME


def test_sign_is_what_the_rows_above_imitate() -> None:
    """The forgeries differ from honest tokens in one thing only."""
    origin = SimulatedNode(named_identity("RS"))
    key = origin.identity.operating_key
    honest = sign(honest_claims(origin), key, CHECKPOINT.typ)
    header = json.loads(base64.urlsafe_b64decode(honest.split(".")[0] + "=="))
    assert header == {"alg": "EdDSA", "typ": CHECKPOINT.typ, "kid": key.kid}
