"""Every loss against plain numpy on random pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from vcsharp_training import distil, losses, perceptual
from vcsharp_training.errors import DataError
from vcsharp_training.losses import structure
from vcsharp_training.recipe import LossSettings
from vcsharp_training.reparam import RepStudent


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(5)
    sharp = rng.random((2, 3, 24, 30), np.float32)
    output = np.clip(sharp + rng.normal(0, 0.1, sharp.shape), 0, 1).astype(np.float32)
    return torch.from_numpy(output), torch.from_numpy(sharp)


def _same(found: torch.Tensor, wanted: Any, tolerance: float = 1e-5) -> None:
    assert found.shape == (2,)
    assert np.allclose(found.detach().numpy(), wanted, rtol=1e-4, atol=tolerance)


def _arrays(pair) -> tuple[np.ndarray, np.ndarray]:
    return pair[0].numpy().astype(np.float64), pair[1].numpy().astype(np.float64)


def _mean(values: np.ndarray) -> Any:
    return values.reshape(2, -1).mean(axis=1)


def test_pixel_losses(pair):
    a, b = _arrays(pair)
    difference = pair[0] - pair[1]
    _same(losses.l1(difference), _mean(abs(a - b)))
    _same(losses.mse(difference), _mean((a - b) ** 2))
    _same(losses.charbonnier(difference, 0.01), _mean(np.sqrt((a - b) ** 2 + 1e-4) - 0.01))


def test_fourier_is_l1_of_the_spectrum(pair):
    a, b = _arrays(pair)
    height, width = a.shape[2:]
    rows = np.exp(-2j * np.pi * np.outer(np.arange(height), np.arange(height)) / height)
    columns = np.exp(-2j * np.pi * np.outer(np.arange(width), np.arange(width // 2 + 1)) / width)
    spectrum = rows @ (a - b) @ columns / np.sqrt(height * width)
    parts = np.stack([abs(spectrum.real), abs(spectrum.imag)], 1)
    _same(losses.fourier(pair[0] - pair[1]), _mean(parts))


def test_amplitude_is_l1_of_the_magnitudes_of_local_spectra(pair):
    def magnitudes(picture: np.ndarray) -> np.ndarray:
        blocks = [picture[:, :, y : y + 16, x : x + 16] for y in (0, 8) for x in (0, 8)]
        return np.stack([abs(np.fft.rfft2(block, norm="ortho")) for block in blocks], 1)

    a, b = _arrays(pair)
    _same(losses.amplitude(*pair), _mean(abs(magnitudes(a) - magnitudes(b))), 1e-4)


def test_amplitude_asks_for_detail_and_not_for_its_place(pair):
    b = pair[1]
    shifted, flat = torch.roll(b, 1, 3), torch.full_like(b, 0.5)
    assert (losses.amplitude(shifted, b) < losses.amplitude(flat, b) / 2).all()


def test_crispness_is_the_missing_share_of_the_mean_absolute_laplacian(pair):
    def energy(p: np.ndarray) -> Any:
        around = p[..., :-2, 1:-1] + p[..., 2:, 1:-1] + p[..., 1:-1, :-2] + p[..., 1:-1, 2:]
        return _mean(abs(around - 4 * p[..., 1:-1, 1:-1]))

    soft, sharp = (0.5 + 0.3 * (pair[0] - 0.5)), pair[1]
    a, b = _arrays((soft, sharp))
    lack = 1 - (energy(a) + 0.02) / (energy(b) + 0.02)
    assert (lack > 0.2).all()
    _same(losses.crispness(soft, sharp), lack, 1e-4)
    assert (losses.crispness(sharp, soft) == 0).all()


def test_crispness_asks_for_next_to_nothing_where_the_truth_is_flat():
    grey = torch.full((1, 1, 32, 32), 0.5)
    grain = grey + torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(1)) / 1000
    assert losses.crispness(grey, grain) < 0.2


def test_what_eyes_see_is_lpips_of_grey_pictures_weighed_like_the_rest(lpips_folder):
    eyes = perceptual.load(lpips_folder)
    rng = torch.Generator().manual_seed(4)
    source, truth = torch.rand(2, 6, 1, 68, 72, generator=rng)
    residual, settings = 0.1 * torch.rand(6, 1, 68, 72, generator=rng), LossSettings()

    def shown(plane: torch.Tensor, number: int) -> torch.Tensor:
        y, x = number // 4, number % 4  # each begins elsewhere, so that no grid of four hides
        return torch.cat([plane[:, y : y + 65, x : x + 69]] * 3)[None]

    each = [
        float(eyes(shown(a + r, number), shown(b, number)))
        for number, (a, r, b) in enumerate(zip(source, residual, truth, strict=True))
    ]
    weights = losses.weights(source, truth, settings).numpy()
    found = losses.perceived(eyes, source, residual, truth, settings)
    assert float(found) == pytest.approx(float(np.mean(weights * each)), rel=1e-4)


def test_a_student_is_trained_for_lpips_where_the_recipe_says_so(lpips_folder):
    settings = LossSettings(lpips=0.5, lpips_weights=lpips_folder)
    student = RepStudent((16, 8, 16), 4)
    objective = distil.LumaObjective(student, settings)
    batch = {name: torch.rand(1, 1, 68, 68) for name in ("degraded", "sharp", "flats")}
    plain = distil.LumaObjective(student, LossSettings())(**batch)["loss"]
    assert objective(**batch)["loss"] > plain
    assert all(name.startswith("student.") for name in objective.state_dict())
    assert "lpips_weights" not in settings.decides()


def test_edge_is_l1_of_the_sobel_gradients(pair):
    a, b = _arrays(pair)
    d = a - b
    across = (d[..., :, 2:] - d[..., :, :-2]) / 8
    across = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    down = (d[..., 2:, :] - d[..., :-2, :]) / 8
    down = down[..., :, :-2] + 2 * down[..., :, 1:-1] + down[..., :, 2:]
    _same(losses.edge(pair[0] - pair[1]), (_mean(abs(across)) + _mean(abs(down))) / 2)


def _slow_similarity(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Of one plane: the formula of the paper at every window, one after another."""
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    whole, structures = [], []
    for y, x in np.ndindex(a.shape[0] - 10, a.shape[1] - 10):
        p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
        mean_p, mean_q = (window * p).sum(), (window * q).sum()
        var_p = (window * p * p).sum() - mean_p**2
        var_q = (window * q * q).sum() - mean_q**2
        both = (window * p * q).sum() - mean_p * mean_q
        part = (2 * both + 0.03**2) / (var_p + var_q + 0.03**2)
        light = (2 * mean_p * mean_q + 0.01**2) / (mean_p**2 + mean_q**2 + 0.01**2)
        whole.append(part * light)
        structures.append(part)
    return float(np.mean(whole)), float(np.mean(structures))


