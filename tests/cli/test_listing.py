"""`vcsharp devices` and `vcsharp models`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vcsharp import catalogue, cli
from vcsharp.catalogue import Card, Model
from vcsharp.commands import devices, models
from vcsharp.sinks.v4l2loopback import LoopbackDevice
from vcsharp.sources.cameras import CameraInfo

BY_ID = "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_B1F2C3D4-video-index0"
CAMERAS = [
    CameraInfo(
        "/dev/video0",
        BY_ID,
        "HD Pro Webcam C920",
        "uvcvideo",
        captures=True,
        virtual=False,
        formats=("YUYV", "MJPG"),
        sizes=((1920, 1080), (1280, 720), (640, 480), (320, 240)),
    ),
    CameraInfo("/dev/video1", None, "C920 metadata", "uvcvideo", captures=False, virtual=False),
    CameraInfo("/dev/video2", None, "", "", captures=False, virtual=False, problem="no permission"),
    CameraInfo("/dev/video9", None, "vcsharp", "v4l2 loopback", captures=True, virtual=True),
]
LOOPBACKS = [LoopbackDevice("/dev/video9", "vcsharp", writable=True)]


def card(name: str, **changes: Any) -> Card:
    metrics = {"psnr_in_db": 30.0, "psnr_out_db": 31.25, "psnr_gain_db": 1.25}
    metrics |= {"ssim_in": 0.8, "ssim_out": 0.9, "ssim_gain": 0.1, "images": 9}
    facts = {
        "name": name,
        "version": "1",
        "summary": "for any CPU",
        "architecture": {"channels": [4, 4], "stride": 2},
        "params": 12345,
        "mac_per_px": 1234,
        "receptive_field_px": 9,
        "halo_px": 8,
        "multiple_of": 2,
        "files": {"int8": {"name": "m.onnx", "sha256": "0" * 64, "bytes": 2**19}},
        "teacher": "t",
        "data": "d",
        "recipe": "r",
        "metrics": {"webcam": metrics},
        "clean_psnr_db": 45.6,
        "licence": "x",
    }
    return Card.model_validate(facts | changes)


@pytest.fixture
def some_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "list_cameras", lambda: CAMERAS)
    monkeypatch.setattr(devices, "_loopbacks", lambda: LOOPBACKS)
    monkeypatch.setattr(devices, "_gpus", lambda: [("cuda:0", "NVIDIA H200")])


@pytest.mark.usefixtures("some_devices")
def test_devices_lists_what_can_be_used_with_whole_paths(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["devices"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    cameras, _, rest = shown.out.partition("virtual cameras\n")
    assert "/dev/video0   HD Pro Webcam C920\n" in cameras
    assert "YUYV MJPG  1920x1080, 1280x720, 640x480\n" in cameras
    assert f"{BY_ID}\n" in cameras
    assert "no permission" in cameras
    assert "/dev/video1" not in cameras
    assert "/dev/video9" not in cameras
    assert "/dev/video9   vcsharp  free\n" in rest
    assert "cuda:0        NVIDIA H200" in rest


@pytest.mark.usefixtures("some_devices")
def test_devices_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["devices", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [camera["path"] for camera in found["cameras"]] == [c.path for c in CAMERAS]
    assert found["cameras"][0]["stable_path"] == BY_ID
    assert found["virtual_cameras"] == [
        {"path": "/dev/video9", "label": "vcsharp", "writable": True}
    ]
    assert [p["device"] for p in found["processors"]] == ["cpu", "cuda:0"]


def test_a_bare_machine_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(devices, "list_cameras", list)
    monkeypatch.setattr(devices, "_loopbacks", list)
    assert cli.main(["devices"]) == 0
    shown = capsys.readouterr().out
    assert "vcsharp run --source demo works without one" in shown
    assert "sudo modprobe v4l2loopback" in shown
    assert "cpu " in shown


def test_a_machine_without_a_backend_is_told_which_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(devices, "_gpus", lambda: [("cuda:0", "NVIDIA H200")])
    assert cli.main(["devices"]) == 0
    shown = capsys.readouterr().out
    assert "pip install 'vcsharp[cpu]'" in shown
    assert "pip install 'vcsharp[gpu]'" in shown


def test_gpus_come_from_the_driver_s_own_tool(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '0, NVIDIA H200'\necho '1, NVIDIA L4'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices._gpus() == [("cuda:0", "NVIDIA H200"), ("cuda:1", "NVIDIA L4")]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert devices._gpus() == []
    tool.unlink()
    assert devices._gpus() == []


def test_models_shows_cost_and_gain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Model(card("nano"), Path("/m/nano")), Model(card("base"), Path("/m/base"))]
    monkeypatch.setattr(catalogue, "every", lambda: found)
    assert cli.main(["models"]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == (
        ["name", "kMAC/px", "params", "MiB", "gain", "dB", "clean", "dB", "summary"]
    )
    assert first.split() == (
        ["nano", "1.23", "12,345", "0.50", "webcam", "+1.25", "45.6", "for", "any", "CPU"]
    )
    assert second.startswith("base ")


def test_models_fit_eighty_columns() -> None:
    long = card("nano", summary="a summary of many words " * 5)
    console = Console(width=80)
    with console.capture() as captured:
        console.print(models.table([Model(long, Path("/m"))]))
    assert max(map(len, captured.get().splitlines())) <= 80
    assert "+1.25" in captured.get()


def test_models_shows_experts_where_a_model_has_some() -> None:
    files = {"int8": {"name": "half.onnx", "sha256": "0" * 64, "bytes": 2**18}}
    gate = {"name": "gate.json", "sha256": "0" * 64, "bytes": 2**18}
    names = ("half", "soft", "mjpeg", "call", "still")
    known = card("nano", experts=dict.fromkeys(names, files), gate=gate)
    console = Console(width=80)
    with console.capture() as captured:
        console.print(models.table([Model(known, Path("/m")), Model(card("base"), Path("/b"))]))
    head, *rows = captured.get().splitlines()
    assert "experts" in head
    assert max(map(len, rows)) <= 80
    assert all(any(name in row for row in rows[:5]) for name in names)
    assert "2.00" in rows[0]  # student, experts and gate


def test_models_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "every", lambda: [Model(card("nano"), Path("/m/nano"))])
    assert cli.main(["models", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["folder"] == "/m/nano"
    assert found["metrics"]["webcam"]["psnr_gain_db"] == 1.25


def test_no_models_is_said_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "every", list)
    monkeypatch.setattr(catalogue, "search_folders", lambda: [Path("/m")])
    assert cli.main(["models"]) == 0
    assert capsys.readouterr() == ("", "no models in /m\n")


def test_a_slow_driver_tool_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("nvidia-smi", 10)

    monkeypatch.setattr("shutil.which", lambda _: "/bin/nvidia-smi")
    monkeypatch.setattr("subprocess.run", slow)
    assert devices._gpus() == []
