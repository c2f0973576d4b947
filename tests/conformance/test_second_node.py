"""The second implementation against itself: an origin that is its own anchor, and a node that follows it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import second_node as node
from tests.ports import free_ports_in_a_row

PROGRAM = Path(node.__file__)
WEB = node.Web(insecure=True)
DOCUMENT: node.Json = {
    "country": "SI",
    "names": {"en": "Slovenia", "sl": "Slovenija"},
    "timezone": "Europe/Ljubljana",
    "languages": ["sl", "en"],
    "memberships": ["INTERPOL"],
    "channels": {"siena": {"connected": True, "max": "RESTRICTED"}},
    "public_holidays": ["01-01"],
    "agencies": [{"id": "police", "name": {"en": "Police"}, "kind": "police", "level": "central"}],
    "units": [
        {
            "id": "spoc",
            "name": {"en": "Contact point", "sl": 'Kontaktna točka / »SIRENE« "24/7" \\ Ђ'},
            "kind": "spoc",
            "level": "central",
            "agency": "police",
            "parent": None,
            "area": ["SI"],
            "crime_areas": ["*"],
            "channels": ["siena"],
            "languages": ["sl", "en"],
            "hours": "24/7",
        }
    ],
    "members": [{"id": "m-a1b2c3d4", "name": "Duty officer 1", "languages": ["sl"], "unit": "spoc"}],
}
OUTAGE = {"channel": "siena", "from": "2026-11-21T20:00:00Z", "reason": "maintenance"}


def write_config(folder: Path, participant: str, **values: Any) -> Path:
    port = free_ports_in_a_row(2)
    control = port + 1
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "document.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    fixed = {"participant": participant, "url": f"http://127.0.0.1:{port}", "port": port, "control_port": control}
    path = folder / "config.json"
    path.write_text(json.dumps(fixed | {"allow_insecure": True, "push": False, "trust_cache": 0} | values))
    return path


@contextmanager
def serving(config: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(PROGRAM), "serve", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "ready" in process.stdout.readline(), "expected the node to say that it is ready"
            yield process
        finally:
            process.terminate()


class Pair:
    """An origin that is the anchor too, and the follower's settings; both are served."""

    def __init__(self, folder: Path, **origin: Any) -> None:
        service = {"subordinates": [], "alg": origin.pop("alg", "EdDSA")}
        self.origin_config = write_config(
            folder / "si", "SI", anchor_service=service, document="document.json", **origin
        )
        self.origin = node.Settings(self.origin_config)
        anchor = self.origin.anchor
        self.follower_config = write_config(folder / "hr", "HR", anchor=anchor, follow="all")
        self.follower = node.Settings(self.follower_config)

    def control(self, settings: node.Settings | None = None, **command: Any) -> node.Json:
        port = (settings or self.origin).values["control_port"]
        body = json.dumps(command).encode() if command else None
        answer = WEB.ask(f"http://127.0.0.1:{port}/", body=body, media_type="application/json")
        assert answer.status == 200, answer.body
        return node.strict_object(answer.body)

    def grant(self) -> None:
        self.control(do="grant", url=self.follower.url, participant="HR")

    def follow(self, **changed: Any) -> node.Json:
        """One run; ``changed`` holds for this run only."""
        kept = dict(self.follower.values)
        self.follower.values |= {"probes": False} | changed
        try:
            return node.follow(self.follower)
        finally:
            self.follower.values = kept

    def code(self) -> str:
        (found,) = self.follow()["nodes"]
        return str(found["result"])


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    with serving(made.origin_config), serving(made.follower_config):
        made.grant()
        yield made


def deviations(report: node.Json) -> list[node.Json]:
    return [item for part in (report["anchor"], *report["nodes"]) for item in part["deviations"]]


# ---------------------------------------------------------------- flows


