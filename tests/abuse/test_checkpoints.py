"""Group C, first half: checkpoints and entries that contradict what is held, or each other."""

import datetime as dt
import hashlib
from dataclasses import replace

import pytest

from federation.checkpoint import read_checkpoint
from federation.encoding import b64url_encode
from federation.entries import Entry
from federation.merkle import EMPTY_ROOT
from tests.abuse.attacked import HELD, HOUR, Attack, Attacked, relay
from tests.abuse.forging import claiming, growing, writing
from tests.simulators.node_simulator import SimulatedNode


def of_the_page(change: "dict[int, Entry] | None" = None, *, cut: int = 0) -> Attack:
    """Ten more entries under a true checkpoint, of which some are served changed, or the last not at all."""

    def attack(node: SimulatedNode) -> None:
        node.grow(10)

        def lie(start: int, page: list[Entry]) -> list[Entry]:
            served = [(change or {}).get(start + number, entry) for number, entry in enumerate(page)]
            return served[: len(served) - cut]

        node.page_lie = lie

    return attack


def test_c01_smaller_log(stored: Attacked) -> None:
    stored.refuses(lambda node: node.roll_back_to(HELD - 1), "rollback")
    stored.refuses(lambda node: node.roll_back_to(1), "rollback")


def test_c02_other_root_at_the_same_size(attacked: Attacked) -> None:
    held = attacked.follower.head("RS")
    attacked.refuses(lambda node: node.rewrite(99), "fork")
    offered = read_checkpoint(attacked.follower.head("RS").disputed or "")
    assert (offered.size, offered.root) != (held.size, held.root)
    assert read_checkpoint(held.checkpoint or "").root == held.root


def test_c03_rewritten_leaf_under_a_longer_log(stored: Attacked) -> None:
    stored.refuses(growing(lambda node: node.rewrite(57)), "fork")


def test_c06_one_checkpoint_for_ever(attacked: Attacked) -> None:
    frozen = attacked.impostor()
    frozen.freeze()
    attacked.honest.checkpoint_token = None
    assert attacked.follower.pull("RS").result == "ok"
    answers = []
    for _ in range(2):
        attacked.follower.pass_time(23 * HOUR)
        answers.append((attacked.follower.pull("RS").result, attacked.follower.state("RS")))
    assert answers == [("ok", "fresh"), ("ok", "stale")]
    attacked.follower.pass_time(3 * HOUR)
    with attacked.holding("expired"):
        results = attacked.follower.pull_all()
    assert {code: each.result for code, each in results.items()} == {"RS": "expired", "MK": "ok", "HR": "ok"}
    assert (attacked.follower.state("RS"), attacked.counted("RS", "expired")) == ("stale", 1)


def test_c08_same_log_signed_earlier(attacked: Attacked) -> None:
    assert attacked.follower.pull("RS").result == "ok"

    def earlier(node: SimulatedNode) -> None:
        node.now -= HOUR

    attacked.refuses(earlier, "rollback")


def test_c10_sizes_that_are_no_size(attacked: Attacked) -> None:
    texts = (b"-1", b"1.0", b'"101"', b"0101", b"true", b"1e2", b"null", b"-0", b"[101]", b"9007199254740992")
    attacked.refuses_each([writing("size", text) for text in texts], "malformed")


def test_c11_roots_that_are_no_root(attacked: Attacked) -> None:
    root = hashlib.sha256(b"x").digest()
    canonical = b64url_encode(root)
    stray_bits = canonical[:-1] + chr(ord(canonical[-1]) + 1)
    texts = (
        b64url_encode(root[:31]),
        b64url_encode(root + b"x"),
        root.hex().upper(),
        root.hex(),
        stray_bits,
        canonical + "=",
        canonical.replace("A", "+"),
        "",
        None,
        [canonical],
    )
    attacked.refuses_each([claiming(root=text) for text in texts if text != canonical], "malformed")


def test_c12_empty_log_with_another_root(attacked: Attacked) -> None:
    attacked.refuses(claiming(size=0), "malformed")
    attacked.refuses(claiming(size=0, root=b64url_encode(EMPTY_ROOT)), "rollback")


