"""Who this node is: its participant code, its entity identifier and the keys that it signs with.

In the key directory (mode 0700) lie ``federation.pem``, which may be kept offline, and one ``operating-<kid>.pem`` per
operating key. Which of them sign is read by ``federation.key_directory``.
"""

import stat
from dataclasses import dataclass, field
from pathlib import Path

from federation.errors import KeyFileError
from federation.keys import KeySet, SigningKey, generate_key, load_key, save_key

FEDERATION_FILE = "federation.pem"
ANCHOR_FILE = "anchor.pem"


@dataclass(frozen=True, slots=True)
class Identity:
    """This node. ``federation_key`` is None where it is kept offline."""

    participant: str
    entity_id: str
    federation_key: SigningKey | None
    operating_key: SigningKey
    """The key that signs now."""
    former_keys: tuple[SigningKey, ...] = field(default=())
    """Operating keys that are still listed beside it, so that what they signed still verifies."""
    other_federation_keys: tuple[SigningKey, ...] = field(default=())
    """Federation keys that are listed and lie here too: the next one before it signs, the former one after."""
    listed_operating: KeySet = field(default_factory=dict)
    """What its next configuration lists as operating keys, other hosts' among them; empty: its own."""

    @property
    def operating_keys(self) -> tuple[SigningKey, ...]:
        """All operating keys, the signing one first."""
        return (self.operating_key, *self.former_keys)

    @property
    def log_url(self) -> str:
        """Where this node serves its own log."""
        return f"{self.entity_id}/federation/v1/logs/{self.participant}"


@dataclass(frozen=True, slots=True)
class AnchorIdentity:
    """The anchor that this node runs beside itself, under an entity identifier and a key of its own."""

    entity_id: str
    key: SigningKey


def create_identity(directory: Path, participant: str, entity_id: str, passphrase: bytes | None = None) -> Identity:
    """Make new keys in ``directory``; KeyFileError where it already holds some."""
    _make_directory(directory)
    federation_key, operating_key = generate_key(), generate_key()
    save_key(directory / FEDERATION_FILE, federation_key, passphrase)
    save_key(directory / operating_file(operating_key.kid), operating_key, passphrase)
    return Identity(participant, entity_id, federation_key, operating_key)


def operating_file(kid: str) -> str:
    """The name of the file of an operating key."""
    return f"operating-{kid}.pem"


def create_anchor_identity(directory: Path, entity_id: str, passphrase: bytes | None = None) -> AnchorIdentity:
    """Make the anchor's key in ``directory``; KeyFileError where it already holds one."""
    _make_directory(directory)
    key = generate_key()
    save_key(directory / ANCHOR_FILE, key, passphrase)
    return AnchorIdentity(entity_id, key)


def load_anchor_identity(directory: Path, entity_id: str, passphrase: bytes | None = None) -> AnchorIdentity:
    """Read the anchor's key in ``directory``."""
    return AnchorIdentity(entity_id, load_key(directory / ANCHOR_FILE, passphrase))


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(directory.stat().st_mode)
    except OSError as error:
        raise KeyFileError(f"{directory}: cannot make the key directory: {error.strerror}") from error
    if mode & 0o077:
        raise KeyFileError(f"{directory}: expected mode 0700, found {mode:04o}; run: chmod 700 {directory}")
