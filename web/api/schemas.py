"""What the API takes and gives, as marshmallow schemas: they check parameters and make the OpenAPI document.

Replies are not dumped through them: what is answered is made by the rules below, and the tests hold both together.
"""

import datetime as dt
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from directory.freshness import STATES
from directory.instants import parse_instant
from directory.vocabulary import CHANNELS, CLASSIFICATIONS, CRIME_AREAS, SUBJECTS
from web.record_answers import MOST_PER_PAGE

REFERENCE_EXAMPLE = "RS:unit/rs-spoc"
INSTANT_EXAMPLE = "2026-11-21T20:00:00Z"
PARTICIPANT_FORM = validate.Regexp(r"^[A-Z]{2}$|^[A-Z][A-Z0-9]{2,11}$", error="expected a participant code such as RS")


def _note(description: str, example: object = None) -> dict[str, Any]:
    return {"description": description} | ({} if example is None else {"example": example})


class Instant(fields.Field[dt.datetime]):
    """An instant with its offset, read to aware UTC."""

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> dt.datetime:
        try:
            return parse_instant(value)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class PageQuery(Schema):
    """Which page of a list."""

    participant = fields.String(validate=PARTICIPANT_FORM, metadata=_note("of this participant alone", "RS"))
    limit = fields.Integer(
        load_default=100, validate=validate.Range(1, MOST_PER_PAGE), metadata=_note("records on a page")
    )
    cursor = fields.String(load_default=None, metadata=_note("`next` of the page before"))


class SearchQuery(Schema):
    """What was typed."""

    q = fields.String(required=True, validate=validate.Length(1, 120), metadata=_note("text as typed", "Preševo"))
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100), metadata=_note("hits at most"))


class OnDutyQuery(Schema):
    """Whose duty, and when."""

    unit = fields.String(required=True, metadata=_note("a unit's reference", REFERENCE_EXAMPLE))
    at = Instant(load_default=None, metadata=_note("when; default now", INSTANT_EXAMPLE))


class WindowQuery(Schema):
    """A window of time, half-open."""

    start = Instant(load_default=None, data_key="from", metadata=_note("default now", INSTANT_EXAMPLE))
    end = Instant(load_default=None, data_key="to", metadata=_note("default 90 days later", INSTANT_EXAMPLE))


class ChangesQuery(Schema):
    """Where in which log."""

    participant = fields.String(
        load_default=None, validate=PARTICIPANT_FORM, metadata=_note("whose log; default the own one", "RS")
    )
    since = fields.Integer(
        load_default=0, validate=validate.Range(0, 2**53 - 1), metadata=_note("the first entry's number")
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 256), metadata=_note("entries at most"))


class CalendarQuery(Schema):
    """The secret of a calendar address."""

    key = fields.String(required=True, metadata=_note("given by /rotas/{code}/{id}/calendar"))


class LookupQuery(Schema):
    """The question (directory.md, section 4). Checked by the directory itself; here for the documentation."""

    asker = fields.String(data_key="from", metadata=_note("asking participant; default the node's own", "ME"))
    country = fields.String(required=True, metadata=_note("whom to ask: a country or organisation", "RS"))
    crime_area = fields.String(validate=validate.OneOf(sorted(CRIME_AREAS)), load_default="other")
    location = fields.String(metadata=_note("crossing id or name, or ISO 3166-2", "xp-gostun-dobrakovo"))
    urgency = fields.String(validate=validate.OneOf(["routine", "urgent"]), load_default="routine")
    access = fields.String(validate=validate.OneOf(["direct", "indirect"]), load_default="direct")
    subject = fields.String(validate=validate.OneOf(sorted(SUBJECTS)), load_default="police_information")
    classification = fields.String(validate=validate.OneOf(list(CLASSIFICATIONS)), load_default="UNCLASSIFIED")
    language = fields.String(metadata=_note("default the asker's first", "sr"))
    at = fields.String(metadata=_note("when; default now", INSTANT_EXAMPLE))
    involves = fields.String(metadata=_note("third countries, separated by commas", "TR,DE"))
    outages = fields.String(metadata=_note("`CODE:channel` or `channel`, separated by commas", "RS:siena"))


class FaultSchema(Schema):
    """One broken rule and its place."""

    pointer = fields.String(required=True, metadata=_note("JSON pointer", "/hours"))
    detail = fields.String(required=True)


