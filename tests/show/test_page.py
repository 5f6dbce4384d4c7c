"""The HTML report, in a real browser: nothing of it executes or is loaded, and the list filters."""

import re
from collections.abc import Sequence
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from support.browser import browser, chromium, emulate, open_page
from support.reports import planned, refusal, update

from sync.history.runs import Run
from sync.model.refusals import Example, Notice, Refusal
from sync.model.report import Change, Report, Vanished
from sync.show import page as pages
from sync.show.page import page

__all__ = ["browser", "chromium"]  # fixtures

STARTED = datetime(2026, 11, 24, 6, 30)
HOSTILE = (
    "<script>window.broken = 1</script>",
    "</script><script>window.broken = 1</script>",
    "<!--<script>",
    "]]>--><img src=x onerror='window.broken = 1'>",
    "\"'><svg onload=window.broken=1>",
    "{{ 7 * 7 }}{% raw %}",
    "${window.broken = 1}",
    "javascript:window.broken=1",
    "\u2028\u2029window.broken = 1",
    "\\u003cscript\\u003e\\",
    "a\0b\ud800c",
)


def shown(report: Report, *, past: Sequence[Run] = (), **facts: Any) -> str:
    return page(Run(STARTED, facts.get("account", ""), "0.1.0", facts.get("export", "export.ndjson"), report), past)


def many(count: int) -> Report:
    """So many updates of persons, ten of each proposal, and every hundredth an insert of a session."""
    return planned(
        *(
            Change("session", None, "insert", f"visit {number}", f"MX-{number // 10}", {})
            if number % 100 == 0
            else update(number, f"MX-{number // 10}", familyName=(f"old{number}", f"new{number}"))
            for number in range(count)
        )
    )


def rows(browser: Chrome) -> list[str]:
    """The rows of the list as they can be read, each on one line."""
    return [" ".join(row.text.split()) for row in browser.find_elements(By.CSS_SELECTOR, "#list tbody tr")]


def matches(browser: Chrome) -> str:
    return browser.find_element(By.ID, "matches").text


def wait_for(browser: Chrome, words: str) -> None:
    """Until the count that is read aloud says this."""
    WebDriverWait(browser, 20, 0.05).until(lambda _: matches(browser) == words, f"{matches(browser)!r}, not {words!r}")


def fill_in(browser: Chrome, **values: str) -> None:
    for name, value in values.items():
        field = browser.find_element(By.ID, name)
        if field.tag_name == "input":
            field.clear()
        field.send_keys(value)


# Safe


@pytest.mark.parametrize("text", HOSTILE)
def test_no_value_is_executed_or_taken_for_markup(browser: Chrome, tmp_path: Path, text: str) -> None:
    fields = {text: {"old": text, "new": f"{text} "}}
    report = planned(
        Change("person", 1, "update", text, text, fields),
        Change("laboratory", 2, "delete", text, None, fields),
        refusals=[Refusal("person", "key_taken", 1, text, text, "login", text, f"Message {text}")],
    )
    report.warnings = [Notice("unknown_key", text, 1, (Example(1, text, text, text),))]
    open_page(browser, shown(report, account=text, export=text), tmp_path)
    assert browser.execute_script("return window.broken") is None
    assert browser.find_elements(By.CSS_SELECTOR, "img, body script script, [onload], [onerror]") == []
    assert len(browser.find_elements(By.CSS_SELECTOR, "script")) == 2
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    assert matches(browser) == "3 rows"
    letters = "Array.from(JSON.parse(document.getElementById('data').textContent).rows[0][3], (c) => c.codePointAt(0))"
    assert browser.execute_script(f"return {letters}") == [ord(letter) for letter in text]


def test_it_loads_nothing_and_allows_no_other_script(browser: Chrome, tmp_path: Path) -> None:
    html = shown(many(3))
    open_page(browser, html, tmp_path)
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert re.findall(r"""(?:src|href)=["'](?!#)[^"']*""", html) == []
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.broken = 1'; document.body.append(s)"
    )
    assert browser.execute_script("return window.broken") is None


