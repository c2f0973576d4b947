"""Group T: what a peer can do to the client, on real sockets with real certificates.

The node follows RS, which attacks, and MK and HR, which do not. Its limits are seconds, so that a test takes seconds.
"""

import datetime as dt
import gzip
import ssl
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.database import writing
from federation.addresses import check_entity_id
from federation.errors import TrustError
from federation.identity import Identity
from federation.trusted_anchor import trust_anchor
from sync.addresses import check_url, parse_networks
from sync.client import HttpTransport
from sync.errors import InsecureUrlError, PeerUnreachableError
from sync.status import LONGEST_PAUSE, load_due_retries, pause
from sync.transport import JWT
from tests.abuse.attacked import MIB, MINUTE, Attack, Attacked, make_attacked, peak_memory_at_most
from tests.abuse.wire import (
    BOMB,
    bomb,
    content_type,
    dripping,
    dripping_headers,
    endless,
    endless_plain,
    headed,
    silent,
)
from tests.simulators.certificates import make_certificate
from tests.simulators.follower import Follower
from tests.simulators.node_simulator import SimulatedNode, named_key
from tests.simulators.raw_server import Answer, RawServer, http_answer
from tests.simulators.socket_network import LOOPBACK, SocketNetwork

HOSTS = ("rs.example", "mk.example", "hr.example", "anchor.example")
SECONDS = 5.0
SHORT = 1.2
"""For answers that never come; the bystanders must answer within it, on a busy machine too."""
CHECKPOINT = "/logs/RS/checkpoint"
ENTRIES = "/logs/RS/entries"
_LOOPBACK = parse_networks([LOOPBACK])


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[SocketNetwork]:
    with SocketNetwork(tmp_path, HOSTS) as sockets:
        yield sockets


@pytest.fixture
def real(sockets: SocketNetwork, sqlite_engine: sa.Engine, caplog: pytest.LogCaptureFixture) -> Iterator[Attacked]:
    """The node under attack behind the real client; afterwards the honest origin is synced with no manual step."""
    transport = sockets.transport()
    attacked = make_attacked(sqlite_engine, caplog, sockets.network)
    with writing(sqlite_engine) as session:
        trust_anchor(session, sockets.network.anchor.entity_id, sockets.network.anchor.keys, [LOOPBACK])
    attacked.follower = within(attacked.follower.using(transport), SECONDS)
    assert {each.result for each in attacked.follower.pull_all().values()} == {"ok"}
    yield attacked
    sockets.hostile.clear()
    attacked.check_heals()
    transport.close()


def within(follower: Follower, seconds: float) -> Follower:
    """The same node with this much patience."""
    return follower.limited(token_seconds=seconds, page_seconds=seconds, gossip_seconds=seconds)


def resists(real: Attacked, sockets: SocketNetwork, answer: Answer, code: str, *, at: str = "both") -> None:
    """RS answers like this where its checkpoint or its entries are asked for, and nothing comes of it."""
    for part in (CHECKPOINT, ENTRIES) if at == "both" else (at,):
        sockets.hostile = {part: answer}
        real.refuses(lambda node: node.grow(10), code)
        sockets.hostile = {}


def answering(sockets: SocketNetwork, answer: Answer) -> Attack:
    """RS grows, and answers like this where its checkpoint is asked for."""

    def attack(node: SimulatedNode) -> None:
        node.grow(10)
        sockets.hostile = {CHECKPOINT: answer}

    return attack


def test_t01_body_without_end(real: Attacked, sockets: SocketNetwork) -> None:
    real.follower = real.follower.limited(token_seconds=SECONDS, page_seconds=20, page_bytes=MIB)
    with peak_memory_at_most(32 * MIB):
        for answer in (endless, endless_plain):
            resists(real, sockets, answer, "too_large")


def test_t02_one_byte_at_a_time(real: Attacked, sockets: SocketNetwork) -> None:
    real.follower = within(real.follower, SHORT)
    resists(real, sockets, dripping, "timeout")
    real.follower = within(real.follower, SECONDS)


def test_t03_no_headers_or_far_too_many(real: Attacked, sockets: SocketNetwork) -> None:
    real.follower = within(real.follower, SHORT)
    resists(real, sockets, silent, "timeout", at=CHECKPOINT)
    resists(real, sockets, dripping_headers, "timeout", at=CHECKPOINT)
    real.follower = within(real.follower, SECONDS)
    resists(real, sockets, headed(*[(f"X-{number}", "y") for number in range(200)]), "bad_response")
    resists(real, sockets, headed(("X-Long", "y" * 70_000)), "bad_response")
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    resists(real, sockets, lambda server, request: iter(lambda: interim * 1000, b""), "too_large", at=CHECKPOINT)