class ProblemSchema(Schema):
    """An error (RFC 9457); `type` ends in a code of the federation protocol, section 9."""

    type = fields.String(required=True, metadata=_note("kind of problem", "urn:veza:problem:stale_version"))
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True, metadata=_note("words that one can act on"))
    instance = fields.String()
    errors = fields.List(fields.Nested(FaultSchema))
    current = fields.Dict(allow_none=True, metadata=_note("with stale_version: the record as it stands now"))


class FreshnessSchema(Schema):
    """How far an answer can be relied on."""

    state = fields.String(required=True, validate=validate.OneOf(STATES))
    verification = fields.String(metadata=_note("of the unit's own entry: verified or unverified"))
    checked_at = fields.String(required=True, allow_none=True)
    age_s = fields.Integer(required=True, allow_none=True)
    verified_at = fields.String(required=True, allow_none=True)


class RecordSchema(Schema):
    """A record of a participant's log."""

    ref = fields.String(required=True, metadata=_note("reference", REFERENCE_EXAMPLE))
    data = fields.Dict(required=True, allow_none=True, metadata=_note("the record as published"))
    seq = fields.Integer(required=True, metadata=_note("number of its entry; the ETag of an own record"))
    published_at = fields.String(required=True)
    freshness = fields.Nested(FreshnessSchema, required=True)
    state = fields.String(metadata=_note("only where the record cannot be read"))


class DeletedSchema(Schema):
    """A record that is gone."""

    ref = fields.String(required=True)
    seq = fields.Integer(required=True)
    published_at = fields.String(required=True)
    deleted = fields.Boolean(required=True)


class RecordPageSchema(Schema):
    """A page of a list."""

    items = fields.List(fields.Nested(RecordSchema), required=True)
    next = fields.String(required=True, allow_none=True, metadata=_note("cursor of the next page"))


class DutyMemberSchema(Schema):
    """Who is on duty."""

    id = fields.String(required=True)
    name = fields.String(required=True, allow_none=True)
    phone = fields.String(allow_none=True)
    languages = fields.List(fields.String())
    until = fields.String(allow_none=True)


class CandidateSchema(Schema):
    """One contact, with the reasons why it stands here."""

    unit = fields.String(required=True, metadata=_note("reference", REFERENCE_EXAMPLE))
    channel = fields.String(required=True, validate=validate.OneOf(sorted(CHANNELS)))
    endpoint = fields.Raw(required=True, allow_none=True)
    open = fields.Boolean(required=True)
    next_opening = fields.String(required=True, allow_none=True)
    on_duty = fields.Nested(DutyMemberSchema, required=True, allow_none=True)
    next_contact = fields.Dict(allow_none=True, metadata=_note("where the rota has a gap"))
    language = fields.String(required=True, allow_none=True)
    local_time = fields.String(required=True)
    freshness = fields.Nested(FreshnessSchema, required=True)
    reasons = fields.List(fields.String(), required=True)


class RejectedSchema(Schema):
    """A contact that a rule removed."""

    unit = fields.String(required=True, allow_none=True)
    channel = fields.String(required=True, allow_none=True)
    rule = fields.String(required=True, metadata=_note("R1 to R14 of the directory", "R6"))
    reason = fields.String(required=True)
    next_opening = fields.String(required=True, allow_none=True)


class DeadlineSchema(Schema):
    """Until when an answer is due."""

    rule = fields.String(required=True, metadata=_note("ISO 8601 duration", "PT8H"))
    due = fields.String(required=True)
    profile = fields.String(required=True)


class AnswerSchema(Schema):
    """The ranked, explained answer."""

    query = fields.Dict(required=True, metadata=_note("the question with every default filled in"))
    no_channel = fields.Dict(allow_none=True, metadata=_note("where nobody can be asked: why, and when next"))
    notes = fields.List(fields.String())
    candidates = fields.List(fields.Nested(CandidateSchema), required=True)
    deadline = fields.Nested(DeadlineSchema, required=True, allow_none=True)
    language = fields.String(required=True, allow_none=True)
    execution_unit = fields.String(required=True, allow_none=True)
    copy_to = fields.List(fields.String(), required=True)
    europol_copy_assessment = fields.Boolean(required=True)
    rejected = fields.List(fields.Nested(RejectedSchema), required=True)


class HitSchema(Schema):
    """A hit of the search."""

    kind = fields.String(required=True, validate=validate.OneOf(["unit", "agency", "place"]))
    ref = fields.String(required=True, metadata=_note("reference, or a crossing's id"))
    names = fields.Dict(required=True)
    participant = fields.String(required=True, allow_none=True)


