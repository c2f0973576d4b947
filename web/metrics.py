"""Measures for Prometheus: how long lookups take, and what the database says of logs and their following."""

import datetime as dt
import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector
from sqlalchemy.orm import Session

from federation.log import load_heads
from federation.own_node import load_own_node
from federation.refusals import count_refusals
from sync.status import load_statuses

LOOKUP_SECONDS = Histogram(
    "veza_lookup_seconds",
    "Time to rank and explain one lookup",
    buckets=(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25),
)


class DatabaseCollector(Collector):
    """The gauges that come from the database, read when they are asked for."""

    def __init__(self, session: Session, now: dt.datetime) -> None:
        self._session = session
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """One sample per participant that is held or followed."""
        size = GaugeMetricFamily("veza_log_entries", "Entries held of a participant's log", labels=["participant"])
        age = GaugeMetricFamily("veza_log_age_seconds", "Age of the newest checkpoint held", labels=["participant"])
        for head in load_heads(self._session):
            size.add_metric([head.participant], head.size)
            if head.issued_at is not None:
                age.add_metric([head.participant], (self._now - head.issued_at).total_seconds())
        yield from (size, age, *self._sync(), self._refusals(), *self._own_node())

    def _sync(self) -> Iterator[Metric]:
        ok = GaugeMetricFamily("veza_sync_ok", "Whether the last pull went well", labels=["participant", "result"])
        success = GaugeMetricFamily(
            "veza_sync_success_age_seconds", "Time since the last good pull", labels=["participant"]
        )
        for participant, status in load_statuses(self._session).items():
            ok.add_metric([participant, status.last_result or "none"], status.last_result == "ok")
            if status.last_success_at is not None:
                success.add_metric([participant], (self._now - status.last_success_at).total_seconds())
        yield from (ok, success)

    def _own_node(self) -> Iterator[Metric]:
        own = load_own_node(self._session)
        held_back = GaugeMetricFamily("veza_own_log_held_back", "Whether the own log is not signed", labels=["reason"])
        held_back.add_metric([own.held_back or "none"], float(own.held_back is not None))
        refused = GaugeMetricFamily("veza_clock_refused", "Whether the clock cannot be right", labels=["rule"])
        rule = (own.clock_refused or "none").partition(":")[0]
        refused.add_metric([rule], float(own.clock_refused is not None))
        yield from (held_back, refused)

    def _refusals(self) -> Metric:
        refused = CounterMetricFamily("veza_refusals", "What of others was refused", labels=["peer", "code"])
        for labels, count in count_refusals(self._session).items():
            refused.add_metric(labels, count)
        return refused


def exposition(session: Session, now: dt.datetime) -> bytes:
    """Everything in the text format of Prometheus; of all processes where a folder for that is set."""
    gauges = CollectorRegistry()
    gauges.register(DatabaseCollector(session, now))
    counted = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    return generate_latest(gauges) + generate_latest(counted)
