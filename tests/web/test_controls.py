"""Each control of the page changes the run, or says why not and goes back."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.control.fake_runtime import FakeRuntime
from vcsharp.control.model import Change, Reloaded, SourceChoice, State
from vcsharp.errors import BackendError, SettingsError, SourceError

from .browsing import HEIGHT, WAIT_MS, WIDTH, wait_until

pytestmark = pytest.mark.browser

SECRET = "hunter2"
THUMB_PX = 20


def strength(page: Page):
    return page.get_by_role("slider", name="Strength")


def until(page: Page, runtime: FakeRuntime, **wanted: object) -> None:
    """Until the run's options are as wanted."""

    def done() -> bool:
        options = runtime.state().options.model_dump()
        return all(options[name] == value for name, value in wanted.items())

    wait_until(page, done, str(wanted))


# ---- strength


def test_the_slider_sets_the_strength_and_shows_its_value(page, runtime):
    expect(strength(page)).to_have_value("1")
    box = strength(page).bounding_box()
    way = 0.75 * (box["width"] - THUMB_PX) + THUMB_PX / 2
    page.mouse.click(box["x"] + way, box["y"] + box["height"] / 2)
    until(page, runtime, strength=1.5)
    expect(page.locator("#strength-value")).to_have_text("1.50")
    page.get_by_role("button", name="Reset strength to 1").click()
    until(page, runtime, strength=1.0)
    expect(page.locator("#strength-value")).to_have_text("1.00")
    expect(strength(page)).to_have_attribute("aria-valuetext", "1.00, as trained")


def test_dragging_ends_at_the_last_value_whatever_came_between(page, runtime):
    box = strength(page).bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    for step in range(40):
        page.mouse.move(box["x"] + box["width"] * (0.5 - step / 80), middle)
    page.mouse.move(box["x"] + 2, middle)
    page.mouse.up()
    until(page, runtime, strength=0.0)
    expect(strength(page)).to_have_value("0")
    assert runtime.calls.count("change") < 42


def test_what_another_program_changes_is_shown(page, runtime):
    runtime.update(
        options={"strength": 0.35, "compare": "side", "overlay": "all", "model": "none"},
        paused=True,
    )
    expect(strength(page)).to_have_value("0.35", timeout=WAIT_MS)
    expect(page.get_by_role("radio", name="Side by side")).to_be_checked()
    expect(page.get_by_role("radio", name="Everyone")).to_be_checked()
    expect(page.get_by_role("radio", name="none")).to_be_checked()
    expect(page.get_by_role("switch", name="Camera")).not_to_be_checked()


def test_a_refused_strength_is_explained_and_the_slider_goes_back(page, runtime):
    runtime.refusal = BackendError("the GPU is gone; <i>restart</i> with --device cpu")
    strength(page).press("End")
    expect(page.locator("#strength-error")).to_have_text(
        "the GPU is gone; <i>restart</i> with --device cpu"
    )
    expect(strength(page)).to_have_value("1")
    assert runtime.state().options.strength == 1.0
    strength(page).press("End")
    until(page, runtime, strength=2.0)
    expect(page.locator("#strength-error")).to_be_empty()