@pytest.mark.flow
def test_the_command_follows_its_own_kind_without_a_deviation(pair: Pair) -> None:
    command = [sys.executable, str(PROGRAM), "follow", "--config", str(pair.follower_config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    report = json.loads(done.stdout)
    assert deviations(report) == []
    assert (done.returncode, report["ok"], done.stderr) == (0, True, "")
    (found,) = report["nodes"]
    assert found["facts"]["size"] == 4
    assert found["facts"]["records"] == {"participant": 1, "agency": 1, "unit": 1, "member": 1}
    assert len(found["checks"]) > 100


@pytest.mark.flow
@pytest.mark.parametrize("alg", ["ES256", "PS256", "RS256"])
def test_an_anchor_of_other_software_signs_with_other_algorithms(tmp_path: Path, alg: str) -> None:
    made = Pair(tmp_path, alg=alg)
    with serving(made.origin_config), serving(made.follower_config):
        made.grant()
        assert deviations(made.follow()) == []


@pytest.mark.flow
def test_a_log_of_several_pages_supersedes_deletes_and_erases(tmp_path: Path) -> None:
    made = Pair(tmp_path, erase_after=0)
    with serving(made.origin_config), serving(made.follower_config):
        made.grant()
        made.control(do="append", entries=[{"record": f"outage/o-{n}", "data": OUTAGE} for n in range(520)])
        assert made.follow()["nodes"][0]["facts"]["records"]["outage"] == 520
        changed = {"record": "outage/o-1", "data": OUTAGE | {"reason": "over"}}
        made.control(do="append", entries=[changed, {"record": "outage/o-2", "delete": True}])
        report = made.follow(probes=True)
    assert deviations(report) == []
    facts = report["nodes"][0]["facts"]
    assert (facts["size"], facts["records"]["outage"], facts["erased"]) == (526, 519, 3)
    held = node.Log.load(tmp_path / "hr" / "held" / "SI.json")
    assert held is not None
    assert [seq for seq, payload in enumerate(held.payloads) if payload is None] == [5, 6, 525]


@pytest.mark.flow
def test_publishing_a_changed_document_appends_only_what_changed(pair: Pair) -> None:
    changed = DOCUMENT | {"languages": ["sl"], "members": []}
    assert pair.control(do="publish", document=changed)["size"] == 6
    assert pair.control(do="publish", document=changed)["size"] == 6
    assert pair.follow()["nodes"][0]["facts"]["records"] == {"participant": 1, "agency": 1, "unit": 1}


@pytest.mark.flow
@pytest.mark.parametrize("which", ["operating", "federation"])
def test_rotated_keys_are_followed(pair: Pair, which: str) -> None:
    assert pair.code() == "accepted"
    pair.control(do="rotate", which=which)
    assert deviations(pair.follow()) == []


@pytest.mark.flow
def test_a_pinned_key_is_followed_through_two_rotations(tmp_path: Path) -> None:
    first = write_config(tmp_path / "si", "SI", document="document.json")
    second = write_config(tmp_path / "hr", "HR")
    origin, follower = node.Settings(first), node.Settings(second)
    pins = {
        "SI": {"url": origin.url, "participant": "SI", "thumbprint": origin.keys.signer("federation").kid},
        "HR": {"url": follower.url, "participant": "HR", "thumbprint": follower.keys.signer("federation").kid},
    }
    first.write_text(json.dumps(origin.values | {"peers": [pins["HR"]]}))
    second.write_text(json.dumps(follower.values | {"peers": [pins["SI"]], "follow": [pins["SI"]]}))
    follower = node.Settings(second)
    control = f"http://127.0.0.1:{origin.values['control_port']}/"
    with serving(first), serving(second):
        for _ in range(2):
            assert WEB.ask(control, body=b'{"do":"rotate","which":"federation"}').status == 200
        report = node.follow(follower)
        assert deviations(report) == []
        stranger = pins["SI"] | {"thumbprint": node.Signer.new().kid}
        follower.values["follow"] = [stranger]
        assert node.follow(follower)["nodes"][0]["result"] == "unknown_key"


@pytest.mark.flow
@pytest.mark.parametrize("fault", sorted(node.FOLLOWER_FAULTS))
def test_spoiled_answers_are_refused_with_their_code(pair: Pair, fault: str) -> None:
    pair.control(do="fault", names=[fault])
    assert pair.code() == fault
    pair.control(do="fault", names=[])
    assert pair.code() == "accepted"


@pytest.mark.flow
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"do": "rewrite", "seq": 1}, "fork"),
        ({"do": "truncate", "size": 3}, "rollback"),
        ({"do": "backdate", "seconds": 600}, "rollback"),
    ],
)
def test_a_betrayed_history_is_refused_and_the_held_one_stays(pair: Pair, command: node.Json, code: str) -> None:
    assert pair.code() == "accepted"
    before = (pair.follower.folder / "held" / "SI.json").read_bytes()
    pair.control(**command)
    assert pair.code() == code
    assert (pair.follower.folder / "held" / "SI.json").read_bytes() == before


