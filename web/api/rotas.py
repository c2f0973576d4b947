"""Rotas beyond their records: schedules, previews, history, calendars."""

from typing import Any

from flask import Response, request, url_for

from web.api.operations import FINDS, OBJECT_BODY, Resource, answers, resource
from web.api.schemas import (
    CalendarQuery,
    CalendarSchema,
    PreviewSchema,
    RotaHistorySchema,
    ShiftsSchema,
    WindowQuery,
)
from web.authentication import asked_at, asking, require
from web.calendars import calendar, calendar_key, check_calendar_key
from web.extensions import db
from web.held import held
from web.parameters import json_object
from web.replies import bytes_tag, conditional, json_reply, tagged_reply
from web.rota_answers import find_rota, history_json, member_names, preview_json, shifts_json

_ICS = "text/calendar"

blueprint = resource("rotas", "Schedules, previews, history")
calendars = Resource("calendars", "Rotas for calendars, by a secret address")
_PREVIEW_DOC = answers(
    PreviewSchema,
    "What saving this rota would change",
    (400, 401, 403, 413, 503),
    tagged=False,
    requestBody=OBJECT_BODY,
)


@blueprint.operation(
    "/rotas/<code>/<slug>/shifts",
    answers(ShiftsSchema, "Maximal intervals of one member, gaps included", FINDS),
    query=WindowQuery,
)
def list_shifts(query: dict[str, Any], code: str, slug: str) -> Response:
    """The resolved schedule of a rota."""
    _, rota = find_rota(db.session(), code, slug)
    return tagged_reply(shifts_json(rota, query["start"], query["end"], asked_at()))


@blueprint.operation("/rotas/<slug>/history", answers(RotaHistorySchema, "Superseded versions, newest first", FINDS))
def show_history(slug: str) -> Response:
    """The superseded versions of an own rota."""
    find_rota(db.session(), held().config.participant, slug)
    return tagged_reply(history_json(db.session(), slug))


@blueprint.operation("/rotas/<slug>/preview", _PREVIEW_DOC, method="POST", query=WindowQuery)
def preview(query: dict[str, Any], slug: str) -> Response:
    """What saving this rota would change; nothing is saved."""
    require("rota_admin", "node_admin")
    data = json_object(request.get_data())
    return json_reply(preview_json(db.session(), held(), slug, data, query["start"], query["end"], asked_at()))


@blueprint.operation(
    "/rotas/<code>/<slug>/calendar",
    answers(CalendarSchema, "The address; whoever knows it can read the rota", FINDS, tagged=False),
)
def show_calendar_address(code: str, slug: str) -> Response:
    """The secret address at which a calendar can read this rota for you."""
    record, _ = find_rota(db.session(), code, slug)
    key = calendar_key(db.session(), held().secret, asking().name, record.ref)
    path = url_for("calendars.show_calendar", code=code, slug=slug, key=key)
    return json_reply({"url": held().config.url + path.removeprefix(request.script_root)})


@calendars.operation(
    "/rotas/<code>/<slug>.ics",
    answers(None, "A calendar", (400, 403, 404, 503), media=_ICS, security=[]),
    query=CalendarQuery,
)
def show_calendar(query: dict[str, Any], code: str, slug: str) -> Response:
    """A rota as a calendar; the address is a secret, so no token is needed."""
    here = held()
    here.catch_up()
    check_calendar_key(db.session(), held().secret, query["key"], f"{code}:rota/{slug}")
    record, rota = find_rota(db.session(), code, slug)
    body = calendar(record, rota, member_names(here, code, rota), here.clock())
    return conditional(Response(body, content_type=f"{_ICS}; charset=utf-8"), bytes_tag(body))