def test_t04_gzip_bombs(real: Attacked, sockets: SocketNetwork) -> None:
    assert len(BOMB) < 210_000
    sockets.hostile = {CHECKPOINT: bomb}
    with peak_memory_at_most(32 * MIB):
        real.refuses(lambda node: node.grow(10), "too_large")
    resists(real, sockets, bomb, "too_large")
    nested = gzip.compress(gzip.compress(b"x" * 1000))
    resists(real, sockets, headed(("Content-Encoding", "gzip"), body=nested), "malformed", at=CHECKPOINT)
    resists(real, sockets, headed(("Content-Encoding", "gzip, gzip"), body=nested), "bad_response")


def test_t05_a_hundred_encodings(real: Attacked, sockets: SocketNetwork) -> None:
    values = (", ".join(["gzip"] * 100), "deflate", "br", "zstd", "x-gzip", "identity, gzip", "gzip;q=1")
    answers = [headed(("Content-Encoding", value), body=zlib.compress(b"x")) for value in values]
    began = time.process_time()
    real.refuses_each([answering(sockets, answer) for answer in answers], "bad_response")
    assert time.process_time() - began < 5
    sockets.hostile = {}
    resists(real, sockets, headed(*[("Content-Encoding", "gzip")] * 90), "bad_response")


def test_t06_redirects(real: Attacked, sockets: SocketNetwork, tmp_path: Path) -> None:
    with RawServer(http_answer(b"x")) as target:
        places = [
            f"http://127.0.0.1:{target.port}/",
            f"https://mk.example:{sockets.server.port}/",
            "file:///etc/passwd",
        ]
        places += ["//127.0.0.1/", "", "/federation/v1/logs/MK/checkpoint", "gopher://x", "http://[::1]/"]
        statuses = ("301 X", "302 X", "303 X", "307 X", "308 X", "300 X", "304 X", "305 X")
        answers = [headed(("Location", places[0]), status=status) for status in statuses]
        answers += [headed(("Location", place), status="302 Found") for place in places]
        real.refuses_each([answering(sockets, answer) for answer in answers], "redirect_refused")
        assert target.requests == []


def test_t08_body_that_ends_early(real: Attacked, sockets: SocketNetwork) -> None:
    def short(server: RawServer, request: bytes) -> Iterator[bytes]:
        yield http_answer(b"x" * 400, content_type(request), length=1000)
        raise OSError("the connection is cut")

    before = len(sockets.server.requests)
    resists(real, sockets, short, "bad_range")
    asked = [
        request for request in sockets.server.requests[before:] if CHECKPOINT.encode() in request.split(b"\r\n")[0]
    ]
    assert len(asked) >= 2  # it was tried once more


def test_t09_token_under_another_type(real: Attacked, sockets: SocketNetwork) -> None:
    def mistyped(kind: str | None) -> Answer:
        nodes = real.network.nodes
        return lambda server, request: http_answer(nodes[real.honest.entity_id].served_checkpoint(), kind)

    kinds = ("text/html", "image/png", "application/json", "application/jwt+x", "", None)
    real.refuses_each([answering(sockets, mistyped(kind)) for kind in kinds], "bad_response")


@pytest.mark.parametrize(
    "fault", ["expired", "future", "self-signed", "wrong host", "old version", "wants ours", "plain"]
)
def test_t10_tls(real: Attacked, sockets: SocketNetwork, tmp_path: Path, fault: str) -> None:
    """RS moves its name to a listener whose TLS proves nothing; there is no falling back to http."""
    made = {"expired": (-9, 3), "future": (3, 3)}.get(fault, (-1, 3))
    host = "other.example" if fault == "wrong host" else "rs.example"
    file, context = make_certificate(tmp_path, host, start=made[0], days=made[1], name="bad")
    trusted = tmp_path / "all.pem"
    known = sockets.ca_file.read_text() + ("" if fault == "self-signed" else file.read_text())
    trusted.write_text(known)
    if fault == "old version":
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    if fault == "wants ours":
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    with RawServer(http_answer(b"x"), tls=None if fault == "plain" else context) as bad:
        client = HttpTransport(ca_file=str(trusted), resolve=lambda name, port: ["127.0.0.1"])
        with pytest.raises(PeerUnreachableError) as refusal:
            client.get(
                f"https://rs.example:{bad.port}/x",
                accept=JWT,
                max_bytes=1000,
                seconds=SECONDS,
                allowed_networks=_LOOPBACK,
            )
        client.close()
        assert (refusal.value.code, bad.requests) == ("unreachable" if fault != "plain" else refusal.value.code, [])
    real.network.fail("rs.example", "unreachable")
    with real.holding("unreachable"):
        assert real.follower.pull_all()["RS"].result in ("ok", "unreachable")


