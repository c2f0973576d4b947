"""Fifty peers on real sockets, ten of them hostile, met once by a node that is a process of its own (T15)."""

import json
import tempfile
from pathlib import Path

from benchmarks.reliability.figures import MIB, Options, load_beside, output_of, show
from tests.abuse.crowd import CODES, ENTRIES_EACH, SECONDS, Crowd


def run(options: Options) -> None:
    with tempfile.TemporaryDirectory(prefix="veza-bench-") as folder, Crowd(Path(folder)) as crowd:
        told = json.loads(output_of("-m", "tests.abuse.crowd", folder, str(crowd.port)))
    results = told["results"]
    good = sum(results[code] == "ok" for code in crowd.good)
    hostile = sum(results[code] in expected for code, expected in crowd.expected.items())
    show("crowd", f"good peers done, of {len(crowd.good)} with {ENTRIES_EACH} entries each", str(good))
    refused = ", ".join(sorted({results[code] for code in crowd.expected}))
    show("crowd", f"hostile peers refused as they should, of {len(crowd.expected)}", f"{hostile}: {refused}")
    show("crowd", f"the run over all {len(CODES)}, {SECONDS:g} s per answer", f"{told['seconds']} s ({load_beside()})")
    show("crowd", "memory at its peak above idle", f"{(told['peak'] - told['idle']) / MIB:.1f} MiB")
    show("crowd", "differences that veza verify finds afterwards", str(len(told["findings"])))