def test_ssim_is_the_papers_formula(pair):
    a, b = _arrays(pair)
    wanted = [
        1 - np.mean([_slow_similarity(p, q)[0] for p, q in zip(x, y, strict=True)])
        for x, y in zip(a, b, strict=True)
    ]
    _same(losses.ssim(*pair), wanted)


def _halved(plane: np.ndarray) -> Any:
    plane = plane[: plane.shape[0] // 2 * 2, : plane.shape[1] // 2 * 2]
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4


def _slow_ms_ssim(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    found = 1.0
    for number, weight in enumerate(weights, 1):
        whole, part = _slow_similarity(a, b)
        found *= (whole if number == len(weights) else part) ** weight
        a, b = (_halved(p) for p in (a, b))
    return found


def test_ms_ssim_is_the_product_over_the_scales_that_fit(pair):
    a, b = _arrays(pair)
    weights = np.array([0.0448, 0.2856]) / (0.0448 + 0.2856)
    wanted = [
        1 - np.mean([_slow_ms_ssim(p, q, weights) for p, q in zip(x, y, strict=True)])
        for x, y in zip(a, b, strict=True)
    ]
    _same(losses.ms_ssim(*pair), wanted)
    assert [structure._scales(side) for side in (11, 21, 22, 175, 176, 4000)] == [1, 1, 2, 4, 5, 5]


def test_output_distillation_mixes_truth_and_teacher(pair):
    a, b = _arrays(pair)
    found = losses.output_distillation(pair[0], pair[1], 1 - pair[1], 0.8, 0.2)
    _same(found, 0.8 * _mean(abs(a - b)) + 0.2 * _mean(abs(a - (1 - b))))


def test_kl_divergence_of_softened_channels(pair):
    a, b = _arrays(pair)

    def soft(x: np.ndarray) -> Any:
        return np.exp(x / 4) / np.exp(x / 4).sum(axis=1, keepdims=True)

    p, q = soft(b), soft(a)
    _same(
        losses.kl_divergence(pair[0], pair[1], 4.0),
        16 * _mean((p * np.log(p / q)).sum(axis=1)),
        1e-6,
    )
    assert losses.kl_divergence(pair[0], pair[0], 4.0).abs().max() < 1e-6


def test_temporal_difference_asks_for_the_truths_change_only(pair):
    a, b = _arrays(pair)
    before, truth_before = pair[0].flip(-1), pair[1].flip(-2)
    wanted = _mean(abs((a - a[..., ::-1]) - (b - b[..., ::-1, :])))
    _same(losses.temporal_difference(pair[0], before, pair[1], truth_before), wanted)


def test_a_teacher_counts_only_where_it_came_nearer_to_the_truth(pair):
    source, truth = pair
    half = (source + truth) / 2
    taught = torch.stack([half[0], 1 - truth[1]])
    assert losses.teacher_gate(taught, source, truth).tolist() == [1, 0]
    assert losses.teacher_gate(truth, truth, truth).tolist() == [0, 0]


def test_feature_distance_compares_levels_at_the_teachers_size():
    rng = np.random.default_rng(1)
    mine = {"a": rng.random((2, 4, 6, 6)), "b": rng.random((2, 3, 8, 8))}
    theirs = {"a": rng.random((2, 4, 6, 6)), "b": rng.random((2, 3, 4, 4))}
    small = mine["b"].reshape(2, 3, 4, 2, 4, 2).mean(axis=(3, 5))
    wanted = (_mean(abs(mine["a"] - theirs["a"])) + _mean(abs(small - theirs["b"]))) / 2
    found = losses.feature_distance(
        {k: torch.from_numpy(v) for k, v in mine.items()},
        {k: torch.from_numpy(v) for k, v in theirs.items()},
    )
    _same(found, wanted)


def _slow_vgg(network: losses.Perceptual, picture: np.ndarray) -> list[np.ndarray]:
    """Convolutions one shift at a time."""
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x, found = (picture - mean[:, None, None]) / deviation[:, None, None], []
    convs: Any = network.convs
    for number, conv in enumerate(convs):
        if number in (2, 4):
            blocks = x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2)
            x = blocks.max(axis=(2, 4))
        weight, bias = conv.weight.numpy(), conv.bias.numpy()
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        height, width = x.shape[1:]
        x = bias[:, None, None] + sum(
            np.tensordot(weight[:, :, dy, dx], padded[:, dy : dy + height, dx : dx + width], 1)
            for dy, dx in np.ndindex(3, 3)
        )
        x = np.maximum(x, 0)
        if number in (1, 3, 7):
            found.append(x)
    return found


def test_perceptual_loss_is_the_distance_of_three_depths():
    torch.manual_seed(0)
    network = losses.Perceptual()
    a, b = torch.rand(2, 3, 8, 12), torch.rand(2, 3, 8, 12)
    wanted = [
        np.mean(
            [
                ((x - y) ** 2).mean()
                for x, y in zip(_slow_vgg(network, p), _slow_vgg(network, q), strict=True)
            ]
        )
        for p, q in zip(a.numpy(), b.numpy(), strict=True)
    ]
    _same(network(a, b), wanted)
    assert not any(weight.requires_grad for weight in network.parameters())


def test_vgg_weights_load_by_torchvisions_names_and_their_lack_is_one_line(tmp_path):
    torch.manual_seed(0)
    network, path = losses.Perceptual(), tmp_path / "vgg.pth"
    names = (0, 2, 5, 7, 10, 12, 14, 16)
    state = {
        f"features.{name}.{part}": getattr(conv, part)
        for name, conv in zip(names, network.convs, strict=True)
        for part in ("weight", "bias")
    }
    torch.save(state | {"classifier.0.bias": torch.zeros(2)}, path)
    rgb = torch.rand(1, 3, 16, 16)
    found = losses.Perceptual.load(path).maps(rgb)
    assert all(torch.equal(x, y) for x, y in zip(found, network.maps(rgb), strict=True))
    for name, content, words in (
        ("none.pth", None, r"no VGG-19 weights '.*none.pth'.*loss\.vgg"),
        ("bad.pth", b"no weights", r"cannot read VGG-19 weights '.*bad.pth'"),
        ("other.pth", {"conv1.weight": torch.zeros(1)}, "does not hold VGG-19's weights"),
        ("wide.pth", state | {"features.0.bias": torch.zeros(7)}, "does not hold VGG-19's weights"),
    ):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            torch.save(content, path)
        with pytest.raises(DataError, match=words) as caught:
            losses.Perceptual.load(path)
        assert "\n" not in str(caught.value)


def test_the_luma_mix_follows_the_teacher_where_it_is_right(pair):
    source, truth = pair[0][:, :1], pair[1][:, :1]
    residual = torch.zeros_like(source)
    settings = LossSettings(even_levels=0, charbonnier_epsilon=0.01)
    good = losses.taught(source, residual, truth, truth, settings)
    assert good.item() == pytest.approx(
        losses.charbonnier(source - truth, 0.01).mean().item(), rel=1e-5
    )
    bad = losses.taught(source, residual, 1 - truth, truth, settings)
    assert bad.item() == 0


@pytest.mark.parametrize(
    "loss",
    [
        losses.ssim,
        losses.ms_ssim,
        lambda a, b: losses.kl_divergence(a, b, 4.0),
        lambda a, b: losses.edge(a - b),
        lambda a, b: losses.fourier(a - b),
    ],
)
def test_equal_pictures_cost_nothing_and_the_gradient_is_finite(loss):
    flat = torch.full((1, 1, 24, 24), 0.5, requires_grad=True)
    cost = loss(flat.expand(-1, 3, -1, -1), torch.full((1, 3, 24, 24), 0.5))
    assert cost.item() == pytest.approx(0, abs=1e-6)
    cost.sum().backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()


def test_detail_is_asked_for_only_where_some_is_left(pair):
    truth = pair[1][:, :1]
    left, gone = 0.5 + 0.4 * (truth - 0.5), 0.5 + 0.1 * (truth - 0.5)
    source, truths = torch.cat([left[:1], gone[:1]]), torch.cat([truth[:1], truth[:1]])
    assert losses.recoverable(source, truths).tolist() == [1, 0]
    still = torch.zeros_like(source)
    asked = LossSettings(amplitude=5.0, crispness=1.0)
    for crop, changes in ((slice(0, 1), True), (slice(1, 2), False)):
        given = source[crop], still[crop], truths[crop]
        found = losses.total(*given, asked), losses.total(*given, LossSettings())
        assert (found[0] > found[1]) == changes
