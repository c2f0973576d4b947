"""Reading and changing records through the API: roles, versions, faults; refusals change nothing."""

import json

import pytest

from tests.web.building import MEMBERS, ROTA, ServedNode

OUTAGE = {"channel": "siena", "from": "2026-11-21T18:00:00Z", "reason": "maintenance"}
ADMIN = "/api/v1/units/me-spoc"


def held_log(node: ServedNode) -> tuple[object, ...]:
    """What must be unchanged after a refusal: the head, and what the read model says."""
    with node.engine.connect() as connection:
        head = connection.exec_driver_sql("SELECT size, root, checkpoint FROM log WHERE participant='ME'").one()
        records = connection.exec_driver_sql("SELECT count(*), max(seq), max(version) FROM record").one()
    return (*head, *records)


def problem(response) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    assert response.json["status"] == response.status_code
    return response.status_code, response.json["type"].removeprefix("urn:veza:problem:")


def test_a_record_is_shown_with_its_number_and_age(node: ServedNode) -> None:
    response = node.client().get("/api/v1/units/RS/rs-spoc")
    assert response.status_code == 200
    assert response.json["ref"] == "RS:unit/rs-spoc"
    assert response.json["data"]["kind"] == "spoc"
    assert response.json["published_at"] == "2026-11-21T20:00:00Z"
    assert response.json["freshness"] == {
        "state": "fresh",
        "checked_at": "2026-11-21T20:00:00Z",
        "age_s": 0,
        "verified_at": "2026-11-21T20:00:00Z",
    }


def test_an_own_record_is_found_with_and_without_its_country(node: ServedNode) -> None:
    assert node.client().get("/api/v1/units/me-spoc").json == node.client().get("/api/v1/units/ME/me-spoc").json


def test_a_stale_neighbour_is_said_to_be_stale(node: ServedNode) -> None:
    client = node.client()
    before = client.get("/api/v1/units/RS/rs-spoc")
    node.clock.forward(hours=7)  # the token lives for eight
    assert client.get("/api/v1/units/RS/rs-spoc", If_None_Match=before.headers["ETag"]).status_code == 304
    with node.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE log SET issued_at='2026-11-19 20:00:00.000000' WHERE participant='RS'")
        connection.exec_driver_sql("UPDATE counter SET value=value+1 WHERE name='federation'")
    after = client.get("/api/v1/units/RS/rs-spoc", If_None_Match=before.headers["ETag"])
    assert after.status_code == 200, "an entity tag must not hide that the log went stale"
    assert after.json["freshness"]["state"] == "stale"


def test_an_unchanged_record_is_not_sent_again(node: ServedNode) -> None:
    client = node.client()
    first = client.get(ADMIN)
    assert first.headers["ETag"] == f'"{first.json["seq"]}"'
    second = client.get(ADMIN, If_None_Match=first.headers["ETag"])
    assert (second.status_code, second.data) == (304, b"")
    assert second.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/units/RS/nobody",
        "/api/v1/units/nobody",
        "/api/v1/units/QQ/rs-spoc",
        "/api/v1/members/RS/m-one",
        "/api/v1/participants/QQ",
        "/api/v1/units/RS/nobody.vcf",
        "/api/v1/rotas/ME/nobody/shifts",
        "/api/v1/rotas/nobody/history",
        "/api/v1/readiness/QQ",
        "/api/v1/changes?participant=QQ",
        "/api/v1/on-duty?unit=RS:unit/nobody",
        "/api/v1/nothing",
    ],
)
def test_what_is_not_held_is_not_found(node: ServedNode, path: str) -> None:
    assert problem(node.client().get(path)) == (404, "not_found")


