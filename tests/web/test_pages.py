"""The pages without any script: search, the ranked answer, contacts, and texts that try to be markup."""

import html
import re

import pytest
from flask.testing import FlaskClient

from directory.places import crossing_title, resolve_location
from directory.vocabulary import CROSSINGS
from tests.web.building import ServedNode
from tests.web.test_sign_in import HTML, sign_in

GOSTUN = "/?country=RS&crime_area=migrant_smuggling&location=xp-gostun-dobrakovo&urgency=urgent"
MARKUP = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus=alert(1) x='",
    "{{ 7*7 }}",
    "javascript:alert(1)",
    "</title><svg/onload=alert(1)>",
]


@pytest.fixture
def client(node: ServedNode) -> FlaskClient:
    """A browser without scripts in which an officer is signed in."""
    client = node.app.test_client()
    assert sign_in(client).status_code == 303
    return client


def page(client: FlaskClient, path: str) -> str:
    response = client.get(path, headers=HTML)
    assert response.status_code == 200
    return response.get_data(as_text=True)


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_the_start_page_offers_every_other_participant(client: FlaskClient) -> None:
    start = page(client, "/")
    assert '<option value="RS">Serbia</option>' in start
    assert '<option value="XK">Kosovo*</option>' in start
    assert 'value="ME"' not in start
    assert "UNSCR 1244/1999" in start, "the star leads to its note"


def test_searching_by_the_button(client: FlaskClient) -> None:
    found = words(page(client, "/?q=Прешево"))
    assert "2 results" in found
    assert "Border Police Station Preševo" in found
    assert "Станица граничне полиције Прешево" in found


def test_nothing_found_says_what_to_do(client: FlaskClient) -> None:
    assert "Nothing found for “zzzyyyxxx”" in words(page(client, "/?q=zzzyyyxxx"))


def test_a_place_of_the_own_border_asks_the_other_side(client: FlaskClient) -> None:
    suggestions = page(client, "/suggestions?q=gostun")
    links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', suggestions)]
    assert "<html" not in suggestions
    assert any("country=RS" in link and "#answer" in link for link in links)
    assert "Montenegro asks Serbia" in words(page(client, next(link for link in links if "country=RS" in link)))


def test_the_answer_says_who_when_and_why(client: FlaskClient) -> None:
    answer = words(page(client, GOSTUN))
    for expected in (
        "Montenegro asks Serbia",
        "Migrant smuggling, urgent, direct access, unclassified, at Gostun / Dobrakovo",
        "+999 688 0002",
        "SIENA",
        "Sat 21:00 Belgrade (UTC+1) the same here, 20:00 UTC",
        "Open now",
        "Fresh, as of less than a minute ago",
        "The SPOC of RS is on SIENA R5",
        "Answer due Sun 22 Nov 05:00 Belgrade within 8 hours (agreed)",
        "Border Police Station Gostun",
        "Why not the others (3)",
        "Closed now, and the request is urgent R6",
        "Sun 22 Nov 07:00 Belgrade",
    ):
        assert expected in answer


def test_the_answer_without_anybody_says_so(client: FlaskClient) -> None:
    answer = words(page(client, "/?country=XK&crime_area=drugs&classification=CONFIDENTIAL&urgency=urgent"))
    assert "No channel is open to anybody for this request" in answer
    assert "Montenegro asks Kosovo*" in answer


def test_a_field_that_is_wrong_is_marked(client: FlaskClient) -> None:
    wrong = page(client, "/?country=RS&location=nowhere+at+all&crime_area=jaywalking&urgency=now")
    assert 'id="location-fault"' in wrong
    assert 'id="crime_area-fault"' in wrong
    assert 'role="alert"' in wrong or "urgency" in words(wrong).lower()
    assert 'id="answer"' not in wrong
    assert 'value="nowhere at all"' in wrong, "what was typed stays"


def test_choices_stay_chosen(client: FlaskClient) -> None:
    chosen = page(client, f"{GOSTUN}&classification=RESTRICTED&language=en")
    assert 'value="Gostun / Dobrakovo"' in chosen
    assert '<option value="RESTRICTED" selected>' in chosen
    assert '<option value="en" selected>' in chosen
    assert re.search(r"<details[^>]* open>", chosen), "what was refined is not hidden"


def test_the_names_of_every_crossing_lead_to_it() -> None:
    assert [key for key, crossing in CROSSINGS.items() if resolve_location(crossing_title(crossing)) != key] == []


def test_an_agency_leads_to_its_page(client: FlaskClient) -> None:
    assert "/agencies/ME/me-ag-carina" in page(client, "/?q=Customs+Administration")


