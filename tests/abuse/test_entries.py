"""Group E: entries and records that an origin signs and that are no records, or are meant for another reader."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from directory.duty import who_is_on_duty
from directory.errors import InvalidInputError
from directory.index import IndexCache
from directory.plain_text import mixed_script_words
from directory.store import load_record, load_records
from federation.encoding import b64url_encode, dump_json
from federation.entries import Entry
from federation.log import erase_superseded, load_head
from federation.publishing import PendingChange, publish
from federation.verification import verify_logs
from tests.abuse.attacked import HOUR, Attack, Attacked
from tests.abuse.forging import growing
from tests.records import make_agency, make_layer, make_member, make_rota, make_unit
from tests.simulators.node_simulator import SALT, SimulatedNode, duty_officer, lines


def put_raw(node: SimulatedNode, payload: bytes, record: str = "member/raw", **header: object) -> None:
    """An entry over these exact payload bytes, whose header covers them."""
    members: dict[str, object] = {
        "seq": node.size,
        "record": record,
        "op": "put",
        "at": "2026-11-21T20:00:00Z",
        "digest": b64url_encode(hashlib.sha256(payload).digest()),
    }
    shown = {name: value for name, value in (members | header).items() if value is not ...}
    node.entries.append(Entry(dump_json(shown), payload))


def salted(text: bytes) -> bytes:
    """A payload around the text of a record."""
    return b'{"salt":"' + b64url_encode(SALT).encode() + b'","data":' + text + b"}"


def skips(attacked: Attacked, attack: Attack, code: str = "bad_entry") -> None:
    """What RS signs is its own fault: kept, passed on, not shown, listed with its code; nobody else suffers."""
    held, shown = attacked.follower.head("RS").size, attacked.follower.records("RS")
    before = attacked.follower.skipped("RS")
    attacked.accepts(attack)
    size = attacked.follower.head("RS").size
    assert size > held
    skipped = attacked.follower.skipped("RS")
    assert {seq: found for seq, found in skipped.items() if seq >= held} == dict.fromkeys(range(held, size), code)
    assert {seq: found for seq, found in skipped.items() if seq < held} == before
    assert attacked.follower.records("RS") == shown
    assert attacked.looked_up()
    assert attacked.follower.pull("MK").result == "ok"


def publishing(record: str, *values: Mapping[str, Any]) -> Attack:
    """RS publishes each of these under an id of its own."""

    def attack(node: SimulatedNode) -> None:
        for value in values:
            node.publish(f"{record}-{node.size}", value)

    return attack


def test_e02_record_id_of_another_country(stored: Attacked) -> None:
    stored.accepts(lambda node: node.publish("unit/spoc", make_unit(agency="police", area=["RS"], note="theirs")))
    with reading(stored.follower.engine) as session:
        found = {
            each.participant: each.data.get("note") for each in load_records(session) if each.record == "unit/spoc"
        }
    assert found == {"RS": "theirs", "MK": None}
    # a record that says it speaks for another country is not shown at all
    skips_participant = {"country": "MK", "names": {"en": "Theirs"}, "timezone": "Europe/Skopje", "languages": ["en"]}
    stored.accepts(lambda node: node.publish("participant/self", skips_participant | {"channels": {}}))
    assert list(stored.follower.skipped("RS").values()) == ["wrong_participant"]
    repaired = {**skips_participant, "country": "RS", "memberships": ["INTERPOL"], "public_holidays": []}
    stored.accepts(lambda node: node.publish("participant/self", repaired | {"channels": {}}))
    assert stored.follower.skipped("RS") == {}


def test_e03_record_ids_that_look_alike(attacked: Attacked) -> None:
    ids = ["unit/BB-1", "unit/bb\u20111", "unit/bb-1\u200b", "unit/bb-1 ", "UNIT/bb-1", "unit/bb-1/x", "unit/", "bb-1"]
    ids += ["unit/-bb", "unit/bb\n", "unit/" + "b" * 64, "u" * 21 + "/b", "unit/\u0455poc", "../../etc", "unit/b%2f"]

    def attack(node: SimulatedNode) -> None:
        for record in ids:
            put_raw(node, salted(dump_json(make_unit(agency="police"))), record)

    skips(attacked, attack)
    attacked.accepts(lambda node: node.publish("unit/bb-1", make_unit(agency="police", area=["RS"])))
    assert "unit/bb-1" in attacked.follower.records("RS")


def test_e04_names_that_read_otherwise_than_they_are(attacked: Attacked) -> None:
    names = ["a\u202eb", "a\u2066b", "a\u200bb", "a\u200db", "\ufeffa", "a\u00adb", "a\U000e0041b", "a\u2028b"]
    skips(attacked, publishing("member/m", *(duty_officer(1, name=name) for name in names)))
    mixed = "\u0410na Polic\u0435"  # Cyrillic letters in Latin words
    attacked.accepts(lambda node: node.publish("member/mixed", duty_officer(1, name=mixed)))
    assert attacked.follower.records("RS")["member/mixed"] == {"name": mixed}
    assert mixed_script_words(mixed)


def test_e05_telephone_numbers(attacked: Attacked) -> None:
    bad = [
        "+999 ABC",
        "+\u0669\u0669\u0669123456",
        "+99912345678;ext=5",
        "+" + "9" * 200,
        "0800 123",
        "tel:+99912345678",
    ]
    bad += ["+99912345678\n", "+999(0)12345678", "+", "", "+0123456789", "*21*+99912345678#"]
    skips(attacked, publishing("member/m", *(duty_officer(1, phone=phone) for phone in bad)))
    attacked.accepts(lambda node: node.publish("member/good", duty_officer(1, phone="+999 (123) 456-78")))
    assert attacked.follower.records("RS")["member/good"] == duty_officer(1, phone="+99912345678")


def test_e06_addresses_that_break_a_line(attacked: Attacked) -> None:
    bad = ["a@b.example%0d%0aBcc:x", "a@b.example\r\nBcc: x@y.example", "a@b.example,c@d.example", "a b@c.example", "a"]
    bad += [
        "<a@b.example>",
        "a@b.example\x00",
        "a@[127.0.0.1]",
        "a@b..example",
        "@b.example",
        "a@b.example;c@d.example",
    ]
    skips(attacked, publishing("member/m", *(duty_officer(1, email=email) for email in bad)))
    skips(attacked, publishing("member/n", duty_officer(1, name="a\r\nBcc: x@y.example"), duty_officer(1, name="a\nb")))


def test_e07_addresses_that_are_followed(attacked: Attacked) -> None:
    bad = [
        "javascript:alert(1)",
        "data:text/html,x",
        "http://169.254.169.254/",
        "https://127.0.0.1/",
        "file:///etc/passwd",
    ]
    bad += [
        " JaVaScript:alert(1)",
        "vbscript:x",
        "ftp://a.example/",
        "https://user@evil",
        "https://[::1]/",
        "https://1/",
    ]
    attacked.network.forget_requests()
    units = [make_unit(agency="police", area=["RS"], endpoints={"siena": address}) for address in bad]
    skips(attacked, publishing("unit/u", *units))
    assert [url for _, url in attacked.network.requests if ".example" not in url] == []


def test_e09_entries_pages_and_objects_beyond_their_limits(stored: Attacked) -> None:
    def header_of(size: int) -> Attack:
        def attack(node: SimulatedNode) -> None:
            header = b'{"pad":"' + b"x" * (size - 10) + b'"}'
            node.entries.append(Entry(header, None))
            assert len(header) == size

        return attack

    stored.refuses(header_of(1025), "too_large")
    stored.refuses(lambda node: put_raw(node, b"x" * 65_537), "too_large")
    stored.refuses(growing(lambda node: setattr(node, "page_lie", lambda start, page: b"x" * (41 << 20))), "too_large")
    # within the limits it is the origin's own fault
    skips(stored, header_of(1024))
    many = ",".join(f'"{number}":0' for number in range(6000)).encode()
    stored.accepts(lambda node: put_raw(node, salted(b'{"name":"x",' + many + b"}"), "member/many"))
    assert len(stored.follower.records("RS")["member/many"]) == 6001  # type: ignore[arg-type]


def test_e10_text_that_is_no_unicode(stored: Attacked) -> None:
    texts = [
        rb'{"name":"\ud800"}',
        rb'{"name":"\u0000"}',
        rb'{"\udfff":1,"name":"x"}',
        b'{"name":"a\x00b"}',
        b'{"name":"\x07"}',
    ]
    texts += [
        rb'{"name":"\ud83d\u0041"}',
        b"\xef\xbb\xbf{}",
        b'{"name":NaN}',
        b'{"name":"x","name":"y"}',
        b"[]",
        b"",
        b"{",
    ]

    def attack(node: SimulatedNode) -> None:
        for number, text in enumerate(texts):
            put_raw(node, salted(text), f"member/raw-{number}")

    skips(stored, attack)
    for text in (
        b'["\xff","{}"]',
        b'["\\ud800","{}"]',
        b'["\xed\xa0\x80",null]',
        b'["a",1]',
        b'{"a":1}',
        b'["a","b","c"]',
    ):
        page = growing(
            lambda node, text=text: setattr(node, "page_lie", lambda start, entries: text + b"\n" + lines(entries[1:]))
        )
        stored.refuses(page, "bad_entry")


def test_e11_what_a_newer_version_writes(stored: Attacked) -> None:
    def attack(node: SimulatedNode) -> None:
        node.publish("drone/one", {"anything": [1, 2]})
        put_raw(node, salted(b'{"name":"x"}'), "member/later", op="merge")
        put_raw(node, salted(b'{"name":"x"}'), "member/more", extra=1)
        node.entries.append(Entry(b'{"version":2}', b"opaque"))
        node.entries[-1] = Entry(node.entries[-1].header, None)

    skips(stored, attack)
    stored.accepts(lambda node: node.publish("member/optional", duty_officer(1, shoe_size=43)))
    assert stored.follower.records("RS")["member/optional"] == duty_officer(1, shoe_size=43)
    # the bytes are passed on as they came
    with reading(stored.follower.engine) as session:
        kept = session.execute(sa.text("SELECT header FROM entry WHERE participant='RS' ORDER BY seq")).scalars()
        assert [bytes(header) for header in kept] == [entry.header for entry in stored.honest.entries]


BAD_ROTAS: dict[str, dict[str, Any]] = {
    "end before start": make_rota(
        overrides=[{"from": "2026-11-22T10:00", "to": "2026-11-22T09:00", "member": "duty-1", "reason": "x"}]
    ),
    "no such zone": make_rota(time_zone="Mars/X"),
    "zone as a path": make_rota(time_zone="../../etc/passwd"),
    "year 99999": make_rota(layers=[make_layer(start="99999-01-05T08:00")]),
    "no rotation": make_rota(layers=[make_layer(rotation={"every": 0, "unit": "hours"})]),
    "rotation of an aeon": make_rota(layers=[make_layer(rotation={"every": 10**15, "unit": "weeks"})]),
    "layers are text": make_rota(layers="x"),
    "time that is none": make_rota(layers=[make_layer(start="2026-02-30T08:00")]),
}


def test_e13_rotas_that_make_no_sense(attacked: Attacked) -> None:
    skips(attacked, publishing("rota/r", *BAD_ROTAS.values()))
    # one's own node refuses them where they are entered, and the old rota stays
    node = attacked.follower.node
    with writing(node.engine) as session:
        changes = [
            PendingChange("agency/police", "put", make_agency()),
            PendingChange("unit/spoc", "put", make_unit(agency="police", rota="desk", area=["ME"])),
            PendingChange("member/duty-1", "put", make_member()),
            PendingChange("member/duty-2", "put", make_member()),
            PendingChange("rota/desk", "put", make_rota()),
        ]
        publish(session, node.identity, changes, attacked.now)
    for rota in BAD_ROTAS.values():
        with pytest.raises(InvalidInputError), writing(node.engine) as session:
            publish(session, node.identity, [PendingChange("rota/desk", "put", rota)], attacked.now)
    with reading(node.engine) as session:
        held = load_record(session, "ME", "rota/desk")
    assert held is not None
    assert held.data == make_rota()


@pytest.mark.parametrize("at", ["2026-03-29T02:30", "2026-10-25T02:30", "2025-03-30T02:00", "9999-12-31T23:59"])
def test_rota_gives_one_answer_at_any_instant(attacked: Attacked, at: str) -> None:
    """Beside E13: a start in the hour that a change of the clocks skips, repeats, or at the end of the calendar."""
    layer = make_layer(start=at, rotation={"every": 1, "unit": "days"})
    attacked.accepts(lambda node: node.publish("rota/spoc-rota", make_rota(time_zone="Europe/Paris", layers=[layer])))
    with reading(attacked.follower.engine) as session:
        directory = IndexCache().refresh(session)
    for hours in range(-30, 30):
        told = who_is_on_duty(directory, "RS:unit/spoc", attacked.now + hours * HOUR)
        member = told["member"]
        assert member is None or (isinstance(member, dict) and member["id"] in ("duty-1", "duty-2"))
        assert member is not None or "next_contact" in told
    assert attacked.looked_up()


HOSTILE_TEXTS = [
    "<script>alert(1)</script>",
    "{{7*7}}",
    "${7*7}",
    "=cmd|' /C calc'!A0",
    "@SUM(1)",
    "%s%n%d",
    "'; DROP TABLE record; --",
]


def test_e15_markup_and_formulas_stay_text(stored: Attacked) -> None:
    units = {
        f"unit/t-{number}": make_unit(
            agency="police", area=["RS"], name={"en": text}, note=text, endpoints={"siena": text}, src=text
        )
        for number, text in enumerate(HOSTILE_TEXTS)
    }

    def attack(node: SimulatedNode) -> None:
        for record, unit in units.items():
            node.publish(record, unit)

    stored.accepts(attack)
    shown = stored.follower.records("RS")
    assert {record: shown[record] for record in units} == units
    assert stored.follower.skipped("RS") == {}


def test_e16_deleted_payload_is_gone_everywhere_and_every_root_stands(stored: Attacked, tmp_path: Any) -> None:
    secret = "Officer who retired"
    stored.accepts(lambda node: node.publish("member/gone", duty_officer(1, name=secret)))
    publish_own(stored, "member/gone", duty_officer(1, name=secret))
    stored.accepts(lambda node: node.delete("member/gone"))
    publish_own(stored, "member/gone", None)
    stored.follower.pass_time(2 * HOUR)
    with writing(stored.follower.engine) as session:
        assert erase_superseded(session, stored.now) == 1
    with reading(stored.follower.engine) as session:
        payloads = session.execute(sa.text("SELECT payload FROM entry WHERE payload IS NOT NULL")).scalars()
        assert not any(secret.encode() in bytes(payload) for payload in payloads)
        digests = session.execute(sa.text("SELECT header FROM entry WHERE participant='RS'")).scalars()
        assert sum(b"member/gone" in bytes(header) for header in digests) == 2
        assert list(verify_logs(session)) == []
        head = load_head(session, "RS")
    assert head is not None
    assert head.root == stored.honest.root


def publish_own(attacked: Attacked, record: str, data: dict[str, Any] | None) -> None:
    """The node under test publishes in its own log."""
    change = PendingChange(record, "put", data) if data is not None else PendingChange(record, "delete", None)
    with writing(attacked.follower.engine) as session:
        publish(session, attacked.follower.node.identity, [change], attacked.now)
