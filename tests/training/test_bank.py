"""The crop bank and its batches: repeatable, split by picture, refusing bad input in one line."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from pydantic import ValidationError
from vcsharp_training import bank, clips, images, prepare, sampling, sources
from vcsharp_training.bank_settings import BankSettings
from vcsharp_training.errors import DataError
from vcsharp_training.recipe import PhaseSettings

SMALL = {"crop_px": 32, "window_px": 96, "synthetic": 2, "crops_per_image": {"half": 2, "soft": 1}}


def _settings(**changes: object) -> BankSettings:
    return BankSettings.model_validate({**SMALL, **changes})


def _picture(seed: int, height: int = 80, width: int = 90) -> np.ndarray:
    rng = np.random.default_rng(seed)
    soft = cv2.resize(rng.uniform(0, 255, (6, 8, 3)), (width, height))
    return np.clip(soft + rng.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


def _write(path: Path, picture: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())
    return path


def _pictures(root: Path, count: int = 4) -> Path:
    for index in range(count):
        _write(root / f"{index}.png", _picture(index))
    return root


def _clip(path: Path, shades: list[int]) -> Path:
    """A small clip whose frames have these mean greys."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 80, "yuv420p"
        stream.bit_rate = 2_000_000
        texture = _picture(3, 80, 96).astype(int) // 4
        for shade in shades:
            picture = np.clip(texture + shade, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def test_the_same_recipe_cuts_the_same_bytes_on_any_number_of_processes(smoke_recipe, tmp_path):
    recipe = smoke_recipe(tmp_path)
    for name, workers in (("one", 1), ("two", 2)):
        bank.build(tmp_path / name, recipe.data, recipe.bank, seed=recipe.seed, workers=workers)
    for file in ("degraded.npy", "sharp.npy", "index.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_bank_holds_what_was_asked_for_and_knows_itself(trained):
    crops = bank.load(trained.bank_folder)
    assert crops.sharp.shape == crops.degraded.shape == (6 * 10 + 8, 64, 64)
    assert set(crops.profile) == {"half", "soft", "mjpeg", "call", "clean", bank.SYNTHETIC}
    untouched = np.isin(crops.profile, ["clean", bank.SYNTHETIC])
    same = (crops.sharp == crops.degraded).all(axis=(1, 2))
    assert same[untouched].all()
    assert not same[crops.profile == "half"].all()
    assert bank.is_current(trained.bank_folder, trained.data, trained.bank, trained.seed)
    assert not bank.is_current(trained.bank_folder, trained.data, trained.bank, trained.seed + 1)


def test_validation_pictures_are_whole_pictures_that_training_never_sees(trained):
    crops = bank.load(trained.bank_folder)
    by_picture = crops.held_out[: 6 * 10].reshape(6, 10)
    assert (by_picture == by_picture[:, :1]).all()
    assert 0 < by_picture[:, 0].sum() < 6
    assert not set(crops.rows(held_out=True)) & set(crops.rows(held_out=False))


def test_a_batch_depends_on_its_key_only_and_pairs_stay_together(trained):
    crops = bank.load(trained.bank_folder)
    rows = np.flatnonzero(crops.profile == "clean")
    phase = PhaseSettings(batch=6, patch_px=40)
    first, again, other = (sampling.batch(crops, rows, phase, (1, step)) for step in (4, 4, 5))
    assert first[0].shape == (6, 1, 40, 40)
    assert first[0].equal(again[0])
    assert not first[0].equal(other[0])
    assert first[0].equal(first[1])


def test_flats_are_different_greys():
    levels = sampling.flats(256, (0,))[:, 0, 0, 0] * 255
    assert sorted(levels.round().int().tolist()) == list(range(256))


def test_keys_that_came_later_do_not_change_the_name_of_an_old_bank():
    assert set(BankSettings().decides()) == {
        "crop_px",
        "window_px",
        "crops_per_window",
        "crops_per_image",
        "synthetic",
        "full_range_share",
        "magnify_share",
        "magnify_max",
        "validation_share",
    }
    new = _settings(profiles={"half": {}}, colour=True).decides()
    assert new["profiles"] == {"half": {"pan": None, "steps": []}}
    assert new["colour"] is True
    json.dumps(new)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no pictures in '.*': it holds no pictures"):
        images.find_images(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        images.find_images(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_a_broken_picture_is_named(tmp_path, content):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot decode '.*bad\.png'"):
        images.read_luma(tmp_path / "bad.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_picture_that_was_cut_short_is_not_taken_for_a_grey_one(tmp_path, suffix):
    path = _write(tmp_path / f"a{suffix}", _picture(0))
    whole = path.read_bytes()
    assert images.read_rgb(path).shape == (80, 90, 3)
    for share in (0.5, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DataError, match="it ends too early"):
            images.read_rgb(path)


def test_a_missing_bank_names_the_cure(tmp_path):
    with pytest.raises(DataError, match="prepare"):
        bank.load(tmp_path)


def test_luma_ranges(tmp_path):
    white = np.full((2, 2, 3), 255, np.uint8)
    assert images.to_luma(white, "limited")[0, 0] == 235
    assert images.to_luma(white, "full")[0, 0] == 255
    assert images.to_luma(0 * white, "limited")[0, 0] == 16


def test_pictures_that_cannot_be_used_are_listed_and_the_others_cut(tmp_path):
    data, folder = _pictures(tmp_path / "data"), tmp_path / "bank"
    _write(data / "small.jpg", _picture(9, 60, 200))
    (data / "torn.png").write_bytes((data / "0.png").read_bytes()[:500])
    (data / "talk.mp4").write_bytes(b"no film")
    built = bank.build(folder, data, _settings(), seed=1)
    assert len(bank.load(folder).profile) == built.crops == 4 * 3 + 2
    reasons = {skip.path.name: skip.reason for skip in built.skipped}
    assert set(reasons) == {"small.jpg", "torn.png", "talk.mp4"}
    assert reasons["small.jpg"] == "too small: 200x60, and 72 px a side are needed"
    assert "it ends too early" in reasons["torn.png"]
    assert "cannot decode" in reasons["talk.mp4"]
    assert len((folder / "skipped.txt").read_text("utf-8").splitlines()) == 3
    bank.build(folder, _pictures(tmp_path / "good"), _settings(), seed=1)
    assert not (folder / "skipped.txt").exists()


def test_the_terminal_names_twenty_skipped_files_and_counts_the_rest(tmp_path):
    skipped = [sources.Skipped(tmp_path / f"{i}.png", "too small") for i in range(23)]
    lines = prepare.listed(skipped, tmp_path)
    assert len(lines) == 21
    assert lines[0] == f"skipped '{tmp_path / '0.png'}': too small"
    assert lines[-1] == f"... and 3 more; '{tmp_path / 'skipped.txt'}' lists all 23"
    assert len(prepare.listed(skipped[:20], tmp_path)) == 20


def test_when_everything_is_skipped_one_line_says_so(tmp_path):
    for index in range(3):
        _write(tmp_path / "data" / f"{index}.png", _picture(index, 40, 40))
    with pytest.raises(DataError, match=r"at least two pictures.*0 can be used.*too small: 40x40"):
        bank.build(tmp_path / "bank", tmp_path / "data", _settings(), seed=1)
    with pytest.raises(DataError, match="no crop bank"):
        bank.load(tmp_path / "bank")


def test_the_validation_picture_is_one_that_could_be_used(tmp_path):
    data = _pictures(tmp_path / "data", 2)
    _write(data / "9.png", _picture(9, 40, 40))
    bank.build(tmp_path / "bank", data, _settings(validation_share=0), seed=1)
    assert bank.load(tmp_path / "bank").held_out.tolist() == [False] * 3 + [True] * 3 + [False] * 2


def test_pairs_enter_as_they_are_and_recordings_stay_together(tmp_path):
    data = tmp_path / "data" / "train"
    for sequence in ("GOPR0001_01_00", "GOPR0002_01_00"):
        for index in range(2):
            sharp = _picture(index)
            _write(data / sequence / "sharp" / f"{index}.png", sharp)
            _write(data / sequence / "blur" / f"{index}.png", cv2.blur(sharp, (5, 5)))
    _write(data / "GOPR0002_01_00" / "blur" / "7.png", _picture(7))
    _write(data / "GOPR0001_01_00" / "blur" / "1.png", _picture(7, 70, 90))
    settings = _settings(crops_per_pair=5, synthetic=0, full_range_share=1)
    built = bank.build(tmp_path / "bank", tmp_path / "data", settings, seed=1)
    crops = bank.load(tmp_path / "bank")
    assert crops.profile.tolist() == ["pair"] * 15
    assert crops.held_out.tolist() == [False] * 5 + [True] * 10
    assert np.std(crops.degraded) < np.std(crops.sharp)
    reasons = " ".join(skip.reason for skip in built.skipped)
    assert "no partner in 'sharp'" in reasons
    assert "another size: 90x70, and this 90x80" in reasons
    whole = images.read_luma(data / "GOPR0001_01_00" / "sharp" / "0.png", "full")
    assert whole.tobytes().find(crops.sharp[0][0].tobytes()) >= 0


def test_the_layouts_own_validation_split_is_kept(tmp_path):
    for name in ("DIV2K_train_HR/0001", "DIV2K_train_HR/0002", "DIV2K_valid_HR/0801"):
        _write(tmp_path / "data" / f"{name}.png", _picture(len(name)))
    bank.build(tmp_path / "bank", tmp_path / "data", _settings(synthetic=0), seed=1)
    assert bank.load(tmp_path / "bank").held_out.tolist() == [False] * 6 + [True] * 3


def test_of_clips_frames_are_taken_with_a_stride_and_none_twice(tmp_path):
    path = _clip(tmp_path / "a.mp4", [10, 0, 60, 0, 60, 0, 110, 0, 160, 0])
    shades = [frame.mean() for frame in clips.frames(path, 2, 99)]
    assert len(shades) == 4
    assert shades == sorted(shades)
    assert len(list(clips.frames(path, 2, 2))) == 2
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"cannot decode '.*a\.mp4': .*; remove or replace it"):
        list(clips.frames(path, 2, 99))


def test_clips_become_crops_and_count_as_one_source(tmp_path):
    data = _pictures(tmp_path / "data", 2)
    _clip(data / "z.mp4", [10, 60, 110, 160])
    settings = _settings(clip_stride=1, validation_share=0, synthetic=0)
    bank.build(tmp_path / "bank", data, settings, seed=1)
    assert bank.load(tmp_path / "bank").held_out.tolist() == [False] * 6 + [True] * 12


def test_a_colour_bank_holds_rgb(tmp_path):
    data = tmp_path / "data"
    for index in range(3):
        _write(data / f"{index}.png", np.full((80, 90, 3), (200, 40, 10), np.uint8))
    counts = {"half": 1, "mjpeg": 1, "clean": 1}
    bank.build(tmp_path / "bank", data, _settings(colour=True, crops_per_image=counts), seed=1)
    crops = bank.load(tmp_path / "bank")
    assert crops.degraded.shape == crops.sharp.shape == (3 * 3 + 2, 32, 32, 3)
    assert (crops.sharp[:9] == (10, 40, 200)).all()
    assert np.abs(crops.degraded[:9].mean(axis=(1, 2)) - (10, 40, 200)).max() < 4


def test_a_temporal_bank_holds_the_frame_before(tmp_path):
    data, folder = _pictures(tmp_path / "data", 3), tmp_path / "bank"
    counts = {"soft": 2, "call": 2, "clean": 2}
    settings = _settings(temporal=True, crops_per_image=counts, window_px=120)
    bank.build(folder, data, settings, seed=1)
    crops = bank.load(folder)
    assert crops.before_degraded is not None
    assert crops.before_sharp is not None
    still = (crops.before_sharp == crops.sharp).all(axis=(1, 2))
    assert still[crops.profile != "call"].all()
    assert not still[crops.profile == "call"].all()
    fresh = (crops.before_degraded != crops.degraded).any(axis=(1, 2))
    assert fresh[crops.profile == "soft"].all()
    assert not fresh[np.isin(crops.profile, ["clean", bank.SYNTHETIC])].any()
    bank.build(folder, data, _settings(), seed=1)
    assert bank.load(folder).before_sharp is None


def test_a_teachers_pictures_are_opened_and_end_with_the_bank_they_belong_to(tmp_path):
    data, folder = _pictures(tmp_path / "data"), tmp_path / "bank"
    bank.build(folder, data, _settings(), seed=1)
    assert bank.load(folder).taught is None
    np.save(folder / "taught.npy", bank.load(folder).sharp)
    taught = bank.load(folder).taught
    assert taught is not None
    assert np.array_equal(taught, bank.load(folder).sharp)
    np.save(folder / "taught.npy", taught[:3])
    with pytest.raises(DataError, match=r"torn: 'taught.npy' has shape \(3, 32, 32\)"):
        bank.load(folder)
    bank.build(folder, data, _settings(), seed=2)
    assert bank.load(folder).taught is None


def test_a_profile_of_the_recipes_own_is_cut(tmp_path):
    chain = {"steps": [{"kind": "motion", "length_px": 9}, {"kind": "jpeg", "quality": 30}]}
    settings = _settings(profiles={"shaken": chain}, crops_per_image={"shaken": 2, "half": 1})
    bank.build(tmp_path / "bank", _pictures(tmp_path / "data"), settings, seed=1)
    crops = bank.load(tmp_path / "bank")
    assert (crops.profile == "shaken").sum() == 8
    assert (crops.sharp != crops.degraded)[crops.profile == "shaken"].any(axis=(1, 2)).all()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"crops_per_image": {"cal": 1}}, "'cal' is no profile; there are half, soft, mjpeg"),
        ({"profiles": {"mine": {}}}, "profile 'mine' gets no crops"),
        ({"profiles": {"pair": {}}}, "'pair' is taken"),
        ({"window_px": 64, "crop_px": 96}, "window_px = 64 is too small for crops of 96 px"),
        ({"profiles": {"half": {"step": []}}}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_cut(changes, says):
    with pytest.raises(ValidationError, match=says):
        _settings(**changes)


def test_a_full_disk_is_one_line_and_leaves_neither_bank_nor_files(tmp_path, monkeypatch):
    """The device that is always full stands for the disk."""
    data, folder = _pictures(tmp_path / "data"), tmp_path / "bank"
    bank.build(folder, data, _settings(), seed=1)
    plain_open = Path.open

    def onto_full_disk(path, mode="r", **how):
        return plain_open(Path("/dev/full") if path.name == "sharp.npy" else path, mode, **how)

    monkeypatch.setattr(Path, "open", onto_full_disk)
    with pytest.raises(DataError, match=r"after .* crops: no space is left; free some, give"):
        bank.build(folder, data, _settings(), seed=2)
    monkeypatch.undo()
    assert list(folder.iterdir()) == []
    with pytest.raises(DataError, match="no crop bank"):
        bank.load(folder)


def test_a_bank_that_cannot_fit_is_refused_before_the_old_one_goes(tmp_path, monkeypatch):
    data, folder = _pictures(tmp_path / "data"), tmp_path / "bank"
    bank.build(folder, data, _settings(), seed=1)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    bank.build(folder, data, _settings(), seed=3)
    with pytest.raises(DataError, match=r"no room for the crop bank .* lower crops_per_image"):
        bank.build(folder, data, _settings(crop_px=40, window_px=120), seed=2)
    assert bank.is_current(folder, data, _settings(), 3)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"cannot write the crop bank .* give another --work"):
        bank.build(tmp_path / "file" / "bank", _pictures(tmp_path / "d"), _settings(), seed=1)


def test_ctrl_c_while_cutting_leaves_nothing_that_loads(tmp_path):
    data, folder = _pictures(tmp_path / "data"), tmp_path / "bank"
    bank.build(folder, data, _settings(), seed=1)

    def press(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bank.build(folder, data, _settings(), seed=2, workers=2, progress=press)
    with pytest.raises(DataError, match="no crop bank"):
        bank.load(folder)


KILLED = """
import os, signal, sys
from pathlib import Path
from vcsharp_training import bank
from vcsharp_training.bank_settings import BankSettings
settings = BankSettings.model_validate_json(sys.argv[3])
kill = lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if done == 2 else None
bank.build(Path(sys.argv[1]), Path(sys.argv[2]), settings, seed=2, progress=kill)
"""


def test_killed_while_cutting_leaves_nothing_that_loads_and_can_be_cut_again(tmp_path):
    data, folder = _pictures(tmp_path / "data"), tmp_path / "bank"
    bank.build(folder, data, _settings(), seed=1)
    arguments = [folder, data, _settings().model_dump_json()]
    ended = subprocess.run([sys.executable, "-c", KILLED, *map(str, arguments)], check=False)
    assert ended.returncode == -signal.SIGKILL
    with pytest.raises(DataError, match="no crop bank"):
        bank.load(folder)
    bank.build(folder, data, _settings(), seed=2)
    assert len(bank.load(folder).profile) == 14