def test_lists_are_paged_to_their_end(node: ServedNode) -> None:
    client, seen, cursor = node.client(), [], ""
    while cursor is not None:
        page = client.get(f"/api/v1/units?limit=40{f'&cursor={cursor}' if cursor else ''}").json
        assert len(page["items"]) <= 40
        seen += [item["ref"] for item in page["items"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) > 120
    assert seen == sorted(seen)


def test_a_page_is_not_sent_again_until_something_on_it_changes(node: ServedNode) -> None:
    client = node.client("ana")
    path = "/api/v1/units?participant=ME&limit=500"
    tag = client.get(path).headers["ETag"]
    node.clock.forward(minutes=5)
    assert client.get(path, If_None_Match=tag).status_code == 304, "its age is no change"
    unit = client.get(ADMIN)
    client.put(ADMIN, unit.json["data"] | {"note": "moved"}, If_Match=unit.headers["ETag"])
    assert client.get(path, If_None_Match=tag).status_code == 200
    tag = client.get("/api/v1/units?participant=RS").headers["ETag"]
    node.clock.forward(hours=7)
    with node.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE log SET issued_at='2026-11-19 20:00:00.000000' WHERE participant='RS'")
        connection.exec_driver_sql("UPDATE counter SET value=value+1 WHERE name='federation'")
    again = client.get("/api/v1/units?participant=RS", If_None_Match=tag)
    assert again.status_code == 200, "an entity tag must not hide that the log went stale"


def test_a_list_of_one_participant(node: ServedNode) -> None:
    items = node.client().get("/api/v1/units?participant=XK&limit=500").json["items"]
    assert items
    assert {item["ref"][:3] for item in items} == {"XK:"}


def test_participants_and_outages_are_listed(node: ServedNode) -> None:
    participants = node.client().get("/api/v1/participants").json
    assert [item["ref"] for item in participants["items"]] == [
        f"{code}:participant/self" for code in ("HR", "ME", "RS", "XK")
    ]
    assert participants["next"] is None
    assert node.client().get("/api/v1/outages").json == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("limit=0", "/limit"),
        ("limit=501", "/limit"),
        ("limit=many", "/limit"),
        ("participant=rs", "/participant"),
        ("cursor=%2A", "/cursor"),
        ("cursor=bm90aGluZw", "/cursor"),
        ("colour=blue", "/colour"),
    ],
)
def test_bad_parameters_are_named(node: ServedNode, query: str, place: str) -> None:
    response = node.client().get(f"/api/v1/units?{query}")
    assert problem(response) == (400, "bad_request")
    assert [error["pointer"] for error in response.json["errors"]] == [place]


def test_a_unit_as_a_card(node: ServedNode) -> None:
    response = node.client().get("/api/v1/units/RS/rs-spoc.vcf")
    assert response.content_type == "text/vcard; charset=utf-8"
    assert b"TEL;VALUE=uri;TYPE=work:tel:+9996880002\r\n" in response.data
    assert all(len(line) <= 75 for line in response.data.split(b"\r\n"))
    assert "Управа" in response.data.decode().replace("\r\n ", "")


# -- changes --------------------------------------------------------------------------------------------------------


def test_an_admin_saves_a_unit(node: ServedNode) -> None:
    client = node.client("ana")
    before = client.get(ADMIN)
    data = before.json["data"] | {"hours": "Mo-Fr 08:00-16:00", "x_future": {"kept": True}}
    saved = client.put(ADMIN, data, If_Match=before.headers["ETag"])
    assert saved.status_code == 200
    assert saved.headers["ETag"] == f'"{saved.json["seq"]}"' != before.headers["ETag"]
    after = client.get(ADMIN)
    assert after.json == saved.json
    assert after.json["data"] == data, "unknown members are kept"
    size, _, token, *_ = held_log(node)
    assert size == saved.json["seq"] + 1
    assert token != before.headers["ETag"]


def test_a_save_is_seen_by_lookups_at_once(node: ServedNode) -> None:
    client = node.client("ana")
    assert client.get("/api/v1/search?q=Zebrafish").json == {"items": []}
    data = client.get(ADMIN).json["data"] | {"name": {"en": "Zebrafish desk"}}
    client.put(ADMIN, data, If_Match=client.get(ADMIN).headers["ETag"])
    assert [hit["ref"] for hit in client.get("/api/v1/search?q=zebrafish").json["items"]] == ["ME:unit/me-spoc"]


def test_saving_what_stands_changes_nothing(node: ServedNode) -> None:
    client, before = node.client("ana"), held_log(node)
    record = client.get(ADMIN)
    saved = client.put(ADMIN, record.json["data"], If_Match=record.headers["ETag"])
    assert saved.status_code == 200
    assert saved.headers["ETag"] == record.headers["ETag"]
    assert held_log(node) == before


