"""A whole node, served, on both databases: migrate, publish, look up, change, refuse."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.building import ServedNode, build_node, serve
from tests.web.test_sign_in import sign_in


@pytest.fixture
def node(empty_database_url: str, tmp_path: Path) -> Iterator[ServedNode]:
    data = tmp_path / "ME"
    build_node(data, {"database": empty_database_url})
    served = serve(data)
    yield served
    served.close()


def test_a_record_from_its_change_to_its_lookup(node: ServedNode) -> None:
    client = node.client("ana")
    before = client.get("/api/v1/units/me-spoc")
    data = before.json["data"] | {"name": {"en": "Zebrafish desk"}}
    saved = client.put("/api/v1/units/me-spoc", data, If_Match=before.headers["ETag"])
    assert saved.status_code == 200
    stale = client.put("/api/v1/units/me-spoc", before.json["data"], If_Match=before.headers["ETag"])
    assert stale.status_code == 412
    assert stale.json["current"]["seq"] == saved.json["seq"]
    assert client.get("/api/v1/search?q=zebrafish").json["items"][0]["ref"] == "ME:unit/me-spoc"
    answer = client.get("/api/v1/lookup?country=RS&crime_area=drugs&urgency=urgent").json
    assert answer["candidates"][0]["freshness"]["state"] == "fresh"
    assert client.get("/api/v1/changes?limit=2").json["next"] == 2
    assert len(client.get("/api/v1/units?limit=500").json["items"]) > 120


def test_faults_change_nothing(node: ServedNode) -> None:
    client = node.client("ana")
    before = client.get("/api/v1/units/me-spoc")
    refused = client.put("/api/v1/units/me-spoc", {"kind": "castle"}, If_Match=before.headers["ETag"])
    assert refused.status_code == 400
    forbidden = node.client("oskar").put("/api/v1/units/me-spoc", before.json["data"], If_Match=before.headers["ETag"])
    assert forbidden.status_code == 403
    assert client.get("/api/v1/units/me-spoc").json == before.json


def test_signing_in_is_limited(node: ServedNode) -> None:
    assert sign_in(node.app.test_client()).status_code == 303
    statuses = [sign_in(node.app.test_client(), "dora", "wrong").status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]


def test_monitoring_is_answered(node: ServedNode) -> None:
    assert node.app.test_client().get("/readyz").status_code == 503, "no worker runs here"
    assert b"veza_log_entries" in node.app.test_client().get("/metrics").data
