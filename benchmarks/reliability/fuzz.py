"""``make fuzz`` for a while: examples by what was fed, and how many failed."""

import re
import sys
from collections import Counter

from benchmarks.reliability.figures import Options, output_of, show

_LINE = re.compile(r" *([\d,]+)  (.+)")


def run(options: Options) -> None:
    """One line for each kind of answer of the API, one for all parsers together, and the failures."""
    minutes = 1 if options.quick else options.minutes
    printed = output_of("-m", "tests.fuzz", str(minutes), may_fail=True)
    told = [line for line in printed.splitlines() if _LINE.fullmatch(line) is None]
    print("\n".join(told), file=sys.stderr)  # which example failed, and with which seed it comes again
    lines = [found.groups() for found in map(_LINE.fullmatch, printed.splitlines()) if found]
    kinds = Counter(what for _, what in lines if not what.startswith(("API answers", "examples in")))
    show("fuzz", "kinds of input", str(len(kinds)))
    for number, what in lines:
        if what.startswith("API answers"):
            show("fuzz", what, number)
        elif what.startswith("examples in"):
            show("fuzz", "all examples", f"{number} {what}")
