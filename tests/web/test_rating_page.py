"""The blind rating page in a browser: keys, zoom, resuming, the saved file, and what it hides."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from vcsharp_training.mos import build
from vcsharp_training.mos.command import Build

pytestmark = pytest.mark.browser
METHODS = ("input", "nano", "unsharp")
SCENES = 3


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of three scenes and three methods."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    for scene in range(SCENES):
        plain = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
        for number, method in enumerate(METHODS):
            path = folder / "results" / method / f"people_{scene}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            large = cv2.resize(plain, (640, 480), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(path), np.clip(large.astype(int) + 9 * number, 0, 255))
    build.build(Build(results=folder / "results", out=folder / "page.html", title='A "title" <i>'))
    return folder / "page.html"


@pytest.fixture
def page(browser: Browser, study: Path):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text))
    opened.goto(study.as_uri())
    yield opened
    context.close()
    assert faults == []


def _transforms(page: Page) -> set[str]:
    return set(page.locator(".view img").evaluate_all("all => all.map(e => e.style.transform)"))


def _state(page: Page) -> Any:
    return json.loads(page.evaluate("Object.values(localStorage)[0]"))


def _save(page: Page, folder: Path) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save ratings").click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    with file.open(encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


def test_a_whole_study_by_keyboard_ends_in_a_file_that_the_key_explains(page, study, tmp_path):
    page.get_by_label("Your name or a number").fill('Ada, "A"')
    page.get_by_role("heading").click()
    for number in range(SCENES):
        expect(page.locator("#where")).to_have_text(f"Set {number + 1} of {SCENES}")
        for key in "135":
            page.keyboard.press(key)
        page.keyboard.press("n")
    expect(page.locator("#rated")).to_have_text("9 of 9 rated")
    expect(page.locator("#message")).to_contain_text("All rated")
    rows = _save(page, tmp_path)
    key = json.loads(study.with_suffix(".key.json").read_text("utf-8"))
    assert len(rows) == len({row["stimulus"] for row in rows} & set(key["stimuli"])) == 9
    assert {row["rater"] for row in rows} == {'Ada, "A"'}
    assert {row["study"] for row in rows} == {key["study"]}
    assert [row["rating"] for row in rows] == ["1", "3", "5"] * SCENES
    scenes = [[key["stimuli"][row["stimulus"]]["scene"] for row in rows[i::3]] for i in range(3)]
    assert len({tuple(scene) for scene in scenes}) == 1  # one scene at a time


def test_ratings_order_and_place_survive_a_reload(page):
    page.keyboard.press("4")
    page.keyboard.press("n")
    before = _state(page)
    sources = page.locator(".view img").evaluate_all("all => all.map(e => e.src)")
    page.reload()
    expect(page.locator("#where")).to_have_text(f"Set 2 of {SCENES}")
    assert page.locator(".view img").evaluate_all("all => all.map(e => e.src)") == sources
    assert _state(page) == before
    page.get_by_role("button", name="Previous set").click()
    expect(page.get_by_role("group", name="Version A").get_by_label("4 good")).to_be_checked()


def test_two_raters_see_other_orders(browser, study):
    orders = set()
    for _ in range(4):
        context = browser.new_context()
        opened = context.new_page()
        opened.goto(study.as_uri())
        orders.add(json.dumps(_state(opened)["order"]))
        context.close()
    assert len(orders) > 1


def test_all_versions_zoom_and_move_together(page):
    (start,) = _transforms(page)
    assert start.endswith("scale(1)")  # every pixel: made small, all versions look alike
    page.keyboard.press("0")
    assert len(_transforms(page)) == 1
    fit = _transforms(page)
    view = page.get_by_role("img", name="Version B")
    view.hover()
    page.mouse.wheel(0, -100)
    expect(page.locator("#zoom")).to_have_text("1.3\u00d7")
    assert len(_transforms(page)) == 1
    page.keyboard.press("+")
    zoomed = _transforms(page)
    assert zoomed != fit
    box = view.bounding_box()
    assert box is not None
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + 40, steps=4)
    page.mouse.up()
    dragged = _transforms(page)
    assert len(dragged) == 1
    assert dragged != zoomed
    view.focus()
    page.keyboard.press("ArrowRight")
    assert _transforms(page) != dragged
    page.keyboard.press("0")
    assert _transforms(page) == fit
    page.get_by_role("button", name="Every pixel").click()
    (full,) = _transforms(page)
    assert full.endswith("scale(1)")


def test_nothing_on_the_page_tells_what_made_a_picture(page, study):
    html = study.read_text("utf-8") + page.content()
    assert not any(word in html for word in ("unsharp", "nano", "results", "people_"))
    assert (
        page.locator(".view img").evaluate_all(
            "all => new Set(all.map(e => [...e.attributes].map(a => a.name).sort().join())).size"
        )
        == 1
    )


def test_everything_can_be_reached_and_has_a_name(page):
    page.locator("body").click(position={"x": 1, "y": 1})
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {"rater", "zoom-in", "view", "next", "save", "restart"} <= reached
    for name in ("Zoom out", "Zoom in", "Fit", "Next set", "Save ratings", "Start over"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(1)
    for letter in "ABC":
        group = page.get_by_role("group", name=f"Version {letter}")
        assert group.get_by_role("radio").count() == 5
        expect(group.get_by_label("5 excellent")).to_have_count(1)
    assert page.locator("h1").inner_text() == 'A "title" <i>'


def test_starting_over_asks_first(page):
    page.keyboard.press("2")
    session = _state(page)["session"]
    page.get_by_role("button", name="Start over").click()
    page.get_by_role("button", name="Keep them").click()
    assert len(_state(page)["ratings"]) == 1
    page.get_by_role("button", name="Start over").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#rated")).to_have_text("0 of 9 rated")
    assert _state(page)["session"] != session


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(browser, study, scheme):
    """4.5 to 1 at least, as WCAG 2 asks of text."""
    context = browser.new_context(color_scheme=scheme)
    opened = context.new_page()
    opened.goto(study.as_uri())
    ratios = opened.evaluate(
        """() => {
          const luminance = (text) => {
            const [r, g, b] = text.match(/[\\d.]+/g).map((v) => v / 255)
              .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ground = (e) => {
            const colour = getComputedStyle(e).backgroundColor;
            return colour === "rgba(0, 0, 0, 0)" ? ground(e.parentElement) : colour;
          };
          const all = document.querySelectorAll("h1, label, small, legend, button, summary, span");
          const shown = [...all].filter((e) => !e.disabled && e.checkVisibility());
          return shown.map((e) => {
            const pair = [luminance(getComputedStyle(e).color), luminance(ground(e))];
            return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
          });
        }"""
    )
    assert len(ratios) > 20
    assert min(ratios) >= 4.5
    context.close()
