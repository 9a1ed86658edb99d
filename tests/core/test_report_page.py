# SPDX-License-Identifier: LGPL-2.1-or-later
"""The HTML page of `hindsight core report --html`, looked at in headless Chromium: nothing of it is wider than the
window, every colour can be read in light and dark, it asks for nothing else, and it says what the JSON says."""

import json
import shutil

import pytest

from lib.process import run

webdriver = pytest.importorskip("selenium.webdriver", reason="python3-selenium is not installed")

GUESTS = [("amd64-soft", "debugme", ("crash",)), ("i686-soft", "stack_overflow", ())]
SCHEMES = ("light", "dark")
WIDTHS = (1280, 400)
CONTRAST = 4.5  # WCAG 2.1, 1.4.3
HOSTILE = "<i id='evil'>&\"guest\".elf"

WIDER = """
const wide = [];
for (const element of document.querySelectorAll("main *")) {
    if (element.closest("svg") || element.closest(".scroll, summary ~ *")) continue;
    const box = element.getBoundingClientRect();
    if (box.right > window.innerWidth + 0.5 || box.left < -0.5) wide.push(element.outerHTML.slice(0, 80));
}
for (const box of document.querySelectorAll(".scroll")) {
    if (box.getBoundingClientRect().right > window.innerWidth + 0.5) wide.push("scroll box");
}
return [document.documentElement.scrollWidth - document.documentElement.clientWidth, wide];
"""

COLOURS = """
function back(element) {
    for (; element; element = element.parentElement) {
        const colour = getComputedStyle(element).backgroundColor;
        if (!colour.endsWith(", 0)") && colour != "transparent") return colour;
    }
    return "rgb(255, 255, 255)";
}
const found = {};
for (const element of document.querySelectorAll("main *:not(svg *)")) {
    if ([...element.childNodes].some(node => node.nodeType == 3 && node.data.trim())) {
        found[getComputedStyle(element).color + "|" + back(element)] = element.outerHTML.slice(0, 80);
    }
}
return found;
"""


@pytest.fixture(scope="module")
def browser():
    if not shutil.which("chromedriver"):
        pytest.skip("chromium-driver is not installed")
    options = webdriver.ChromeOptions()
    for word in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    service = webdriver.chrome.service.Service(shutil.which("chromedriver"))
    driver = webdriver.Chrome(service=service, options=options)
    yield driver
    driver.quit()


@pytest.fixture(params=GUESTS, ids=lambda row: row[1])
def page(request, build, tmp_path):
    """(path of the page, the report as an object) of a guest with a name that is markup."""
    runner, guest, words = request.param
    image = tmp_path / HOSTILE
    shutil.copy(build / "guest" / runner.split("-")[0] / f"{guest}.elf", image)
    hindsight = str(build / "hindsight")
    assert run([hindsight, "run", "--backend", "soft", str(image), "--", *words], cwd=tmp_path).rc == 139
    (core,) = tmp_path.glob("*.core")
    told = run([hindsight, "core", "report", "--json", str(core)], cwd=tmp_path)
    assert run([hindsight, "core", "report", "--html", "page.html", str(core)], cwd=tmp_path).rc == 0
    return tmp_path / "page.html", json.loads(told.stdout)


def show(browser, path, width, scheme):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                            {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.get(f"file://{path}")


def contrast(pair):
    """Of "rgb(r, g, b)|rgb(r, g, b)", as WCAG 2.1 defines it."""
    def luminance(colour):
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1:-1].split(",")[:3]]
        parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    light, dark = sorted(map(luminance, pair.split("|")), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("width", WIDTHS)
def test_page_is_never_wider_than_the_window(browser, page, width):
    show(browser, page[0], width, "light")
    browser.execute_script("for (const box of document.querySelectorAll('details')) box.open = true;")
    assert browser.execute_script("return window.innerWidth") == width
    assert browser.execute_script(WIDER) == [0, []]


def test_page_can_be_read_in_light_and_dark(browser, page):
    grounds = set()
    for scheme in SCHEMES:
        show(browser, page[0], 1280, scheme)
        colours = browser.execute_script(COLOURS)
        assert len(colours) >= 4
        assert {pair: text for pair, text in colours.items() if contrast(pair) < CONTRAST} == {}
        grounds.add(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def test_page_needs_nothing_beside_itself(browser, page):
    show(browser, page[0], 1280, "light")
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.find_elements("css selector", "script, link, [src]") == []
    assert browser.get_log("browser") == []


def test_page_says_what_the_json_says(browser, page):
    path, told = page
    show(browser, path, 1280, "light")
    texts = lambda css: [element.text for element in browser.find_elements("css selector", css)]  # noqa: E731
    assert texts("h1") == [told["reason"]["text"]]
    assert HOSTILE in texts("header p")[0] and browser.find_elements("css selector", "#evil") == []
    registers = dict(text.split() for text in texts(".registers > div"))
    assert {name: int(value, 16) for name, value in registers.items()} == {
        name: int(value, 16) for name, value in told["registers"].items()}
    frames = told["backtrace"]["frames"]
    shown = texts(".frames li")
    assert len(shown) == len(frames)
    for text, frame in zip(shown, frames):
        assert frame["function"] in text and (not frame["line"] or f":{frame['line']}" in text)
    assert [text.split()[0] for text in texts("section .here td:first-child")] == [
        str(told["source"]["line"]), told["instructions"][0]["address"], told["fault"]["walk"][-1]["name"]]
    (space,) = told["spaces"]
    areas = browser.find_elements("css selector", "svg rect:not(.mark)")
    assert len(areas) == len(space["areas"])
    assert len(browser.find_elements("css selector", "svg .mark, .nowhere")) == 1


def test_page_draws_areas_to_scale(browser, page):
    path, told = page
    show(browser, path, 1280, "light")
    widths = browser.execute_script("""return [...document.querySelectorAll("svg")].map(svg =>
        [...svg.querySelectorAll("rect:not(.mark)")].map(rect => rect.getBoundingClientRect().width));""")
    areas = iter(told["spaces"][0]["areas"])
    for piece in widths:
        mine = [next(areas) for _ in piece]
        start = int(mine[0]["address"], 16)
        length = int(mine[-1]["address"], 16) + mine[-1]["length"] - start
        whole = browser.execute_script("return document.querySelector('svg').getBoundingClientRect().width - 2")
        for width, area in zip(piece, mine):
            assert width == pytest.approx(max(area["length"] / length, 0.002) * whole, abs=1.5)
