"""Where a node's data lie when nobody says otherwise."""

import os
from collections.abc import Mapping
from pathlib import Path

DEFAULT_DATA = Path("~/.local/share/veza")


def data_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """The data directory that ``VEZA_DATA`` names, else the default one."""
    return Path(environ.get("VEZA_DATA") or DEFAULT_DATA).expanduser()
