"""Every CPU gives the same bytes: what the shipped weights have to be like for that.

CPUs with VNNI add four products of byte and weight in 32 bits. Older ones (`vpmaddubsw`) first add
two in 16 bits, which saturate. ONNX Runtime chooses by the CPU and cannot be told to take the other
way, so the older instruction is worked through here, with the shipped weights.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from vcsharp.catalogue import every, load, packaged_folder

MOST = 2**15 - 1
STUDENTS = sorted(path.parent.name for path in packaged_folder().glob("*/card.json"))


def shipped_weights(name: str) -> list[np.ndarray]:
    """Of each convolution: (outputs, taps), int64."""
    graph = onnx.load(load(packaged_folder() / name).path("int8")).graph
    values = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    convs = [node for node in graph.node if node.op_type == "QLinearConv"]
    kernels = [values[node.input[3]].astype(np.int64) for node in convs]
    return [kernel.reshape(kernel.shape[0], -1) for kernel in kernels]


def in_pairs(taps: np.ndarray, bytes_in: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The sums as an older CPU adds them: pairs of products in 16 bits, then the pairs in 32."""
    products = (taps * bytes_in)[:, order]
    pairs = products.reshape(len(taps), -1, 2).sum(2)
    return np.asarray(np.clip(pairs, -(2**15), MOST).sum(1))


def test_the_students_are_found():
    assert {"nano", "small"} <= set(STUDENTS) <= {model.card.name for model in every()}


@pytest.mark.parametrize("name", STUDENTS)
def test_older_cpus_add_to_the_same_sums(name):
    """Whatever the picture, and whichever two products meet."""
    rng = np.random.default_rng(0)
    for taps in shipped_weights(name):
        count = taps.shape[1]
        for row in taps:
            for sign in (
                1,
                -1,
            ):  # all that adds up and nothing against it, the largest side by side
                loudest = np.where(sign * row > 0, 255, 0)
                order = np.argsort(-sign * row)
                assert (in_pairs(taps, loudest, order) == taps @ loudest).all()
        noise = np.asarray(rng.integers(0, 256, count))
        assert (in_pairs(taps, noise, rng.permutation(count)) == taps @ noise).all()


@pytest.mark.parametrize("name", STUDENTS)
def test_no_two_products_reach_the_end_of_sixteen_bits(name):
    for taps in shipped_weights(name):
        for sign in (1, -1):
            two_largest = np.sort(np.maximum(sign * taps, 0), axis=1)[:, -2:].sum(1)
            assert 255 * two_largest.max() <= MOST
        assert 255 * np.abs(taps).sum(1).max() < 2**30


def test_eight_bits_would_not_do():
    """So that the tests above can fail."""
    taps = np.array([[127, 127, 1, 1]])
    bytes_in = np.full(4, 255)
    assert in_pairs(taps, bytes_in, np.arange(4))[0] == MOST + 2 * 255
    assert (taps @ bytes_in)[0] > MOST + 2 * 255
