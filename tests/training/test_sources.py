"""What is found below a folder: layouts of the wild, and what is listed instead of used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from vcsharp_training import pairs, sources
from vcsharp_training.errors import DataError


def _touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def _twins(root: Path, found: sources.Found) -> list[tuple[str, str]]:
    return [
        (source.blurred.relative_to(root).as_posix(), source.path.relative_to(root).as_posix())
        for source in found.sources
        if source.blurred
    ]


def test_a_plain_folder_is_all_pictures_and_clips_in_order_of_their_paths(tmp_path):
    root = _touch(tmp_path, "b/2.PNG", "a/1.jpg", "c.webp", "notes.txt", "a/talk.mp4", ".d.png")
    _touch(root, "__MACOSX/a/1.jpg", ".cache/3.png")
    found = sources.find(root)
    assert [(s.path.relative_to(root).as_posix(), s.kind) for s in found.sources] == [
        ("a/1.jpg", "picture"),
        ("a/talk.mp4", "clip"),
        ("b/2.PNG", "picture"),
        ("c.webp", "picture"),
    ]
    assert found.skipped == []


def test_gopro_by_sequence_is_taken_with_every_kind_of_blur(tmp_path):
    sequence = "train/GOPR0372_07_00"
    root = _touch(
        tmp_path,
        *(f"{sequence}/{side}/00004{i}.png" for side in ("blur", "blur_gamma") for i in (1, 2)),
        *(f"{sequence}/sharp/00004{i}.png" for i in (1, 2, 3)),
        f"{sequence}/frames.txt",
    )
    found = sources.find(root)
    assert _twins(root, found) == [
        (f"{sequence}/{side}/00004{i}.png", f"{sequence}/sharp/00004{i}.png")
        for side in ("blur", "blur_gamma")
        for i in (1, 2)
    ]
    assert {source.group for source in found.sources} == {"GOPR0372_07_00"}
    assert [str(skip) for skip in found.skipped] == [
        f"skipped '{root / sequence / 'sharp/000043.png'}': no partner in 'blur', 'blur_gamma'"
    ]


@pytest.mark.parametrize(
    ("blurred", "sharp"),
    [("blur", "sharp"), ("blurred", "sharp"), ("input", "target"), ("Blurred", "GT")],
)
def test_flat_gopro_keeps_sequences_together_and_leaves_test_for_measuring(
    tmp_path, blurred, sharp
):
    names = ("GOPR0372_07_00-000047.png", "GOPR0372_07_00-000048.png", "GOPR0374_11_01-000001.png")
    root = _touch(tmp_path, *(f"train/{side}/{n}" for side in (blurred, sharp) for n in names))
    _touch(root, *(f"test/{side}/GOPR0384_11_00-000001.png" for side in (blurred, sharp)))
    found = sources.find(root)
    assert _twins(root, found) == [(f"train/{blurred}/{n}", f"train/{sharp}/{n}") for n in names]
    assert [s.group for s in found.sources] == ["GOPR0372_07_00"] * 2 + ["GOPR0374_11_01"]
    assert found.notes == [f"left out 1 test pairs in '{root}': they are for measuring"]
    assert len(sources.find(root / "test").sources) == 1


@pytest.mark.parametrize(
    ("blurred", "sharp"),
    [
        (("1.png", "2.png"), ("1.png", "2.png")),
        (("1.png", "2.png"), ("1.jpg", "2.jpg")),
        (("1_blur.png", "2_blur.png"), ("1_sharp.png", "2_sharp.png")),
        (("blurred_1.png", "blurred_2.png"), ("1.png", "2.png")),
        (("1_PHONE-SE_F.JPG", "2_PHONE-SE_F.JPG"), ("1_PHONE-SE_S.JPG", "2_PHONE-SE_S.JPG")),
        (("blurImage1_b.png", "blurImage2_b.png"), ("sharpImage1_s.png", "sharpImage2_s.png")),
        (("cat_blur.png",), ("cat.png",)),
        (("a/1.png", "b/1.png"), ("a/1.png", "b/1.png")),
    ],
)
def test_twins_are_found_though_their_names_differ_in_words(tmp_path, blurred, sharp):
    base = "Blur2Sharp"
    root = _touch(tmp_path, *(f"{base}/blur_Image/{name}" for name in blurred))
    _touch(root, *(f"{base}/sharp_Image/{name}" for name in sharp))
    found = sources.find(root)
    assert _twins(root, found) == [
        (f"{base}/blur_Image/{one}", f"{base}/sharp_Image/{other}")
        for one, other in zip(blurred, sharp, strict=True)
    ]
    assert found.skipped == []


def test_what_could_be_the_twin_of_two_is_nobodys(tmp_path):
    root = _touch(tmp_path, "blur/7.png", "blur/8.png", "sharp/7_sharp.png", "sharp/sharp_7.jpg")
    _touch(root, "sharp/8.png")
    found = sources.find(root)
    assert _twins(root, found) == [("blur/8.png", "sharp/8.png")]
    assert {skip.path.name for skip in found.skipped} == {"7.png", "7_sharp.png", "sharp_7.jpg"}


def test_two_blurs_of_one_sharp_picture_are_held_out_together(tmp_path):
    root = _touch(tmp_path, "defocused_blurred/0_A_F.jpg", "motion_blurred/0_A_M.jpg")
    _touch(root, "defocused_blurred/1_A_F.jpg", "motion_blurred/1_A_M.jpg")
    found = sources.find(_touch(root, "sharp/0_A_S.jpg", "sharp/1_A_S.jpg"))
    assert [source.group for source in found.sources] == ["0_A_S", "1_A_S"] * 2


def test_sides_that_name_their_split_go_with_their_like(tmp_path):
    root = _touch(
        tmp_path,
        *(f"{side}_{split}/1.png" for side in ("blur", "sharp") for split in ("train", "val")),
    )
    found = sources.find(root)
    assert [(source.path.parent.name, source.split) for source in found.sources] == [
        ("sharp_train", None),
        ("sharp_val", "valid"),
    ]


def test_pictures_beside_pairs_are_pictures(tmp_path):
    root = _touch(tmp_path, "people/1.jpg", "shaken/blur/1.png", "shaken/sharp/1.png")
    assert [source.kind for source in sources.find(root).sources] == ["picture", "pair"]


def test_a_folder_called_sharp_alone_is_of_pictures(tmp_path):
    root = _touch(tmp_path, "sharp/1.jpg", "cats/2.jpg")
    assert {source.kind for source in sources.find(root).sources} == {"picture"}


def test_of_div2k_the_full_size_pictures_are_taken(tmp_path):
    root = _touch(tmp_path, "DIV2K_train_HR/0001.png", "DIV2K_valid_HR/0801.png")
    _touch(root, "DIV2K_train_LR_bicubic/X2/0001x2.png", "DIV2K_train_LR_bicubic/X4/0001x4.png")
    found = sources.find(root)
    assert [(s.path.name, s.split) for s in found.sources] == [
        ("0001.png", None),
        ("0801.png", "valid"),
    ]
    assert found.notes == [f"left out 2 reduced pictures in '{root / 'DIV2K_train_LR_bicubic'}'"]
    assert sources.find(root / "DIV2K_valid_HR").sources[0].split is None
    assert len(sources.find(root / "DIV2K_train_LR_bicubic").sources) == 2


def test_an_empty_folder_a_missing_one_and_one_of_orphans_get_one_clear_line(tmp_path):
    with pytest.raises(DataError, match=r"no pictures in '.*': it holds no pictures; give"):
        sources.find(tmp_path)
    with pytest.raises(DataError, match=r"no pictures in '.*nowhere': it is not a folder; give"):
        sources.find(tmp_path / "nowhere")
    _touch(tmp_path, "blur/1.png", "sharp/2.png")
    with pytest.raises(DataError, match=r"2 skipped, the first '.*1.png': no partner in 'sharp'"):
        sources.find(tmp_path)


def test_a_dangling_link_is_listed(tmp_path):
    root = _touch(tmp_path, "1.png")
    (root / "2.png").symlink_to(root / "gone.png")
    assert [skip.reason for skip in sources.find(root).skipped] == ["a link to nothing"]


def test_a_folder_that_may_not_be_read_is_listed(tmp_path, monkeypatch):
    root = _touch(tmp_path, "open/1.png", "shut/2.png")
    scan = os.scandir

    def refuse(path):
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = sources.find(root)
    assert [source.path.name for source in found.sources] == ["1.png"]
    assert str(found.skipped[0]).endswith("shut': cannot be read: Permission denied")


def test_a_large_folder_is_matched_whole():
    sides = Path("/d/blur"), Path("/d/sharp")
    blurred, sharp = ([side / f"{i:05d}_{side.name}.png" for i in range(1000)] for side in sides)
    twins = pairs.match(blurred, sharp, sides)
    assert len(twins.matched) == 1000
    assert twins.alone == []
