"""Every route, asked through the socket."""

from __future__ import annotations

import struct
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from vcsharp.control import pictures
from vcsharp.control.model import State
from vcsharp.errors import BackendError, ModelNotFoundError, SettingsError
from vcsharp.sinks.picture import bgr

from .fake_runtime import SOURCES, picture

PASSWORD = "hunter2-planted"


def decoded(data: bytes) -> np.ndarray:
    """Blue, green, red of a JPEG or PNG."""
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


def parted(body: bytes) -> tuple[int, np.ndarray, np.ndarray]:
    """(number, before, after) of a pair."""
    number, before, after = struct.unpack_from("<III", body)
    assert len(body) == 12 + before + after
    return number, decoded(body[12 : 12 + before]), decoded(body[12 + before :])


def test_the_state_is_told_whole(api, runtime):
    reply = api.get("/api/state")
    assert reply.status_code == 200
    assert State.model_validate(reply.json()) == runtime.state()


def test_a_change_is_visible_in_the_answer_and_in_the_next_state(api):
    wish = {"strength": 1.3, "compare": "split", "source": "1", "model": "none", "overlay": "off"}
    reply = api.patch("/api/options", json=wish)
    assert reply.status_code == 200
    assert reply.json()["options"] == wish
    assert api.get("/api/state").json()["options"] == wish


def test_what_a_wish_leaves_out_stays(api):
    before = api.get("/api/state").json()["options"]
    after = api.patch("/api/options", json={"strength": 0.5}).json()["options"]
    assert after == before | {"strength": 0.5}
    assert api.patch("/api/options", json={}).json()["options"] == after


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"strength": 5}, "strength: Input should be less than or equal to 2"),
        ({"strength": "1.5"}, "strength: Input should be a valid number"),
        ({"strength": False}, "strength: Input should be a valid number"),
        ({"compare": "both"}, "compare: Input should be 'off', 'split' or 'side'"),
        ({"overlay": None, "source": ""}, "source: String should have at least 1 character"),
        ({"source": "x" * 5000}, "source: String should have at most 4096 characters"),
        ({"strenght": 1}, "strenght: Extra inputs are not permitted"),
        ([], "body: Input should be a valid dictionary"),
        ({"strength": 9, "model": 7}, "; "),
    ],
)
def test_a_bad_value_is_refused_with_one_line(api, runtime, wish, words):
    before = runtime.state()
    reply = api.patch("/api/options", json=wish)
    assert reply.status_code == 422
    assert words in reply.json()["detail"]
    assert "\n" not in reply.json()["detail"]
    assert runtime.calls == []
    assert runtime.state() == before


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"strength": NaN}', b"[" * 5000])
def test_what_is_no_json_is_refused(api, runtime, body):
    headers = {"Content-Type": "application/json"}
    reply = api.patch("/api/options", content=body, headers=headers)
    assert reply.status_code in (400, 422)
    assert "\n" not in reply.json()["detail"]
    assert runtime.calls == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ModelNotFoundError("no model is called 'x'"), 400),
        (SettingsError("one fault\nanother fault"), 400),
        (BackendError("the GPU is gone"), 409),
    ],
)
def test_a_refusal_is_one_line_too(api, runtime, error, status):
    runtime.refusal = error
    reply = api.patch("/api/options", json={"strength": 1})
    assert reply.status_code == status
    assert reply.json() == {"detail": "; ".join(str(error).split("\n"))}


def test_a_password_in_a_refusal_is_not_told(api):
    wish = {"source": f"nowhere rtsp://me:{PASSWORD}@camera/live"}
    reply = api.patch("/api/options", json=wish)
    assert reply.status_code == 400
    assert PASSWORD not in reply.text
    assert "rtsp://***@camera/live" in reply.text
    for wrong in ({"source": [wish["source"]]}, {"sauce": wish["source"]}):
        assert PASSWORD not in api.patch("/api/options", json=wrong).text


def test_pause_and_resume(api, runtime):
    assert api.post("/api/pause").json()["paused"] is True
    assert api.get("/api/state").json()["source"]["state"] == "paused"
    assert api.post("/api/resume").json()["paused"] is False
    assert runtime.calls == ["pause", "resume"]


def test_reload_tells_what_took_effect(api, runtime):
    assert api.post("/api/reload").json() == {"applied": ["strength"], "needs_restart": ["fps"]}
    runtime.refusal = SettingsError("config: no such file")
    assert api.post("/api/reload").status_code == 400


def test_the_choices_are_listed(api):
    sources = api.get("/api/sources").json()
    assert [choice["source"] for choice in sources] == [choice.source for choice in SOURCES]
    assert sources[2]["usable"] is False
    assert [choice["model"] for choice in api.get("/api/models").json()] == ["nano", "none"]


def test_an_unknown_route_and_a_wrong_method_are_told_in_the_same_form(api):
    assert api.get("/api/nothing").json() == {"detail": "Not Found"}
    reply = api.delete("/api/state")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET")
    assert "detail" in reply.json()


def test_a_fault_of_ours_is_one_line_and_the_door_stays_open(api, runtime, monkeypatch):
    def broken():
        raise ZeroDivisionError(PASSWORD)

    monkeypatch.setattr(runtime, "models", broken)
    reply = api.get("/api/models")
    assert reply.status_code == 500
    assert reply.json() == {"detail": "internal error: ZeroDivisionError; see the log of the run"}
    assert api.get("/api/state").status_code == 200


