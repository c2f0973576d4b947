"""Group X: attacks that nobody listed. Each test says what is tried and why it might have worked."""

import base64
import gzip
import ipaddress
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from directory.database import reading
from federation.encoding import b64url_encode, dump_json
from federation.entries import Entry
from federation.errors import FederationError
from federation.identity import Identity
from federation.log import load_heads
from federation.participants import load_participants
from federation.read_tokens import make_read_token
from federation.refusals import load_refusals
from federation.statements import make_configuration
from sync.addresses import check_url
from sync.client import HttpTransport
from sync.errors import InsecureUrlError, PeerResponseError, PeerUnreachableError, SyncError
from sync.inbox import receive_statement
from sync.transport import JSON, JWT, Response, check_status, read_object, read_problem
from tests.abuse.attacked import HELD, MIB, MINUTE, Attacked, peak_memory_at_most
from tests.abuse.forging import claiming, claims_of, forged, growing, serving, signed
from tests.simulators.network import answer
from tests.simulators.node_simulator import SimulatedNode, named_identity, named_key
from tests.simulators.raw_server import RawServer, http_answer


def statement(node: SimulatedNode, **changes: object) -> bytes:
    """The node's configuration with claims changed, signed by its federation key a second later."""
    part = node.configuration().split(".")[1]
    claims = json.loads(_decode(part)) | {"iat": int(node.now.timestamp()) + 1} | changes
    key = node.identity.federation_key
    assert key is not None
    return forged(
        dump_json({"alg": "EdDSA", "typ": "entity-statement+jwt", "kid": key.kid}), dump_json(claims), key.private.sign
    )


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def metadata(node: SimulatedNode, **members: object) -> dict[str, object]:
    """The node's metadata with members of ``veza_node`` changed."""
    known = json.loads(_decode(node.configuration().split(".")[1]))["metadata"]
    return known | {"veza_node": known["veza_node"] | members}


def test_x02_size_just_below_the_largest_integer(attacked: Attacked) -> None:
    """A checkpoint of 2^53-1 entries: whoever plans all its pages ahead has no memory left."""
    with peak_memory_at_most(32 * MIB):
        attacked.refuses(claiming(size=2**53 - 1, root=b64url_encode(bytes(32))), "bad_range")


def test_x03_keys_of_the_two_kinds_exchanged(attacked: Attacked) -> None:
    """The federation key signs a checkpoint, an operating key the configuration: both are listed, for other things."""
    identity = attacked.honest.identity
    assert identity.federation_key is not None

    def exchanged(node: SimulatedNode) -> None:
        assert identity.federation_key is not None
        swapped = replace(identity, federation_key=identity.operating_key, operating_key=identity.federation_key)
        node.configuration_token = make_configuration(swapped, now=node.now).token.encode()

    attacked.refuses(exchanged, "unknown_key")
    attacked.refuses(growing(lambda node: setattr(node, "signing_key", identity.federation_key)), "unknown_key")


def test_x04_statements_of_one_kind_served_as_another(attacked: Attacked) -> None:
    """Rightly signed, wrong place: a read token or a configuration as checkpoint, a checkpoint as configuration."""
    kinds = [
        lambda node: make_read_token(node.identity, "https://me.example", node.now).encode(),
        lambda node: node.configuration().encode(),
    ]
    attacked.refuses_each([serving(kind) for kind in kinds], "wrong_type")
    attacked.refuses(lambda node: setattr(node, "configuration_token", node.served_checkpoint()), "wrong_type")


@pytest.mark.parametrize("member", ["log", "messages", "checkpoints"])
def test_x05_log_at_another_host(attacked: Attacked, member: str) -> None:
    """A configuration that sends followers, with their read tokens, to somebody else's host."""
    urls = [
        "https://mk.example/federation/v1/logs/RS",
        "https://rs.example.evil.example/x",
        "https://rs.example@evil.example/x",
        "https://rs.example/../x",
        "https://rs.example/a?b",
        "https://rs.example/%2e%2e/x",
        "//rs.example/x",
        "https://RS.example/x",
        "https://rs.example:8443/x",
        ["https://rs.example/x"],
    ]
    attacked.network.forget_requests()
    attacked.refuses_each(
        [
            lambda node, url=url: setattr(
                node, "configuration_token", statement(node, metadata=metadata(node, **{member: url}))
            )
            for url in urls
        ],
        "insecure_url",
    )
    assert attacked.network.asked("evil") == 0


