"""The page and the button, in a real browser: they do what the endpoint allows, and nothing from a portal runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from support.browser import browser, chromium, emulate
from support.databases import Ispyb
from support.endpoint import SYNC, Endpoint, run_held, serving, token
from support.small import document, holds

__all__ = ["browser", "chromium"]  # fixtures

HOSTILE = "<img src=x onerror='window.broken = 1'><script>window.broken = 1</script>"


@dataclass
class Pages:
    """The endpoint, and the addresses of two other origins that show `html`; only the first may embed the button."""

    endpoint: Endpoint
    url: str
    friend: str
    stranger: str
    html: list[str]


@contextmanager
def other_origin(html: list[str]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html[0].encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def pages(databases: Callable[[str], Ispyb], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    html = [""]
    with ExitStack() as stack:
        friend, stranger = (stack.enter_context(other_origin(html)) for _ in range(2))
        settings = f'[serve]\nport = 0\norigins = ["{friend}"]\n'
        folder = tmp_path_factory.mktemp("page")
        endpoint = stack.enter_context(serving(databases("dls"), folder, settings=settings))
        yield Pages(endpoint, endpoint.url.replace("127.0.0.1", "localhost"), friend, stranger, html)


def opened(browser: Chrome, pages: Pages, given: str | None = None) -> None:
    browser.get(pages.url + "/")
    browser.execute_script("sessionStorage.clear()")
    if given is not None:
        browser.execute_script("sessionStorage.setItem('ispyb-sync token', arguments[0])", given)
    browser.get(pages.url + "/")


def by(browser: Chrome, name: str) -> Any:
    return browser.find_element(By.ID, name)


def until(browser: Chrome, met: Callable[[], object]) -> None:
    WebDriverWait(browser, 20, 0.05).until(lambda _: met(), browser.find_element(By.TAG_NAME, "body").text)


def text_of(browser: Chrome, name: str) -> Callable[[str], bool]:
    return lambda words: words in by(browser, name).text


def asks_for(browser: Chrome, name: str) -> None:
    by(browser, "proposal").clear()
    by(browser, "proposal").send_keys(name)


def test_a_proposal_is_looked_up_planned_and_synced(browser: Chrome, pages: Pages, dls: Ispyb) -> None:
    pages.endpoint.portal_has("MX-1", [document(1)])
    opened(browser, pages, token("uportal_sync"))
    asks_for(browser, "MX-1" + Keys.ENTER)
    until(browser, lambda: text_of(browser, "last")("was not synced yet"))
    assert not by(browser, "sync").is_enabled()
    by(browser, "plan").click()
    until(browser, lambda: text_of(browser, "outcome")("Plan for MX-1: what Sync would do"))
    assert "insert person u1_0" in by(browser, "outcome").text
    assert holds(dls, 0)
    by(browser, "sync").click()
    until(browser, lambda: text_of(browser, "outcome")("MX-1 is synced: run 1"))
    assert holds(dls, 1)
    assert "Last sync of MX-1: run 1" in by(browser, "last").text
    assert "by portal (http)" in by(browser, "last").text
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#runs button"))
    browser.find_element(By.CSS_SELECTOR, "#runs button").click()
    until(browser, lambda: text_of(browser, "report")("Run 1: apply, applied"))
    assert "session" in by(browser, "report").text


def test_a_sync_of_everything_is_watched(browser: Chrome, pages: Pages, dls: Ispyb) -> None:
    pages.endpoint.portal_has("all", [document(1), document(2)])
    opened(browser, pages, token("uportal_sync"))
    with run_held(dls):
        by(browser, "all").click()
        assert holds(dls, 0)  # it asks first
        by(browser, "yes").click()
        until(browser, lambda: by(browser, "progress").is_displayed())
        until(browser, lambda: text_of(browser, "read")("read"))
        assert not by(browser, "all").is_enabled()
    until(browser, lambda: text_of(browser, "all-outcome")("Everything is synced: run 1"))
    assert not by(browser, "progress").is_displayed()
    assert holds(dls, 2)


def test_refusals_can_be_read_and_what_they_quote_is_no_markup(browser: Chrome, pages: Pages, dls: Ispyb) -> None:
    sent = document(1, title=HOSTILE)
    sent["proposal"]["persons"].append({"familyName": HOSTILE, "phoneNumber": 5, HOSTILE: 1})
    pages.endpoint.portal_has("MX-1", [sent])
    opened(browser, pages, token("uportal_sync", login=HOSTILE))
    asks_for(browser, "MX-1")
    by(browser, "plan").click()
    until(browser, lambda: text_of(browser, "outcome")("Plan for MX-1"))
    refusal = browser.find_element(By.CSS_SELECTOR, "#outcome .refusal").text
    assert refusal.startswith("person: ")
    assert "proposal.persons[3]" in refusal
    assert "onerror" in by(browser, "outcome").text
    by(browser, "sync").click()
    until(browser, lambda: text_of(browser, "outcome")("is synced"))
    until(browser, lambda: text_of(browser, "runs")("onerror"))
    assert browser.execute_script("return window.broken") is None
    assert not browser.find_elements(By.CSS_SELECTOR, "img")


def test_without_a_token_it_asks_for_one_and_keeps_it_in_the_tab(browser: Chrome, pages: Pages, dls: Ispyb) -> None:
    opened(browser, pages)
    until(browser, lambda: by(browser, "token").is_displayed())
    assert by(browser, "says").text == "A token is needed."
    by(browser, "token").send_keys("forged" + Keys.ENTER)
    until(browser, lambda: by(browser, "says").text == "Invalid token.")
    by(browser, "token").send_keys(token("manager") + Keys.ENTER)
    until(browser, lambda: by(browser, "says").text == "Your token does not allow this.")
    by(browser, "forget").click()
    until(browser, lambda: by(browser, "token").is_displayed())
    by(browser, "token").send_keys(token("uportal_sync") + Keys.ENTER)
    until(browser, lambda: text_of(browser, "runs")("No runs yet."))
    assert browser.execute_script("return Object.keys(localStorage).length + document.cookie.length") == 0
    assert "eyJ" not in browser.current_url


def test_it_works_by_keyboard(browser: Chrome, pages: Pages, dls: Ispyb) -> None:
    pages.endpoint.portal_has("MX-1", [document(1)])
    opened(browser, pages, token("uportal_sync"))
    until(browser, lambda: text_of(browser, "runs")("No runs yet."))

    def press(*keys: str) -> None:
        ActionChains(browser).send_keys(*keys).perform()

    press(Keys.TAB)
    assert browser.switch_to.active_element.text == "To the content"
    by(browser, "proposal").send_keys("MX-1", Keys.TAB, Keys.TAB, Keys.ENTER)
    until(browser, lambda: by(browser, "sync").is_enabled())
    assert browser.switch_to.active_element.get_attribute("id") == "outcome"
    by(browser, "plan").send_keys(Keys.TAB, Keys.ENTER)
    until(browser, lambda: text_of(browser, "outcome")("is synced"))
    by(browser, "all").send_keys(Keys.SPACE)
    assert browser.switch_to.active_element.get_attribute("id") == "no"
    press(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "all"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read_in_light_and_dark(
    browser: Chrome, pages: Pages, dls: Ispyb, scheme: str
) -> None:
    for number in (1, 2):
        pages.endpoint.client.post(SYNC, json=document(number))
    emulate(browser, width=360, prefers_color_scheme=scheme)
    opened(browser, pages, token("uportal_sync"))
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#runs button"))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    colours = browser.execute_script("const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]")
    light, dark = "rgb(255, 255, 255)", "rgb(20, 23, 27)"
    assert colours[0] == (light if scheme == "light" else dark)
    small = [button.size["height"] for button in browser.find_elements(By.TAG_NAME, "button") if button.is_displayed()]
    assert min(small) >= 40


def test_it_loads_nothing_from_elsewhere_and_breaks_no_policy(browser: Chrome, pages: Pages, dls: Ispyb) -> None:
    opened(browser, pages, token("uportal_sync"))
    until(browser, lambda: text_of(browser, "runs")("No runs yet."))
    browser.get_log("browser")
    browser.refresh()
    until(browser, lambda: text_of(browser, "runs")("No runs yet."))
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert loaded
    assert all(name.startswith((pages.url, "data:")) for name in loaded)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_button_works_in_a_page_of_an_allowed_origin_and_nowhere_else(
    browser: Chrome, pages: Pages, dls: Ispyb
) -> None:
    pages.endpoint.portal_has("MX-1", [document(1)])
    tag = f'src="{pages.url}/button.js" data-proposal="MX-1" data-token="{token("uportal_sync")}"'
    pages.html[0] = f"<p>SynchWeb <script {tag}></script>"
    for origin, allowed in ((pages.stranger, False), (pages.friend, True)):
        browser.get(origin + "/")
        browser.find_element(By.TAG_NAME, "button").click()
        if not allowed:
            until(browser, lambda: "The sync server does not answer this page." in _body(browser))
            continue
        until(browser, lambda: "MX-1: 14 inserted" in _body(browser))
        assert holds(dls, 0)
        browser.find_element(By.XPATH, "//button[text()='Sync']").click()
        until(browser, lambda: "MX-1 is synced: 14 inserted" in _body(browser))
    assert holds(dls, 1)


def _body(browser: Chrome) -> str:
    return str(browser.find_element(By.TAG_NAME, "body").text)
