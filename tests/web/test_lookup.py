"""Looking up, searching, duty, rotas, readiness, the federation and its changes through the API."""

import pytest

from directory.database import writing
from directory.store import load_record
from tests.web.building import ROTA, ServedNode

GOSTUN = "/api/v1/lookup?country=RS&crime_area=migrant_smuggling&location=xp-gostun-dobrakovo&urgency=urgent"


def problem(response) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    return response.status_code, response.json["type"].removeprefix("urn:veza:problem:")


def test_the_answer_has_the_names_of_the_interface(node: ServedNode) -> None:
    answer = node.client().get(GOSTUN).json
    assert {
        "query",
        "candidates",
        "deadline",
        "language",
        "execution_unit",
        "copy_to",
        "europol_copy_assessment",
        "rejected",
    } <= answer.keys()
    assert answer["query"]["from"] == "ME"
    first = answer["candidates"][0]
    assert first["unit"] == "RS:unit/rs-spoc"
    assert first["freshness"]["state"] == "fresh"
    assert answer["deadline"] == {"rule": "PT8H", "due": "2026-11-22T05:00:00+01:00", "profile": "aligned"}
    assert {"unit", "channel", "rule", "reason", "next_opening"} == answer["rejected"][0].keys()


def test_another_instant_gives_another_answer(node: ServedNode) -> None:
    weekday = node.client().get(f"{GOSTUN}&at=2027-02-09T10:00:00%2B01:00").json
    assert weekday["candidates"][0]["unit"] == "RS:unit/rs-pccc-trebinje"
    assert weekday["copy_to"] == ["ME:unit/me-spoc", "RS:unit/rs-spoc"]


def test_lists_are_given_once_with_commas_or_several_times(node: ServedNode) -> None:
    once = node.client().get(f"{GOSTUN}&outages=RS:siena,ME:i247").json
    often = node.client().get(f"{GOSTUN}&outage=RS:siena&outage=ME:i247").json
    assert once["candidates"] == often["candidates"]
    assert "siena" not in {candidate["channel"] for candidate in once["candidates"]}


def test_a_published_outage_counts_at_once(node: ServedNode) -> None:
    outage = {"channel": "siena", "from": "2026-11-21T18:00:00Z"}
    assert node.client("rada").put("/api/v1/outages/o-siena", outage, If_None_Match="*").status_code == 200
    channels = [candidate["channel"] for candidate in node.client().get(GOSTUN).json["candidates"]]
    assert "siena" not in channels


def test_every_bad_field_is_named_at_once(node: ServedNode) -> None:
    response = node.client().get("/api/v1/lookup?country=QQ&crime_area=jaywalking&urgency=now&at=soon&colour=blue")
    assert problem(response) == (400, "bad_request")
    pointers = {error["pointer"] for error in response.json["errors"]}
    assert {"/country", "/crime_area", "/urgency", "/at", "/colour"} <= pointers


@pytest.mark.parametrize("query", ["", "?country=ME", "?country=RS&country=XK", "?country=RS&location=nowhere+at+all"])
def test_questions_without_an_answer_are_refused(node: ServedNode, query: str) -> None:
    assert problem(node.client().get(f"/api/v1/lookup{query}")) == (400, "bad_request")


def test_an_overlong_question_is_refused(node: ServedNode) -> None:
    query = "&".join(f"p{number}=1" for number in range(10_000))
    assert problem(node.client().get(f"/api/v1/lookup?{query}")) == (400, "bad_request")


@pytest.mark.parametrize("text", ["Presevo", "Preševo", "Прешево", "presevo borde", "Prešveo"])
def test_search_takes_any_script_and_forgives_an_error(node: ServedNode, text: str) -> None:
    hits = node.client().get(f"/api/v1/search?q={text}").json["items"]
    assert any("presevo" in hit["ref"] for hit in hits)
    assert {"kind", "ref", "names", "participant"} == hits[0].keys()


@pytest.mark.parametrize("query", ["", "?q=", f"?q={'x' * 121}", "?q=a&limit=0", "?q=a&limit=101", "?text=a"])
def test_bad_searches_are_refused(node: ServedNode, query: str) -> None:
    assert problem(node.client().get(f"/api/v1/search{query}")) == (400, "bad_request")


# -- duty and rotas -------------------------------------------------------------------------------------------------


def test_who_is_on_duty(node: ServedNode) -> None:
    answer = node.client().get("/api/v1/on-duty?unit=ME:unit/me-spoc").json
    assert answer["member"] == {
        "id": "m-two",
        "name": "Duty officer 2",
        "phone": "+999499002",
        "languages": ["cnr"],
    }
    assert (answer["since"], answer["until"]) == ("2026-11-21T19:00:00Z", "2026-11-22T07:00:00Z")
    assert answer["source"]["published_at"] == "2026-11-21T20:00:00Z"


def test_a_gap_names_the_next_contact(node: ServedNode) -> None:
    answer = node.client().get("/api/v1/on-duty?unit=ME:unit/me-spoc&at=2026-01-01T00:00:00Z").json
    assert answer["member"] is None
    assert answer["next_contact"]["member"]["id"] == "m-one"