def test_x06_lists_without_measure_in_a_configuration(attacked: Attacked) -> None:
    """Thousands of authority hints, readers, contacts or keys: each look-up of a reader would walk them."""
    many = [f"https://a{number}.example" for number in range(2000)]
    keys = {"keys": [named_key(f"key {number}").public_jwk() for number in range(33)]}
    attacked.refuses_each(
        [
            lambda node: setattr(node, "configuration_token", statement(node, authority_hints=many)),
            lambda node: setattr(node, "configuration_token", statement(node, metadata=metadata(node, readers=many))),
            lambda node: setattr(node, "configuration_token", statement(node, jwks=keys)),
            lambda node: setattr(node, "configuration_token", statement(node, metadata=metadata(node, jwks=keys))),
        ],
        "malformed",
    )


def test_x07_codes_that_look_like_another(attacked: Attacked) -> None:
    """Participant codes that read as RS and are not: Cyrillic letters, full width, lower case, spaces, a path."""
    codes = ["\u0420\u0405", "\uff32\uff33", "rs", "RS ", "RS\u200b", "../RS", "RS/RS", "R", "R" * 300, "RS\x00"]
    known = dict(attacked.network.anchor.enrolled)
    for code in codes:
        name = f"x{codes.index(code)}"
        identity = replace(named_identity("SI"), participant="SI", entity_id=f"https://{name}.example")
        impostor = SimulatedNode(identity, attacked.now)
        attacked.network.nodes[impostor.entity_id] = impostor
        attacked.network.anchor.enrol(impostor, code)
    before = attacked.picture()
    attacked.follower.pass_time(MINUTE)
    results = attacked.follower.pull_all()
    assert {results[code].result for code in ("RS", "MK", "HR")} == {"ok"}
    with reading(attacked.follower.engine) as session:
        bound = {each.participant for each in load_participants(session)}
        held = {head.participant for head in load_heads(session)}
    assert bound == {"ME", "RS", "MK", "HR"}
    assert held == {"ME", "RS", "MK", "HR"}
    assert attacked.picture()["entry"] == before["entry"]
    attacked.network.anchor.enrolled = known


def test_x08_anchor_that_lists_thousands(attacked: Attacked) -> None:
    """Ten thousand names of nobody, ten thousand and one, and one name ten thousand times."""
    attacked.network.fail("nobody", "unreachable")
    for listed in (["https://rs.example"] * 10_001, [f"https://n{n}.nobody.example" for n in range(10_001)]):
        attacked.follower.pass_time(MINUTE)
        attacked.network.faults["/list"] = lambda url, listed=listed: answer(dump_json(listed), JSON)
        results = attacked.follower.pull_all()
        assert {code: each.result for code, each in results.items()} == {"RS": "ok", "MK": "ok", "HR": "ok"}
    repeated = [node for node in attacked.network.anchor.enrolled for _ in range(3000)]
    attacked.network.faults["/list"] = lambda url: answer(dump_json(repeated), JSON)
    attacked.network.forget_requests()
    assert {each.result for each in attacked.follower.pull_all().values()} == {"ok"}
    assert attacked.network.asked("/fetch") == len(attacked.network.anchor.enrolled)


def test_x09_page_of_another_place(attacked: Attacked) -> None:
    """A relay or origin serves the page from another start: the lines are genuine, their place is not."""
    attacked.refuses(
        growing(lambda node: setattr(node, "page_lie", lambda start, page: node.entries[:10])), "root_mismatch"
    )


def test_x10_headers_alone(attacked: Attacked) -> None:
    """Every payload withheld: each header proves, and nothing of it can be shown."""

    def bare(node: SimulatedNode) -> None:
        node.grow(10)
        node.page_lie = lambda start, page: [Entry(entry.header, None) for entry in page]

    attacked.refuses(bare, "withheld_payload")


def test_x11_payload_where_none_belongs(attacked: Attacked) -> None:
    """A deleted record that comes with a payload, which no digest covers."""

    def deleted(node: SimulatedNode) -> None:
        node.delete("member/m-50")
        node.page_lie = lambda start, page: [replace(page[0], payload=b"{}"), *page[1:]]

    attacked.refuses(deleted, "bad_digest")


def test_x12_no_entries_where_some_are_signed(attacked: Attacked) -> None:
    """404, 200 with nothing, 204 and 206 for pages that the checkpoint promises."""
    for response in (
        Response(404, "application/problem+json", b'{"type":"urn:veza:problem:out_of_range"}'),
        Response(404, "text/html", b"gone"),
        Response(200, "application/x-ndjson", b""),
        Response(200, "application/x-ndjson", b"\n" * 10),
        Response(200, "application/x-ndjson", b"\r\n".join([b'["",null]'] * 10)),
    ):
        attacked.network.faults["rs.example/federation/v1/logs/RS/entries"] = lambda url, response=response: response
        result = attacked.refuses_any(lambda node: node.grow(10), {"bad_range", "bad_entry", "root_mismatch"})
        assert result.entries == 0
    for status in (201, 204, 206):
        found = Response(status, "application/x-ndjson", b"")
        attacked.network.faults["rs.example/federation/v1/logs/RS/entries"] = lambda url, found=found: found
        attacked.refuses(lambda node: node.grow(10), "bad_response")


