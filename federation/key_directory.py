"""The keys that lie in a node's key directory now, and which of them sign.

- What the newest stored configuration lists decides, never a file alone: a key that it does not list signs nothing.
  Of this host's operating keys the one listed last signs; of the federation keys the one that signed last.
- A new key lies under another name (``….new``) until the transaction with the configuration that lists it is
  committed, and is then renamed. Where a process dies in between, whoever looks next finishes: a new key that is
  listed is taken, one that is not is removed, and so is the file of a key that was listed and no longer is.
- A file whose key no configuration held here ever listed stays as it is: after a restore from an old backup its
  configuration may come back from a peer.

Looking again is cheap: files and configuration are looked at once a second, or when a file came or went, and a key is
read anew only when its file changed. So a running process signs with a new key, and no more with a removed one, without
a restart.
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from federation.errors import KeyFileError
from federation.identity import FEDERATION_FILE, Identity, operating_file
from federation.keys import SigningKey, generate_key, load_key, save_key, sync_directory
from federation.listed_keys import ListedKeys, newest_first

LISTING_AGE = 1.0
"""Seconds for which a process may not have heard that another host changed the configuration."""
_STAGED = ".new"
_ATTEMPTS = 5

LoadListed = Callable[[ListedKeys | None], ListedKeys | None]
"""What the stored configuration lists, given what was known of it; None before there is one."""
_Files = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key and the file that it lies in."""

    name: str
    key: SigningKey
    written_ns: int

    @property
    def is_federation(self) -> bool:
        """Whether it is a federation key; else it is an operating key."""
        return self.name.startswith("federation")

    @property
    def is_staged(self) -> bool:
        """Whether it waits for the configuration that lists it."""
        return self.name.endswith(_STAGED)


@dataclass(frozen=True, slots=True)
class KeysHere:
    """What lies in the directory, ordered and split by what the stored configuration says."""

    federation_key: SigningKey | None
    """The one that signs configurations; None where it is kept offline."""
    other_federation_keys: tuple[SigningKey, ...]
    operating_keys: tuple[SigningKey, ...]
    """Those that are listed, the signing one first."""
    has_leftovers: bool
    """Whether a change of keys was interrupted."""