def test_the_schedule_of_a_rota(node: ServedNode) -> None:
    path = "/api/v1/rotas/ME/r-desk/shifts?from=2026-11-21T00:00:00Z&to=2026-11-22T00:00:00Z"
    shifts = node.client().get(path).json["shifts"]
    assert [shift["member"] for shift in shifts] == ["m-two", "m-one", "m-two"]
    assert shifts[1] == {"start": "2026-11-21T07:00:00Z", "end": "2026-11-21T19:00:00Z", "member": "m-one"}
    assert len(node.client().get("/api/v1/rotas/ME/r-desk/shifts").json["shifts"]) == 181


@pytest.mark.parametrize(
    "window",
    [
        "from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z",
        "from=2026-11-22T00:00:00Z&to=2026-11-22T00:00:00Z",
        "from=2026-01-01T00:00:00Z&to=2036-01-01T00:00:00Z",
        "from=today",
        "to=2026-11-30",
        "start=2026-11-22T00:00:00Z",
    ],
)
def test_odd_windows_are_refused(node: ServedNode, window: str) -> None:
    assert problem(node.client().get(f"/api/v1/rotas/ME/r-desk/shifts?{window}")) == (400, "bad_request")


def test_a_preview_shows_what_saving_would_change_and_saves_nothing(node: ServedNode) -> None:
    layer = ROTA["layers"][0] | {"members": ["m-two", "m-one", "m-new"], "start": "2026-11-22T08:00"}
    leave = {"start": "2026-11-25T07:00:00Z", "end": "2026-11-26T07:00:00Z", "member": "m-new", "replaces": "m-one"}
    double = leave | {"member": "m-other"}
    changed = ROTA | {"layers": [layer], "overrides": [leave, double]}
    client = node.client("rada")
    before = client.get("/api/v1/rotas/r-desk")
    path = "/api/v1/rotas/r-desk/preview?from=2026-11-21T00:00:00Z&to=2026-11-28T00:00:00Z"
    preview = client.post(path, changed).json
    assert preview["changes"][0]["before"] == "m-two"
    assert preview["gaps"] == [{"start": "2026-11-21T00:00:00Z", "end": "2026-11-22T07:00:00Z"}]
    assert "m-other" in preview["idle_members"]
    assert [conflict["first"]["member"] for conflict in preview["conflicts"]] == ["m-new"]
    assert client.get("/api/v1/rotas/r-desk").json == before.json
    assert problem(client.put("/api/v1/rotas/r-desk", changed, If_Match=before.headers["ETag"])) == (400, "bad_request")


def test_a_preview_of_a_new_rota(node: ServedNode) -> None:
    preview = node.client("ana").post("/api/v1/rotas/r-new/preview", ROTA).json
    assert preview["changes"][0]["before"] is None
    assert problem(node.client("ana").get("/api/v1/rotas/r-new")) == (404, "not_found")


@pytest.mark.parametrize("user", ["oskar", "dora", "audit"])
def test_previews_are_for_those_who_may_save(node: ServedNode, user: str) -> None:
    assert problem(node.client(user).post("/api/v1/rotas/r-desk/preview", ROTA)) == (403, "forbidden")


def test_a_preview_of_what_is_no_rota_is_refused(node: ServedNode) -> None:
    response = node.client("ana").post("/api/v1/rotas/r-desk/preview", ROTA | {"time_zone": "Europe/Nowhere"})
    assert problem(response) == (400, "bad_request")
    assert response.json["errors"][0]["pointer"] == "/time_zone"


def test_superseded_versions_are_kept(node: ServedNode) -> None:
    client = node.client("rada")
    assert client.get("/api/v1/rotas/r-desk/history").json == {"items": []}
    before = client.get("/api/v1/rotas/r-desk")
    node.clock.forward(minutes=1)
    client.put("/api/v1/rotas/r-desk", ROTA | {"name": "Desk"}, If_Match=before.headers["ETag"])
    assert client.get("/api/v1/rotas/r-desk/history").json["items"] == [
        {
            "seq": before.json["seq"],
            "data": before.json["data"],
            "published_at": "2026-11-21T20:00:00Z",
            "replaced_at": "2026-11-21T20:01:00Z",
        }
    ]


def test_a_calendar_under_its_secret_address(node: ServedNode) -> None:
    address = node.client().get("/api/v1/rotas/ME/r-desk/calendar").json["url"]
    assert address.startswith("http://127.0.0.1:8100/api/v1/rotas/ME/r-desk.ics?key=")
    path = address.removeprefix("http://127.0.0.1:8100")
    first = node.app.test_client().get(path)
    assert first.content_type == "text/calendar; charset=utf-8"
    text = first.get_data(as_text=True)
    assert text.startswith("BEGIN:VCALENDAR\r\n")
    assert "SUMMARY:Duty officer 2" in text
    assert "UID:20261121T190000Z-ME-rota-r-desk@veza" in text
    again = node.app.test_client().get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("key", ["", "?key=", "?key=forged", "?key=WyJvc2thciJd.x"])
