"""The node's settings: ``veza.toml`` in its data directory, each overridden by a variable ``VEZA_<NAME>``.

Every missing or wrong setting is named at once, so that an operator corrects a file once and not line by line.
"""

import datetime as dt
import json
import os
import re
import tomllib
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from directory.vocabulary import PARTICIPANT_CODE
from federation.addresses import check_entity_id
from federation.errors import TrustError
from web.errors import ConfigError

SETTINGS_FILE = "veza.toml"
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one node; paths below ``data`` are fixed."""

    data: Path
    participant: str
    url: str
    name: str
    database: str
    contacts: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    """Entity identifiers that may have this participant's log relayed to them (protocol.md, section 6)."""
    insecure_urls: bool = False
    open_logs: bool = False
    nightly: dt.time = dt.time(2, 0)
    """When the nightly pull starts, UTC."""
    policy: Path | None = None
    passphrase_file: Path | None = None

    @property
    def keys_dir(self) -> Path:
        """Where the node's own keys lie."""
        return self.data / "keys"

    @property
    def anchor_dir(self) -> Path:
        """Where the keys of the anchor lie, if this node is one."""
        return self.data / "anchor"

    @property
    def anchor_entity_id(self) -> str:
        """The entity identifier of the anchor that this node can be (protocol.md, section 3)."""
        return f"{self.url}/anchor"

    @property
    def secret_file(self) -> Path:
        """The key that signs cookies."""
        return self.data / "secret"

    @property
    def spool_dir(self) -> Path:
        """Pages of a run that was cut short, kept unapplied."""
        return self.data / "spool"

    @property
    def metrics_dir(self) -> Path:
        """Counters of all processes of this node."""
        return self.data / "metrics"

    @property
    def passphrase(self) -> bytes | None:
        """The passphrase of the key files; OSError where its file cannot be read."""
        return self.passphrase_file.read_bytes().strip() if self.passphrase_file else None


def load_config(data: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the settings of the node in ``data``; ConfigError names every fault."""
    faults: list[str] = []
    settings: dict[str, object] = _read_file(data / SETTINGS_FILE, faults)  # absent where variables say everything
    settings |= {name: environ[f"VEZA_{name.upper()}"] for name in _READERS if f"VEZA_{name.upper()}" in environ}
    return make_config(data, settings, faults)


def make_config(data: Path, settings: Mapping[str, object], found: list[str] | None = None) -> Config:
    """A configuration from settings by name; ConfigError names every fault, those ``found`` before included."""
    faults = [*(found or []), *_naming_faults(data, settings)]
    values: dict[str, object] = {}
    for name, value in settings.items():
        try:
            values[name] = _READERS[name](value) if name in _READERS else None
        except ValueError as error:
            faults.append(f"{name}: {error} (found {value!r})")
    faults += _url_fault(values)
    if faults:
        raise ConfigError(faults)
    values.setdefault("name", values["participant"])
    values.setdefault("database", f"sqlite:///{(data / 'veza.db').absolute()}")
    return Config(data=data, **values)  # type: ignore[arg-type]


def _naming_faults(data: Path, settings: Mapping[str, object]) -> list[str]:
    """Settings that there are not, and those that must be there."""
    unknown = [f"{name}: there is no such setting" for name in settings if name not in _READERS]
    missing = [
        f"{name}: missing from {data / SETTINGS_FILE}, which `veza init` makes, and from VEZA_{name.upper()}"
        for name in _missing(settings)
    ]
    return unknown + missing


def format_settings(settings: Mapping[str, object]) -> str:
    """The text of a ``veza.toml`` with these settings; None values are left out."""
    lines = [f"{name} = {_toml(value)}" for name, value in settings.items() if value is not None]
    return "".join(line + "\n" for line in lines)


def host_of(url: str) -> str:
    """The host and port of a URL as a ``Host`` header names them."""
    return urllib.parse.urlsplit(url).netloc


def path_of(url: str) -> str:
    """The path below which a URL's node is served; empty for the host's root."""
    return urllib.parse.urlsplit(url).path


def _toml(value: object) -> str:
    if isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML has no surrogate pairs


def _read_file(path: Path, faults: list[str]) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(f"{path} cannot be read: {error}")
    return {}


def _missing(settings: Mapping[str, object]) -> list[str]:
    return [name for name in ("participant", "url") if name not in settings]


def _url_fault(values: Mapping[str, object]) -> list[str]:
    """The rule that needs two settings: plain http and inner hosts only where the operator allowed them."""
    url = values.get("url")
    if not isinstance(url, str):
        return []
    try:
        check_entity_id(url, insecure_urls=bool(values.get("insecure_urls")))
    except TrustError as error:
        return [f"url: {error.detail}; insecure_urls = true allows http and inner hosts, for demonstrations and tests"]
    return []


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 300 or not value.isprintable():
        raise ValueError("expected a text of 1 to 300 printable characters")
    return value.strip()


def _participant(value: object) -> str:
    text = _text(value)
    if not PARTICIPANT_CODE.fullmatch(text):
        raise ValueError("expected a participant code such as ME or SELEC")
    return text


def _database(value: object) -> str:
    text = _text(value)
    try:
        driver = sa.make_url(text).drivername
    except sa.exc.ArgumentError as error:
        raise ValueError("expected a database URL such as sqlite:////srv/veza.db") from error
    if driver not in ("sqlite", "postgresql+psycopg"):
        raise ValueError("expected sqlite:///… or postgresql+psycopg://…")
    return text


def _texts(value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list):
        raise ValueError("expected a list of texts")
    return tuple(_text(item) for item in items if item != "")


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    raise ValueError("expected true or false")


def _clock_time(value: object) -> dt.time:
    if isinstance(value, dt.time):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"\d\d:\d\d", value):
        raise ValueError("expected a time such as 02:00")
    return dt.time.fromisoformat(value)


def _path(value: object) -> Path:
    path = Path(_text(value)).expanduser()
    if not path.is_file():
        raise ValueError("expected a file that exists")
    return path


_READERS: Mapping[str, Callable[[object], object]] = {
    "participant": _participant,
    "url": _text,
    "name": _text,
    "database": _database,
    "contacts": _texts,
    "readers": _texts,
    "insecure_urls": _flag,
    "open_logs": _flag,
    "nightly": _clock_time,
    "policy": _path,
    "passphrase_file": _path,
}