def test_unseen_letters_and_lone_nulls_can_be_seen(browser: Chrome, tmp_path: Path) -> None:
    report = planned(update(1, a=("x\u202ey\n", None), b=(None, ""), c=(2**60 + 1, "trail ")))
    open_page(browser, shown(report), tmp_path)
    values = [e.text for e in browser.find_elements(By.CSS_SELECTOR, "#list dd > :is(del, ins, .null)")]
    assert values == ["x\\u{202e}y\\n", "null", "null", "empty text", str(2**60 + 1), "trail "]


def test_a_long_value_is_cut_until_it_is_asked_for(browser: Chrome, tmp_path: Path) -> None:
    open_page(browser, shown(planned(update(1, sequence=("A", "G" * 5000)))), tmp_path)
    (button,) = browser.find_elements(By.CSS_SELECTOR, "#list ins button")
    assert button.text == "… 4,760 more letters"
    button.send_keys(Keys.ENTER)
    assert browser.find_element(By.CSS_SELECTOR, "#list ins").text == "G" * 5000


# The list


def test_it_is_filtered_with_the_keyboard_alone(browser: Chrome, tmp_path: Path) -> None:
    open_page(browser, shown(many(500)), tmp_path)
    assert matches(browser) == "500 rows; 1 to 100 are shown"
    keys = ActionChains(browser)
    for _ in range(40):
        if browser.switch_to.active_element.get_attribute("id") == "search":
            break
        keys.send_keys(Keys.TAB).perform()
    keys.send_keys("NEW123").perform()
    wait_for(browser, "1 of 500 rows match")
    assert (
        rows(browser) == ["update person 123 u123 MX-12 familyName old123 → becomes new123"]
        or "new123" in rows(browser)[0]
    )
    keys.send_keys(Keys.ESCAPE).perform()
    wait_for(browser, "500 rows; 1 to 100 are shown")
    keys.send_keys(Keys.TAB, "mx-4").perform()
    wait_for(browser, "10 of 500 rows match")
    keys.send_keys("1").perform()
    wait_for(browser, "10 of 500 rows match")
    keys.send_keys(Keys.BACKSPACE * 4, Keys.TAB, Keys.TAB, Keys.SPACE).perform()
    wait_for(browser, "495 of 500 rows match; 1 to 100 are shown")
    assert browser.switch_to.active_element.get_attribute("value") == "insert"
    keys.send_keys(Keys.SHIFT, Keys.TAB).perform()


def test_twenty_thousand_changes_open_and_filter(browser: Chrome, tmp_path: Path) -> None:
    open_page(browser, shown(many(20_000)), tmp_path)
    assert matches(browser) == "20,000 rows; 1 to 100 are shown"
    assert len(browser.find_elements(By.CSS_SELECTOR, "*")) < 5000
    fill_in(browser, search="new1777")
    wait_for(browser, "11 of 20,000 rows match")
    assert len(rows(browser)) == 11
    fill_in(browser, search="", proposal="MX-7")
    wait_for(browser, "10 of 20,000 rows match")
    assert {row.split("MX-")[1].split()[0] for row in rows(browser)} == {"7"}
    fill_in(browser, proposal="", entity="session")
    wait_for(browser, "200 of 20,000 rows match; 1 to 100 are shown")
    browser.find_element(By.CSS_SELECTOR, "[data-to=last]").click()
    assert matches(browser) == "200 of 20,000 rows match; 101 to 200 are shown"
    assert len(rows(browser)) == 100
    assert browser.find_element(By.ID, "page").text == "Page 2 of 2"


def test_a_number_above_the_list_shows_its_rows(browser: Chrome, tmp_path: Path) -> None:
    adopted = Change("person", 9, "update", "u", "MX-1", {"externalId": {"old": None, "new": 1}}, adopted=True)
    refusals = [refusal("key_taken", number, f"MX-{number}") for number in range(1, 9)]
    report = planned(*many(200).changes, adopted, refusals=refusals)
    open_page(browser, shown(report), tmp_path)
    browser.find_element(By.CSS_SELECTOR, "td[data-entity=person][data-kinds=adopt] button").click()
    assert matches(browser) == "1 of 209 rows match"
    browser.find_element(By.CSS_SELECTOR, "td[data-entity=session][data-kinds=insert] button").click()
    assert matches(browser) == "2 of 209 rows match"
    more = browser.find_element(By.CSS_SELECTOR, ".refusal .more button")
    assert more.text == "5 more, in the list below"
    more.click()
    assert matches(browser) == "8 of 209 rows match"
    assert "Do this." in rows(browser)[0]
    browser.find_element(By.ID, "clear").click()
    assert matches(browser) == "209 rows; 1 to 100 are shown"


