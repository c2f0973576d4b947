"""``python -m benchmarks [--quick] [NAME …]``: run the benchmarks, print the table, keep it as JSON."""

import argparse

from benchmarks import append, importing, lookup, rota, search, sync
from benchmarks.measure import Report, machine

SUBJECTS = {
    "rota": rota,
    "search": search,
    "append": append,
    "import": importing,
    "lookup": lookup,
    "sync": sync,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what docs/performance.md reports.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"subjects, all by default: {', '.join(SUBJECTS)}")
    parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer rounds: under five minutes")
    options = parser.parse_args()
    unknown = set(options.names) - set(SUBJECTS)
    if unknown:
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
    print("; ".join(f"{name} {value}" for name, value in machine().items()))
    print("| what | goal | ours | beside | ratio | | note |\n| --- | --- | --- | --- | --- | --- | --- |")
    report = Report(options.quick)
    for name in options.names or SUBJECTS:
        SUBJECTS[name].run(report)
    print(f"written to {report.write().name}")


if __name__ == "__main__":
    main()