class HitsSchema(Schema):
    """Hits, best first."""

    items = fields.List(fields.Nested(HitSchema), required=True)


class SourceSchema(Schema):
    """The record an answer rests on."""

    seq = fields.Integer(required=True, allow_none=True)
    published_at = fields.String(required=True, allow_none=True)


class OnDutySchema(Schema):
    """Who is on duty, or an explicit gap with the next contact."""

    unit = fields.String(required=True)
    at = fields.String(required=True)
    member = fields.Nested(DutyMemberSchema, required=True, allow_none=True)
    since = fields.String(required=True, allow_none=True)
    until = fields.String(required=True, allow_none=True)
    next_contact = fields.Raw(required=True, allow_none=True)
    source = fields.Nested(SourceSchema, required=True, allow_none=True)


class ShiftSchema(Schema):
    """A maximal interval of one member; null is a gap."""

    start = fields.String(required=True)
    end = fields.String(required=True)
    member = fields.String(required=True, allow_none=True)


class ShiftsSchema(Schema):
    """A resolved schedule."""

    shifts = fields.List(fields.Nested(ShiftSchema), required=True)


class ChangedShiftSchema(Schema):
    """An interval in which another member serves than before."""

    start = fields.String(required=True)
    end = fields.String(required=True)
    before = fields.String(required=True, allow_none=True)
    after = fields.String(required=True, allow_none=True)


class PreviewSchema(Schema):
    """What saving a rota would change."""

    changes = fields.List(fields.Nested(ChangedShiftSchema), required=True)
    gaps = fields.List(fields.Dict(), required=True)
    idle_members = fields.List(fields.String(), required=True)
    conflicts = fields.List(fields.Dict(), required=True, metadata=_note("overrides that replace a member twice"))
    clock_changes = fields.List(fields.String(), required=True)


class RotaVersionSchema(Schema):
    """A superseded version of an own rota."""

    seq = fields.Integer(required=True)
    data = fields.Dict(required=True)
    published_at = fields.String(required=True)
    replaced_at = fields.String(required=True)


class RotaHistorySchema(Schema):
    """Superseded versions, newest first."""

    items = fields.List(fields.Nested(RotaVersionSchema), required=True)


class CalendarSchema(Schema):
    """A personal, secret calendar address."""

    url = fields.String(required=True)


class CriterionSchema(Schema):
    """One row of the readiness report."""

    criterion = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["met", "not_met", "not_applicable"]))
    what_to_do = fields.String(required=True, allow_none=True)


class ReadinessSchema(Schema):
    """The readiness report of a participant."""

    participant = fields.String(required=True)
    items = fields.List(fields.Nested(CriterionSchema), required=True)


class FederationRowSchema(Schema):
    """One participant as the federation sees it from here."""

    participant = fields.String(required=True)
    url = fields.String(required=True)
    trust = fields.String(required=True)
    state = fields.String(required=True)
    size = fields.Integer(required=True, allow_none=True)
    root = fields.String(required=True, allow_none=True)
    checked_at = fields.String(required=True, allow_none=True)
    expires_at = fields.String(required=True, allow_none=True)
    last_result = fields.String(required=True, allow_none=True)
    last_success_at = fields.String(required=True, allow_none=True)
    skipped = fields.List(fields.Dict(), required=True)


class FederationSchema(Schema):
    """Every participant, and this node's keys."""

    participants = fields.List(fields.Nested(FederationRowSchema), required=True)
    keys = fields.Dict(required=True)
    peerings = fields.Dict(required=True, metadata=_note("peers, proposals that wait here, and how ours stand"))
    disputes = fields.List(fields.Dict(), required=True, metadata=_note("two histories that one participant signed"))


class ChangeSchema(Schema):
    """One entry of a log."""

    seq = fields.Integer(required=True)
    record = fields.String(required=True, allow_none=True)
    op = fields.String(required=True)
    at = fields.String(required=True)
    data = fields.Dict(required=True, allow_none=True, metadata=_note("null where deleted or erased"))


class ChangesSchema(Schema):
    """A piece of a log."""

    participant = fields.String(required=True)
    size = fields.Integer(required=True)
    items = fields.List(fields.Nested(ChangeSchema), required=True)
    next = fields.Integer(required=True, allow_none=True, metadata=_note("`since` of the next piece"))