def test_a_browser_that_asks_for_json_gets_json(client: FlaskClient) -> None:
    response = client.get("/contacts/RS/nobody", headers={"Accept": "application/problem+json, text/html;q=0.5"})
    assert response.content_type == "application/problem+json"


def test_a_contact_with_who_is_on_duty(client: FlaskClient) -> None:
    contact = words(page(client, "/contacts/ME/me-spoc"))
    assert "Duty officer 2 until Sun 22 Nov 08:00 Podgorica" in contact
    assert "SPOC · Montenegro" in contact
    assert "+999 499 0001" in contact, "the desk"
    assert "On duty +999 499 002" in contact, "and whoever sits at it"
    assert "Whom should I ask there?" not in contact


def test_a_contact_in_a_gap_names_the_next(node: ServedNode, client: FlaskClient) -> None:
    admin = node.client("ana")
    rota = admin.get("/api/v1/rotas/r-desk")
    layer = rota.json["data"]["layers"][0] | {"start": "2026-12-01T08:00"}
    admin.put("/api/v1/rotas/r-desk", rota.json["data"] | {"layers": [layer]}, If_Match=rota.headers["ETag"])
    assert "Nobody now; next: Duty officer 1" in words(page(client, "/contacts/ME/me-spoc"))


def test_a_closed_contact_says_when_it_opens(client: FlaskClient) -> None:
    contact = words(page(client, "/contacts/RS/rs-pccc-trebinje"))
    assert "Closed , opens Sun 22 Nov 07:00 Belgrade" in contact
    assert "Whom should I ask there?" in contact


def test_a_stale_country_is_said_to_be_in_words(node: ServedNode, client: FlaskClient) -> None:
    with node.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE log SET issued_at='2026-11-19 20:00:00.000000' WHERE participant='RS'")
        connection.exec_driver_sql("UPDATE counter SET value=value+1 WHERE name='federation'")
    assert "Stale, as of 2 days ago" in words(page(client, "/contacts/RS/rs-spoc"))
    assert "Stale, as of 2 days ago" in words(page(client, GOSTUN))


def test_an_agency_with_its_units(client: FlaskClient) -> None:
    agency = words(page(client, "/agencies/ME/me-ag-carina"))
    assert "Customs Administration" in agency
    assert "1 result" in agency
    assert "No unit of the directory names this agency." in words(page(client, "/agencies/ME/me-ag-sdt"))


@pytest.mark.parametrize("path", ["/contacts/RS/nobody", "/contacts/QQ/rs-spoc", "/agencies/RS/nobody"])
def test_what_is_not_held_is_a_page_that_says_so(client: FlaskClient, path: str) -> None:
    response = client.get(path, headers=HTML)
    assert (response.status_code, response.mimetype) == (404, "text/html")
    assert "the directory holds no" in response.get_data(as_text=True)


@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_parameters_stays_text(client: FlaskClient, text: str) -> None:
    for path in ("/", "/suggestions"):
        response = client.get(path, query_string={"q": text}, headers=HTML)
        assert text not in response.get_data(as_text=True) or ("<" not in text + '"' and text.startswith(("{", "java")))
    wrong = client.get("/", query_string={"country": "RS", "location": text}, headers=HTML).get_data(as_text=True)
    assert "<script>alert" not in wrong
    assert "onerror=alert" not in re.sub(r'value="[^"]*"', "", html.unescape(wrong)) or "&lt;img" in wrong
    assert "49" not in re.findall(r'id="location"[^>]*value="([^"]*)"', wrong)


@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_records_stays_text(node: ServedNode, client: FlaskClient, text: str) -> None:
    admin = node.client("ana")
    unit = admin.get("/api/v1/units/me-spoc")
    data = unit.json["data"] | {"name": {"en": f"Evil {text}", "cnr": text}, "note": text}
    saved = admin.put("/api/v1/units/me-spoc", data, If_Match=unit.headers["ETag"])
    assert saved.status_code in (200, 400)
    for path in ("/?q=evil", "/suggestions?q=evil", "/contacts/ME/me-spoc", "/agencies/ME/me-ag-up"):
        shown = page(client, path)
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown
        assert "<svg/onload" not in shown
        assert not re.search(r"<[^>]*\sonfocus=", shown)
        assert 'href="javascript:' not in shown


def test_pages_hold_nothing_inline(client: FlaskClient) -> None:
    for path in ("/", GOSTUN, "/contacts/RS/rs-spoc", "/agencies/RS/rs-ag-mup", "/docs", "/sign-in"):
        shown = page(client, path)
        assert "style=" not in shown
        assert not re.search(r"\son[a-z]+=", shown)
        assert all('src="/static/' in tag for tag in re.findall(r"<script[^>]*>", shown))
        assert "http://" not in shown.replace("http://www.w3.org", "")