@pytest.mark.flow
def test_a_rewritten_history_is_a_fork_after_it_grew_too(pair: Pair) -> None:
    assert pair.code() == "accepted"
    pair.control(do="rewrite", seq=0)
    pair.control(do="append", entries=[{"record": "outage/o-1", "data": OUTAGE}])
    (found,) = pair.follow()["nodes"]
    assert found["result"] == "fork"
    assert node.check_evidence(found["facts"]["evidence"])["participant"] == "SI"


@pytest.mark.flow
def test_bad_records_under_a_proven_root_are_shown_and_poison_nothing(pair: Pair) -> None:
    payload = '{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":{"channel":"siena","from":"2026-11-21T20:00:00Z"}}'
    digest = node.b64(node.hashlib.sha256(payload.encode()).digest())
    header = {"seq": 6, "record": "outage/o-9", "op": "put", "at": "2026-11-21T20:00:00Z", "digest": digest}
    pair.control(
        do="append",
        entries=[
            {"header": "no header at all"},
            {"record": "drone/d-1", "data": {}},
            {"header": json.dumps(header | {"more": 1}), "payload": payload},
            {"header": json.dumps(header), "payload": payload},
            {"record": "participant/self", "data": DOCUMENT | {"country": "HR"}},
        ],
    )
    (found,) = pair.follow()["nodes"]
    assert found["result"] == "accepted"
    skipped = [(item["seq"], item["code"]) for item in found["facts"]["skipped"]]
    wanted = [(4, "bad_entry"), (5, "bad_entry"), (6, "bad_entry"), (7, "bad_entry")]
    assert skipped == [*wanted, (8, "wrong_participant")]
    assert [item["check"] for item in found["deviations"]] == ["each record is as section 4 and the directory say"]


@pytest.mark.flow
def test_a_reader_that_the_anchor_lets_go_reads_no_more(pair: Pair) -> None:
    assert pair.code() == "accepted"
    pair.control(do="revoke", url=pair.follower.url)
    (found,) = pair.follow()["nodes"]
    assert found["result"] == "bad_response"
    assert "401 unauthenticated" in found["deviations"][0]["found"]


@pytest.mark.flow
def test_a_held_log_is_relayed_byte_for_byte_and_judged(pair: Pair) -> None:
    assert pair.code() == "accepted"
    relays = [pair.follower.url]
    assert deviations(pair.follow(relays=relays)) == []
    url = f"{pair.follower.url}/federation/v1/logs/SI"
    token = node.read_token(pair.origin, pair.follower.url, node.clock())
    headers = {"Authorization": f"Bearer {token}"}
    own = node.Log.load(pair.origin.folder / "state.json")
    assert own is not None
    assert WEB.ask(f"{url}/checkpoint", headers=headers).text == own.checkpoint
    assert WEB.ask(f"{url}/entries?start=0", headers=headers).body == b"".join(own.page(0))


@pytest.mark.flow
def test_an_origin_keeps_its_log_and_keys_over_a_restart(tmp_path: Path) -> None:
    made = Pair(tmp_path)
    with serving(made.follower_config):
        sizes = []
        for _ in range(2):
            with serving(made.origin_config):
                made.grant()
                assert deviations(made.follow()) == []
                sizes.append(made.control()["size"])
    assert sizes == [4, 4]