def test_x13_header_with_a_member_twice(attacked: Attacked) -> None:
    """Two parsers read two records: which one is superseded must not hang on the parser."""

    def twice(node: SimulatedNode) -> None:
        header = b'{"seq":%d,"record":"unit/spoc","record":"member/x","op":"delete","at":"2026-11-21T20:00:00Z"}'
        node.entries.append(Entry(header % node.size, None))

    shown = attacked.follower.records("RS")
    attacked.accepts(twice)
    assert attacked.follower.records("RS") == shown
    assert attacked.follower.skipped("RS") == {HELD: "bad_entry"}


def test_x14_problem_that_writes_into_the_log(attacked: Attacked) -> None:
    """A refusal whose words hold line breaks, escapes and a code that is none, or megabytes of them."""
    for kind, detail in (
        ("urn:veza:problem:ok", "a\r\nb"),
        ("urn:veza:problem:" + "x" * 99, "\x1b[2J"),
        ("javascript:x", ""),
    ):
        body = dump_json({"type": kind, "detail": detail + "\u202e" * 5000})
        found = Response(503, "application/problem+json", body)
        attacked.network.faults["rs.example/federation/v1/logs/RS/checkpoint"] = lambda url, found=found: found
        result = attacked.refuses_any(lambda node: node.grow(10), {"unreachable", "ok"})
        assert result.entries == 0
        assert (result.detail or "").isprintable()
        assert len(result.detail or "") <= 1000


def test_x15_status_line_with_a_nul(stored: Attacked) -> None:
    """Words of the peer that a library quotes end in the database; PostgreSQL takes no NUL, and the run would end."""
    network = stored.network
    lines_sent = (b"HTTP/1.1 2\x00 OK\r\n\r\n", b"\x00\x1b[2J\r\n\r\n", b"HTTP/9.9 200\r\n\r\n", b"SSH-2.0-\x00\r\n")
    for sent in lines_sent:
        with RawServer(sent) as server:
            client = HttpTransport(insecure_urls=True)
            with pytest.raises(SyncError) as refusal:
                client.get(server.url, accept=JWT, max_bytes=1000, seconds=5)
            client.close()
        assert refusal.value.detail.isprintable()

        def fault(url: str, error: SyncError = refusal.value) -> Response:
            raise error

        network.faults["rs.example/federation/v1/logs/RS/checkpoint"] = fault
        stored.refuses(lambda node: node.grow(10), refusal.value.code)


def test_x16_bytes_after_the_end(attacked: Attacked) -> None:
    """Gzip with trailing bytes or members, chunk extensions without end, two lengths, a length and chunks."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/jwt\r\n"
    packed = gzip.compress(b"token")
    answers: list[tuple[bytes, str]] = [
        (http_answer(packed + b"x", headers=[("Content-Encoding", "gzip")]), "bad_response"),
        (http_answer(packed + packed, headers=[("Content-Encoding", "gzip")]), "bad_response"),
        (http_answer(packed[:-4], headers=[("Content-Encoding", "gzip")]), "bad_range"),
        (
            head + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a=b;" * 100_000 + b"\r\nx\r\n0\r\n\r\n",
            "bad_response too_large bad_range",
        ),
        (head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\ntoken!", "bad_response unreachable"),
        (head + b"Content-Length: -1\r\n\r\ntoken", "bad_response unreachable ok"),
        (head + b"Transfer-Encoding: chunked\r\n\r\n-5\r\ntoken\r\n0\r\n\r\n", "bad_range bad_response unreachable"),
        (head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n" + b"x" * 300_000, "too_large bad_range"),
    ]
    for sent, codes in answers:
        client = HttpTransport(insecure_urls=True)
        with RawServer(sent) as server:
            try:
                code = "ok" if client.get(server.url, accept=JWT, max_bytes=100_000, seconds=5).body else "empty"
            except SyncError as error:
                code = error.code
        client.close()
        assert code in codes.split(), (sent[:120], code)


def test_x17_slow_handshake(tmp_path: Path) -> None:
    """TLS that is never finished: the time of an exchange begins before it."""
    client = HttpTransport()

    def drip(server: RawServer, request: bytes) -> Iterator[bytes]:
        yield from server.silence()

    with RawServer(drip) as server:
        began = time.monotonic()
        url = f"https://127.0.0.1:{server.port}/"
        with pytest.raises((PeerUnreachableError, InsecureUrlError)):
            client.get(url, accept=JWT, max_bytes=1000, seconds=0.5, allowed_networks=_loopback())
        assert time.monotonic() - began < 10
    client.close()


def _loopback() -> list[object]:
    return [ipaddress.ip_network("127.0.0.0/8")]


def test_x18_name_that_answers_differently_the_second_time() -> None:
    """DNS that shows a public address when asked first and one inside when dialled: it is asked once."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["192.0.2.1"] if len(asked) > 1 else ["127.0.0.1"]

    with RawServer(http_answer(b"token")) as server:
        client = HttpTransport(insecure_urls=True, resolve=resolve)
        found = client.get(f"http://node.example:{server.port}/", accept=JWT, max_bytes=1000, seconds=5)
        client.close()
    assert (found.body, asked) == (b"token", ["node.example"])
    mixed = lambda host, port: ["93.184.216.34", "10.0.0.1"]  # noqa: E731
    with pytest.raises(InsecureUrlError):
        check_url("https://node.example/", resolve=mixed)