class KeyDirectory:
    """The key directory of one node on one host; may be used by several threads.

    ``load_listed`` reads the database. Without it (a node that is being made) every file counts, the newest first.
    """

    def __init__(
        self,
        path: Path,
        participant: str,
        entity_id: str,
        passphrase: bytes | None = None,
        load_listed: LoadListed = lambda known: None,
    ) -> None:
        self.path = path
        self._participant = participant
        self._entity_id = entity_id
        self._passphrase = passphrase
        self._load_listed = load_listed
        self._lock = threading.Lock()
        self._files: _Files = ()
        self._keys: tuple[KeyFile, ...] = ()
        self._listed: ListedKeys | None = None
        self._here: KeysHere | None = None
        self._looked_at = 0.0
        self._seen_ns: int | None = None

    def load(self) -> Identity:
        """Who this node is now; KeyFileError where nothing here may sign, or a file is open to others."""
        operating = self.keys().operating_keys
        if not operating:
            raise KeyFileError(self._why_none())
        return self.identity_with(*operating)

    def identity_with(self, *operating: SigningKey) -> Identity:
        """This node with these operating keys, the signing one first, and the federation keys that lie here."""
        here = self.keys()
        return Identity(
            self._participant,
            self._entity_id,
            here.federation_key,
            operating[0],
            operating[1:],
            here.other_federation_keys,
        )

    def keys(self) -> KeysHere:
        """The keys that lie here now and are listed."""
        with self._lock:
            here, looked = self._look()
        if looked and here.has_leftovers:
            # whoever changes keys now finishes by itself; a directory that is read-only stays as it is
            with contextlib.suppress(OSError, sa.exc.DBAPIError), self._try_locked() as free:
                if free:
                    self.tidy()
        return here

    def look_again(self) -> None:
        """Ask for the configuration at the next use, however short ago it was asked for."""
        with self._lock:
            self._here = None

    def check_readable(self) -> None:
        """Read the key files without asking the database; KeyFileError says which one cannot be used."""
        with self._lock:
            self._read_files()
        if not self._keys:
            raise KeyFileError(self._why_none())

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Change keys alone among the processes of this host; what is left behind is tidied before and after."""
        with self._locked():
            self.tidy()
            try:
                yield
            finally:
                with contextlib.suppress(OSError, sa.exc.DBAPIError, KeyFileError):  # then it heals at the next use
                    self.tidy()

    def stage_operating_key(self) -> SigningKey:
        """Make an operating key that nothing signs with before a stored configuration lists it."""
        key = generate_key()
        save_key(self.path / _staged(operating_file(key.kid)), key, self._passphrase)
        return key

    def stage_federation_key(self) -> SigningKey:
        """Make a federation key that nothing signs with before a stored configuration lists it."""
        key = generate_key()
        save_key(self.path / _staged(_federation_file(key.kid)), key, self._passphrase)
        return key

    def tidy(self) -> None:
        """Finish what was interrupted; only for whoever holds the directory's lock."""
        with self._lock:
            listed = self._load_listed(self._listed)
            if listed is None:
                return
            self._read_files()
            files = self._keys
        for file in files:
            self._settle(file, listed)
        self._name_federation_key()
        self.look_again()  # what is listed may have changed, which the files alone do not show

    def _settle(self, file: KeyFile, listed: ListedKeys) -> None:
        path, kid = self.path / file.name, file.key.kid
        if file.is_staged and listed.lists(kid):
            path.rename(path.with_suffix(".pem"))
        elif file.is_staged or kid in listed.former:
            path.unlink(missing_ok=True)
        else:
            return
        sync_directory(self.path)

    def _name_federation_key(self) -> None:
        """The only federation key is in ``federation.pem``, the file that operators know."""
        found = sorted(path.name for path in self.path.glob("federation*.pem"))
        if len(found) == 1 and found[0] != FEDERATION_FILE:
            (self.path / found[0]).rename(self.path / FEDERATION_FILE)
            sync_directory(self.path)

    def _look(self) -> tuple[KeysHere, bool]:
        """The keys, and whether the configuration was asked for them now."""
        instant, changed_ns = time.monotonic(), self._changed_ns()
        known = self._here
        if known is not None and changed_ns == self._seen_ns and instant - self._looked_at < LISTING_AGE:
            return known, False
        self._here = None  # should a file or the database refuse to be read, the next one looks again
        self._read_files()
        self._listed = self._ask()
        self._looked_at, self._seen_ns = instant, changed_ns
        self._here = choose_keys(self._keys, self._listed)
        return self._here, True

    def _changed_ns(self) -> int | None:
        """When a file came or went; None where there is no directory."""
        try:
            return self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def _ask(self) -> ListedKeys | None:
        try:
            return self._load_listed(self._listed)
        except (sa.exc.DBAPIError, sa.exc.TimeoutError):
            if self._listed is None:
                raise
            return self._listed  # a database that is busy now: each signature is checked again where it is stored

    def _read_files(self) -> None:
        """Read the key files where any changed since."""
        for attempt in range(_ATTEMPTS):
            files = self._scan()
            if files == self._files:
                return
            try:
                self._keys = tuple(self._read_file(name, written) for name, written, _, _ in files)
            except KeyFileError:
                if attempt == _ATTEMPTS - 1 or files == self._scan():
                    raise
                continue  # another process renamed or removed a key meanwhile
            self._files = files
            return

    def _read_file(self, name: str, written_ns: int) -> KeyFile:
        return KeyFile(name, load_key(self.path / name, self._passphrase), written_ns)

    def _scan(self) -> _Files:
        try:
            with os.scandir(self.path) as entries:
                found = [(entry.name, entry.stat()) for entry in entries if _is_key_file(entry.name)]
        except FileNotFoundError as error:
            if not self.path.is_dir():
                raise KeyFileError(f"{self.path}: expected the key directory, found none") from error
            return ()
        return tuple(sorted((name, stat.st_mtime_ns, stat.st_ino, stat.st_mode) for name, stat in found))

    def _why_none(self) -> str:
        if not any(not file.is_federation for file in self._keys):
            return f"{self.path}: expected an operating key (operating-….pem), found none; run: veza keys rotate"
        return (
            f"{self.path}: expected an operating key that the node's stored configuration lists, found only others; "
            f"run `veza keys rotate` on this host"
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)  # which also gives back the lock, as the end of a killed process does

    @contextlib.contextmanager
    def _try_locked(self) -> Iterator[bool]:
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(handle)


def choose_keys(files: tuple[KeyFile, ...], listed: ListedKeys | None) -> KeysHere:
    """Which of the keys in the files sign, by what the stored configuration lists; without one the newest files do."""
    federation, operating = _keys(files, federation=True), _keys(files, federation=False)
    if listed is None:
        return KeysHere(next(iter(federation.values()), None), (), _newest_files(files, operating), False)
    signer = federation.pop(listed.signer, None)
    return KeysHere(
        federation_key=signer,
        other_federation_keys=_present(newest_first(listed.federation), federation),
        operating_keys=_present(newest_first(listed.operating), operating),
        has_leftovers=any(_is_leftover(file, listed) for file in files),
    )


def _keys(files: Iterable[KeyFile], *, federation: bool) -> dict[str, SigningKey]:
    return {file.key.kid: file.key for file in files if file.is_federation == federation}


def _is_leftover(file: KeyFile, listed: ListedKeys) -> bool:
    """Whether a change of keys was interrupted before it came to this file."""
    return file.is_staged or file.key.kid in listed.former


def _present(kids: Iterable[str], keys: Mapping[str, SigningKey]) -> tuple[SigningKey, ...]:
    return tuple(keys[kid] for kid in kids if kid in keys)


def _newest_files(files: tuple[KeyFile, ...], keys: Mapping[str, SigningKey]) -> tuple[SigningKey, ...]:
    newest = sorted(files, key=lambda file: (file.written_ns, file.name), reverse=True)
    return _present([file.key.kid for file in newest], keys)


def _federation_file(kid: str) -> str:
    return f"federation-{kid}.pem"


def _staged(name: str) -> str:
    return name.removesuffix(".pem") + _STAGED


def _is_key_file(name: str) -> bool:
    return name.startswith(("federation", "operating-")) and name.endswith((".pem", _STAGED))
