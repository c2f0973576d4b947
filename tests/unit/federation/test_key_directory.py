"""The key directory: what lies there now and is listed signs, and an interrupted change of keys is finished."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from federation.errors import KeyFileError
from federation.identity import Identity, create_identity
from federation.key_directory import KeyDirectory
from federation.keys import SigningKey
from federation.listed_keys import ListedKeys
from tests.unit.federation.samples import DAY, NOW

ME = ("ME", "https://spoc.example.me")


class Book:
    """What the stored configuration lists, as a test wants it; ``asked`` counts the questions."""

    def __init__(self, made: Identity) -> None:
        assert made.federation_key is not None
        self.federation = {made.federation_key.kid: NOW}
        self.operating = {made.operating_key.kid: NOW}
        self.signer = made.federation_key.kid
        self.former: set[str] = set()
        self.asked = 0
        self.fault: Exception | None = None

    def load(self, known: ListedKeys | None) -> ListedKeys:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return ListedKeys(
            "token", self.signer, NOW, dict(self.federation), dict(self.operating), frozenset(self.former)
        )

    def list_operating(self, key: SigningKey, after: int = 1) -> None:
        self.operating[key.kid] = NOW + after * DAY

    def drop(self, kid: str) -> None:
        (self.operating if kid in self.operating else self.federation).pop(kid)
        self.former.add(kid)


@pytest.fixture(params=[None, b"a long passphrase"], ids=["plain", "encrypted"])
def made(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[KeyDirectory, Book, Identity]:
    """A directory as ``veza init`` leaves it."""
    identity = create_identity(tmp_path / "keys", *ME, request.param)
    book = Book(identity)
    return KeyDirectory(tmp_path / "keys", *ME, request.param, book.load), book, identity


Made = tuple[KeyDirectory, Book, Identity]


def names(directory: KeyDirectory) -> set[str]:
    return {path.name for path in directory.path.iterdir()}


def kids(keys: tuple[SigningKey, ...]) -> list[str]:
    return [key.kid for key in keys]


def test_a_new_key_signs_once_the_configuration_lists_it(made: Made) -> None:
    directory, book, first = made
    with directory.changing():
        new = directory.stage_operating_key()
        assert kids(directory.load().operating_keys) == [first.operating_key.kid]
        book.list_operating(new)
    assert kids(directory.load().operating_keys) == [new.kid, first.operating_key.kid]
    assert f"operating-{new.kid}.pem" in names(directory)
    assert {path.stat().st_mode & 0o777 for path in directory.path.iterdir()} == {0o600}


def test_another_process_sees_it_at_once(made: Made, tmp_path: Path) -> None:
    directory, book, first = made
    other = KeyDirectory(directory.path, *ME, directory._passphrase, book.load)
    assert other.load().operating_key.kid == first.operating_key.kid
    with directory.changing():
        new = directory.stage_operating_key()
        book.list_operating(new)
        assert other.load().operating_key.kid == new.kid  # committed, and not renamed yet
        assert f"operating-{new.kid}.new" in names(directory)
    book.drop(first.operating_key.kid)
    with directory.changing():
        assert f"operating-{first.operating_key.kid}.pem" not in names(directory)
    assert kids(other.load().operating_keys) == [new.kid]


@pytest.mark.parametrize("committed", [True, False])
def test_who_looks_next_finishes_what_was_interrupted(made: Made, committed: bool) -> None:
    directory, book, first = made
    new = directory.stage_operating_key()  # and here the process died
    if committed:
        book.list_operating(new)
    found = KeyDirectory(directory.path, *ME, directory._passphrase, book.load).load()
    expected = [new.kid, first.operating_key.kid] if committed else [first.operating_key.kid]
    assert kids(found.operating_keys) == expected
    assert names(directory) == {"federation.pem"} | {f"operating-{kid}.pem" for kid in expected}


def test_what_is_under_way_elsewhere_is_left_alone(made: Made) -> None:
    directory, _book, _ = made
    new = directory.stage_operating_key()
    handle = os.open(directory.path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)  # a command that has not committed yet
    try:
        directory.load()
        assert f"operating-{new.kid}.new" in names(directory)
    finally:
        os.close(handle)


def test_the_file_of_a_dropped_key_goes_and_one_never_listed_stays(made: Made) -> None:
    """After a restore from an old backup a peer may still bring the configuration that lists it."""
    directory, book, first = made
    new = directory.stage_operating_key()
    book.list_operating(new)
    directory.load()
    del book.operating[new.kid]  # an older database, which knows nothing of the key
    directory.tidy()
    assert f"operating-{new.kid}.pem" in names(directory)
    assert kids(directory.load().operating_keys) == [first.operating_key.kid]
    book.former.add(new.kid)
    directory.tidy()
    assert f"operating-{new.kid}.pem" not in names(directory)


def test_the_federation_key_that_signed_last_signs(made: Made) -> None:
    directory, book, first = made
    assert first.federation_key is not None
    with directory.changing():
        new = directory.stage_federation_key()
        book.federation[new.kid] = NOW + DAY
    found = directory.load()
    assert found.federation_key == first.federation_key or found.federation_key.kid == first.federation_key.kid
    assert kids(found.other_federation_keys) == [new.kid]
    book.signer = new.kid
    directory.tidy()
    found = KeyDirectory(directory.path, *ME, directory._passphrase, book.load).load()
    assert found.federation_key is not None
    assert found.federation_key.kid == new.kid
    book.drop(first.federation_key.kid)
    directory.tidy()
    assert {name for name in names(directory) if name.startswith("federation")} == {"federation.pem"}
    again = KeyDirectory(directory.path, *ME, directory._passphrase, book.load).load()
    assert again.federation_key is not None
    assert again.federation_key.kid == new.kid


def test_a_federation_key_may_be_kept_offline(made: Made) -> None:
    directory, _, _ = made
    (directory.path / "federation.pem").unlink()
    assert directory.load().federation_key is None


def test_keys_of_other_hosts_are_no_concern(made: Made) -> None:
    directory, book, first = made
    book.operating["of another host"] = NOW + DAY
    assert kids(directory.load().operating_keys) == [first.operating_key.kid]


def test_a_process_signs_nothing_with_a_key_that_is_not_listed(made: Made) -> None:
    directory, book, _first = made
    book.operating = {"of another host": NOW}
    with pytest.raises(KeyFileError, match="veza keys rotate"):
        directory.load()


def test_looking_again_costs_no_question(made: Made) -> None:
    directory, book, _ = made
    directory.load()
    asked = book.asked
    for _ in range(50):
        directory.load()
    assert book.asked <= asked + 1  # a slow machine may see a second pass


def test_a_database_that_is_busy_leaves_what_was_known(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, book, first = made
    directory.load()
    book.fault = sa.exc.OperationalError("SELECT", {}, Exception("locked"))
    monkeypatch.setattr("federation.key_directory.LISTING_AGE", 0.0)
    assert directory.load().operating_key.kid == first.operating_key.kid
    fresh = KeyDirectory(directory.path, *ME, directory._passphrase, book.load)
    with pytest.raises(sa.exc.OperationalError):
        fresh.load()


def test_a_file_that_others_can_read_is_refused(made: Made) -> None:
    directory, _, first = made
    directory.load()
    (directory.path / f"operating-{first.operating_key.kid}.pem").chmod(0o644)
    directory.look_again()
    for look in (directory.load, directory.check_readable):
        with pytest.raises(KeyFileError, match="chmod 600"):
            look()


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        pytest.param(lambda path: None, "expected the key directory", id="no directory"),
        pytest.param(lambda path: path.mkdir(), "expected an operating key", id="no files"),
    ],
)
def test_where_no_keys_are_it_says_so(tmp_path: Path, prepare: Callable[[Path], None], message: str) -> None:
    prepare(tmp_path / "keys")
    directory = KeyDirectory(tmp_path / "keys", *ME)
    for look in (directory.load, directory.check_readable):
        with pytest.raises(KeyFileError, match=message):
            look()


def test_before_a_configuration_every_file_counts_the_newest_first(tmp_path: Path) -> None:
    first = create_identity(tmp_path, *ME).operating_key
    second = create_identity(tmp_path / "other", *ME).operating_key
    (tmp_path / "other" / f"operating-{second.kid}.pem").rename(tmp_path / f"operating-{second.kid}.pem")
    os.utime(tmp_path / f"operating-{first.kid}.pem", (1, 1))
    directory = KeyDirectory(tmp_path, *ME)
    directory.tidy()  # which knows of nothing to do
    assert kids(directory.load().operating_keys) == [second.kid, first.kid]


def test_a_directory_that_is_read_only_still_serves(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, book, first = made
    new = directory.stage_operating_key()
    book.list_operating(new)

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Read-only file system")

    monkeypatch.setattr(Path, "rename", refuse)
    assert kids(directory.load().operating_keys) == [new.kid, first.operating_key.kid]
