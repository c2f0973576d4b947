"""How operations are declared: blueprints that admit programs by their token, and what the documentation says."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask_smorest import Blueprint
from marshmallow import RAISE, Schema

from web.api.schemas import ProblemSchema
from web.authentication import admit_program
from web.problem import MIMETYPE

OBJECT_BODY = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
View = TypeVar("View", bound=Callable[..., Any])
PREFIX = "/api/v1"
_ERRORS = {
    400: "A parameter or the body breaks a rule; `errors` names each with its place",
    401: "No valid token",
    403: "The role, or the agency, does not allow it",
    404: "The directory holds no such thing",
    409: "Another change came first; nothing was changed",
    412: "Somebody saved first: `current` is the record as it stands now",
    413: "The body is too large",
    428: "`If-Match` is missing",
    503: "The database is busy; try again",
}
READS = (400, 401, 503)
FINDS = (400, 401, 404, 503)
WRITES = (400, 401, 403, 404, 409, 412, 413, 428, 503)
IF_NONE_MATCH = {"in": "header", "name": "If-None-Match", "schema": {"type": "string"}, "description": "a held ETag"}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "schema": {"type": "string"},
    "description": 'The ETag of the version that the change was made from, `"17"`; required unless the record is new',
}
CREATE = {
    "in": "header",
    "name": "If-None-Match",
    "schema": {"type": "string", "enum": ["*"]},
    "description": "`*`: make a new record, which must not exist yet",
}


class Resource(Blueprint):  # type: ignore[misc]  # untyped library
    """Operations below ``/api/v1`` about one subject: each with its route, its parameters and its documentation."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(name, __name__, url_prefix=PREFIX, description=description)

    def operation(
        self,
        rule: str,
        documented: Mapping[str, Any],
        *,
        method: str = "GET",
        query: type[Schema] | None = None,
        endpoint: str | None = None,
        tag: str | None = None,
        defaults: Mapping[str, str] | None = None,
    ) -> Callable[[View], View]:
        """Serve a view at ``rule``; ``query`` checks the parameters and is the view's first argument."""

        def serve(view: View) -> View:
            served: Any = view
            if query is not None:
                served = self.arguments(query, location="query", unknown=RAISE, error_status_code=400)(served)
            served = self.doc(**documented)(served)
            tags = None if tag is None else [tag]
            self.add_url_rule(
                rule, endpoint or view.__name__, served, methods=[method], defaults=dict(defaults or {}), tags=tags
            )
            return view

        return serve


def resource(name: str, description: str) -> Resource:
    """Operations for programs that carry a token."""
    blueprint = Resource(name, description)
    blueprint.before_request(admit_program)
    return blueprint


def answers(
    schema: type[Schema] | None,
    description: str,
    errors: tuple[int, ...] = READS,
    *,
    media: str = "application/json",
    tagged: bool = True,
    **more: object,
) -> dict[str, Any]:
    """What the documentation says of an operation; ``more`` are further members of the operation object."""
    content = {media: {"schema": schema or {"type": "string"}}}
    success: dict[str, Any] = {"description": description, "content": content}
    responses: dict[str, Any] = {"200": success}
    documented: dict[str, Any] = {"responses": responses, **more}
    if tagged:
        success["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "of exactly this answer"}}
        responses["304"] = {"description": "Unchanged since the ETag in If-None-Match"}
        documented.setdefault("parameters", [IF_NONE_MATCH])
    for status in errors:
        responses[str(status)] = {"description": _ERRORS[status], "content": {MIMETYPE: {"schema": ProblemSchema}}}
    return documented
