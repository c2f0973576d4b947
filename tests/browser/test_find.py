"""The Find page in a browser: as typed, by keyboard, without scripts, readable by everybody, on every screen."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Served, Watched, open_page

pytestmark = pytest.mark.browser

GOSTUN = "/?country=RS&crime_area=migrant_smuggling&location=xp-gostun-dobrakovo&urgency=urgent"
PLACES = ["/", "/?q=Прешево", GOSTUN, "/contacts/RS/rs-spoc", "/agencies/RS/rs-ag-mup", "/docs"]


def violations(watched: Watched) -> list[str]:
    """What axe finds against WCAG 2.2 AA."""
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    found = Axe().run(watched.page, options=options).response["violations"]
    return [f"{v['id']}: {[node['target'] for node in v['nodes']]}" for v in found]


@pytest.mark.parametrize("path", PLACES)
def test_pages_are_accessible_and_fit(officer: Watched, path: str) -> None:
    officer.goto(path)
    officer.page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    assert violations(officer) == []
    page = officer.page
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_the_sign_in_page_is_accessible(browser: Browser, served: Served, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 320, "height": 700})
    watched = Watched(context.new_page(), served.address)
    watched.goto("/")
    assert violations(watched) == []
    watched.page.fill("#name", "oskar")
    watched.page.fill("#password", "wrong")
    watched.page.keyboard.press("Enter")
    expect(watched.page.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
    expect(watched.page.locator("#password")).to_be_focused()
    assert violations(watched) == []
    context.close()


def test_results_come_as_typed_and_by_keyboard(officer: Watched) -> None:
    page = officer.page
    box = page.get_by_label("Unit, border crossing or agency")
    expect(box).to_be_focused()
    box.press_sequentially("preševo", delay=20)
    results = page.locator(".results a")
    expect(results.filter(has_text="Border Police Station Preševo")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("result")
    box.press("ArrowDown")
    expect(results.first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(results.nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(box).to_be_focused()
    page.keyboard.press("Escape")
    expect(box).to_have_value("")
    expect(results).to_have_count(0)


def test_from_a_crossing_to_a_number_by_keyboard_alone(officer: Watched) -> None:
    page = officer.page
    page.keyboard.type("Гостун")
    expect(page.locator(".results a").first).to_contain_text(re.compile("Гостун|Gostun"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("country=RS"))
    first = page.get_by_role("article").first
    expect(first).to_contain_text("+999 688")
    expect(first).to_contain_text("Local time")
    expect(page.locator("#answer-title")).to_have_text("Montenegro asks Serbia")


def test_the_number_is_copied(browser: Browser, served: Served) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    watched = open_page(context, served.address)
    watched.goto("/contacts/RS/rs-spoc")
    watched.page.get_by_role("button", name="Copy").click()
    expect(watched.page.get_by_role("button", name="Copied")).to_be_visible()
    assert watched.page.evaluate("navigator.clipboard.readText()") == "+9996880002"
    assert watched.complaints == []
    context.close()


def test_everything_works_without_scripts(browser: Browser, served: Served) -> None:
    context = browser.new_context(java_script_enabled=False)
    watched = open_page(context, served.address)
    page = watched.page
    page.fill("#q", "Qafë Thanë")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".results a").first).to_be_visible()
    page.select_option("#country", "RS")
    page.get_by_label("Urgent").check()
    page.get_by_role("button", name="Show the answer").click()
    expect(page.locator("#answer-title")).to_have_text("Montenegro asks Serbia")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


def test_a_session_that_ended_leads_to_the_sign_in_page(browser: Browser, served: Served) -> None:
    context = browser.new_context()
    watched = open_page(context, served.address)
    with served.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM session")
    watched.page.locator("#q").press_sequentially("gostun")
    expect(watched.page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()


def test_a_page_is_light_and_still(browser: Browser, served: Served) -> None:
    context = browser.new_context()
    watched = open_page(context, served.address)
    sizes: list[int] = []
    watched.page.on("response", lambda response: sizes.append(len(response.body())))
    watched.goto(GOSTUN)
    watched.page.wait_for_load_state("networkidle")
    assert sum(sizes) <= 100_000
    shift = watched.page.evaluate(
        """() => new Promise(resolve => {
            let sum = 0;
            new PerformanceObserver(list => { for (const e of list.getEntries()) sum += e.value; })
                .observe({type: 'layout-shift', buffered: true});
            requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)));
        })"""
    )
    assert shift == 0
    context.close()