class Slow(FakeRuntime):
    """Holds a change back until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.may_change = threading.Event()

    def change(self, wish: Change) -> State:
        assert self.may_change.wait(30)
        return super().change(wish)


class TestWithASlowRun:
    @pytest.fixture
    def runtime(self):
        made = Slow()
        yield made
        made.may_change.set()

    def test_a_control_does_not_jump_back_while_its_change_is_under_way(self, page, runtime):
        strength(page).press("End")
        page.get_by_role("radio", name="Side by side").check(force=True)
        page.wait_for_timeout(1000)  # three answers about the old state
        expect(strength(page)).to_have_value("2")
        expect(page.get_by_role("radio", name="Side by side")).to_be_checked()
        runtime.may_change.set()
        until(page, runtime, strength=2.0, compare="side")
        page.wait_for_timeout(1000)
        expect(strength(page)).to_have_value("2")
        expect(page.get_by_role("radio", name="Side by side")).to_be_checked()


# ---- one of several


def test_the_model_is_chosen_by_name_with_its_summary_and_cost(page, runtime):
    nano, none = page.get_by_role("radio", name="nano"), page.get_by_role("radio", name="none")
    expect(nano).to_be_checked()
    expect(page.locator("#model-list")).to_contain_text("fast on any CPU")
    expect(page.locator("#model-list")).to_contain_text("1.2 kMAC per pixel")
    page.locator("#model-list").get_by_text("the picture as it is").click()
    until(page, runtime, model="none")
    expect(none).to_be_checked()
    expect(nano).not_to_be_checked()


def test_a_refused_model_is_explained_and_the_old_one_stays_ticked(page, runtime):
    runtime.refusal = BackendError("model 'none' does not load: out of memory; close programs")
    page.get_by_role("radio", name="none").click(force=True)
    expect(page.locator("#model-error")).to_contain_text("out of memory; close programs")
    expect(page.get_by_role("radio", name="nano")).to_be_checked()


def test_a_model_that_is_not_listed_is_shown_all_the_same(page, runtime):
    runtime.update(options={"model": "/models/own"})
    expect(page.get_by_role("radio", name="/models/own")).to_be_checked(timeout=WAIT_MS)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("compare", {"Split": "split", "Side by side": "side", "Line here": "off"}),
        ("overlay", {"Everyone": "all", "Hidden": "off", "This page": "preview"}),
    ],
)
def test_the_look_of_the_picture_is_chosen(page, runtime, name, words):
    for label, value in words.items():
        page.get_by_role("radio", name=label, exact=True).check(force=True)
        until(page, runtime, **{name: value})
        expect(page.get_by_role("radio", name=label, exact=True)).to_be_checked()


def test_the_own_line_rests_while_before_and_after_are_in_the_picture(page, runtime):
    split = page.get_by_role("slider", name="Share of the picture")
    expect(split).to_be_enabled()
    runtime.update(options={"compare": "split"})
    expect(split).to_be_disabled(timeout=WAIT_MS)
    expect(page.locator(".divider")).to_be_hidden()
    expect(page.locator("#hint-compared")).to_have_text(
        "Before and after are drawn into the picture"
    )


# ---- the source


def source(page: Page, name: str):
    return page.locator("#source-list").get_by_role("button", name=name)


def test_each_source_is_listed_with_what_it_can_do(page, runtime):
    expect(source(page, "C920 Webcam")).to_contain_text("MJPG 1920x1080, 1280x720")
    expect(source(page, "Demo scene")).to_have_attribute("aria-current", "true")
    held = source(page, "/dev/video1")
    expect(held).to_have_attribute("aria-disabled", "true")
    expect(held).to_contain_text("Cannot be used: held by zoom")


def test_a_source_is_taken_by_a_click(page, runtime):
    source(page, "C920 Webcam").click()
    until(page, runtime, source="0")
    expect(source(page, "C920 Webcam")).to_have_attribute("aria-current", "true")
    expect(source(page, "Demo scene")).not_to_have_attribute("aria-current", "true")
    source(page, "Automatic").click()
    until(page, runtime, source="auto")


def test_a_source_that_cannot_be_used_says_why_instead(page, runtime):
    source(page, "/dev/video1").click(force=True)
    expect(page.locator("#source-error")).to_have_text("Cannot be used: held by zoom")
    assert "change" not in runtime.calls


def test_an_address_is_taken_and_its_password_does_not_stay_on_the_page(page, runtime):
    field = page.get_by_role("textbox", name="Network camera or video file")
    field.fill(f"  rtsp://me:{SECRET}@host/one ")
    page.get_by_role("button", name="Use this address").click()
    until(page, runtime, source=f"rtsp://me:{SECRET}@host/one")
    expect(field).to_have_value("")
    runtime.update(
        options={"source": "rtsp://***@host/one"}, source={"name": "rtsp://***@host/one"}
    )
    current = page.locator("#source-list [aria-current]")
    expect(current).to_contain_text("rtsp://***@host/one", timeout=WAIT_MS)
    assert SECRET not in page.content()


def test_a_refused_address_stays_in_its_field_with_the_reason(page, runtime):
    field = page.get_by_role("textbox", name="Network camera or video file")
    runtime.refusal = SourceError("source 'nowhere.mp4' is no file; look for a misspelling")
    field.fill("nowhere.mp4")
    field.press("Enter")
    expect(page.locator("#source-error")).to_have_text(
        "source 'nowhere.mp4' is no file; look for a misspelling"
    )
    expect(field).to_have_value("nowhere.mp4")
    expect(source(page, "Demo scene")).to_have_attribute("aria-current", "true")


def test_an_empty_address_asks_for_one(page, runtime):
    page.get_by_role("button", name="Use this address").click()
    expect(page.locator("#source-error")).to_contain_text("Type an address")
    assert "change" not in runtime.calls


def test_a_camera_that_was_plugged_in_is_found_by_looking_again(page, runtime):
    new = SourceChoice(source="/dev/v4l/by-id/new", title="New camera", details="YUYV 640x480")
    runtime.choices = [*runtime.choices, new]
    page.get_by_role("button", name="Look for sources again").click()
    expect(source(page, "New camera")).to_contain_text("YUYV 640x480")
    expect(page.locator("#announcer")).to_have_text("4 sources found")


# ---- the switch and the buttons


def test_the_switch_pauses_and_goes_on(page, runtime):
    switch = page.get_by_role("switch", name="Camera")
    expect(switch).to_be_checked()
    switch.click()
    expect(switch).not_to_be_checked()
    assert runtime.state().paused
    expect(page.locator("#status")).to_have_text("Paused")
    switch.click()
    expect(switch).to_be_checked()
    assert runtime.calls.count("pause") == runtime.calls.count("resume") == 1
    expect(page.locator("#status")).to_have_text("Live")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            Reloaded(applied=["strength", "overlay"], needs_restart=[]),
            "Changed: strength, overlay.",
        ),
        (
            Reloaded(applied=["model"], needs_restart=["fps", "size"]),
            "Changed: model. After a restart: fps, size.",
        ),
        (Reloaded(applied=[], needs_restart=[]), "Nothing has changed."),
    ],
)
def test_reading_the_settings_again_tells_what_changed(page, runtime, found, words):
    runtime.reloaded = found
    page.get_by_role("button", name="Read settings again").click()
    expect(page.locator("#reload-result")).to_have_text(words)
    expect(page.locator("#announcer")).to_have_text(words)
    assert runtime.calls.count("reload") == 1


def test_settings_that_cannot_be_read_are_explained(page, runtime):
    runtime.refusal = SettingsError("no setting is called 'sizze'; did you mean 'size'?")
    page.get_by_role("button", name="Read settings again").click()
    expect(page.locator("#reload-error")).to_have_text(
        "no setting is called 'sizze'; did you mean 'size'?"
    )
    expect(page.locator("#reload-result")).to_be_empty()


@pytest.mark.parametrize(
    ("name", "which", "levels"),
    [
        ("Save picture after", "after", (140, 210)),
        ("Save picture before", "before", (30, 80)),
        ("Save picture before and after", "both", (30, 210)),
    ],
)
def test_a_picture_is_saved(page, name, which, levels):
    with page.expect_download(timeout=WAIT_MS) as download:
        page.get_by_role("button", name=name, exact=True).click()
    assert download.value.suggested_filename.startswith("vcsharp-")
    assert download.value.suggested_filename.endswith(f"-{which}.png")
    pixels = np.asarray(cv2.imread(str(download.value.path())))
    assert pixels.shape == (HEIGHT, 2 * WIDTH if which == "both" else WIDTH, 3)
    low, high = levels
    assert low < np.median(pixels[:, : WIDTH // 2]) < high
    assert low < np.median(pixels[:, -WIDTH // 2 :]) < high


class Blind(FakeRuntime):
    """Shows pictures to the page, but none that is live."""

    live = True

    def newest(self, after, timeout_s):
        return super().newest(after, timeout_s) if self.live else None


class TestWithoutAPicture:
    @pytest.fixture
    def runtime(self):
        return Blind()

    def test_saving_tells_that_there_is_no_picture(self, page, runtime):
        runtime.live = False
        page.get_by_role("button", name="Save picture after", exact=True).click()
        expect(page.locator("#save-error")).to_contain_text("no live picture", timeout=WAIT_MS)
