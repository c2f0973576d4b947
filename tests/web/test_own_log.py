"""What a node answers while its own log or its clock may not be relied on (protocol.md, section 5)."""

import pytest

from directory.database import writing
from federation.key_directory import KeyDirectory
from federation.log import mark_disputed
from federation.own_node import hold_back, refuse_clock
from federation.read_tokens import make_read_token
from sync.instance import write_instance
from tests.web.building import ServedNode

OWN, OTHER = "/federation/v1/logs/ME", "/federation/v1/logs/RS"


def set_back(node: ServedNode, reason: str | None) -> None:
    with writing(node.engine) as session:
        hold_back(session, reason)


def refuse(node: ServedNode) -> None:
    with writing(node.engine) as session:
        refuse_clock(session, "jumped: in this test")


def read(node: ServedNode, path: str):
    reader = KeyDirectory(node.data / "neighbours" / "RS", "RS", "http://127.0.0.1:8110").load()
    token = make_read_token(reader, node.config.url, node.clock.now)
    return node.app.test_client().get(path, headers={"Authorization": f"Bearer {token}"})


def save(node: ServedNode):
    client = node.client("ana")
    before = client.get("/api/v1/units/me-spoc")
    return client.put("/api/v1/units/me-spoc", before.json["data"] | {"note": "x"}, If_Match=before.headers["ETag"])


def check_busy(response, code: str = "busy") -> None:
    assert response.status_code == 503
    assert response.json["type"] == f"urn:veza:problem:{code}"
    assert response.headers["Retry-After"]


@pytest.mark.parametrize("reason", ["starting", "restored", "clock", "elsewhere"])
def test_the_own_log_is_busy_and_everything_else_goes_on(node: ServedNode, reason: str) -> None:
    set_back(node, reason)
    for path in (f"{OWN}/checkpoint", f"{OWN}/entries?start=0"):
        check_busy(read(node, path))
        assert node.app.test_client().get(path).status_code == 401, "nobody unknown learns of it"
    check_busy(save(node))
    assert read(node, f"{OTHER}/checkpoint").status_code == 200
    assert node.app.test_client().get("/.well-known/openid-federation").status_code == 200
    assert node.app.test_client().get("/federation/v1/configurations/ME").status_code == 200
    assert node.client().get("/api/v1/lookup?country=RS").status_code == 200
    checks = node.app.test_client().get("/readyz").json["checks"]
    assert checks["own_log"]["ok"] is False
    assert f'veza_own_log_held_back{{reason="{reason}"}} 1.0' in metrics(node)
    set_back(node, None)
    assert read(node, f"{OWN}/checkpoint").status_code == 200
    assert save(node).status_code == 200


def test_a_disputed_own_log_is_busy_too(node: ServedNode) -> None:
    with writing(node.engine) as session:
        mark_disputed(session, "ME", "another history")
    check_busy(read(node, f"{OWN}/checkpoint"))
    check_busy(save(node))
    assert node.app.test_client().get("/readyz").json["checks"]["own_log"]["ok"] is False


def test_a_clock_that_is_refused_signs_nothing_and_serves_what_is_held(node: ServedNode) -> None:
    refuse(node)
    check_busy(save(node), "clock_implausible")
    check_busy(node.app.test_client().post("/federation/v1/checkpoints", data=b"x"), "clock_implausible")
    assert read(node, f"{OWN}/checkpoint").status_code == 200
    assert read(node, f"{OTHER}/checkpoint").status_code == 200
    assert node.client().get("/api/v1/lookup?country=RS").status_code == 200
    assert node.app.test_client().get("/readyz").json["checks"]["clock"]["detail"] == "jumped: in this test"
    assert 'veza_clock_refused{rule="jumped"} 1.0' in metrics(node)


def test_healthz_shows_the_newest_instance_and_is_not_kept(node: ServedNode) -> None:
    client = node.app.test_client()
    assert client.get("/healthz").json["instance"] is None
    with writing(node.engine) as session:
        value = write_instance(session, node.clock.now)
    response = client.get("/healthz?asked=1")
    assert response.json == {"status": "ok", "participant": "ME", "instance": value}
    assert response.headers["Cache-Control"] == "no-store"


def test_healthz_answers_though_the_database_does_not(node: ServedNode) -> None:
    with node.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE instance RENAME TO away")
    response = node.app.test_client().get("/healthz")
    assert (response.status_code, response.json["instance"]) == (200, None)


def metrics(node: ServedNode) -> str:
    return node.app.test_client().get("/metrics").get_data(as_text=True)
