"""The pages: Find, and the contacts that it leads to (interface.md, section 4)."""

from flask import Blueprint, render_template, request
from flask_login import login_required

from directory.errors import InvalidInputError
from directory.lookup import lookup, parse_query
from web.contact_page import show_agency, show_contact
from web.find_answer import AnswerView, show_answer
from web.find_form import FindForm, faults_by_field, read_form
from web.find_results import LONGEST_TEXT, find_results
from web.held import Held, held

blueprint = Blueprint("pages", __name__)


@blueprint.before_request
def catch_up() -> None:
    """Show the directory as the database has it now."""
    held().catch_up()


@blueprint.get("/")
@login_required  # type: ignore[untyped-decorator]
def find() -> str:
    """One box and one form; then the ranked answer."""
    here = held()
    typed = request.args.get("q", "").strip()[:LONGEST_TEXT]
    form = read_form(request.args, here)
    answer, faults = _answer(here, form)
    results = find_results(here, typed)
    return render_template("find.html", typed=typed, results=results, form=form, answer=answer, faults=faults)


@blueprint.get("/suggestions")
@login_required  # type: ignore[untyped-decorator]
def suggestions() -> str:
    """The list of results alone, as it is typed."""
    here = held()
    typed = request.args.get("q", "").strip()[:LONGEST_TEXT]
    results = find_results(here, typed)
    return render_template("results.html", typed=typed, results=results)


@blueprint.get("/contacts/<code>/<slug>")
@login_required  # type: ignore[untyped-decorator]
def contact(code: str, slug: str) -> str:
    """One unit."""
    here = held()
    return render_template("contact.html", contact=show_contact(here, code, slug, here.clock()))


@blueprint.get("/agencies/<code>/<slug>")
@login_required  # type: ignore[untyped-decorator]
def agency(code: str, slug: str) -> str:
    """One agency with its units."""
    found = show_agency(held(), code, slug)
    return render_template("agency.html", agency=found, results=found.results, typed="")


def _answer(here: Held, form: FindForm) -> tuple[AnswerView | None, dict[str, str]]:
    """The answer to the form, or what is wrong with it, by field."""
    if not form.asked:
        return None, {}
    now = here.clock()
    try:
        query = parse_query(form.fields(), here.directory, now, here.config.participant)
    except InvalidInputError as error:
        return None, faults_by_field(error)
    return show_answer(lookup(query, here.directory, here.policy, here.facts), here, now), {}
