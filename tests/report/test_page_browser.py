"""The report's page in a real browser: silent, offline, and all in it works by mouse and keyboard."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import records
from bench.analysis.report_view import Price, build
from bench.report.page import render, render_fleet
from tests import scenario_rows as scenarios
from tests.factories import device, measurement, run_file
from tests.fleets import mixed

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
axe = pytest.importorskip("axe_selenium_python", reason="axe-selenium-python is not installed")

SERIOUS = ("serious", "critical")
ROWS = 30
ARTEFACTS = "BENCH_ARTEFACTS"
"""Names a folder that is to keep what the page looked like."""
HIGHEST = 16_000
"""Pixels of a picture: a texture of Chromium's ends a little above."""


def view() -> Any:
    rows = [
        measurement(
            case={"m": 2**size, "n": 64, "k": 64},
            precision=precision,
            accumulate=accumulate,
            operations=10**6 * 2**size,
            median_s=1e-3 + size * 1e-5,
            losses=[records.Loss(factor="kernel", ratio=0.5, why="the rest")],
            samples_s=[1e-3 + step * 1e-6 for step in range(20)],
        )
        for precision, accumulate in (("fp32", "fp32"), ("fp16", "fp32"), ("int8", "int32"))
        for size in range(6, 12)
    ]
    rows.append(measurement(case={"m": 1}, median_s=1e-9, status="invalid", reason="above the plausible peak"))
    sustained = records.Sustained(
        wall_s=10.0, calls=9, ends_s=[5.0, 10.0], per_call_s=[1e-3, 2e-3], burst_median_s=1e-3, droop_ratio=0.5
    )
    telemetry = {"energy": {"operations_per_j": 5e9}, "power_w": {"median": 100.0, "min": 90.0, "max": 101.0}}
    rows.append(measurement(mode="sustained", sustained=sustained, telemetry=telemetry, kernel="conv"))
    other = run_file([measurement(median_s=2e-3)], devices=[device(name="Slow <b>CPU</b>")])
    lasting = {**telemetry, "energy": {"operations_per_j": 4e9}}
    other.measurements.append(measurement(mode="sustained", sustained=sustained, telemetry=lasting, kernel="conv"))
    steps = [
        scenarios.run(*(scenarios.row(name, median_s=time_s) for name in "abc"), scenarios.row("a", "int8"))
        for time_s in (1e-3, 3e-3)
    ]
    files = [("a", run_file(rows)), ("b", other), ("step", steps[0]), ("slow step", steps[1])]
    return build(files, prices=[Price("*", 2.0)])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    files = [f"report-data/{name}.jsonl.gz" for name in ("a", "b", "step", "slow-step")]
    path.write_text(render(view(), files=files, many=mixed()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet's own page."""
    path = tmp_path_factory.mktemp("alone") / "fleet.html"
    path.write_text(render_fleet(mixed("node <b>")), encoding="utf-8")
    return path


@pytest.fixture
def browser(require: Callable[[str], str], page: Path) -> Iterator[Any]:
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = require("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1440,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(require("chromedriver")))
    try:
        driver.get(page.as_uri())
        yield driver
        messages = [entry["message"] for entry in driver.get_log("browser")]
        assert messages == [], "the console stayed silent"
    finally:
        driver.quit()


def script(browser: Any, code: str, *arguments: object) -> Any:
    return browser.execute_script(code, *arguments)


def choose(browser: Any, selector: str, value: str) -> None:
    code = "const e=document.querySelector(arguments[0]);e.value=arguments[1];e.dispatchEvent(new Event('change'))"
    script(browser, code, selector, value)


def column(browser: Any, section: str, place: int) -> list[str]:
    cells = (
        f"[...document.querySelectorAll('#{section} tbody tr:not(.evidence)')].map(r=>r.children[{place}].textContent)"
    )
    return list(script(browser, f"return {cells}"))


def test_nothing_is_asked_of_a_network(browser: Any, page: Path) -> None:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if url != page.as_uri()] == []


def test_columns_sort_both_ways_with_what_is_unknown_last(browser: Any) -> None:
    header = browser.find_elements("css selector", "#results thead button")[3]
    for direction, reverse in (("descending", True), ("ascending", False)):
        header.click()
        values = script(
            browser, "return [...document.querySelectorAll('#results tbody tr')].map(r=>r.children[3].dataset.value)"
        )
        known = [float(value) for value in values if value]
        assert len(known) > 2 and known == sorted(known, reverse=reverse)
        assert "" not in values[: len(known)]
        assert (
            script(browser, "return document.querySelectorAll('#results th')[3].getAttribute('aria-sort')") == direction
        )


def test_filters_leave_what_they_say(browser: Any) -> None:
    choose(browser, "#results select[data-field=label]", "INT8")
    assert set(column(browser, "results", 1)) == {"INT8"}
    choose(browser, "#rows select[data-field=status]", "invalid")
    assert len(column(browser, "rows", 6)) == 1 and "invalid" in column(browser, "rows", 6)[0]
    browser.find_element("css selector", "#rows .reset").click()
    assert len(column(browser, "rows", 6)) == ROWS
    browser.find_element("css selector", "#rows input[type=search]").send_keys("slow cpu fp32")
    assert len(column(browser, "rows", 0)) == 2
    assert f"2 of {ROWS}" in browser.find_element("css selector", "#rows .count").text


def test_the_language_switches_every_word_and_back(browser: Any) -> None:
    before = script(browser, "return document.body.innerText")
    choose(browser, "#language", "zh")
    assert browser.find_element("css selector", "h1").text == "算力实测报告"
    assert script(browser, "return document.documentElement.lang") == "zh-Hans"
    left = script(
        browser,
        "return [...document.querySelectorAll('[data-i18n]')].map(e=>e.innerHTML).filter(t=>/^[a-z ,.]{4,}$/i.test(t))",
    )
    assert left == []
    assert "屋顶线" in script(
        browser, "return document.querySelector('#roofline svg[role=group]').getAttribute('aria-label')"
    )
    choose(browser, "#language", "en")
    assert script(browser, "return document.body.innerText") == before


def test_the_theme_changes_the_colours(browser: Any) -> None:
    found = []
    for theme in ("light", "dark"):
        choose(browser, "#theme", theme)
        found.append(script(browser, "return getComputedStyle(document.body).backgroundColor"))
    assert found[0] != found[1]


def test_every_figure_leads_to_its_evidence(browser: Any) -> None:
    link = browser.find_element("css selector", "#results tbody a")
    key = link.get_attribute("href").rpartition("#")[2]
    link.click()
    assert browser.find_element("css selector", f"#{key}-evidence").is_displayed()
    assert script(browser, "return document.activeElement.id") == key
    text = browser.find_element("css selector", f"#{key}-evidence").text
    for word in ("check error", "samples", "a formula", "torch 2.13.0+cpu", "run file beside this page"):
        assert word in text


def test_an_applications_figure_leads_to_its_calls_and_they_to_their_rows(browser: Any) -> None:
    script(browser, "for (const one of document.querySelectorAll('details')) one.open = false")
    cell = browser.find_element("css selector", "#scenarios tbody td a")
    key = cell.get_attribute("href").rpartition("#")[2]
    cell.click()
    card = browser.find_element("css selector", f"[id='{key}']")
    assert card.is_displayed() and script(browser, "return document.activeElement.id") == key
    link = card.find_element("css selector", "tbody a")
    row = link.get_attribute("href").rpartition("#")[2]
    link.click()
    assert browser.find_element("css selector", f"#{row}-evidence").is_displayed()


def test_the_keyboard_reaches_every_control_and_each_mark(browser: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    code = (
        "return [...document.querySelectorAll('button,select,input,summary,a[href]')]"
        ".filter(e=>e.checkVisibility()&&e.getAttribute('tabindex')!=='-1').length"
    )
    expected = script(browser, code)
    seen = (
        "window.seen=new Set();document.addEventListener('focusin',e=>"
        "{if(e.target.matches('button,select,input,summary,a[href]'))window.seen.add(e.target)})"
    )
    script(browser, seen)
    script(browser, "document.body.focus()")
    chain = ActionChains(browser)
    for _ in range(expected + 20):
        chain.send_keys(Keys.TAB)
    chain.perform()
    assert script(browser, "return window.seen.size") == expected
    marks = script(
        browser, "return document.querySelectorAll('#roofline svg[role=group]')[0].querySelectorAll('a').length"
    )
    script(browser, "document.querySelector('#roofline svg a[tabindex=\"0\"]').focus()")
    names = set()
    for _ in range(marks):
        names.add(browser.find_element("css selector", "#roofline .readout").text)
        ActionChains(browser).send_keys(Keys.ARROW_RIGHT).perform()
    assert len(names) == marks > 2


def test_a_sick_devices_mark_names_it_and_leads_to_its_row(browser: Any, alone: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.get(alone.as_uri())
    mark = browser.find_element("css selector", "#fleet .map a.mark")
    script(browser, "arguments[0].focus()", mark)
    assert "rank 3 cuda:3" in browser.find_element("css selector", "#fleet .readout").text
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    key = script(browser, "return location.hash").removeprefix("#")
    row = browser.find_element("css selector", f"tr[id='{key}']")
    assert row.is_displayed() and "node <b>0 rank 3 cuda:3" in row.text


def test_a_fleets_own_page_speaks_both_languages(browser: Any, alone: Path) -> None:
    browser.get(alone.as_uri())
    choose(browser, "#language", "zh")
    assert browser.find_element("css selector", "h1").text == "集群报告"
    words = "return [...document.querySelectorAll('#fleet [data-i18n]')].map(e=>e.textContent).join('')"
    assert not set(script(browser, words)) & set("abcdefghijklm")
    choose(browser, "#language", "en")
    assert browser.find_element("css selector", "h1").text == "Fleet report"


@pytest.mark.parametrize("which", ["page", "alone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_violation(browser: Any, theme: str, which: str, request: pytest.FixtureRequest) -> None:
    browser.get(request.getfixturevalue(which).as_uri())
    choose(browser, "#theme", theme)
    script(browser, "location.hash='d0r0'")
    script(browser, "for (const one of document.querySelectorAll('#fleet details')) one.open = true")
    checker = axe.Axe(browser)
    checker.inject()
    found = [
        (one["id"], [node["html"][:200] for node in one["nodes"]][:3])
        for one in checker.run()["violations"]
        if one["impact"] in SERIOUS
    ]
    assert found == []


@pytest.mark.parametrize("which", ["page", "alone"])
@pytest.mark.parametrize("width", [400, 800, 1440])
def test_nothing_is_wider_than_the_window(browser: Any, width: int, which: str, request: pytest.FixtureRequest) -> None:
    browser.get(request.getfixturevalue(which).as_uri())
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert script(browser, "return document.documentElement.scrollWidth") <= width
    folder = os.environ.get(ARTEFACTS)
    for theme in ("light", "dark") if folder else ():
        choose(browser, "#theme", theme)
        height = min(script(browser, "return document.documentElement.scrollHeight"), HIGHEST)
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        asked = {"captureBeyondViewport": True, "clip": clip}
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", asked)
        path = Path(str(folder)) / f"{'report' if which == 'page' else 'fleet'}-{width}-{theme}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))
