"""The API as its own description says it is used, and as it says it must not be, by every role and by nobody.

Whatever is asked: no 5xx, an answer in the form that is described, nothing without a token, and no change by a role
that may not make it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from directory.database import reading
from tests.fuzz.attempts import count
from tests.fuzz.mutations import mutated_value
from tests.records import make_unit
from tests.web.building import ROTA, USERS, ServedNode, build_node, serve_copy

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
WRITERS = {"ana", "rada", "carina", "loose"}
"""Accounts of a role that may write something; the others may write nothing."""
EXAMPLES = settings().max_examples


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    """One node for all examples: what they change is part of the test."""
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    build_node(folder / "template")
    node = serve_copy(folder / "template", folder / "ME")
    yield node
    node.close()


@pytest.fixture(scope="module")
def cases(served: ServedNode) -> st.SearchStrategy[Any]:
    """Any request to any operation, as described or not."""
    schema = schemathesis.openapi.from_wsgi("/openapi.json", served.app)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 30
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    return st.sampled_from(operations).flatmap(
        lambda operation: st.sampled_from(modes).flatmap(lambda mode: operation.as_strategy(generation_mode=mode))
    )


def headers(served: ServedNode, user: str | None) -> dict[str, str]:
    return {} if user is None else {"Authorization": f"Bearer {served.tokens[user]}"}


def state(engine: sa.Engine) -> list[Any]:
    """Everything that a write through the API would change."""
    with reading(engine) as session:
        logs = session.execute(
            sa.text("SELECT participant, size, root, checkpoint FROM log ORDER BY participant")
        ).all()
        counters = session.execute(sa.text("SELECT name, value FROM counter ORDER BY name")).all()
    return [*logs, *counters]


BODIES: dict[str, Any] = {
    "units": make_unit(),
    "members": {"name": "Desk", "languages": ["en"], "unit": "me-spoc"},
    "rotas": ROTA,
    "agencies": {"name": {"en": "Police"}, "kind": "police", "level": "central"},
    "outages": {"channel": "siena", "from": "2026-11-21T20:00:00Z", "to": "2026-11-22T02:00:00Z"},
}
SLUGS = {
    "units": ["{}-spoc", "{}-ncb", "fuzz"],
    "members": ["m-one", "m-customs", "fuzz"],
    "rotas": ["r-desk", "fuzz"],
    "agencies": ["{}-ag-cu", "{}-ag-po", "fuzz"],
    "outages": ["fuzz"],
}


def name_what_is_there(served: ServedNode, case: Any, data: st.DataObject) -> None:
    """Let a request name records that are held, promise the version that stands, and save what is nearly right."""
    kind = case.path.split("/")[3]
    code = data.draw(st.sampled_from(["ME", "RS", "XK", "HR"]))
    own = code if "code" in case.path_parameters else "ME"
    known = {"code": code, "slug": data.draw(st.sampled_from(SLUGS.get(kind, ["fuzz"]))).format(own.lower())}
    for name in case.path_parameters:
        case.path_parameters[name] = known.get(name, case.path_parameters[name])
    if "unit" in case.query:
        case.query["unit"] = f"{code}:unit/{code.lower()}-spoc"
    if case.method in ("PUT", "DELETE"):
        stands = served.client("ana").get(case.formatted_path)
        promise = {"If-Match": stands.headers["ETag"]} if stands.status_code == 200 else {"If-None-Match": "*"}
        case.headers.update(promise)
    if case.method in ("PUT", "POST") and kind in BODIES:
        case.body = data.draw(st.one_of(st.just(BODIES[kind]), mutated_value([BODIES[kind]])))
        case.media_type = "application/json"


@pytest.mark.parametrize("user", [*USERS, None])
def test_any_request_of_any_role(served: ServedNode, cases: st.SearchStrategy[Any], user: str | None) -> None:
    @settings(max_examples=EXAMPLES)
    @given(cases, st.data())
    def ask(case: Any, data: st.DataObject) -> None:
        count(f"API as {user or 'nobody'}")
        if data.draw(st.integers(0, 3)):
            name_what_is_there(served, case, data)
        case.headers.pop("Authorization", None)  # who asks is not left to chance
        case.headers.update(headers(served, user))
        before = state(served.engine)
        response = case.call()
        count(f"API answers {response.status_code} to {case.method}")
        case.validate_response(response, checks=CHECKS, headers=headers(served, user))
        if user is None and "security" not in case.operation.definition.raw:
            assert response.status_code in (400, 401), response.status_code
        if user not in WRITERS or case.method == "GET" or response.status_code >= 400:
            assert state(served.engine) == before
        if user not in WRITERS and case.method in ("PUT", "DELETE"):
            assert response.status_code >= 400

    ask()


WRITES: list[tuple[str, str, object]] = [
    ("PUT", "units/u-fuzz", make_unit()),
    ("PUT", "members/m-fuzz", {"name": "Desk", "languages": ["en"], "unit": "me-spoc"}),
    ("PUT", "rotas/r-fuzz", ROTA),
    ("PUT", "agencies/a-fuzz", {"name": {"en": "Police"}, "kind": "police", "level": "central"}),
    ("PUT", "outages/o-fuzz", {"channel": "siena", "from": "2026-11-21T20:00:00Z", "to": "2026-11-22T02:00:00Z"}),
    ("DELETE", "units/me-spoc", None),
    ("DELETE", "members/m-one", None),
    ("DELETE", "rotas/r-desk", None),
]


@pytest.mark.parametrize("user", [*sorted(USERS.keys() - WRITERS), None])
@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_role_that_may_not_write(served: ServedNode, user: str | None, method: str, path: str, body: object) -> None:
    """403 (nobody: 401) for every write that the administrator may make, and nothing is changed."""
    before = state(served.engine)
    record = served.client("ana").get(f"/api/v1/{path}")
    promise = {"If-Match": record.headers["ETag"]} if record.status_code == 200 else {"If-None-Match": "*"}
    response = served.app.test_client().open(
        f"/api/v1/{path}", method=method, json=body, headers={**headers(served, user), **promise}
    )
    assert response.status_code == (401 if user is None else 403)
    assert response.json["type"] == f"urn:veza:problem:{'unauthenticated' if user is None else 'forbidden'}"
    assert state(served.engine) == before


def test_any_body_of_a_record(served: ServedNode) -> None:
    """The administrator saves anything at all: it is taken as it is or refused, never half."""

    @given(
        st.sampled_from(sorted(BODIES)).flatmap(lambda kind: st.tuples(st.just(kind), mutated_value([BODIES[kind]])))
    )
    def save(example: tuple[str, Any]) -> None:
        kind, value = example
        count("bodies")
        path = f"/api/v1/{kind}/fuzz-{kind}"
        held = served.client("ana").get(path)
        promise = {"If_Match": held.headers["ETag"]} if held.status_code == 200 else {"If_None_Match": "*"}
        before = state(served.engine)
        response = served.client("ana").put(path, value, **promise)
        assert response.status_code in (200, 400, 404, 409, 413), response.get_data(as_text=True)
        if response.status_code != 200:
            assert state(served.engine) == before

    save()
