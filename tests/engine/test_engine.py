"""Backends against slow references, tiles against the whole, greys against themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcsharp.catalogue import find
from vcsharp.engine.backend import NullBackend
from vcsharp.engine.ort import OrtBackend
from vcsharp.engine.torch_cuda import TorchBackend
from vcsharp.engine.worker import Engine, choose
from vcsharp.errors import BackendUnavailableError, ModelError, ModelNotFoundError, SettingsError
from vcsharp.frame import Color, ColorRange, Frame, black, frame_bytes

from .conftest import random_net, slow_fp32, slow_int8

STRENGTHS = [0.0, 0.3, 1.0, 2.0]
WHOLE_PX = 100_000


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Noise with edges: smooth enough for a trained student to have something to do."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 6 + 2, width // 6 + 2)).astype(np.uint8)
    return np.kron(coarse, np.ones((6, 6), np.uint8))[:height, :width]


def worst(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize("strength", STRENGTHS)
def test_int8_equals_the_slow_integer_reference(random_model, int_layers, strength):
    plane = noise(48, 64)
    with Engine(OrtBackend(random_model, "int8", "cpu", 2), random_model) as engine:
        got = engine.sharpen_luma(plane, strength)
    expected = slow_int8(plane, int_layers, strength)
    # The runtime requantises in single precision: a level that falls on a half may go either way,
    # and the next layers carry it on.
    assert worst(got, expected) <= 2
    assert (got != expected).mean() < 0.02


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("backend", [OrtBackend, TorchBackend])
def test_float_backends_equal_the_slow_reference(random_model, backend, strength):
    plane = noise(48, 64)
    with Engine(backend(random_model, "fp32", "cpu", 2), random_model) as engine:
        got = engine.sharpen_luma(plane, strength)
    expected = slow_fp32(plane, random_net(3), strength)
    assert worst(got, expected) <= 1
    assert (got != expected).mean() < 0.01


def test_the_random_students_change_the_picture_a_lot(random_model):
    plane = noise(48, 64)
    for precision in ("int8", "fp32"):
        with Engine(OrtBackend(random_model, precision, "cpu", 1), random_model) as engine:
            assert worst(engine.sharpen_luma(plane, 1.0), plane) > 20


sides = st.one_of(st.integers(16, 40), st.integers(41, 400))


@settings(deadline=None, max_examples=60)
@given(sides, sides, st.sampled_from([64, 96, 200, 512]), st.integers(0, 99))
def test_int8_tiles_equal_the_whole_frame_bit_for_bit(random_model, width, height, tile_px, seed):
    plane = noise(height, width, seed)
    with (
        Engine(OrtBackend(random_model, "int8", "cpu", 2), random_model, tile_px) as tiled,
        Engine(OrtBackend(random_model, "int8", "cpu", 1), random_model, WHOLE_PX) as whole,
    ):
        assert len(whole.plan(width, height).tiles) == 1
        assert (tiled.sharpen_luma(plane, 1.0) == whole.sharpen_luma(plane, 1.0)).all()


@pytest.mark.parametrize("size", [(1080, 1920), (1079, 1919), (720, 1281), (16, 16), (17, 4099)])
def test_int8_tiles_equal_the_whole_frame_at_real_sizes(size):
    plane, nano = picture(*size), find("nano")
    with (
        Engine(OrtBackend(nano, "int8", "cpu", 2), nano, 512) as tiled,
        Engine(OrtBackend(nano, "int8", "cpu", 1), nano, WHOLE_PX) as whole,
    ):
        assert (tiled.sharpen_luma(plane, 1.0) == whole.sharpen_luma(plane, 1.0)).all()


@settings(deadline=None, max_examples=20)
@given(sides, sides)
def test_float_tiles_equal_the_whole_frame_within_a_level(random_model, width, height):
    plane = noise(height, width)
    with (
        Engine(TorchBackend(random_model, "fp32", "cpu", 0), random_model, 96) as tiled,
        Engine(TorchBackend(random_model, "fp32", "cpu", 0), random_model, WHOLE_PX) as whole,
    ):
        assert worst(tiled.sharpen_luma(plane, 1.0), whole.sharpen_luma(plane, 1.0)) <= 1


@pytest.fixture(scope="module")
def nano():
    with choose("nano", "cpu", "ort", "int8", 0, 512) as engine:
        yield engine


def test_the_shipped_backends_agree(nano):
    plane = picture(240, 320)
    with choose("nano", "cpu", "torch", "fp32", 0, 512) as torch_engine:
        exact = torch_engine.sharpen_luma(plane, 1.0)
    with choose("nano", "cpu", "ort", "fp32", 0, 512) as ort_engine:
        assert worst(ort_engine.sharpen_luma(plane, 1.0), exact) <= 1
    difference = nano.sharpen_luma(plane, 1.0).astype(int) - exact
    assert np.abs(difference).mean() < 1


@pytest.mark.parametrize("color_range", list(ColorRange))
@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_a_grey_ramp_stays_itself(nano, color_range, strength):
    low, high = (0, 255) if color_range is ColorRange.FULL else (16, 235)
    ramp = np.linspace(low, high, 1920).round().astype(np.uint8)
    frame = black(1920, 256, Color(color_range))
    frame.y[:] = ramp
    nano.strength = strength
    result = nano.process(frame)
    nano.strength = 1.0
    assert worst(result.y, frame.y) <= 1
    assert (result.u == 128).all()


@pytest.mark.parametrize("matrix_bars", [(235, 219, 188, 173, 78, 63, 32, 16)])
def test_colour_bars_keep_their_colour(nano, matrix_bars):
    frame = black(1920, 1080)
    for index, level in enumerate(matrix_bars):
        frame.y[:, 240 * index : 240 * (index + 1)] = level
    frame.u[:] = np.repeat(np.linspace(40, 200, 8).astype(np.uint8), 120)
    result = nano.process(frame)
    assert (result.u == frame.u).all()
    assert (result.v == frame.v).all()
    inside = np.ones(1920, bool)
    for edge in range(240, 1920, 240):
        inside[edge - 8 : edge + 8] = False
    assert worst(result.y[:, inside], frame.y[:, inside]) <= 1


def test_every_flat_grey_stays_itself(nano):
    for level in range(256):
        flat = np.full((48, 48), level, np.uint8)
        assert worst(nano.sharpen_luma(flat, 1.0), flat) <= 1


def test_strength_zero_returns_the_input_bytes(nano):
    data = np.random.default_rng(1).integers(0, 256, frame_bytes(321, 183)).astype(np.uint8)
    frame = Frame(data.copy(), 321, 183)
    nano.strength = 0.0
    result = nano.process(frame)
    nano.strength = 1.0
    assert result.data.tobytes() == data.tobytes()


def test_a_frame_is_never_written_to_and_keeps_its_facts(nano):
    data = np.random.default_rng(1).integers(0, 256, frame_bytes(320, 180)).astype(np.uint8)
    frame = Frame(data.copy(), 320, 180, sequence=7, captured_ns=3)
    result = nano.process(frame)
    assert frame.data.tobytes() == data.tobytes()
    assert (result.sequence, result.captured_ns, result.color) == (7, 3, frame.color)
    assert result.data[320 * 180 :].tobytes() == data[320 * 180 :].tobytes()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (16, 16), (15, 2000)])
def test_any_size_works(nano, size):
    assert nano.sharpen_luma(noise(*size), 1.0).shape == size


def test_more_strength_changes_more(nano):
    plane = picture(240, 320).astype(float)
    soft = np.clip((plane + np.roll(plane, 1, 0) + np.roll(plane, 1, 1)) / 3, 0, 255)
    plane = soft.astype(np.uint8)
    change = [
        np.abs(nano.sharpen_luma(plane, strength).astype(int) - plane).mean()
        for strength in (0.0, 0.5, 1.0, 2.0)
    ]
    assert change[0] == 0 < change[1] < change[2] < change[3]


def test_the_null_backend_copies(nano):
    plane = noise(100, 200)
    with Engine(NullBackend(), None, 64) as engine:
        assert (engine.sharpen_luma(plane, 1.0) == plane).all()


def test_unknown_models_are_named_with_the_known_ones():
    with pytest.raises(ModelNotFoundError, match=r"no model named 'huge'; known: .*nano"):
        choose("huge", "cpu", "auto", "auto", 0, 512)


def test_a_damaged_file_is_refused(random_model, tmp_path):
    import shutil

    folder = shutil.copytree(random_model.folder, tmp_path / "broken")
    path = folder / "model.int8.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="does not match the checksum"):
        choose(str(folder), "cpu", "ort", "int8", 0, 512)


@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_missing_gpu_is_an_error_when_asked_for_by_name(device):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(BackendUnavailableError, match="cpu"):
        choose("nano", device, "auto", "auto", 0, 512)


def test_a_gpu_that_cannot_be_used_is_told_and_the_cpu_taken(monkeypatch, caplog):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.setattr("vcsharp.engine.worker.has_nvidia", lambda: True)
    with choose("nano", "auto", "auto", "auto", 0, 512) as engine:
        assert (engine.facts.device, engine.facts.precision) == ("cpu", "int8")
    (record,) = caplog.records
    assert "sees no GPU" in record.getMessage()
    assert "using cpu instead" in record.getMessage()


def test_impossible_wishes_are_explained():
    with pytest.raises(BackendUnavailableError, match="int8 needs"):
        choose("nano", "cpu", "torch", "int8", 0, 512)


def test_tiles_smaller_than_their_halos_are_refused():
    with pytest.raises(SettingsError, match="tile_px must exceed"):
        choose("nano", "cpu", "ort", "int8", 0, 24)
