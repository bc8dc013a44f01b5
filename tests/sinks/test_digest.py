from __future__ import annotations

import hashlib

import numpy as np
import pytest

from vcsharp.errors import SinkError
from vcsharp.frame import Frame, Result
from vcsharp.sinks.digest import DigestSink, digest


def test_the_digest_is_what_its_description_says(make_results):
    frame = make_results(1)[0].frame
    whole = f"{frame.width}x{frame.height}".encode()
    for plane in frame.planes:
        whole += plane.tobytes()
    assert digest(frame) == hashlib.blake2b(whole, digest_size=8).hexdigest()


@pytest.mark.parametrize("plane", [0, 1, 2])
def test_one_changed_sample_of_any_plane_changes_the_digest(make_results, plane):
    frame = make_results(1)[0].frame
    other = frame.replaced(data=frame.data.copy())
    other.planes[plane][-1, -1] ^= 1
    assert digest(other) != digest(frame)


def test_the_same_bytes_in_another_size_differ():
    data = np.zeros(24, np.uint8)
    assert digest(Frame(data, 4, 4)) != digest(Frame(data, 2, 8))


def test_a_line_per_frame_goes_to_the_file(tmp_path, make_results, stream):
    sink = DigestSink(tmp_path / "d")
    sink.open(stream)
    results = make_results(3)
    for result in results:
        sink.write(result)
    sink.close()
    lines = (tmp_path / "d").read_text().splitlines()
    assert lines == [f"{n} {digest(r.frame)}" for n, r in enumerate(results)]


def test_lines_go_to_the_standard_output_and_ignore_times(capsys, make_results, stream):
    sink = DigestSink()
    sink.open(stream)
    result = make_results(1)[0]
    later = Result(result.frame.replaced(captured_ns=5, timestamp=None), result.source)
    sink.write(result)
    sink.write(later)
    first, second = capsys.readouterr().out.splitlines()
    assert first == second == f"0 {digest(result.frame)}"


def test_an_existing_file_needs_force(tmp_path, stream):
    (tmp_path / "d").write_text("precious")
    with pytest.raises(SinkError, match="--force"):
        DigestSink(tmp_path / "d").open(stream)
    assert (tmp_path / "d").read_text() == "precious"
