"""Load by ``wrk``: requests per second over keep-alive connections, each request another of a list of paths."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MISSING = "wrk is missing, so nothing that is served can be measured: sudo apt-get install -y wrk"
_SCRIPT = """
local paths, place = {}, 0
for line in io.lines("%s") do paths[#paths + 1] = line end
request = function()
  place = place %% #paths + 1
  return wrk.format("GET", paths[place])
end
"""
_LATENCY = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)$", re.MULTILINE)
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """What came out: requests per second, and milliseconds of latency."""

    rate: float
    p50: float
    p99: float


def is_installed() -> bool:
    return shutil.which("wrk") is not None


def load(base: str, paths: Sequence[str], seconds: int, connections: int, token: str | None = None) -> Load:
    """Ask for these paths in turn for so many seconds; SystemExit where one was not answered with success."""
    with tempfile.TemporaryDirectory(prefix="veza-bench-") as name:
        listed, script = Path(name) / "paths", Path(name) / "paths.lua"
        listed.write_text("\n".join(paths) + "\n", encoding="ascii")
        script.write_text(_SCRIPT % listed, encoding="ascii")
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
        headers = ["-H", f"Authorization: Bearer {token}"] if token else []
        done = subprocess.run([*command, *headers, base], capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(f"not every request was answered with success:\n{done.stdout}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert rate is not None, done.stdout
    latency = {cut: float(value) * _MS[unit] for cut, value, unit in _LATENCY.findall(done.stdout)}
    return Load(float(rate[1]), latency["50"], latency["99"])
