"""The key that signs cookies: random, made once, readable by its owner alone."""

import os
import secrets
import tempfile
from pathlib import Path

from web.errors import ConfigError

KEY_BYTES = 32


def load_secret(path: Path) -> bytes:
    """Read the key, or make it where there is none yet; processes that start at once agree on one."""
    if not path.exists():
        _make(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ConfigError([f"{path}: expected {KEY_BYTES} random bytes, found {len(key)}; remove it and start again"])
    return key


def _make(path: Path) -> None:
    # written aside and linked: nobody ever reads half a key, and the first of two processes wins
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".secret-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        os.link(aside, path)
    except FileExistsError:
        return
    finally:
        Path(aside).unlink()
