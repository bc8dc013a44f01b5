from __future__ import annotations

import subprocess
import sys

import pytest

from vcsharp.errors import SettingsError
from vcsharp.sinks import make_sink, virtual_available
from vcsharp.sinks.base import Sink


def made(spec: str) -> Sink:
    return make_sink(spec, force=False, preview_port=0, pixel_format="YU12", source_path=None)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("null", "NullSink"),
        ("digest", "DigestSink"),
        ("digest:sums.txt", "DigestSink"),
        ("digest:C:/sums.mp4", "DigestSink"),
        ("preview", "PreviewSink"),
        ("preview:8000", "PreviewSink"),
        ("pyvirtualcam", "PortableSink"),
        ("pyvirtualcam:OBS Virtual Camera", "PortableSink"),
        ("out.mp4", "FileSink"),
        ("OUT.MKV", "FileSink"),
        ("C:/Videos/out.mov", "FileSink"),
        ("preview.mp4", "FileSink"),
    ],
)
def test_a_word_makes_its_sink_and_names_it(spec, kind):
    sink = made(spec)
    assert type(sink).__name__ == kind
    assert sink.name == spec


@pytest.mark.parametrize(
    ("platform", "spec", "kind"),
    [
        ("linux", "virtual", "LoopbackSink"),
        ("linux", "/dev/video10", "LoopbackSink"),
        ("linux", "/dev/v4l/by-path/x", "LoopbackSink"),
        ("win32", "virtual", "PortableSink"),
        ("darwin", "virtual", "PortableSink"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="imports fcntl")
def test_the_virtual_camera_depends_on_the_system(monkeypatch, platform, spec, kind):
    monkeypatch.setattr(sys, "platform", platform)
    sink = made(spec)
    assert type(sink).__name__ == kind
    assert sink.name == spec


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("previw", "did you mean 'preview'"),
        ("Virtual", "did you mean 'virtual'"),
        ("nul", "did you mean 'null'"),
        ("null:3", "null"),
        ("virtual:3", "/dev/videoN"),
        ("", "choose virtual"),
        ("digest:", "choose virtual"),
        ("preview:", "choose virtual"),
        ("preview:99999", "0 .any free one. to 65535"),
        ("preview:-1", "names no port"),
        ("preview:http", "names no port"),
        ("out.avi", r"ends in \.mp4, \.mov or \.mkv"),
        ("out.webm", r"ends in \.mp4, \.mov or \.mkv"),
        ("something", "choose virtual, /dev/videoN, pyvirtualcam"),
    ],
)
def test_nonsense_is_a_settings_error_with_the_choices(spec, words):
    with pytest.raises(SettingsError, match=words) as refusal:
        made(spec)
    assert f"'{spec}'" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_linux_device_elsewhere_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SettingsError, match="names a Linux device"):
        made("/dev/video10")


@pytest.mark.skipif(sys.platform != "linux", reason="v4l2loopback is Linux's")
def test_the_virtual_camera_that_would_be_used_is_named(monkeypatch):
    from vcsharp.sinks import v4l2loopback

    device = v4l2loopback.LoopbackDevice("/dev/video10", "vcsharp", writable=True)
    monkeypatch.setattr(v4l2loopback, "find_loopback", lambda: [device])
    assert virtual_available() == '/dev/video10 "vcsharp"'
    monkeypatch.setattr(v4l2loopback, "find_loopback", list)
    assert virtual_available() is None


def test_naming_sinks_imports_none_of_their_libraries():
    code = (
        "import sys, vcsharp.sinks; "
        "print([name for name in ('av', 'cv2', 'uvicorn', 'pyvirtualcam') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