def test_nothing_of_the_description_comes_from_elsewhere(api):
    assert api.get("/docs").status_code == 404
    assert api.get("/redoc").status_code == 404
    assert "://" not in api.get("/openapi.json").text


def test_the_manual_names_every_route(api):
    manual = (Path(__file__).parents[2] / "docs" / "control.md").read_text("utf-8")
    for path, methods in api.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}" in manual


# ---- pictures


def test_a_pair_shows_one_picture_before_and_after(api, runtime):
    runtime.update(options={"overlay": "off"})
    shown = picture(3)
    number = runtime.show(shown)
    reply = api.get("/api/pair", params={"after": 0})
    assert reply.headers["content-type"] == "application/octet-stream"
    told, before, after = parted(reply.content)
    assert told == number
    assert np.abs(after.astype(int) - bgr(shown.frame)).mean() <= 3
    assert np.abs(before.astype(int) - bgr(shown.source)).mean() <= 3


def test_the_newest_wins(api, runtime):
    numbers = [runtime.show(picture(number)) for number in range(3)]
    assert parted(api.get(f"/api/pair?after={numbers[0]}").content)[0] == numbers[-1]


def test_without_anything_newer_the_answer_is_empty_after_a_while(api, runtime, monkeypatch):
    monkeypatch.setattr(pictures, "POLL_TIMEOUT_S", 0.05)
    assert api.get("/api/pair").status_code == 204
    number = runtime.show(picture(0))
    reply = api.get(f"/api/pair?after={number}")
    assert (reply.status_code, reply.content) == (204, b"")


def test_a_waiting_page_gets_the_next_picture(api, runtime, monkeypatch):
    monkeypatch.setattr(pictures, "POLL_TIMEOUT_S", 20.0)
    replies: list[bytes] = []
    page = threading.Thread(target=lambda: replies.append(api.get("/api/pair").content))
    page.start()
    while not runtime.looks:
        threading.Event().wait(0.01)
    number = runtime.show(picture(0))
    page.join()
    assert parted(replies[0])[0] == number


def test_each_picture_is_encoded_once_and_only_when_asked_for(api, runtime, monkeypatch):
    encoded = []

    def counting(frame):
        encoded.append(frame)
        return b"jpeg"

    monkeypatch.setattr(pictures, "jpeg", counting)
    for number in range(4):
        runtime.show(picture(number))
    assert encoded == []
    bodies = {api.get("/api/pair").content for _ in range(3)}
    assert len(bodies) == 1
    assert len(encoded) == 2


@pytest.mark.parametrize("after", ["", "x", "-1", "1.5"])
def test_a_strange_number_is_refused(api, after):
    assert api.get("/api/pair", params={"after": after}).status_code == 422


def test_a_number_of_any_length_is_only_a_number(api, runtime):
    number = runtime.show(picture(0))
    assert parted(api.get("/api/pair?after=" + "9" * 300).content)[0] == number


def test_the_page_sees_what_is_drawn_and_a_snapshot_does_not(api, runtime):
    shown = picture(0)
    runtime.show(shown)
    drawn = parted(api.get("/api/pair").content)[2]
    assert drawn[1:6, -6:-1].mean() > 245 > bgr(shown.frame)[1:6, -6:-1].mean()
    snapshot = decoded(api.get("/api/snapshot.png").content)
    assert np.array_equal(snapshot, bgr(shown.frame))


def test_a_snapshot_of_either_side_or_both(api, runtime):
    shown = picture(0)
    runtime.show(shown)
    before, after = bgr(shown.source), bgr(shown.frame)
    sides = {"before": before, "after": after, "both": np.hstack([before, after])}
    for which, expected in sides.items():
        reply = api.get("/api/snapshot.png", params={"which": which})
        assert reply.headers["content-type"] == "image/png"
        assert reply.headers["content-disposition"].startswith('attachment; filename="vcsharp-')
        assert np.array_equal(decoded(reply.content), expected)
    assert api.get("/api/snapshot.png?which=none").status_code == 422


def test_without_a_picture_a_snapshot_is_refused_with_a_line(api, monkeypatch):
    monkeypatch.setattr(pictures, "POLL_TIMEOUT_S", 0.05)
    reply = api.get("/api/snapshot.png")
    assert reply.status_code == 404
    assert "no live picture" in reply.json()["detail"]


def test_a_snapshot_waits_for_the_camera_and_never_shows_what_stands_in(api, runtime, monkeypatch):
    monkeypatch.setattr(pictures, "LIVE_TIMEOUT_S", 20.0)
    monkeypatch.setattr(pictures, "POLL_TIMEOUT_S", 20.0)
    runtime.show(picture(0, notice="camera off"))
    replies: list[bytes] = []
    asking = threading.Thread(target=lambda: replies.append(api.get("/api/snapshot.png").content))
    asking.start()
    while runtime.looks < 2:
        threading.Event().wait(0.01)
    live = picture(5)
    runtime.show(live)
    asking.join()
    assert np.array_equal(decoded(replies[0]), bgr(live.frame))


def test_a_snapshot_of_a_camera_that_stays_off_is_refused(api, runtime, monkeypatch):
    monkeypatch.setattr(pictures, "LIVE_TIMEOUT_S", 0.2)
    runtime.show(picture(0, notice="camera unplugged"))
    assert api.get("/api/snapshot.png").status_code == 404
