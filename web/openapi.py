"""The API's description: OpenAPI 3.1 at ``/openapi.json``, and a page at ``/docs`` that loads nothing from outside."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import flask_smorest
from flask import Blueprint, Flask, current_app, render_template

from web.api import changes, federation, lookup, readiness, records, rotas, search
from web.api.schemas import ProblemSchema
from web.extensions import csrf
from web.problem import MIMETYPE

VERSION = "1.0.0"
EXTENSION = "veza-api"
blueprint = Blueprint("documentation", __name__)
_BLUEPRINTS = (
    lookup.blueprint,
    search.blueprint,
    records.blueprint,
    rotas.blueprint,
    rotas.calendars,
    readiness.blueprint,
    federation.blueprint,
    changes.blueprint,
)
_SETTINGS = {
    "API_TITLE": "Veza",
    "API_VERSION": VERSION,
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/",
    "OPENAPI_JSON_PATH": "openapi.json",
    "API_SPEC_OPTIONS": {
        "info": {
            "description": "Directory of police contact points: whom to ask, on which channel, who is on duty. "
            "Every answer says how old it is. No case data.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "an API token made by `veza user token`"}
            }
        },
        "security": [{"token": []}],
    },
}


class ProblemApi(flask_smorest.Api):  # type: ignore[misc]  # untyped library
    """flask-smorest's documentation without its error handler: errors of the whole application are ours."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_RESPONSE_CONTENT_TYPE = MIMETYPE  # used for errors alone: every success names its own type

    def _register_error_handlers(self) -> None:
        """Leave errors to ``web.problem``."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, as the page shows it."""

    method: str
    path: str
    summary: str
    parameters: list[dict[str, Any]]
    responses: dict[str, Any]


def register_api(app: Flask) -> None:
    """Add the API and its description to ``app``."""
    app.config.from_mapping(_SETTINGS)
    api = ProblemApi(app)
    for part in _BLUEPRINTS:
        csrf.exempt(part)  # programs carry tokens, not cookies
        api.register_blueprint(part)
    app.extensions[EXTENSION] = api
    app.register_blueprint(blueprint)


@blueprint.get("/docs")
def docs() -> str:
    """The API as a page."""
    description = current_app.extensions[EXTENSION].spec.to_dict()
    tags = {tag["name"]: list(_operations(description, tag["name"])) for tag in description["tags"]}
    return render_template("docs.html", info=description["info"], tags=tags, described=description["tags"])


def _operations(description: dict[str, Any], tag: str) -> Iterator[Operation]:
    for path, methods in description["paths"].items():
        shared = methods.get("parameters", [])
        for method, operation in methods.items():
            if method != "parameters" and tag in operation["tags"]:
                parameters = [p for p in [*shared, *operation.get("parameters", [])] if "name" in p]
                yield Operation(
                    method.upper(), path, operation.get("summary", ""), parameters, dict(operation["responses"])
                )
