"""The trusted log only says yes or raises; nothing here has a network or a database."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.entries import Entry, encode_page, page_end
from federation.errors import EntryError, FederationError
from federation.head import Head
from federation.merkle import Frontier, leaf_hash
from sync.trusted_log import TrustedLog
from tests.simulators.node_simulator import SimulatedNode, duty_officer, named_identity


def origin_of(size: int) -> SimulatedNode:
    origin = SimulatedNode(named_identity("RS"))
    origin.grow(size)
    return origin


def held_of(origin: SimulatedNode, size: int) -> Head:
    frontier = origin.frontier(size)
    return Head("RS", False, size, frontier.root(), frontier, None, None, None, None, None)


def read_and_prove(log: TrustedLog, origin: SimulatedNode) -> None:
    read(log, origin)
    log.prove()


def read(log: TrustedLog, origin: SimulatedNode) -> None:
    while not log.is_complete:
        log.add_page(origin.served_page(log.position) or b"")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 600), st.integers(0, 600))
def test_any_continuation_of_what_is_held_is_proven(held: int, more: int) -> None:
    origin = origin_of(held + more)
    log = TrustedLog(held_of(origin, held), origin.checkpoint())
    read(log, origin)
    log.prove()
    assert (log.position, log.frontier.root()) == (origin.size, origin.root)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_altered_entry_is_proven(data: st.DataObject) -> None:
    """Whatever byte of a header or payload is changed, and wherever: it is refused."""
    held, more = data.draw(st.integers(0, 20)), data.draw(st.integers(1, 20))
    origin = origin_of(held + more)
    seq = data.draw(st.integers(held, held + more - 1))
    entry = origin.entries[seq]
    part = data.draw(st.sampled_from(["header", "payload"]))
    text = (entry.header if part == "header" else entry.payload or b"").decode()
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="utf-8", exclude_characters=text[place]))
    changed = (text[:place] + letter + text[place + 1 :]).encode()
    lie = Entry(changed, entry.payload) if part == "header" else Entry(entry.header, changed)
    checkpoint, head = origin.checkpoint(), held_of(origin, held)
    origin.entries[seq] = lie
    log = TrustedLog(head, checkpoint)
    with pytest.raises(FederationError) as refusal:
        read_and_prove(log, origin)
    assert refusal.value.code == ("root_mismatch" if part == "header" else "bad_digest")


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(8)))
def test_only_the_true_order_is_proven(order: list[int]) -> None:
    origin = origin_of(8)
    log = TrustedLog(held_of(origin, 0), origin.checkpoint())
    log.add_page(encode_page([origin.entries[number] for number in order]))
    if order == sorted(order):
        log.prove()
    else:
        with pytest.raises(FederationError, match="root_mismatch"):
            log.prove()


@pytest.mark.parametrize(("lines", "code"), [(0, "bad_range"), (9, "bad_range"), (257, "bad_range")])
def test_wrong_number_of_lines_counts_for_nothing(lines: int, code: str) -> None:
    origin = origin_of(300)
    checkpoint = origin_of(10).checkpoint()
    log = TrustedLog(held_of(origin, 0), checkpoint)
    with pytest.raises(EntryError) as refusal:
        log.add_page(encode_page(origin.entries[:lines]))
    assert (refusal.value.code, log.position) == (code, 0)


def test_lines_beyond_the_checkpoint_are_ignored() -> None:
    origin = origin_of(20)
    log = TrustedLog(held_of(origin, 0), origin_of(10).checkpoint())
    assert len(log.add_page(encode_page(origin.entries))) == 10
    log.prove()


def test_order_of_the_rules() -> None:
    """A bad payload under a wrong root accuses the sender; a missing one is looked at last."""
    origin = origin_of(10)
    checkpoint = origin.checkpoint()
    first, second, third = origin.entries[:3]
    bad_payload = Entry(first.header, b"{}")
    missing = Entry(second.header, None)
    wrong_header = Entry(third.header + b" ", third.payload)
    tables = [
        ([bad_payload, missing, wrong_header], "root_mismatch"),
        ([bad_payload, missing, third], "bad_digest"),
        ([first, missing, third], "withheld_payload"),
    ]
    for served, code in tables:
        log = TrustedLog(held_of(origin, 0), checkpoint)
        log.add_page(encode_page([*served, *origin.entries[3:]]))
        with pytest.raises(FederationError) as refusal:
            log.prove()
        assert refusal.value.code == code


class TestMissingPayloads:
    def prove(self, origin: SimulatedNode) -> None:
        log = TrustedLog(held_of(origin, 0), origin.checkpoint())
        read(log, origin)
        log.prove()

    def test_superseded_and_deleted_ones_may_be_missing(self) -> None:
        origin = origin_of(3)
        origin.publish("member/m-0", duty_officer(7))
        origin.publish("member/m-0", duty_officer(8))
        origin.delete("member/m-1")
        self.prove(origin)

    def test_newest_one_may_not(self) -> None:
        origin = origin_of(3)
        origin.publish("member/m-0", duty_officer(7))
        origin.entries[3] = Entry(origin.entries[3].header, None)
        with pytest.raises(EntryError, match=r"withheld_payload.*entry 3 of member/m-0"):
            self.prove(origin)

    def test_malformed_header_supersedes_nothing(self) -> None:
        origin = origin_of(2)
        header = origin.entries[0].header
        origin.entries[0] = Entry(header, None)
        origin.entries.append(Entry(header.replace(b'"seq":0', b'"seq":"0"'), None))
        with pytest.raises(EntryError, match="withheld_payload"):
            self.prove(origin)

    def test_malformed_header_needs_no_payload(self) -> None:
        origin = origin_of(2)
        origin.entries.append(Entry(b'{"op":"put"}', None))
        self.prove(origin)

    def test_well_formed_header_supersedes_by_its_record_alone(self) -> None:
        """Its number may be wrong, its operation unknown: that is the origin's own fault, and shown elsewhere."""
        origin = origin_of(2)
        origin.entries[0] = Entry(origin.entries[0].header, None)
        origin.entries.append(Entry(b'{"seq":99,"record":"member/m-0","op":"move","at":"2026-11-21T20:00:00Z"}', None))
        self.prove(origin)


def test_growing_checkpoint_goes_on_from_what_was_read() -> None:
    origin = origin_of(10)
    log = TrustedLog(held_of(origin, 0), origin.checkpoint())
    read(log, origin)
    origin.grow(300)
    log.extend_to(origin.checkpoint())
    assert not log.is_complete
    read(log, origin)
    log.prove()


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_pages_asked_for_are_those_served(start: int, more: int) -> None:
    origin_size = start + more
    frontier = Frontier(start, tuple(leaf_hash(b"") for _ in range(start.bit_count())))
    held = Head("RS", False, start, b"", frontier, None, None, None, None, None)
    checkpoint = SimulatedNode(named_identity("RS")).checkpoint()
    log = TrustedLog(held, type(checkpoint)(**{**_fields(checkpoint), "size": origin_size}))
    assert log.wanted_lines(start) == page_end(start, origin_size) - start


def _fields(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__slots__}  # type: ignore[attr-defined]
