"""The API's own description says what the API does."""

import re

import pytest

from tests.web.building import ServedNode

GETS = [
    "/api/v1/lookup?country=RS",
    "/api/v1/on-duty?unit=ME:unit/me-spoc",
    "/api/v1/search?q=Gostun",
    "/api/v1/units",
    "/api/v1/units/RS/rs-spoc",
    "/api/v1/units/me-spoc",
    "/api/v1/members",
    "/api/v1/rotas/ME/r-desk",
    "/api/v1/rotas/ME/r-desk/shifts",
    "/api/v1/rotas/ME/r-desk/calendar",
    "/api/v1/rotas/r-desk/history",
    "/api/v1/participants",
    "/api/v1/participants/RS",
    "/api/v1/participant",
    "/api/v1/outages",
    "/api/v1/agencies",
    "/api/v1/readiness/ME",
    "/api/v1/federation",
    "/api/v1/changes",
]


def description(node: ServedNode) -> dict:
    return node.app.test_client().get("/openapi.json").json


def test_every_operation_is_described(node: ServedNode) -> None:
    described = description(node)
    assert described["openapi"].startswith("3.1")
    operations = {
        (path, method) for path, methods in described["paths"].items() for method in methods if method != "parameters"
    }
    served = {
        (re.sub(r"<([^>]+)>", r"{\1}", rule.rule), method.lower())
        for rule in node.app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in rule.methods - {"OPTIONS", "HEAD"}
    }
    assert operations == served


def test_every_operation_says_what_can_go_wrong_and_what_it_needs(node: ServedNode) -> None:
    described = description(node)
    assert described["security"] == [{"token": []}]
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            errors = [status for status in operation["responses"] if status.isdigit() and int(status) >= 400]
            assert errors, (method, path)
            for status in errors:
                assert "application/problem+json" in operation["responses"][status]["content"]
            if operation.get("security") != []:
                assert "401" in errors, (method, path)
            if method in ("put", "delete"):
                assert {"403", "404", "412", "428"} <= set(errors), (method, path)
                assert "If-Match" in {parameter["name"] for parameter in operation["parameters"]}


def check(value: object, schema: dict, schemas: dict, place: str = "") -> None:
    """Hold a value against the schema as far as this API's schemas go."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if not schema or (value is None and ("null" in schema.get("type", "") or "anyOf" in schema)):
        return
    if "anyOf" in schema:
        check(value, schema["anyOf"][0], schemas, place)
        return
    if "properties" in schema:
        assert isinstance(value, dict), place
        assert set(schema.get("required", [])) <= value.keys(), (place, value.keys())
        assert value.keys() <= schema["properties"].keys(), (place, value.keys() - schema["properties"].keys())
        for name, item in value.items():
            check(item, schema["properties"][name], schemas, f"{place}/{name}")
    elif "items" in schema:
        assert isinstance(value, list), place
        for item in value:
            check(item, schema["items"], schemas, f"{place}/-")
    else:
        kinds = {"string": str, "integer": int, "boolean": bool, "object": dict, "number": (int, float)}
        wanted = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
        expected = tuple(kinds[kind] for kind in wanted if kind in kinds)
        assert not expected or isinstance(value, expected), (place, value)


@pytest.mark.parametrize("path", GETS)
def test_answers_are_as_described(node: ServedNode, path: str) -> None:
    described = description(node)
    schemas = described["components"]["schemas"]
    response = node.client().get(path)
    assert response.status_code == 200
    adapter = node.app.url_map.bind("localhost")
    rule, _ = adapter.match(path.partition("?")[0], method="GET", return_rule=True)
    operation = described["paths"][re.sub(r"<([^>]+)>", r"{\1}", rule.rule)]["get"]
    check(response.json, operation["responses"]["200"]["content"]["application/json"]["schema"], schemas)


def test_the_page_loads_nothing_from_outside(node: ServedNode) -> None:
    page = node.app.test_client().get("/docs").get_data(as_text=True)
    assert "/api/v1/lookup" in page
    links = re.findall(r'(?:src|href|action)="([^"]+)"', page)
    assert links
    assert all(link.startswith(("/", "#")) for link in links)
    assert "<script" not in page
    assert "style=" not in page