@pytest.mark.parametrize(
    "url", ["https://[fe80::1%25eth0]/", "https://[::1%lo]/", "https://[fe80::1%25]/", "https://[fe80::1%]/"]
)
def test_x19_addresses_with_a_zone(url: str) -> None:
    """An IPv6 address with a scope leads to a neighbour of this machine, whatever the rest of it says."""
    with pytest.raises(InsecureUrlError):
        check_url(url)


def test_x20_one_captured_statement_a_thousand_times(attacked: Attacked) -> None:
    """Anybody who holds one expired or early token can post it for ever: each costs no write of its own."""
    node = attacked.honest.copy()
    issued = int(attacked.now.timestamp()) + 900
    early = signed(node, claims=dump_json(claims_of(node, iat=issued, exp=issued + 60)))
    with attacked.holding("not_yet_valid"):
        for _ in range(450):
            with pytest.raises(FederationError, match="not_yet_valid"):
                receive_statement(attacked.follower.node, early, attacked.now)
    with reading(attacked.follower.engine) as session:
        (row,) = load_refusals(session, attacked.now)
    assert (row.peer, row.code, row.count) == ("RS", "not_yet_valid", 400)


def test_x21_not_modified_that_was_never_asked(attacked: Attacked) -> None:
    """304 with an ETag of the peer's choice: nothing is held under it, so nothing may be taken from memory."""
    with RawServer(
        http_answer(status="304 Not Modified", content_type=None, headers=[("ETag", '"a"'), ("ETag", '"b"')])
    ) as server:
        client = HttpTransport(insecure_urls=True)
        with pytest.raises(PeerResponseError, match="redirect_refused"):
            client.get(server.url, accept=JWT, max_bytes=1000, seconds=5)
        client.close()
    attacked.network.faults["rs.example/federation/v1/logs/RS/checkpoint"] = lambda url: Response(304, "", b"")
    attacked.refuses(lambda node: node.grow(10), "bad_response")


def test_x22_chain_that_circles(attacked: Attacked) -> None:
    """A chain of configurations in the wrong order, or with one repeated: it must neither loop nor go back."""

    def circle(node: SimulatedNode) -> None:
        thief = Identity("RS", node.entity_id, named_key("thief f"), named_key("thief o"))
        token = make_configuration(thief, now=node.now).token
        node.configuration_token = token.encode()
        node.chain = [node.configuration(), token] * 100

    attacked.refuses(circle, "unknown_key")


def test_x23_time_before_the_first_second(attacked: Attacked) -> None:
    """Instants at the edges of what a calendar holds: a checkpoint or configuration of the year 1970 or of none."""
    attacked.refuses(claiming(iat=0, exp=1), "expired")
    attacked.refuses(claiming(iat=2**53 - 2, exp=2**53 - 1), "not_yet_valid")
    far = {"iat": 2**53 - 2, "exp": 2**53 - 1}
    attacked.refuses(lambda node: setattr(node, "configuration_token", statement(node, **far)), "not_yet_valid")


def test_x24_words_of_an_error_are_read_as_nothing_else() -> None:
    """A body that explains an error is never more than its words: bombs of nesting or digits say nothing."""
    for body in (b"[" * 60_000, b'{"type":' + b"9" * 60_000 + b"}", b"\xff", b'{"type":["urn:veza:problem:fork"]}'):
        assert read_problem(Response(400, "application/problem+json", body))[0] is None
        assert read_object(body).get("error") is None
    with pytest.raises(SyncError, match="bad_response"):
        check_status(Response(400, "application/problem+json", b"[" * 60_000), 200)