@pytest.mark.parametrize("headers", [{"If_None_Match": "*"}, {"If_Match": '"0"'}])
def test_a_new_record_is_made_and_deleted(node: ServedNode, headers: dict[str, str]) -> None:
    client = node.client("ana")
    made = client.put("/api/v1/outages/o-siena", OUTAGE, **headers)
    assert made.status_code == 200
    assert made.json["ref"] == "ME:outage/o-siena"
    gone = client.delete("/api/v1/outages/o-siena", If_Match=made.headers["ETag"])
    assert gone.status_code == 200
    assert gone.json["deleted"] is True
    assert problem(client.get("/api/v1/outages/o-siena")) == (404, "not_found")
    assert problem(client.delete("/api/v1/outages/o-siena", If_Match=made.headers["ETag"])) == (412, "stale_version")


def test_the_participant_is_changed_under_its_own_name(node: ServedNode) -> None:
    client = node.client("ana")
    before = client.get("/api/v1/participant")
    assert before.json == client.get("/api/v1/participants/ME").json
    data = before.json["data"] | {"languages": ["cnr", "en"]}
    assert client.put("/api/v1/participant", data, If_Match=before.headers["ETag"]).status_code == 200
    assert client.get("/api/v1/participants/ME").json["data"]["languages"] == ["cnr", "en"]


def test_an_old_version_is_refused_with_what_stands_now(node: ServedNode) -> None:
    client = node.client("ana")
    first = client.get(ADMIN)
    data = first.json["data"]
    client.put(ADMIN, data | {"note": "first"}, If_Match=first.headers["ETag"])
    before = held_log(node)
    refused = client.put(ADMIN, data | {"note": "second"}, If_Match=first.headers["ETag"])
    assert problem(refused) == (412, "stale_version")
    assert refused.json["current"]["data"]["note"] == "first"
    assert refused.json["current"]["seq"] > first.json["seq"]
    assert problem(client.delete(ADMIN, If_Match=first.headers["ETag"])) == (412, "stale_version")
    assert held_log(node) == before


def test_a_new_record_must_be_new(node: ServedNode) -> None:
    before = held_log(node)
    refused = node.client("ana").put(ADMIN, {}, If_None_Match="*")
    assert problem(refused) in [(412, "stale_version"), (400, "bad_request")]
    data = node.client("ana").get(ADMIN).json["data"]
    refused = node.client("ana").put(ADMIN, data | {"note": "x"}, If_None_Match="*")
    assert problem(refused) == (412, "stale_version")
    assert refused.json["current"]["ref"] == "ME:unit/me-spoc"
    assert held_log(node) == before


@pytest.mark.parametrize(
    "headers", [{}, {"If_Match": "*"}, {"If_Match": "17"}, {"If_Match": '"1", "2"'}, {"If_Match": '"x'}]
)
def test_a_change_must_name_its_version(node: ServedNode, headers: dict[str, str]) -> None:
    before = held_log(node)
    client = node.client("ana")
    assert problem(client.put(ADMIN, {}, **headers)) == (428, "precondition_required")
    assert problem(client.delete(ADMIN, **headers)) == (428, "precondition_required")
    assert held_log(node) == before


@pytest.mark.parametrize("tag", ['W/"{}"', '"{}-61c1f76a8f20"', '"x"', '""', '"9007199254740991"'])
def test_a_tag_that_is_not_the_records_own_is_one_too_late(node: ServedNode, tag: str) -> None:
    client, before = node.client("ana"), held_log(node)
    record = client.get(ADMIN)
    other = tag.format(record.json["seq"])
    refused = client.put(ADMIN, record.json["data"] | {"note": "x"}, If_Match=other)
    assert problem(refused) == (412, "stale_version")
    assert refused.json["current"]["seq"] == record.json["seq"]
    assert problem(client.delete(ADMIN, If_Match=other)) == (412, "stale_version")
    assert problem(client.put("/api/v1/units/me-new", record.json["data"], If_Match=other)) == (412, "stale_version")
    assert held_log(node) == before


