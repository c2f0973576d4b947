"""Who is on duty: one rota at any instant, ten thousand rotas, a schedule of ninety days."""

import datetime as dt
import random

from benchmarks.measure import Report, Row, median_of, per_call
from directory.rota import Rota, parse_rota
from directory.rota_schedule import on_duty, shifts

UTC = dt.UTC
ZONES = ("Europe/Podgorica", "Europe/Bucharest", "Europe/Istanbul")
NOW = dt.datetime(2026, 11, 21, 2, 10, tzinfo=UTC)


def make_rota(seed: int) -> Rota:
    """A rota as a 24/7 desk has it: a base layer, office hours above it, nights on weekends, a few overrides."""
    rng = random.Random(seed)
    members = [f"m-{seed}-{i}" for i in range(6)]
    zone = ZONES[seed % 3]
    days = [NOW + dt.timedelta(days=rng.randrange(-30, 60)) for _ in range(4)]
    return parse_rota(
        {
            "unit": "desk",
            "time_zone": zone,
            "layers": [
                {"members": members, "start": "2015-01-05T08:00", "rotation": {"every": 12, "unit": "hours"}},
                {
                    "members": members[:3],
                    "start": "2024-01-01T00:00",
                    "rotation": {"every": 1, "unit": "weeks"},
                    "restrictions": [
                        {"weekdays": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "end": "16:00"}
                    ],
                },
                {
                    "members": members[3:],
                    "start": "2024-01-01T00:00",
                    "rotation": {"every": 1, "unit": "days"},
                    "restrictions": [{"weekdays": ["fri", "sat"], "start": "20:00", "end": "08:00"}],
                },
            ],
            "overrides": [
                {
                    "start": day.isoformat(timespec="seconds").replace("+00:00", "Z"),
                    "end": (day + dt.timedelta(hours=12)).isoformat(timespec="seconds").replace("+00:00", "Z"),
                    "member": members[0],
                    "replaces": None,
                    "reason": "swap",
                }
                for day in days
            ],
        }
    )


def run(report: Report) -> None:
    rounds = 3 if report.quick else 9
    rng = random.Random(1)
    rota = make_rota(0)
    instants = [NOW + dt.timedelta(seconds=rng.randrange(-20 * 365 * 86400, 20 * 365 * 86400)) for _ in range(2000)]
    each = median_of(lambda: [on_duty(rota, at) for at in instants], rounds) / len(instants) * 1e6
    report.add(Row("on duty, one rota of three layers, instants of ±20 years", "≤ 30 µs", "µs", each, met=each <= 30))
    rotas = [make_rota(seed) for seed in range(1000 if report.quick else 10_000)]
    whole = median_of(lambda: [on_duty(rota, NOW) for rota in rotas], rounds) * (10_000 / len(rotas))
    report.add(Row("on duty, 10,000 rotas", "≤ 0.5 s", "s", whole, met=whole <= 0.5))
    window = median_of(per_call(lambda: shifts(rota, NOW, NOW + dt.timedelta(days=90)), 10), rounds) / 10 * 1000
    report.add(Row("schedule of 90 days", "≤ 5 ms", "ms", window, met=window <= 5))
