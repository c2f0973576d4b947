"""Records to read, and those of the own country to change: units, members, agencies, participants, outages."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request
from marshmallow import Schema

from directory.errors import NotFoundError
from federation.publishing import ABSENT
from web.api.operations import CREATE, FINDS, IF_MATCH, OBJECT_BODY, READS, WRITES, answers, resource
from web.api.schemas import DeletedSchema, PageQuery, RecordPageSchema, RecordSchema
from web.authentication import asked_at, asking
from web.errors import PreconditionRequiredError
from web.extensions import db
from web.held import held
from web.parameters import json_object
from web.record_answers import deleted_json, find_record, list_records, page_tag, record_json, record_tag
from web.record_changes import OTHER_VERSION, delete_record, put_record
from web.replies import conditional, json_reply
from web.vcard import unit_card

KINDS = {"units": "unit", "members": "member", "agencies": "agency", "rotas": "rota", "outages": "outage"}
"""Collections of the API and the record types that they hold."""
_VERSION = re.compile(r'"(\d{1,16})"')
_TAG = re.compile(r'(W/)?"[!#-~]*"')
_CARD = "text/vcard"
_LIST_DOC = answers(RecordPageSchema, "A page of records", READS)
_READ_DOC = answers(RecordSchema, "The record", FINDS)
_WRITE_DOC = answers(
    RecordSchema,
    "The record as saved, with its new ETag",
    WRITES,
    requestBody=OBJECT_BODY,
    parameters=[IF_MATCH, CREATE],
)
_DELETE_DOC = answers(DeletedSchema, "It is gone", WRITES, tagged=False, parameters=[IF_MATCH])

blueprint = resource("records", "Units, members, agencies, rotas, outages, participants: read, and change your own")


def list_kind(query: dict[str, Any], kind: str) -> Response:
    """Records of one kind, of one participant or of all, page by page."""
    here = held()
    page = list_records(db.session(), here, kind, query.get("participant"), query["cursor"], query["limit"], asked_at())
    return conditional(json_reply(page.to_json()), page_tag(page))


def show_record(kind: str, code: str, slug: str) -> Response:
    """A record of any participant."""
    return _shown(code, f"{kind}/{slug}")


def show_own(kind: str, slug: str) -> Response:
    """A record of the own country."""
    return _shown(held().config.participant, f"{kind}/{slug}")


def put_own(kind: str, slug: str) -> Response:
    """Create or replace a record of the own country."""
    here = held()
    body = json_object(request.get_data())
    record = put_record(here, asking(), f"{kind}/{slug}", body, _expected(), asked_at())
    response = json_reply(record_json(here, record, asked_at()))
    response.set_etag(str(record.seq))
    return response


def delete_own(kind: str, slug: str) -> Response:
    """Delete a record of the own country."""
    record = delete_record(held(), asking(), f"{kind}/{slug}", _expected(), asked_at())
    return json_reply(deleted_json(record))


def _declare(view: Callable[..., Response], rule: str, tag: str, method: str = "GET", **defaults: str) -> None:
    """Serve a view for one kind under its own path, so that each kind stands in the documentation."""
    documented, query = _DOCS[view]
    endpoint = f"{view.__name__}_{tag}"
    blueprint.operation(rule, documented, method=method, query=query, endpoint=endpoint, tag=tag, defaults=defaults)(
        view
    )


_DOCS: Mapping[Callable[..., Response], tuple[Mapping[str, Any], type[Schema] | None]] = {
    list_kind: (_LIST_DOC, PageQuery),
    show_record: (_READ_DOC, None),
    show_own: (_READ_DOC, None),
    put_own: (_WRITE_DOC, None),
    delete_own: (_DELETE_DOC, None),
}
for _tag, _kind in KINDS.items():
    _declare(list_kind, f"/{_tag}", _tag, kind=_kind)
    _declare(show_record, f"/{_tag}/<code>/<slug>", _tag, kind=_kind)
    _declare(show_own, f"/{_tag}/<slug>", _tag, kind=_kind)
    _declare(put_own, f"/{_tag}/<slug>", _tag, "PUT", kind=_kind)
    _declare(delete_own, f"/{_tag}/<slug>", _tag, "DELETE", kind=_kind)
_declare(list_kind, "/participants", "participants", kind="participant")
_declare(show_record, "/participants/<code>", "participants", kind="participant", slug="self")
_declare(show_own, "/participant", "participants", kind="participant", slug="self")
_declare(put_own, "/participant", "participants", "PUT", kind="participant", slug="self")
_declare(delete_own, "/participant", "participants", "DELETE", kind="participant", slug="self")


@blueprint.operation("/units/<code>/<slug>.vcf", answers(None, "A vCard", FINDS, media=_CARD), tag="units")
def show_card(code: str, slug: str) -> Response:
    """A unit as a vCard, for an address book."""
    record = find_record(db.session(), code, f"unit/{slug}")
    if record.state != "live":
        raise NotFoundError(f"{record.ref} cannot be read")
    response = Response(unit_card(record), content_type=f"{_CARD}; charset=utf-8")
    return conditional(response, str(record.seq))


def _shown(code: str, record_id: str) -> Response:
    here = held()
    record = find_record(db.session(), code, record_id)
    shown = record_json(here, record, asked_at())
    return conditional(json_reply(shown), record_tag(here, record, shown))


def _expected() -> int:
    """The version that the change was made from; ABSENT for a new record, OTHER_VERSION where it is none of ours."""
    given = request.headers.get("If-Match")
    if given is None:
        if request.headers.get("If-None-Match", "").strip() == "*":
            return ABSENT
        raise PreconditionRequiredError(
            "expected If-Match with the record's ETag, or If-None-Match: * for a new record"
        )
    match = _VERSION.fullmatch(given.strip())
    if match is not None:
        return int(match[1])
    if _TAG.fullmatch(given.strip()):
        return OTHER_VERSION  # a weak tag, or one of another answer: If-Match finds neither
    raise PreconditionRequiredError(f'expected If-Match: "17", the record\'s ETag (found {given[:60]!r})')
