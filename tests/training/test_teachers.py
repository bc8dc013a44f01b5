"""A teacher's promise: RGB of any size in, the same size out, whatever the network wants."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from vcsharp_training import teachers
from vcsharp_training.errors import RecipeError, TeacherError
from vcsharp_training.teachers import gate, measure
from vcsharp_training.teachers.nafnet import NAFNet, Shape
from vcsharp_training.teachers.restormer import Restormer
from vcsharp_training.teachers.restormer import Shape as RestormerShape
from vcsharp_training.teachers.teacher import Fit, Teacher, luma


class Spy(nn.Module):
    """Repeats pixels, and remembers what it was fed."""

    def __init__(self, scale: int = 1, outputs: int | None = None) -> None:
        super().__init__()
        self.scale, self.outputs = scale, outputs
        self.fed = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        self.fed = x
        large = x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)
        return large[:, : self.outputs]


def _rgb(height: int = 24, width: int = 32) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("size", [(16, 16), (17, 23), (40, 33)])
@pytest.mark.parametrize("multiple", [1, 8, 32])
def test_any_size_is_padded_for_the_network_and_cut_back(
    size: tuple[int, int], multiple: int
) -> None:
    spy, rgb = Spy(), _rgb(*size)
    assert torch.equal(Teacher("spy", spy, Fit(multiple=multiple)).restore(rgb), rgb)
    assert all(side % multiple == 0 for side in spy.fed.shape[2:])
    assert torch.equal(spy.fed[..., : size[0], : size[1]], rgb)


def test_padding_mirrors_the_picture() -> None:
    spy, rgb = Spy(), _rgb(17, 16)
    Teacher("spy", spy, Fit(multiple=4)).restore(rgb)
    assert torch.equal(spy.fed[:, :, 17:], rgb[:, :, [15, 14, 13]])


@pytest.mark.parametrize("scale", [2, 4])
def test_an_enlarging_network_is_fed_means_and_its_output_is_averaged(scale: int) -> None:
    spy, rgb = Spy(scale), _rgb()
    restored = Teacher("spy", spy, Fit(reduce=2, scale=scale)).restore(rgb)
    means = rgb.reshape(2, 3, 12, 2, 16, 2).mean(dim=(3, 5))
    assert torch.allclose(spy.fed, means)
    assert torch.allclose(restored, means.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_a_luma_network_leaves_the_chroma_alone() -> None:
    class Brighter(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + 0.01

    rgb = 0.1 + 0.8 * _rgb()
    restored = Teacher("brighter", Brighter(), Fit(channels=1)).restore(rgb)
    assert torch.allclose(restored, rgb + 0.01)


def test_a_network_for_two_views_gets_the_picture_twice() -> None:
    spy, rgb = Spy(outputs=3), _rgb()
    Teacher("spy", spy, Fit(channels=6)).restore(rgb)
    assert torch.equal(spy.fed, torch.cat([rgb, rgb], 1))


def test_what_a_teacher_makes_is_clipped_and_asks_for_no_gradient() -> None:
    conv = nn.Conv2d(3, 3, 1)
    nn.init.constant_(conv.weight, 5.0)
    teacher = Teacher("conv", conv, Fit())
    restored = teacher.restore(_rgb())
    assert restored.max() == 1
    assert not restored.requires_grad
    assert not any(weight.requires_grad for weight in teacher.net.parameters())
    student = nn.Conv2d(3, 3, 1)
    (student(_rgb()) * restored).mean().backward()
    assert student.weight.grad is not None


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 1, 16, 16), (1, 3, 15, 16)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least 16 px"):
        Teacher("spy", Spy(), Fit()).restore(torch.zeros(shape))


def test_features_are_the_outputs_of_the_named_levels() -> None:
    net = Restormer(RestormerShape(width=4, blocks=(1, 1, 1, 1), heads=(1, 1, 1, 1), refinement=1))
    teacher, rgb = Teacher("small", net, Fit(multiple=8)), _rgb()
    restored, maps = teacher.features(rgb)
    assert teacher.widths == {
        "encoder_level1": 4,
        "encoder_level2": 8,
        "encoder_level3": 16,
        "latent": 32,
    }
    sizes = {level: tuple(found.shape) for level, found in maps.items()}
    assert sizes == {
        "encoder_level1": (2, 4, 24, 32),
        "encoder_level2": (2, 8, 12, 16),
        "encoder_level3": (2, 16, 6, 8),
        "latent": (2, 32, 3, 4),
    }
    assert torch.equal(restored, teacher.restore(rgb))
    with torch.no_grad():
        first = net.encoder_level1(net.patch_embed(rgb))
    assert torch.equal(maps["encoder_level1"], first)
    assert not any(module._forward_hooks for module in net.modules())


def test_a_network_without_levels_has_no_features() -> None:
    restored, maps = Teacher("spy", Spy(), Fit()).features(_rgb())
    assert maps == {}
    assert torch.equal(restored, _rgb())


def test_nafnet_names_its_encoders_and_its_middle() -> None:
    net = NAFNet(Shape(3, 4, (1, 1), 1, (1, 1)))
    _, maps = Teacher("small", net, Fit(multiple=4)).features(_rgb())
    assert {level: found.shape[1] for level, found in maps.items()} == net.widths


def test_projections_bring_a_students_maps_to_the_teachers_widths() -> None:
    heads = teachers.projections({"latent": 3}, {"encoder_level1": 8, "latent": 5})
    student = {"latent": torch.rand(2, 3, 4, 6)}
    projected = heads(student)
    assert projected["latent"].shape == (2, 5, 4, 6)
    weight, bias = heads.convs[0].weight, heads.convs[0].bias
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    wanted = torch.einsum("oc,nchw->nohw", weight[:, :, 0, 0], student["latent"])
    assert torch.allclose(projected["latent"], wanted + bias[:, None, None], atol=1e-6)


def test_distance_is_the_mean_over_the_levels_at_the_teachers_size() -> None:
    heads = teachers.projections({"a": 1, "b": 1}, {"a": 1, "b": 1})
    for weight in heads.parameters():
        nn.init.ones_(weight)
    student = {"a": torch.zeros(1, 1, 4, 4), "b": torch.zeros(1, 1, 4, 4)}
    teacher = {"a": torch.full((1, 1, 8, 8), 3.0), "b": torch.full((1, 1, 2, 2), 5.0)}
    assert heads.distance(student, teacher).item() == pytest.approx((2 + 4) / 2)


@pytest.mark.parametrize("widths", [{}, {"encoder_level4": 8}])
def test_a_level_that_the_teacher_lacks_is_named(widths: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match="the teacher has 'latent'"):
        teachers.projections(widths, {"latent": 5})


def test_the_gate_keeps_what_is_nearer_to_the_truth() -> None:
    rng = np.random.default_rng(0)
    taught, degraded, sharp, student = (rng.random((40, 1, 5, 6)) for _ in range(4))
    kept = gate.keeps(*(torch.from_numpy(part) for part in (taught, degraded, sharp)))
    twice = gate.keeps(*(torch.from_numpy(part) for part in (taught, degraded, sharp, student)))
    for index in range(40):
        errors = [
            sum(
                (pixel - truth) ** 2
                for pixel, truth in zip(what.flat, sharp[index].flat, strict=True)
            )
            for what in (taught[index], degraded[index], student[index])
        ]
        assert kept[index].item() == (errors[0] < errors[1])
        assert twice[index].item() == (errors[0] < min(errors[1:]))
    assert 0 < twice.sum() < kept.sum() < 40


def test_the_gate_keeps_no_tie_and_no_number_that_is_none() -> None:
    sharp = torch.zeros(2, 1, 2, 2)
    taught = torch.ones(2, 1, 2, 2)
    taught[1] = torch.nan
    assert gate.keeps(taught, torch.ones(2, 1, 2, 2), sharp).tolist() == [False, False]


@pytest.mark.parametrize(("teacher_db", "student_db"), [(0.79, 0.5), (0.2, 0.5), (math.nan, 0.5)])
def test_a_teacher_that_is_hardly_ahead_is_refused_in_one_line(
    teacher_db: float, student_db: float
) -> None:
    with pytest.raises(TeacherError) as refused:
        gate.require_lead("own", teacher_db, "base", student_db)
    assert "\n" not in str(refused.value)
    assert "ahead by 0.3 dB" in str(refused.value)


def test_a_teacher_that_is_ahead_may_teach() -> None:
    gate.require_lead("own", 0.81, "base", 0.5)


def test_luma_is_that_of_bt601() -> None:
    rgb = torch.tensor([[[[1.0]], [[0.5]], [[0.25]]]])
    assert luma(rgb).item() == pytest.approx(0.299 + 0.587 * 0.5 + 0.114 * 0.25)


@pytest.mark.parametrize("shape", [(2, 8, 9), (2, 8, 9, 3)])
def test_pictures_come_back_as_they_went_to_a_teacher(shape: tuple[int, ...]) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    rgb = measure.to_rgb(pictures)
    assert rgb.shape == (2, 3, 8, 9)
    assert np.array_equal(measure.from_rgb(rgb, colour=len(shape) == 4), pictures)


def test_gain_is_measured_in_luma_crop_by_crop() -> None:
    rng = np.random.default_rng(2)
    sharp = rng.integers(40, 200, (6, 16, 16)).astype(np.uint8)
    degraded = (sharp + rng.integers(-20, 21, sharp.shape)).astype(np.uint8)
    restored = (sharp + rng.integers(-15, 16, sharp.shape)).astype(np.uint8)
    restored[0] = degraded[0] + 9
    gained = []
    for index in range(6):
        errors = [
            np.mean((what[index].astype(float) - sharp[index]) ** 2)
            for what in (degraded, restored)
        ]
        gained.append(10 * math.log10(errors[0] / errors[1]))
    found = measure.gain_of(lambda _: restored, degraded, sharp)
    assert found.gain_db == pytest.approx(np.mean(gained))
    assert found.wins == pytest.approx(np.mean(np.array(gained) > 0))
    grey = np.repeat(degraded[..., None], 3, axis=-1)
    truth = np.repeat(sharp[..., None], 3, axis=-1)
    assert measure.gain_of(lambda _: restored, grey, truth) == found


def test_the_mean_gain_leaves_clean_crops_out() -> None:
    gains = {
        "half": measure.Gain(4, 1.0, 1.0),
        "call": measure.Gain(4, 0.5, 1.0),
        "clean": measure.Gain(4, -20.0, 0.0),
        "synthetic": measure.Gain(4, -20.0, 0.0),
    }
    assert measure.mean_gain_db(gains) == pytest.approx(0.75)