IN_DISGUISE = [
    "127.1",
    "2130706433",
    "0177.0.0.1",
    "0x7f.1",
    "\u2460\u2461\u2466.0.0.1",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[::]",
    "169.254.169.254",
    "ok@evil.example",
    "127.0.0.1",
    "10.0.0.1",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fd00::1]",
    "0.0.0.0",
    "127.0.0.1.",
    "[::1]",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "[ff02::1]",
    "localhost",
    "127.0.0.1:22",
    "evil.example:22",
    "[::127.0.0.1]",
    "127\u30020\u30020\u30021",
    "evil.example:0",
    "evil.example:99999",
]


@pytest.mark.parametrize("host", IN_DISGUISE)
def test_t12_addresses_inside_in_any_spelling(host: str) -> None:
    """Refused when trust is given, and again when it is dialled."""
    url = f"https://{host}"
    resolved = {"localhost": ["127.0.0.1"], "evil.example": ["10.1.2.3"]}
    with pytest.raises(InsecureUrlError):
        check_url(url, resolve=lambda name, port: resolved.get(name, ["127.0.0.1"]))
    if ("evil.example:" in host and host.endswith((":22", ":0", ":99999"))) or "evil" not in host:
        with pytest.raises(TrustError):
            check_entity_id(url)


def test_t12_allowed_for_one_peer_alone(real: Attacked, sockets: SocketNetwork) -> None:
    """The network that the operator allowed is dialled; another inside it is not."""
    transport = sockets.transport()
    url = f"https://rs.example:{sockets.server.port}/.well-known/openid-federation"
    with pytest.raises(InsecureUrlError):
        transport.get(url, accept="application/entity-statement+jwt", max_bytes=65536, seconds=SECONDS)
    assert check_entity_id("https://10.0.0.1", allowed_networks=parse_networks(["10.0.0.0/24"]))
    for outside in ("https://10.0.1.1", "https://127.0.0.1"):
        with pytest.raises(TrustError):
            check_entity_id(outside, allowed_networks=parse_networks(["10.0.0.0/24"]))
    transport.close()


def test_t13_environment_is_not_asked(
    real: Attacked, sockets: SocketNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(http_answer(b"stolen")) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        netrc = tmp_path / ".netrc"
        netrc.write_text("default login me password secret\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
        before = len(sockets.server.requests)
        real.follower.pass_time(MINUTE)
        assert {each.result for each in real.follower.pull_all().values()} == {"ok"}
        assert proxy.requests == []
    sent = sockets.server.requests[before:]
    assert sent
    assert not any(b"Basic" in request or b"secret" in request for request in sent)


@pytest.mark.parametrize("retry_after", ["999999999", "-1", "Wed, 21 Oct 2099 07:28:00 GMT", "x", "0"])
def test_t14_retry_after(real: Attacked, sockets: SocketNetwork, retry_after: str) -> None:
    """What a peer says about when to come back neither hurries this node nor makes it wait for ever."""
    sockets.hostile = {CHECKPOINT: headed(("Retry-After", retry_after), status="503 Busy")}
    real.refuses(lambda node: node.grow(10), "unreachable")
    status = real.follower.status("RS")
    assert status.retry_at is not None
    assert status.retry_at - real.now == MINUTE
    assert all(MINUTE <= pause(failures) <= LONGEST_PAUSE for failures in range(1, 4000))
    assert pause(4000) == dt.timedelta(hours=24)
    with writing(real.follower.engine) as session:
        assert load_due_retries(session, real.now + MINUTE) == ["RS"]


def test_t16_lapsed_domain_with_a_good_certificate(real: Attacked, sockets: SocketNetwork) -> None:
    """Whoever has the name and its certificate has no key: nothing is trusted on first use."""

    def taken_over(node: object) -> None:
        stranger = Identity("RS", real.honest.entity_id, named_key("stranger f"), named_key("stranger o"))
        real.network.nodes[real.honest.entity_id].identity = stranger

    real.refuses(taken_over, "unknown_key")
    stranger_key = named_key("stranger o")
    real.refuses(lambda node: setattr(node, "signing_key", stranger_key), "unknown_key")
