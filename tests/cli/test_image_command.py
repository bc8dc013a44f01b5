"""`vcsharp image` as a person calls it."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from vcsharp import cli, stills
from vcsharp.commands import image
from vcsharp.engine.worker import EngineFacts
from vcsharp.errors import BackendUnavailableError

from .pictures import FakeSharpener, Pixels, file_of, scene


class FakeEngine(FakeSharpener):
    """The engine's face, with the fake work inside."""

    facts = EngineFacts("fake", "none", "cpu", "int8", 512)

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *_: object) -> None:
        pass


Call = Callable[..., int]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Runs the command in an empty folder, with an engine that adds 10 to luma."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(image, "choose", lambda *_: FakeEngine())
    return lambda *argv: cli.main(["image", *argv])


def put(name: str, pixels: Pixels | None = None) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file_of(path.suffix[1:], scene(20, 30) if pixels is None else pixels))
    return path


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_pictures_and_folders_are_sharpened(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    put("photos/a.png")
    put("photos/b.JPG")
    put("photos/sub/deep.png")
    Path("photos/notes.txt").write_text("no picture")
    put("c.webp")
    assert call("photos", "c.webp", "--output", "made/out") == 0
    assert names("made/out") == ["a.png", "b.JPG", "c.webp"]
    before, after = stills.read(Path("photos/a.png")), stills.read(Path("made/out/a.png"))
    assert np.array_equal(after.pixels, before.pixels + 10)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "model: fake (int8 on cpu)\n3 of 3 written to made/out\n"


def test_faults_are_one_line_each_and_the_others_go_on(
    call: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("empty.png").touch()
    Path("text.png").write_text("hello")
    whole = put("cut.png").read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    Path("nothing").mkdir()
    put("good.png")
    given = ["empty.png", "text.png", "gone.png", "nothing", "cut.png", "good.png"]
    assert call(*given, "--output", "out") == 1
    assert names("out") == ["good.png"]
    assert capfd.readouterr().err.splitlines() == [
        "vcsharp: 'nothing': no pictures in this folder",
        "model: fake (int8 on cpu)",
        "vcsharp: 'empty.png': the file is empty",
        "vcsharp: 'text.png': not a PNG, JPEG, WebP, BMP or TIFF picture",
        "vcsharp: 'gone.png': no such file",
        "vcsharp: 'cut.png': is damaged or cut off",
        "1 of 5 written to out, 5 failed",
    ]


def test_what_exists_stays_unless_forced(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    put("a.png")
    Path("out").mkdir()
    Path("out/a.png").write_text("precious")
    assert call("a.png", "--output", "out") == 1
    assert "'out/a.png' exists; --force overwrites it" in capsys.readouterr().err
    assert Path("out/a.png").read_text() == "precious"
    assert call("a.png", "--output", "out", "--force") == 0
    assert stills.read(Path("out/a.png")).pixels.shape == (20, 30, 3)


def test_an_input_is_never_overwritten(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    original = put("photos/a.png").read_bytes()
    put("other/a.png")
    Path("link").symlink_to("photos")
    for output in ("photos", "link", "other/../photos"):
        assert call("other/a.png", "photos/a.png", "--output", output, "--force") == 1
        assert "is an input; choose another --output folder" in capsys.readouterr().err
        assert Path("photos/a.png").read_bytes() == original


def test_inputs_of_the_same_name_get_different_results(call: Call) -> None:
    for folder, level in (("one", 50), ("two", 100), ("three", 150)):
        name = "A.png" if folder == "three" else "a.png"
        put(f"{folder}/{name}", np.full((4, 4, 3), level, np.uint8))
    put("a-2.png", np.full((4, 4, 3), 200, np.uint8))
    assert call("one", "two", "three", "a-2.png", "--output", "out") == 0
    levels = {path.name: int(stills.read(path).pixels[0, 0, 0]) for path in Path("out").iterdir()}
    assert levels == {"a.png": 60, "a-2.png": 110, "A-3.png": 160, "a-2-2.png": 210}


def test_the_same_picture_named_twice_is_sharpened_once(call: Call) -> None:
    put("a.png")
    assert call("a.png", "./a.png", ".", "--output", "out") == 0
    assert names("out") == ["a.png"]


@pytest.mark.parametrize(("wanted", "name"), [("jpg", "a.jpg"), ("webp", "a.webp")])
def test_another_format_can_be_chosen(call: Call, wanted: str, name: str) -> None:
    put("a.png")
    assert call("a.png", "--output", "out", "--format", wanted) == 0
    assert names("out") == [name]
    assert stills.read(Path("out") / name).kind == wanted


def test_a_wrong_ending_is_put_right(call: Call) -> None:
    put("a.png").rename("a.jpg")
    put("b.jpg").rename("b.jpeg")
    assert call("a.jpg", "b.jpeg", "--output", "out") == 0
    assert names("out") == ["a.png", "b.jpeg"]


def test_the_strength_reaches_the_engine(call: Call) -> None:
    put("a.png")
    assert call("a.png", "--output", "out", "--strength", "2") == 0
    before, after = stills.read(Path("a.png")), stills.read(Path("out/a.png"))
    assert np.array_equal(after.pixels, before.pixels + 20)


def test_an_output_that_is_a_file_is_refused(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    put("a.png")
    Path("out").touch()
    assert call("a.png", "--output", "out") == 2
    assert "output: 'out' is a file, not a folder" in capsys.readouterr().err
    assert call("a.png", "--output", "out/below") == 1
    assert "cannot create the folder 'out/below': Not a directory" in capsys.readouterr().err


def test_an_engine_that_cannot_start_ends_the_command_before_it_made_anything(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(*_: object) -> FakeEngine:
        raise BackendUnavailableError("nothing runs here")

    put("a.png")
    monkeypatch.setattr(image, "choose", none)
    assert call("a.png", "--output", "out") == 3
    assert capsys.readouterr().err == "vcsharp: nothing runs here\n"
    assert not Path("out").exists()


def test_ctrl_c_leaves_only_whole_files(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abc":
        put(f"in/{name}.png")
    calls = iter(range(3))

    def interrupted(luma: NDArray[np.uint8]) -> int:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return 10

    monkeypatch.setattr(image, "choose", lambda *_: FakeEngine(interrupted))
    assert call("in", "--output", "out") == 130
    assert names("out") == ["a.png"]
    assert capsys.readouterr().err.splitlines()[1:] == ["1 of 3 written to out"]


def test_too_little_memory_is_a_fault_of_one_picture(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put("a.png")
    put("b.png", np.full((4, 4, 3), 9, np.uint8))

    def hungry(luma: NDArray[np.uint8]) -> int:
        if luma.shape != (4, 4):
            raise MemoryError
        return 1

    monkeypatch.setattr(image, "choose", lambda *_: FakeEngine(hungry))
    assert call("a.png", "b.png", "--output", "out") == 1
    assert "'a.png': not enough memory" in capsys.readouterr().err
    assert names("out") == ["b.png"]


def test_a_name_with_control_characters_cannot_write_to_the_terminal(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a\x1b[2J\n.png").touch()
    assert call(".", "--output", "out") == 1
    assert "vcsharp: 'a\\x1b[2J\\n.png': the file is empty\n" in capsys.readouterr().err


def test_several_pictures_show_a_bar_on_a_terminal(call: Call) -> None:
    for name in "ab":
        put(f"in/{name}.png")
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    assert image.main(["in", "--output", "out"], console) == 0
    assert "2/2" in out.getvalue()
    out.truncate(0)
    assert image.main(["in/a.png", "--output", "out2"], console) == 0
    assert "1/1" not in out.getvalue()


def test_without_a_network_every_sample_stays(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    assert cv2.imwrite(str(path), scene(37, 53, 3, np.uint16))
    assert cli.main(["image", str(path), "--output", str(tmp_path / "o"), "--model", "none"]) == 0
    again = stills.read(tmp_path / "o" / "in.png")
    assert np.array_equal(again.pixels, stills.read(path).pixels)