@pytest.mark.flow
def test_a_lost_log_is_taken_back_from_a_peer(tmp_path: Path) -> None:
    made = Pair(tmp_path, recover=True)
    values = node.strict_object(made.origin_config.read_bytes())
    values["anchor_service"]["subordinates"] = [{"url": made.follower.url, "participant": "HR"}]
    made.origin_config.write_text(json.dumps(values))
    state = tmp_path / "si" / "state.json"
    with serving(made.follower_config):
        with serving(made.origin_config):
            made.control(do="append", entries=[{"record": f"outage/o-{n}", "data": OUTAGE} for n in range(300)])
            assert made.code() == "accepted"
        kept = node.Log.load(state)
        state.unlink()
        with serving(made.origin_config):
            found = node.Log.load(state)
            assert deviations(made.follow()) == []
    assert kept is not None
    assert found is not None
    assert (found.headers, found.payloads) == (
        [*kept.headers, *found.headers[304:]],
        [*kept.payloads, *found.payloads[304:]],
    )


@pytest.mark.flow
def test_a_new_checkpoint_is_pushed_to_the_peers(tmp_path: Path) -> None:
    made = Pair(tmp_path, push=True)
    with serving(made.origin_config), serving(made.follower_config):
        made.grant()
        made.control(do="append", entries=[{"record": "outage/o-1", "data": OUTAGE}])
        deadline = time.monotonic() + 10
        received: list[node.Json] = []
        while time.monotonic() < deadline and not received:
            received = [item for item in made.control(made.follower)["received"] if item["typ"] == node.CHECKPOINT.typ]
            time.sleep(0.05)
    assert received, "expected the new checkpoint within 10 s, found none"
    assert received[-1]["claims"]["size"] == 5


@pytest.mark.flow
def test_a_message_gets_one_receipt_and_other_content_is_a_conflict(pair: Pair) -> None:
    claims: node.Json = {"iss": pair.follower.url, "aud": pair.origin.url, "iat": node.clock()}
    claims |= {"exp": node.clock() + 600, "jti": "7c0c3b3e-6f5b-4d0b-9c39-52f2c6f2c1aa", "type": "contact.requested"}
    claims["body"] = {"request": claims["jti"], "from": "HR:unit/spoc", "to": "SI:unit/spoc"}
    signer = pair.follower.keys.signer("operating")
    url = f"{pair.origin.url}/federation/v1/messages"

    def send(**changed: Any) -> node.Response:
        return WEB.ask(url, body=signer.token(node.MESSAGE.typ, claims | changed).encode())

    first, again = send(), send(exp=node.clock() + 900)
    assert (first.status, again.body) == (200, first.body)
    receipt = node.parse(first.text, node.RECEIPT)
    node.check_signature(receipt, node.public_keys(pair.origin.keys.public("operating"), "keys"))
    assert receipt.claims["jti"] == claims["jti"]
    assert send(type="contact.closed").problem() == "jti_conflict"
    other = {"jti": "7c0c3b3e-6f5b-4d0b-9c39-52f2c6f2c1ab", "body": claims["body"] | {"from": "SI:unit/spoc"}}
    assert send(**other).problem() == "wrong_participant"


# ---------------------------------------------------------------- rules

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize(("size", "root"), ROOTS.items())
def test_roots_are_those_published_for_certificate_transparency(size: int, root: str) -> None:
    assert node.merkle_root([bytes.fromhex(leaf) for leaf in LEAVES[:size]]).hex() == root


def test_the_example_of_rfc_8037_is_verified() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert node.thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    secret = jwk | {"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "alg": "EdDSA"}
    signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    assert node.b64(node.Signer(secret)._sign(signed)) == expected


WEAK = {
    "neutral element": (1).to_bytes(32, "little"),
    "order 2": (node.FIELD - 1).to_bytes(32, "little"),
    "order 4": bytes(32),
    "order 8": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "not canonical": (node.FIELD + 3).to_bytes(32, "little"),
    "not canonical, small order": (node.FIELD + 1).to_bytes(32, "little"),
    "signed zero": (1 | 1 << 255).to_bytes(32, "little"),
    "no point": (2).to_bytes(32, "little"),
}


@pytest.mark.parametrize("raw", WEAK.values(), ids=WEAK)
def test_weak_points_are_refused(raw: bytes) -> None:
    with pytest.raises(node.Refusal, match="weak_key"):
        node.public_keys({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": node.b64(raw)}]}, "keys")


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e999}',
        b'{"a":9007199254740992}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100 + b"]" * 100,
        b"[" * 100_000,
        b"{} {}",
        b"",
    ],
)
def test_lax_json_is_refused(text: bytes) -> None:
    with pytest.raises(node.Refusal, match="malformed"):
        node.strict_json(text)