@pytest.mark.parametrize(
    ("path", "change", "places"),
    [
        ("/api/v1/rotas/r-desk", {"unit": "me-nowhere"}, {"/unit"}),
        (
            "/api/v1/rotas/r-desk",
            {"layers": [ROTA["layers"][0] | {"members": ["m-one", "m-ghost", "m-wraith"]}]},
            {"/layers/0/members/1", "/layers/0/members/2"},
        ),
        (
            "/api/v1/rotas/r-desk",
            {"overrides": [{"start": "2026-12-01T07:00:00Z", "end": "2026-12-02T07:00:00Z", "member": "m-ghost"}]},
            {"/overrides/0/member"},
        ),
        ("/api/v1/members/m-one", {"unit": "me-nowhere"}, {"/unit"}),
        (ADMIN, {"agency": "me-ag-none", "parent": "me-none", "rota": "r-none"}, {"/agency", "/parent", "/rota"}),
        (ADMIN, {"parent": "me-spoc"}, {"/parent"}),
        (ADMIN, {"parent": "me-ncb"}, {"/parent"}),
    ],
)
def test_a_record_that_names_what_is_not_there_is_refused(
    node: ServedNode, path: str, change: dict[str, object], places: set[str]
) -> None:
    client = node.client("ana")
    below = client.get("/api/v1/units/me-ncb")
    client.put("/api/v1/units/me-ncb", below.json["data"] | {"parent": "me-spoc"}, If_Match=below.headers["ETag"])
    before, record = held_log(node), client.get(path)
    refused = client.put(path, record.json["data"] | change, If_Match=record.headers["ETag"])
    assert problem(refused) == (400, "bad_request")
    assert {error["pointer"] for error in refused.json["errors"]} == places
    assert held_log(node) == before


def test_a_name_that_stood_there_before_may_stay(node: ServedNode) -> None:
    client = node.client("ana")
    member = client.get(MEMBER_PATH)
    assert client.delete(MEMBER_PATH, If_Match=member.headers["ETag"]).status_code == 200
    rota = client.get(ROTA_PATH)
    stand_in = {"start": "2026-12-01T07:00:00Z", "end": "2026-12-02T07:00:00Z", "member": "m-two", "replaces": "m-one"}
    saved = client.put(ROTA_PATH, rota.json["data"] | {"overrides": [stand_in]}, If_Match=rota.headers["ETag"])
    assert saved.status_code == 200
    gone = ROTA["layers"][0] | {"members": ["m-two"]}
    client.put(ROTA_PATH, ROTA | {"layers": [gone]}, If_Match=saved.headers["ETag"])
    again = client.get(ROTA_PATH)
    assert problem(client.put(ROTA_PATH, ROTA, If_Match=again.headers["ETag"])) == (400, "bad_request")


def test_every_fault_of_a_record_is_named(node: ServedNode) -> None:
    client, before = node.client("ana"), held_log(node)
    record = client.get(ADMIN)
    data = record.json["data"] | {"hours": "sometimes", "level": "galactic", "languages": ["klingon"]}
    refused = client.put(ADMIN, data, If_Match=record.headers["ETag"])
    assert problem(refused) == (400, "bad_request")
    pointers = {error["pointer"] for error in refused.json["errors"]}
    assert {"/hours", "/level"} <= pointers
    assert any(pointer.startswith("/languages") for pointer in pointers)
    assert held_log(node) == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed"),
        (b"{", "malformed"),
        (b"[]", "malformed"),
        (b'{"kind": "spoc", "kind": "ncb"}', "malformed"),
        (b'{"x": NaN}', "malformed"),
        (b'{"x": "\\ud800"}', "malformed"),
        (b"\xff", "malformed"),
        (b"[" * 5000, "malformed"),
    ],
)
def test_a_body_that_is_no_object_is_refused(node: ServedNode, body: bytes, code: str) -> None:
    before = held_log(node)
    client = node.client("ana")
    response = client.client.put(ADMIN, data=body, headers=client.headers | {"If-Match": '"8"'})
    assert problem(response) == (400, code)
    assert held_log(node) == before


def test_a_body_that_is_too_long_is_refused(node: ServedNode) -> None:
    client = node.client("ana")
    body = json.dumps({"note": "x" * 300_000})
    assert problem(client.client.put(ADMIN, data=body, headers=client.headers)) == (413, "too_large")


def test_another_countrys_record_has_no_place_to_be_changed(node: ServedNode) -> None:
    before = held_log(node)
    client = node.client("ana")
    for method in (client.client.put, client.client.delete, client.client.post, client.client.patch):
        response = method("/api/v1/units/RS/rs-spoc", headers=client.headers | {"If-Match": '"3"'}, json={})
        assert response.status_code == 405
        assert response.content_type == "application/problem+json"
        assert "GET" in response.headers["Allow"]
    assert held_log(node) == before


@pytest.mark.parametrize("slug", ["Upper", "-x", "x" * 64, "a_b", "%2e%2e"])
def test_a_record_needs_a_proper_id(node: ServedNode, slug: str) -> None:
    before = held_log(node)
    response = node.client("ana").put(f"/api/v1/outages/{slug}", OUTAGE, If_None_Match="*")
    assert response.status_code in (400, 404)
    assert held_log(node) == before


