"""The sign-in page."""

from flask import Blueprint, Response, current_app, make_response, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField  # type: ignore[import-untyped]

from web.errors import RateLimitedError, UnauthenticatedError
from web.held import held
from web.sessions import enter as sign_in
from web.sessions import leave as sign_out
from web.sign_in import Attempt, known_device, make_device_mark, safe_target

blueprint = Blueprint("sign_in", __name__)
_DEVICE_DAYS = 400


class SignInForm(FlaskForm):  # type: ignore[misc]  # untyped library
    """Name and password; ``next`` is where to go on."""

    name = StringField()
    password = PasswordField()
    next = HiddenField()


@blueprint.get("/sign-in")
def show() -> str:
    """The form."""
    return _page(SignInForm(next=request.args.get("next")))


@blueprint.post("/sign-in")
def enter() -> Response:
    """Sign in and go on, or the form again with what was wrong."""
    form = SignInForm()
    attempt = _attempt((form.name.data or "").replace("\x00", ""))  # PostgreSQL cannot even look for a NUL
    try:
        principal = sign_in(attempt, form.password.data or "")
    except (UnauthenticatedError, RateLimitedError) as error:
        return _refused(form, error)
    response = make_response(redirect(safe_target(form.next.data) or url_for("pages.find"), 303))
    mark = make_device_mark(held().secret, principal)
    response.set_cookie(
        _device_cookie(),
        mark,
        max_age=_DEVICE_DAYS * 86_400,
        httponly=True,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        samesite="Strict",
    )
    return response


@blueprint.post("/sign-out")
def leave() -> Response:
    """Sign out."""
    sign_out()
    return make_response(redirect(url_for("sign_in.show"), 303))


def _page(form: SignInForm, problem: str | None = None) -> str:
    return render_template("sign_in.html", form=form, problem=problem)


def _refused(form: SignInForm, error: UnauthenticatedError | RateLimitedError) -> Response:
    words = {"rate_limited": "Too many tries. Wait a minute and try again."}
    page = _page(form, words.get(error.code, "The name or the password is wrong."))
    if isinstance(error, RateLimitedError):
        return make_response(page, 429, {"Retry-After": str(error.retry_after)})
    return make_response(page, 401)


def _attempt(name: str) -> Attempt:
    mark = request.cookies.get(_device_cookie(), "")
    return Attempt(name.strip(), known_device(held().secret, mark, name.strip()), request.remote_addr or "")


def _device_cookie() -> str:
    return f"veza-device-{held().config.participant.lower()}"
