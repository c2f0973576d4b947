"""What one process does beside answering: below a path, with writers at once, without what it remembers."""

import datetime as dt
from pathlib import Path

import pytest

from directory.database import writing
from federation import publishing
from federation.errors import ConcurrentAppendError
from tests.web.building import ServedNode, serve_copy
from web import accounts
from web.app import utc_now


def test_a_node_below_a_path_of_its_host(node_template: Path, tmp_path: Path) -> None:
    served = serve_copy(node_template, tmp_path / "first")
    served.close()
    file = served.data / "veza.toml"
    file.write_text(file.read_text().replace("http://127.0.0.1:8100", "http://127.0.0.1:8100/veza"))
    below = serve_copy(served.data, tmp_path / "below")
    client = below.client()
    assert client.get("/veza/api/v1/units/me-spoc").status_code == 200
    assert client.get("/api/v1/units/me-spoc").status_code == 200, "a proxy may have taken the prefix off"
    assert client.get("/veza/", Accept="text/html").headers["Location"].startswith("/veza/sign-in")
    address = client.get("/veza/api/v1/rotas/ME/r-desk/calendar").json["url"]
    assert address.startswith("http://127.0.0.1:8100/veza/api/v1/rotas/ME/r-desk.ics?key=")
    below.close()


class Contended:
    """Publishing that loses against another writer a number of times."""

    def __init__(self, losses: int) -> None:
        self.losses = losses

    def __call__(self, *args: object) -> object:
        self.losses -= 1
        if self.losses >= 0:
            raise ConcurrentAppendError("another writer came first")
        return publishing.publish(*args)


@pytest.mark.parametrize(("losses", "status"), [(1, 200), (2, 200), (3, 409)])
def test_a_lost_race_is_run_again_a_few_times(node: ServedNode, monkeypatch, losses: int, status: int) -> None:
    client = node.client("ana")
    before = client.get("/api/v1/units/me-spoc")
    monkeypatch.setattr("web.record_changes.publish", Contended(losses))
    saved = client.put("/api/v1/units/me-spoc", before.json["data"] | {"note": "x"}, If_Match=before.headers["ETag"])
    assert saved.status_code == status
    changed = client.get("/api/v1/units/me-spoc").headers["ETag"] != before.headers["ETag"]
    assert changed == (status == 200)


def test_a_record_without_a_log_is_stale(node: ServedNode) -> None:
    with node.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM log WHERE participant='RS'")
        connection.exec_driver_sql("UPDATE counter SET value=value+1 WHERE name='federation'")
    freshness = node.client().get("/api/v1/units/RS/rs-spoc").json["freshness"]
    assert (freshness["state"], freshness["checked_at"], freshness["age_s"]) == ("stale", None, None)


def test_more_tokens_than_are_remembered(node: ServedNode, monkeypatch) -> None:
    monkeypatch.setattr("web.held.MOST_TOKENS", 2)
    with writing(node.engine) as session:
        tokens = [accounts.issue_token(session, "oskar", dt.timedelta(hours=1), node.clock.now) for _ in range(5)]
    for token in tokens + tokens:
        headers = {"Authorization": f"Bearer {token}"}
        assert node.app.test_client().get("/api/v1/participant", headers=headers).status_code == 200


@pytest.mark.parametrize("cursor", ["_w", "4pyTIHg", "TUU"])
def test_a_forged_cursor_is_refused(node: ServedNode, cursor: str) -> None:
    assert node.client().get(f"/api/v1/units?cursor={cursor}").status_code == 400


def test_a_card_of_a_unit_with_little(node: ServedNode) -> None:
    client = node.client("ana")
    unit = client.get("/api/v1/units/me-spoc")
    bare = {name: value for name, value in unit.json["data"].items() if name != "endpoints"}
    saved = client.put("/api/v1/units/me-spoc", bare | {"timezone": "Europe/Rome"}, If_Match=unit.headers["ETag"])
    assert saved.status_code == 200
    card = client.get("/api/v1/units/ME/me-spoc.vcf").get_data(as_text=True)
    assert "TZ:Europe/Rome" in card
    assert "TEL" not in card
    assert "EMAIL" not in card


def test_an_agency_is_found_by_its_name(node: ServedNode) -> None:
    hits = node.client().get("/api/v1/search?q=Customs+Administration").json["items"]
    assert "ME:agency/me-ag-carina" in {hit["ref"] for hit in hits}


def test_the_clock_is_aware() -> None:
    assert utc_now().utcoffset() == dt.timedelta(0)