# -- roles ----------------------------------------------------------------------------------------------------------

ROTA_PATH, MEMBER_PATH, CUSTOMS_PATH = "/api/v1/rotas/r-desk", "/api/v1/members/m-one", "/api/v1/members/m-customs"


@pytest.mark.parametrize("user", ["oskar", "dora", "audit"])
@pytest.mark.parametrize("path", [ADMIN, ROTA_PATH, MEMBER_PATH, "/api/v1/participant", "/api/v1/agencies/me-ag-up"])
def test_readers_write_nothing(node: ServedNode, user: str, path: str) -> None:
    client, before = node.client(user), held_log(node)
    record = client.get(path)
    assert record.status_code == 200
    assert problem(client.put(path, record.json["data"], If_Match=record.headers["ETag"])) == (403, "forbidden")
    assert problem(client.delete(path, If_Match=record.headers["ETag"])) == (403, "forbidden")
    assert held_log(node) == before


@pytest.mark.parametrize("path", [ADMIN, "/api/v1/participant", "/api/v1/agencies/me-ag-up"])
def test_rota_admins_leave_the_rest_of_the_country_alone(node: ServedNode, path: str) -> None:
    client, before = node.client("rada"), held_log(node)
    record = client.get(path)
    assert problem(client.put(path, record.json["data"], If_Match=record.headers["ETag"])) == (403, "forbidden")
    assert problem(client.delete(path, If_Match=record.headers["ETag"])) == (403, "forbidden")
    assert held_log(node) == before


def test_a_rota_admin_edits_rotas_members_and_outages_of_the_own_agency(node: ServedNode) -> None:
    client = node.client("rada")
    rota = client.get(ROTA_PATH)
    assert client.put(ROTA_PATH, ROTA | {"name": "Desk"}, If_Match=rota.headers["ETag"]).status_code == 200
    member = client.get(MEMBER_PATH)
    assert (
        client.put(MEMBER_PATH, MEMBERS["m-one"] | {"phone": "+999499009"}, If_Match=member.headers["ETag"]).status_code
        == 200
    )
    assert client.put("/api/v1/members/m-new", MEMBERS["m-one"], If_None_Match="*").status_code == 200
    assert client.put("/api/v1/outages/o-new", OUTAGE, If_None_Match="*").status_code == 200


@pytest.mark.parametrize("user", ["carina", "loose"])
def test_a_rota_admin_of_another_agency_is_refused(node: ServedNode, user: str) -> None:
    client, before = node.client(user), held_log(node)
    rota, member = client.get(ROTA_PATH), client.get(MEMBER_PATH)
    assert problem(client.put(ROTA_PATH, ROTA, If_Match=rota.headers["ETag"])) == (403, "forbidden")
    assert problem(client.delete(ROTA_PATH, If_Match=rota.headers["ETag"])) == (403, "forbidden")
    assert problem(client.delete(MEMBER_PATH, If_Match=member.headers["ETag"])) == (403, "forbidden")
    assert problem(client.put("/api/v1/members/m-new", MEMBERS["m-one"], If_None_Match="*")) == (403, "forbidden")
    assert held_log(node) == before


def test_nothing_is_taken_from_or_given_to_another_agency(node: ServedNode) -> None:
    client, before = node.client("carina"), held_log(node)
    member, own = client.get(MEMBER_PATH), client.get(CUSTOMS_PATH)
    taken = MEMBERS["m-one"] | {"unit": "me-spoc-customs"}
    given = MEMBERS["m-customs"] | {"unit": "me-spoc"}
    assert problem(client.put(MEMBER_PATH, taken, If_Match=member.headers["ETag"])) == (403, "forbidden")
    assert problem(client.put(CUSTOMS_PATH, given, If_Match=own.headers["ETag"])) == (403, "forbidden")
    nobodys = {"name": "Nobody's", "languages": []}
    assert problem(client.put("/api/v1/members/m-nobody", nobodys, If_None_Match="*")) == (403, "forbidden")
    assert held_log(node) == before
    allowed = MEMBERS["m-customs"] | {"name": "Customs duty"}
    assert client.put(CUSTOMS_PATH, allowed, If_Match=own.headers["ETag"]).status_code == 200
