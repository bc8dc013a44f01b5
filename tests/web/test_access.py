"""The page for everybody: by keyboard alone, by screen reader, in the dark, on a phone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from .browsing import WAIT_MS, open_page, wait_until

pytestmark = pytest.mark.browser


def focused(page: Page) -> str:
    """What has the keyboard: the element's id, else its name or text."""
    return str(
        page.evaluate(
            """() => {
                const node = document.activeElement;
                return node.id || node.getAttribute("aria-label") || node.value
                    || node.dataset.source || node.tagName;
            }"""
        )
    )


def tab_to(page: Page, wanted: str) -> None:
    for _ in range(40):
        if focused(page) == wanted:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never came to {wanted}")


def test_everything_can_be_done_by_keyboard_alone(page, runtime):
    def options() -> dict[str, Any]:
        return dict(runtime.state().options)

    tab_to(page, "power")
    page.keyboard.press("Space")
    wait_until(page, lambda: runtime.state().paused, "paused")
    # The page hears of it a little later; until then the switch still stands where it was.
    expect(page.locator("#power")).to_have_attribute("aria-checked", "false")
    page.keyboard.press("Enter")
    wait_until(page, lambda: not runtime.state().paused, "resumed")
    tab_to(page, "looking")
    page.keyboard.press("Space")
    expect(page.locator("#stage")).to_have_attribute("data-state", "resting")
    page.keyboard.press("Space")
    tab_to(page, "Save picture after")
    with page.expect_download(timeout=WAIT_MS):
        page.keyboard.press("Enter")
    tab_to(page, "strength")
    page.keyboard.press("ArrowRight")
    wait_until(page, lambda: options()["strength"] == 1.05, "strength 1.05")
    tab_to(page, "strength-reset")
    page.keyboard.press("Enter")
    wait_until(page, lambda: options()["strength"] == 1.0, "strength 1")
    tab_to(page, "nano")
    page.keyboard.press("ArrowDown")
    wait_until(page, lambda: options()["model"] == "none", "no model")
    tab_to(page, "0")
    page.keyboard.press("Enter")
    wait_until(page, lambda: options()["source"] == "0", "the webcam")
    page.wait_for_timeout(1200)
    assert focused(page) == "0"  # the list was drawn anew beneath the keyboard
    tab_to(page, "source-address")
    page.keyboard.type("talk.mp4")
    page.keyboard.press("Enter")
    wait_until(page, lambda: options()["source"] == "talk.mp4", "the file")
    tab_to(page, "off")
    page.keyboard.press("ArrowRight")
    wait_until(page, lambda: options()["compare"] == "split", "split")
    tab_to(page, "preview")
    page.keyboard.press("ArrowRight")
    wait_until(page, lambda: options()["overlay"] == "all", "figures for everyone")
    tab_to(page, "reload")
    page.keyboard.press("Enter")
    wait_until(page, lambda: "reload" in runtime.calls, "the settings read again")
    tab_to(page, "delay-copy")
    page.keyboard.press("Enter")
    expect(page.locator("#delay-copied")).to_have_text("Copied: 14")


def test_the_first_tab_offers_a_way_past_the_picture(page):
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the controls")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page) == "strength-reset" or focused(page) == "strength"


def test_what_has_the_keyboard_can_be_seen(page):
    seen = []
    page.keyboard.press("Tab")
    while (name := focused(page)) != "BODY":
        seen.append(name)
        shown = page.evaluate(
            """() => {
                const node = document.activeElement;
                const places = [node, node.nextElementSibling, node.closest("label"),
                    document.querySelector(node.id === "split" ? ".divider svg" : "#none")];
                return places.some((one) => one && getComputedStyle(one).outlineStyle === "solid"
                    && parseFloat(getComputedStyle(one).outlineWidth) >= 2);
            }"""
        )
        assert shown, name
        page.keyboard.press("Tab")
    assert len(seen) > 18


NAMES = """() => [...document.querySelectorAll(
        "button, input, a, select, fieldset, canvas, svg[role]")]
    .filter((node) => node.checkVisibility())
    .map((node) => {
        const by = node.getAttribute("aria-labelledby");
        const name = node.getAttribute("aria-label")
            || (by && by.split(" ").map((id) => document.getElementById(id)?.textContent).join(" "))
            || [...(node.labels ?? [])].map((label) => label.textContent).join(" ")
            || node.querySelector("legend")?.textContent || node.textContent;
        return [node.outerHTML.slice(0, 80), (name || "").trim()];
    })"""