def test_a_calendar_without_its_secret_is_refused(node: ServedNode, key: str) -> None:
    response = node.app.test_client().get(f"/api/v1/rotas/ME/r-desk.ics{key}")
    assert problem(response) in [(400, "bad_request"), (403, "forbidden")]


def test_a_calendar_address_opens_one_rota_for_as_long_as_its_user_stays(node: ServedNode) -> None:
    address = node.client().get("/api/v1/rotas/ME/r-desk/calendar").json["url"]
    key = address.partition("?")[2]
    client = node.app.test_client()
    assert problem(client.get(f"/api/v1/rotas/ME/r-other.ics?{key}")) == (403, "forbidden")
    with writing(node.engine) as session:
        session.connection().exec_driver_sql("UPDATE user_account SET disabled=1 WHERE name='oskar'")
    assert problem(client.get(f"/api/v1/rotas/ME/r-desk.ics?{key}")) == (403, "forbidden")


# -- the node and its federation ------------------------------------------------------------------------------------


def test_readiness_says_what_to_do(node: ServedNode) -> None:
    report = node.client().get("/api/v1/readiness/ME").json
    assert report["participant"] == "ME"
    assert {"criterion", "state", "what_to_do"} == report["items"][0].keys()
    assert {row["state"] for row in report["items"]} <= {"met", "not_met", "not_applicable"}
    own_keys = [row for row in report["items"] if "key" in row["criterion"]]
    assert [row["state"] for row in own_keys] == ["met"]


def test_the_federation_with_keys_and_what_was_skipped(node: ServedNode) -> None:
    overview = node.client().get("/api/v1/federation").json
    rows = {row["participant"]: row for row in overview["participants"]}
    assert rows.keys() == {"ME", "RS", "XK", "HR"}
    assert rows["ME"]["trust"] == "own"
    assert rows["RS"]["skipped"] == []
    assert len(overview["keys"]["operating"]) == 1
    assert overview["keys"]["federation"]["fingerprint"].count(" ") == 15
    assert "PRIVATE" not in node.client().get("/api/v1/federation").get_data(as_text=True)


def test_changes_are_read_to_the_end_of_a_log(node: ServedNode) -> None:
    client, seen, since = node.client(), [], 0
    while since is not None:
        piece = client.get(f"/api/v1/changes?participant=RS&since={since}&limit=50").json
        seen += [item["seq"] for item in piece["items"]]
        since = piece["next"]
    assert seen == list(range(piece["size"]))
    assert client.get(f"/api/v1/changes?participant=RS&since={piece['size']}").json["items"] == []


def test_changes_of_the_own_log_come_without_a_name(node: ServedNode) -> None:
    client = node.client("ana")
    size = client.get("/api/v1/changes").json["size"]
    made = client.put("/api/v1/outages/o-x", {"channel": "siena", "from": "2026-11-21T18:00:00Z"}, If_None_Match="*")
    client.delete("/api/v1/outages/o-x", If_Match=made.headers["ETag"])
    items = client.get(f"/api/v1/changes?since={size}").json["items"]
    assert [(item["op"], item["record"]) for item in items] == [("put", "outage/o-x"), ("delete", "outage/o-x")]
    assert items[0]["data"]["channel"] == "siena", "an own payload is kept for an hour"
    assert items[1]["data"] is None


def test_an_entry_that_cannot_be_read_is_listed_as_such(node: ServedNode) -> None:
    with node.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE entry SET header=x'7b7d' WHERE participant='RS' AND seq=0")
        connection.exec_driver_sql("UPDATE entry SET payload=x'7b7d' WHERE participant='RS' AND seq=1")
    items = node.client().get("/api/v1/changes?participant=RS&limit=3").json["items"]
    assert [item["op"] for item in items] == ["unreadable", "unreadable", "put"]


@pytest.mark.parametrize("query", ["since=-1", "since=x", "limit=0", "limit=257", "participant=me", "after=1"])
def test_bad_feeds_are_refused(node: ServedNode, query: str) -> None:
    assert problem(node.client().get(f"/api/v1/changes?{query}")) == (400, "bad_request")


def test_a_record_that_cannot_be_read_is_shown_as_such(node: ServedNode) -> None:
    with node.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE record SET state='unreadable', data=NULL WHERE record='unit/rs-ncb'")
        connection.exec_driver_sql("UPDATE record SET state='unreadable', data=NULL WHERE record='rota/r-desk'")
    shown = node.client().get("/api/v1/units/RS/rs-ncb").json
    assert (shown["data"], shown["state"]) == (None, "unreadable")
    assert problem(node.client().get("/api/v1/units/RS/rs-ncb.vcf")) == (404, "not_found")
    assert problem(node.client().get("/api/v1/rotas/ME/r-desk/shifts")) == (404, "not_found")
    with writing(node.engine) as session:
        assert load_record(session, "RS", "unit/rs-ncb") is not None