def test_rows_beyond_what_a_page_holds_are_counted(
    browser: Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_ROWS", 30)
    open_page(browser, shown(many(200)), tmp_path)
    assert matches(browser) == "30 rows"
    assert "170 more are left out" in browser.find_element(By.CSS_SELECTOR, "#changes .note").text


def test_a_page_has_an_end_however_long_the_values(
    browser: Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_LETTERS", 5000)
    report = planned(*(update(number, sequence=("A" * 900, "G")) for number in range(9)))
    open_page(browser, shown(report), tmp_path)
    assert len(rows(browser)) == 5
    assert "4 more are left out" in browser.find_element(By.CSS_SELECTOR, "#changes .note").text


def test_what_vanished_is_counted_and_listed(browser: Chrome, tmp_path: Path) -> None:
    report = planned(update(1, a=(1, 2)))
    report.vanished = [Vanished("session", 7, "visit", "MX-9", 5), Vanished("session", 8, None, "MX-9", 6)]
    open_page(browser, shown(report), tmp_path)
    browser.find_element(By.CSS_SELECTOR, "[aria-labelledby=vanished] button").click()
    assert matches(browser) == "2 of 3 rows match"
    assert rows(browser)[0] == "vanished session 7 visit MX-9 externalId 5: in ISPyB, and not in this export"


def test_an_undo_tells_what_it_left(browser: Chrome, tmp_path: Path) -> None:
    left = Refusal("person", "changed_since", None, "MX-1", "person:7", None, "smith", "Somebody changed it.")
    report = planned(Change("person", 8, "delete", "new", "MX-1", {}), refusals=[left])
    report.mode, report.status, report.run, report.undoes = "undo", "applied", 9, 7
    report.entities["person"].refused = 1
    open_page(browser, shown(report), tmp_path)
    assert browser.title == "Run 9: undo of run 7"
    assert browser.find_element(By.ID, "refused").text == "Left: 1"
    assert "all else was taken back" in browser.find_element(By.CSS_SELECTOR, "[aria-labelledby=refused]").text
    assert browser.find_element(By.CSS_SELECTOR, ".where").text == '(MX-1) person:7 = "smith"'
    browser.find_element(By.CSS_SELECTOR, "td[data-kinds~=left] button").click()
    assert rows(browser) == ['left person MX-1 changed_since: (MX-1) person:7 = "smith": Somebody changed it.']


# For everyone


def test_everything_that_can_be_used_has_a_name(browser: Chrome, tmp_path: Path) -> None:
    open_page(browser, shown(many(300), past=past(3)), tmp_path)
    for element in browser.find_elements(
        By.CSS_SELECTOR, "input, select, button, summary, svg, a, table, section, nav"
    ):
        if element.is_displayed():
            assert element.accessible_name, element.get_attribute("outerHTML")[:200]
    live = browser.find_element(By.ID, "matches")
    assert (live.aria_role, live.get_attribute("aria-live")) == ("status", "polite")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(browser: Chrome, tmp_path: Path, scheme: str) -> None:
    report = planned(
        *many(5).changes,
        Change("person", 1, "update", "k", None, {"externalId": {"old": None, "new": "x"}}, adopted=True),
        Change("proposal_has_person", 1, "delete", "k", None, {"a": {"old": 1, "new": None}}),
        refusals=[refusal("key_taken", 1, "MX-1")],
    )
    report.warnings = [Notice("unknown_key", "words", 3, (Example(1, "MX-1", "proposal.x", "5"),))]
    emulate(browser, prefers_color_scheme=scheme)
    open_page(browser, shown(report, past=past(3)), tmp_path)
    found = browser.execute_script(CONTRASTS)
    assert len(found) > 30
    assert {text: ratio for text, ratio in found if ratio < 4.5} == {}
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")


CONTRASTS = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => {
  const [r, g, b] = numbers(colour).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  const colour = element ? getComputedStyle(element).backgroundColor : "rgb(255, 255, 255)";
  return numbers(colour)[3] === 0 ? behind(element.parentElement) : colour;
};
return [...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .map((e) => {
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    return [`${e.tagName} ${e.className} ${e.textContent.slice(0, 30)}`, (a + 0.05) / (b + 0.05)];
  });
"""


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_is_no_wider_than_the_screen(browser: Chrome, tmp_path: Path, width: int) -> None:
    wide = update(1, "MX-" + "9" * 60, address=("x" * 300, "y " * 200))
    refused = Refusal("person", "key_taken", 1, "MX-1", "p" * 200, "login", "v" * 200, "m" * 200)
    emulate(browser, width=width)
    open_page(browser, shown(planned(wide, refusals=[refused]), past=past(40), export="e" * 200), tmp_path)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert "address" in rows(browser)[0]


@pytest.mark.parametrize("width", [320, 800, 1280])
def test_an_id_stands_on_one_line(browser: Chrome, tmp_path: Path, width: int) -> None:
    emulate(browser, width=width)
    long = update(4294967295, "MX-" + "9" * 60, address=("x" * 300, "y " * 200))
    open_page(browser, shown(planned(long)), tmp_path)
    (cell,) = browser.find_elements(By.CSS_SELECTOR, "#list td.id")
    assert cell.text == "4294967295"
    lines = "const r = document.createRange(); r.selectNodeContents(arguments[0]); return r.getClientRects().length"
    assert browser.execute_script(lines, cell) == 1


def test_in_print_the_list_is_longer_and_the_controls_are_gone(browser: Chrome, tmp_path: Path) -> None:
    open_page(browser, shown(many(1500)), tmp_path)
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert matches(browser) == "1,500 rows; 1 to 1,000 are shown"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not browser.find_element(By.ID, "filter").is_displayed()
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 1280
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#list tbody tr")) == 100


# What it says


def past(count: int) -> list[Run]:
    """So many runs, the newest first, as history gives them."""
    reports = [Report("apply", "applied", run=number) for number in range(count, 0, -1)]
    for report in reports:
        report.entities["person"].inserted = (report.run or 0) ** 3
        report.refusals = [refusal("key_taken", 1, "MX-1")] * (report.run == 2)
    return [Run(datetime(2026, 11, report.run % 28 or 28), "", "0.1.0", "", report) for report in reports if report.run]


def test_the_runs_of_the_past_are_drawn_oldest_first(browser: Chrome, tmp_path: Path) -> None:
    report = many(3)
    report.run = 3
    open_page(browser, shown(report, past=past(4)), tmp_path)
    titles = [title.get_attribute("textContent") for title in browser.find_elements(By.CSS_SELECTOR, "svg g title")]
    assert [title.split(",")[0] for title in titles] == ["run 1", "run 2", "run 3", "run 4"]
    assert titles[2] == "run 3, 2026-11-03 00:00 UTC, apply: 27 inserted, 0 updated, 0 deleted, 0 refused"
    heights = [bar.rect["height"] for bar in browser.find_elements(By.CSS_SELECTOR, "svg .bar")]
    assert heights == sorted(heights)
    assert heights[0] > 0
    assert len(browser.find_elements(By.CSS_SELECTOR, "svg .this")) == 1
    assert len(browser.find_elements(By.CSS_SELECTOR, "svg .cap")) == 1
    browser.find_element(By.CSS_SELECTOR, "summary").click()
    table = browser.find_element(By.CSS_SELECTOR, "details tbody").text.splitlines()
    assert table[0] == "4 2026-11-04 00:00 apply 64 0 0 0"


class Headings(HTMLParser):
    """The headings of a page, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._inside = tag in ("h1", "h2")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found.append(data)
            self._inside = False


def test_refusals_come_first_and_need_no_script() -> None:
    report = planned(update(1, a=(1, 2)), refusals=[refusal("key_taken", 7, "MX-7")])
    report.warnings = [Notice("unknown_key", "words", 1)]
    html = shown(report, past=past(1))
    assert Headings(html).found == [
        *("Plan", "Refused: 1", "Warnings", "Per entity", "Runs over time", "Changes, row by row"),
    ]
    static = html[: html.index("<script")]
    assert "Do this." in static
    assert "document 7 (MX-7) proposal" in static


def test_a_run_without_changes_says_so() -> None:
    html = shown(Report("plan", "planned"))
    assert Headings(html).found == ["Plan", "Per entity", "Changes, row by row"]
    assert "Nothing to do." in html