@pytest.mark.parametrize("text", ["AA==", "A", "AB", "A+AA", "A/AA", "AA\n", "ÄÄ", None])
def test_lax_base64url_is_refused(text: object) -> None:
    with pytest.raises(node.Refusal, match="malformed"):
        node.unb64(text)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"size": -1}, "malformed"),
        ({"size": True}, "malformed"),
        ({"size": 1.0}, "malformed"),
        ({"size": 2**53}, "malformed"),
        ({"root": "AAAA"}, "malformed"),
        ({"more": 1}, "malformed"),
        ({"exp": 1000}, "malformed"),
        ({"iss": "https://other.example"}, "wrong_issuer"),
        ({"sub": "HR"}, "wrong_participant"),
        ({"iat": 1301, "exp": 1302}, "not_yet_valid"),
        ({"iat": 600, "exp": 699}, "expired"),
        ({"exp": 1001 + 7 * node.DAY}, "malformed"),
    ],
)
def test_checkpoint_claims_are_checked(change: node.Json, code: str) -> None:
    signer = node.Signer.new()
    claims = {"iss": "https://si.example", "sub": "SI", "size": 0, "root": node.b64(node.merkle_root([]))}
    raw = signer.token(node.CHECKPOINT.typ, claims | {"iat": 1000, "exp": 2000} | change)

    def verify() -> None:
        token = node.parse(raw, node.CHECKPOINT)
        node.check_party(token, "https://si.example", "SI")
        node.check_signature(token, {signer.kid: signer.public})
        node.check_times(token, 1000)

    with pytest.raises(node.Refusal, match=code):
        verify()


@pytest.mark.parametrize(
    "url",
    [
        "http://si.example",
        "https://si.example/",
        "https://si.example:443",
        "https://SI.example",
        "https://si.example:80",
        "https://a@si.example",
        "https://si.example?",
        "https://si.example/#a",
        "https://si.example:99999",
        "si.example",
    ],
)
def test_entity_identifiers_have_one_form(url: str) -> None:
    with pytest.raises(node.Refusal, match="insecure_url"):
        node.check_identifier(url, insecure=False)


@pytest.mark.parametrize(
    "header",
    [
        b'{"seq":0,"record":"unit/a","op":"put","at":"2026-11-21T20:00:00Z"}',
        b'{"seq":0,"record":"unit/A","op":"delete","at":"2026-11-21T20:00:00Z"}',
        b'{"seq":0,"record":"unit/-a","op":"delete","at":"2026-11-21T20:00:00Z"}',
        b'{"seq":0,"record":"unit/a","op":"drop it","at":"2026-11-21T20:00:00Z"}',
        b'{"seq":-1,"record":"unit/a","op":"delete","at":"2026-11-21T20:00:00Z"}',
        b'{"seq":0,"record":"unit/a","op":"delete","at":"2026-02-30T20:00:00Z"}',
        b'{"seq":0,"record":"unit/a","op":"delete","at":"2026-11-21T20:00:00+00:00"}',
        b'{"seq":true,"record":"unit/a","op":"delete","at":"2026-11-21T20:00:00Z"}',
        b'{"seq":0,\n"record":"unit/a","op":"delete","at":"2026-11-21T20:00:00Z"}',
        b'{"seq":0,"record":"unit/a","op":"delete","at":"2026-11-21T20:00:00Z","digest":null}',
        b"[]",
    ],
)
def test_bad_headers_are_seen(header: bytes) -> None:
    with pytest.raises(node.Refusal, match="bad_entry"):
        node.read_header(header)
