"""Which keys a renewal lists: rules over what is listed now, since when, and who asks."""

import datetime as dt
from dataclasses import replace

import pytest

from federation.errors import FederationError
from federation.keys import MAX_KEYS, key_set
from federation.listed_keys import ListedKeys
from federation.own_configuration import (
    OVERLAP,
    KeyChanges,
    next_federation_key,
    plan_keys,
    superseded_federation,
    superseded_operating,
)
from federation.statements import make_configuration
from tests.unit.federation.samples import DAY, NOW, SECOND, identity, key

ME = identity("ME")


def listed(
    operating: dict[str, int] | None = None,
    federation: dict[str, int] | None = None,
    signer: str = "f1",
    signing_for: dt.timedelta = dt.timedelta(0),
) -> ListedKeys:
    """Keys by name, each listed so many days ago."""
    return ListedKeys(
        token="",
        signer=signer,
        signer_since=NOW - signing_for,
        federation={name: NOW - days * DAY for name, days in (federation or {"f1": 100}).items()},
        operating={name: NOW - days * DAY for name, days in (operating or {}).items()},
        former=frozenset(),
    )


@pytest.mark.parametrize(
    ("mine", "known", "dropped"),
    [
        pytest.param(["a"], {"a": 400}, set(), id="an only key, however old"),
        pytest.param(["a", "b"], {"a": 400, "b": 6}, set(), id="its successor is younger than the overlap"),
        pytest.param(["a", "b"], {"a": 400, "b": 7}, {"a"}, id="the overlap is over"),
        pytest.param(["a", "b", "c"], {"a": 30, "b": 20, "c": 1}, {"a"}, id="the middle one still overlaps the newest"),
        pytest.param(["a", "b", "c"], {"a": 30, "b": 20, "c": 10}, {"a", "b"}, id="two are past it"),
        pytest.param(["a"], {"a": 400, "theirs": 30}, set(), id="another host's newer key says nothing"),
        pytest.param(["b"], {"a": 400, "b": 30}, set(), id="another host's older key stays"),
        pytest.param(["a", "new"], {"a": 400}, set(), id="one that is not listed yet does not count"),
        pytest.param([], {"a": 400}, set(), id="a host without keys"),
    ],
)
def test_an_operating_key_overlaps_its_successor_of_the_same_host(
    mine: list[str], known: dict[str, int], dropped: set[str]
) -> None:
    assert superseded_operating(mine, listed(known), NOW) == dropped


@pytest.mark.parametrize(
    ("known", "signer", "signing_for", "dropped", "following"),
    [
        pytest.param({"f1": 100}, "f1", 100 * DAY, set(), None, id="an only key"),
        pytest.param({"f1": 100, "f2": 50}, "f1", 100 * DAY, set(), "f2", id="the next one waits for its turn"),
        pytest.param({"f1": 100, "f2": 50}, "f2", OVERLAP - SECOND, set(), None, id="the former one overlaps"),
        pytest.param({"f1": 100, "f2": 50}, "f2", OVERLAP, {"f1"}, None, id="the overlap is over"),
        pytest.param({"f1": 9, "f2": 8, "f3": 1}, "f2", 7 * DAY, {"f1"}, "f3", id="one rotation after the other"),
        pytest.param({"f2": 50, "f3": 9}, "f1", 100 * DAY, set(), "f3", id="the signer itself was removed"),
    ],
)
def test_a_federation_key_is_followed_by_the_next(
    known: dict[str, int], signer: str, signing_for: dt.timedelta, dropped: set[str], following: str | None
) -> None:
    keys = listed({"o": 1}, known, signer, signing_for)
    assert superseded_federation(keys, NOW) == dropped
    assert next_federation_key(keys) == following


HELD = make_configuration(replace(ME, former_keys=(key("theirs"),)), now=NOW - 30 * DAY)
LISTED = ListedKeys(
    HELD.token,
    HELD.kid,
    HELD.issued_at,
    dict.fromkeys(HELD.federation_keys, HELD.issued_at),
    dict.fromkeys(HELD.operating_keys, HELD.issued_at),
    frozenset(),
)


@pytest.mark.parametrize(
    ("changes", "operating", "federation"),
    [
        pytest.param(KeyChanges(), {"me operating", "theirs"}, {"me federation"}, id="nothing"),
        pytest.param(
            KeyChanges(new_operating=key("new")), {"me operating", "theirs", "new"}, {"me federation"}, id="one more"
        ),
        pytest.param(
            KeyChanges(new_operating=key("new"), removed=frozenset({ME.operating_key.kid})),
            {"theirs", "new"},
            {"me federation"},
            id="one in place of another",
        ),
        pytest.param(
            KeyChanges(new_federation=key("next")),
            {"me operating", "theirs"},
            {"me federation", "next"},
            id="the next federation key",
        ),
    ],
)
def test_a_renewal_lists_what_was_listed_and_what_is_changed(
    changes: KeyChanges, operating: set[str], federation: set[str]
) -> None:
    plan = plan_keys(HELD, LISTED, ME, NOW, changes)
    assert plan.operating.keys() == {key(name).kid for name in operating}
    assert plan.federation.keys() == {key(name).kid for name in federation}


def test_the_first_configuration_lists_what_the_node_has() -> None:
    plan = plan_keys(None, None, ME, NOW)
    assert plan.operating == key_set(ME.operating_key)
    assert plan.federation.keys() == {key("me federation").kid}


def test_what_no_configuration_ever_listed_is_not_smuggled_in() -> None:
    """Whoever puts a file into the key directory has no key of the node for that."""
    plan = plan_keys(HELD, LISTED, replace(ME, operating_key=key("smuggled"), former_keys=(ME.operating_key,)), NOW)
    assert key("smuggled").kid not in plan.operating


@pytest.mark.parametrize("use", ["new_operating", "new_federation"])
def test_a_configuration_holds_so_many_keys(use: str) -> None:
    many = key_set(*(key(f"{use} {number}") for number in range(MAX_KEYS)))
    full = replace(HELD, operating_keys=many, federation_keys=many)
    with pytest.raises(FederationError, match=r"conflict.*veza keys revoke"):
        plan_keys(full, LISTED, ME, NOW, KeyChanges(**{use: key("one more")}))  # type: ignore[arg-type]