def test_c13_one_bit_of_one_entry(stored: Attacked) -> None:
    grown = stored.honest.copy()
    grown.grow(10)
    entry = grown.entries[104]
    for position, bit in ((1, 1), (len(entry.header) // 2, 1), (-2, 2)):
        header = bytearray(entry.header)
        header[position] ^= bit
        stored.refuses(of_the_page({104: replace(entry, header=bytes(header))}), "root_mismatch")


def test_c14_two_entries_swapped(attacked: Attacked) -> None:
    grown = attacked.honest.copy()
    grown.grow(10)
    attacked.refuses(of_the_page({104: grown.entries[105], 105: grown.entries[104]}), "root_mismatch")


def test_c15_one_entry_twice_and_one_never(attacked: Attacked) -> None:
    grown = attacked.honest.copy()
    grown.grow(10)
    shifted = {seq: grown.entries[seq - 1] for seq in range(105, 110)}
    attacked.refuses(of_the_page(shifted), "root_mismatch")


def test_c16_one_entry_too_few(stored: Attacked) -> None:
    stored.network.forget_requests()
    stored.refuses(of_the_page(cut=1), "bad_range")
    assert 1 <= stored.network.asked("rs.example/federation/v1/logs/RS/entries") <= 4
    stored.refuses(of_the_page(cut=10), "bad_range")


def test_c17_more_entries_than_asked_for(attacked: Attacked) -> None:
    def two_more(node: SimulatedNode) -> None:
        node.grow(10)
        node.checkpoint_token = node.served_checkpoint()
        node.grow(2)

    attacked.accepts(two_more)
    assert attacked.follower.head("RS").size == HELD + 10

    def more_than_a_page(node: SimulatedNode) -> None:
        node.grow(10)
        node.page_lie = lambda start, page: page * 30

    attacked.refuses(more_than_a_page, "bad_range")


def test_c18_inner_node_as_a_leaf(attacked: Attacked) -> None:
    children = hashlib.sha256(b"\x00a").digest() + hashlib.sha256(b"\x00b").digest()
    attacked.refuses(of_the_page({109: Entry(children.hex().encode(), None)}), "root_mismatch")
    attacked.refuses(of_the_page({109: Entry(children.decode("latin-1").encode(), None)}), "root_mismatch")


@pytest.mark.parametrize("fault", ["altered", "withheld", "short", "header"])
def test_c45_origin_down_one_relay_lies_another_is_honest(attacked: Attacked, fault: str) -> None:
    honest = attacked.honest
    honest.grow(10)
    attacked.follower.pass_time(dt.timedelta(minutes=1))
    honest.now = attacked.now
    lies = {
        "altered": lambda node: node.tamper_with_payload(104),
        "withheld": lambda node: node.withhold_payload(104),
        "short": lambda node: setattr(node, "page_lie", lambda start, page: page[:-1]),
        "header": lambda node: node.tamper_with_header(104),
    }
    lying = honest.copy()
    lying.now = honest.now
    lies[fault](lying)
    honest.online = False
    for participant in ("MK", "HR"):
        relay(attacked, participant, lying)
    before = attacked.picture()
    codes = {"altered": "bad_digest", "withheld": "withheld_payload", "short": "bad_range", "header": "root_mismatch"}
    assert attacked.follower.pull("RS").result == codes[fault]
    assert attacked.picture() == before
    for liar, other in (("MK", "HR"), ("HR", "MK")):
        relay(attacked, liar, lying)
        relay(attacked, other, honest.copy())
    # whichever is asked first, the honest one is found
    result = attacked.follower.pull("RS")
    assert (result.result, result.size) == ("ok", HELD + 10)
    attacked.follower.check_holds(honest)
    honest.online = True


def test_c04_two_histories_of_one_size_shown_to_two(attacked: Attacked) -> None:
    """MK was shown another log than this node: when their checkpoints are compared, both are kept as a fork."""
    attacked.follower.pass_time(dt.timedelta(minutes=1))
    shown_here = attacked.impostor()
    shown_here.grow(10)
    shown_there = attacked.honest.copy()
    shown_there.now = attacked.now
    shown_there.grow(9)
    shown_there.rewrite(99)
    shown_there.grow(1)
    assert attacked.follower.pull("RS").result == "ok"
    for participant in ("MK", "HR"):
        relay(attacked, participant, shown_there)
    attacked.follower.pass_time(dt.timedelta(minutes=1))
    held, entries, shown = attacked.follower.head("RS"), attacked.picture()["entry"], attacked.follower.records("RS")
    assert attacked.follower.pull("RS").result == "fork"
    attacked.heals = False
    after = attacked.follower.head("RS")
    assert (after.size, after.root) == (held.size, held.root)
    assert (attacked.picture()["entry"], attacked.follower.records("RS")) == (entries, shown)
    assert attacked.is_disputed()
    assert attacked.counted("RS", "fork") == 1
    assert attacked.looked_up()
    assert read_checkpoint(after.disputed or "").root == shown_there.root