REFERENCES = """() => [...document.querySelectorAll("[aria-labelledby], [aria-describedby], [for]")]
    .flatMap((node) => ["aria-labelledby", "aria-describedby", "for"]
        .flatMap((name) => (node.getAttribute(name) ?? "").split(" ").filter(Boolean)))
    .filter((id) => !document.getElementById(id))"""

TWICE = """() => [...document.querySelectorAll("[id]")].map((node) => node.id)
    .filter((id, index, all) => all.indexOf(id) !== index)"""


def test_everything_has_a_name_and_every_reference_leads_somewhere(page):
    names = page.evaluate(NAMES)
    assert len(names) > 25
    assert [markup for markup, name in names if not name] == []
    assert page.evaluate(REFERENCES) == []
    assert page.evaluate(TWICE) == []
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1


def test_a_screen_reader_is_given_roles_and_states(page):
    expect(page.locator("header")).to_match_aria_snapshot(
        """
        - banner:
          - heading "vcsharp" [level=1]
          - paragraph: Live
          - switch "Camera" [checked]
        """
    )
    expect(page.locator("#controls")).to_match_aria_snapshot(
        """
        - region "Controls":
          - region "Sharpening":
            - slider "Strength"
            - group "Model":
              - radio /auto/
              - radio /nano/ [checked]
              - radio /none/
          - region "Source":
            - list "Source":
              - listitem:
                - button /C920 Webcam/
              - listitem:
                - button /Demo scene.*in use/
              - listitem:
                - button /video1 Cannot be used/ [disabled]
            - textbox "Network camera or video file"
            - button "Use this address"
          - region "Picture":
            - group "Before and after":
              - radio "Line here" [checked]
            - group "Figures in the picture":
              - radio "This page" [checked]
        """
    )


PAIRS = """() => [...document.querySelectorAll("body *")].filter((node) => {
        const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
        return own && node.checkVisibility() && !node.closest(".stage, .unseen, .skip");
    }).map((node) => {
        let ground = node;
        while (/^(rgba|color)/.test(getComputedStyle(ground).backgroundColor))
            ground = ground.parentElement;
        return [node.textContent.trim().slice(0, 40), getComputedStyle(node).color,
            getComputedStyle(ground).backgroundColor];
    }).map(([text, ink, paper]) => [text, ...[ink, paper].map((color) =>
        color.match(/[0-9.]+/g).slice(0, 3).map(Number))])"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_can_be_read(browser, show, runtime, scheme, tmp_path):
    fault = {"at_s": 1.0, "where": "sink", "what": "'/dev/video10' is gone; load the module"}
    runtime.update(faults=[fault])
    page = open_page(browser, show.url, scheme)
    page.get_by_role("button", name="Use this address").click()
    expect(page.locator("#source-error")).not_to_be_empty()
    page.mouse.move(0, 0)
    page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
    pairs = page.evaluate(PAIRS)
    assert len(pairs) > 40
    faint = [(text, ink, paper) for text, ink, paper in pairs if contrast(ink, paper) < 4.5]
    assert faint == []
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = [float(number) for number in paper[4:-1].split(",")]
    assert (luminance(channels) > 0.5) is (scheme == "light")
    page.context.close()


def luminance(rgb: list[float]) -> float:
    """Relative luminance as WCAG defines it."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(rgb) / 255
    ]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: list[float], other: list[float]) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("width", [320, 390, 768, 1000, 1920])
def test_no_window_needs_sideways_scrolling(browser, show, runtime, width):
    long = "x" * 200
    runtime.update(
        source={"description": long, "words": long},
        faults=[{"at_s": 1.0, "where": "source", "what": long}],
    )
    page = open_page(browser, show.url, width=width)
    expect(page.locator("#faults li")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_on_a_phone_the_controls_come_before_the_figures(browser, show):
    page = open_page(browser, show.url, width=390, height=844)
    boxes = [
        page.locator(place).bounding_box()
        for place in ("#stage", "#strength", "#source-list", "#chart-fps", "#parts")
    ]
    tops = [box["y"] for box in boxes if box is not None]
    assert len(tops) == 5
    assert tops == sorted(tops)
    expect(page.get_by_role("switch", name="Camera")).to_be_in_viewport()
    page.context.close()


def test_nothing_moves_for_those_who_asked_for_it(browser, show):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(show.url)
    moving = """() => [...document.querySelectorAll("*")].filter((node) =>
        [node, null].some(() => getComputedStyle(node).transitionDuration !== "0s"))
        .map((node) => node.outerHTML.slice(0, 80))"""
    assert page.evaluate(moving) == []
    context.close()
