"""What monitoring sees."""

import datetime as dt

from directory.database import writing
from sync.status import record_failure, record_success
from sync.tables import LeaseRow
from tests.web.building import ServedNode


def lead(node: ServedNode) -> None:
    with writing(node.engine) as session:
        session.add(LeaseRow(name="x", holder="worker", epoch=1, until=node.clock.now + dt.timedelta(minutes=1)))


def test_the_process_answers(node: ServedNode) -> None:
    response = node.app.test_client().get("/healthz")
    assert response.status_code == 200
    assert response.json["status"] == "ok"


def test_a_node_with_a_worker_and_a_checkpoint_is_ready(node: ServedNode) -> None:
    lead(node)
    response = node.app.test_client().get("/readyz")
    assert response.status_code == 200
    assert response.json["ready"] is True
    assert response.json["checks"].keys() == {"database", "worker", "checkpoint", "own_log", "clock"}


def test_without_a_worker_it_is_not_ready(node: ServedNode) -> None:
    response = node.app.test_client().get("/readyz")
    assert response.status_code == 503
    assert response.json["checks"]["worker"]["ok"] is False
    assert response.json["checks"]["checkpoint"]["ok"] is True


def test_a_worker_that_fell_silent_counts_for_nothing(node: ServedNode) -> None:
    lead(node)
    node.clock.forward(minutes=2)
    assert node.app.test_client().get("/readyz").json["checks"]["worker"]["ok"] is False


def test_a_checkpoint_that_nobody_renews_shows(node: ServedNode) -> None:
    node.clock.forward(hours=43)
    assert node.app.test_client().get("/readyz").json["checks"]["checkpoint"]["ok"] is False


def test_a_node_without_a_log_is_not_ready(node: ServedNode) -> None:
    with node.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM log WHERE participant='ME'")
    assert "no checkpoint" in node.app.test_client().get("/readyz").json["checks"]["checkpoint"]["detail"]


def test_measures_for_prometheus(node: ServedNode) -> None:
    node.client().get("/api/v1/lookup?country=RS")
    with writing(node.engine) as session:
        record_success(session, "RS", "http://127.0.0.1:8110", node.clock.now)
        record_failure(session, "HR", "timeout", "no answer", node.clock.now, True)
    node.clock.forward(seconds=90)
    text = node.app.test_client().get("/metrics").get_data(as_text=True)
    assert 'veza_log_entries{participant="ME"} 47.0' in text
    assert 'veza_log_age_seconds{participant="RS"} 90.0' in text
    assert 'veza_sync_ok{participant="RS",result="ok"} 1.0' in text
    assert 'veza_sync_ok{participant="HR",result="timeout"} 0.0' in text
    assert 'veza_sync_success_age_seconds{participant="RS"} 90.0' in text
    assert "veza_lookup_seconds_count" in text


def test_measures_of_all_processes(node: ServedNode, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert "veza_log_entries" in node.app.test_client().get("/metrics").get_data(as_text=True)
