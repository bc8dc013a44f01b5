"""The calls into CUDA, against PyTorch's own signatures where there is no GPU to take them."""

from __future__ import annotations

from unittest import mock

import pytest
import torch

from vcsharp.engine.gpu.device import (
    WARM_UPS,
    CpuDevice,
    CudaDevice,
    CudaStream,
    first_line,
    open_device,
)
from vcsharp.errors import BackendUnavailableError

from .gpu_rig import DEVICES

NEEDED = ("Stream", "Event", "CUDAGraph", "graph", "stream", "synchronize", "empty_cache")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """`torch.cuda` with the real signatures and nothing behind them; keeps the order of calls."""
    calls = mock.Mock()
    for name in NEEDED:
        fake = mock.create_autospec(getattr(torch.cuda, name))
        if name in ("graph", "stream"):
            fake.return_value = mock.MagicMock()
        monkeypatch.setattr(torch.cuda, name, fake)
        calls.attach_mock(fake, name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    return calls


def test_work_is_queued_on_its_own_stream(cuda: mock.Mock) -> None:
    stream = CudaDevice("cuda:1").stream()
    assert isinstance(stream, CudaStream)
    cuda.Stream.assert_called_once_with(torch.device("cuda:1"))
    inside: list[bool] = []
    entered = cuda.stream.return_value.__enter__
    stream.do(lambda: inside.append(entered.called))
    cuda.stream.assert_called_once_with(stream.stream)
    assert inside == [True]


@pytest.mark.parametrize("timed", [False, True])
def test_events_keep_time_only_where_asked(cuda: mock.Mock, timed: bool) -> None:
    stream = CudaDevice("cuda", timed=timed).stream()
    first, second = stream.record(), stream.record()
    stream.wait(first)
    assert cuda.Event.call_args_list == [mock.call(enable_timing=timed)] * 2
    cuda.Stream.return_value.record_event.return_value.query.return_value = True
    assert first.passed()
    assert second.passed()


def test_a_capture_comes_after_the_warm_up_and_bothers_no_other_thread(cuda: mock.Mock) -> None:
    device = CudaDevice("cuda")
    stream = device.stream()
    assert isinstance(stream, CudaStream)
    runs: list[bool] = []
    result = torch.zeros(1)

    def work() -> torch.Tensor:
        runs.append(cuda.graph.return_value.__enter__.called)
        return result

    launch = device.capture(stream, work)
    assert runs == [False] * WARM_UPS + [True]
    captured = cuda.CUDAGraph.return_value
    cuda.graph.assert_called_once_with(
        captured, stream=stream.stream, capture_error_mode="thread_local"
    )
    captured.replay.assert_not_called()
    assert launch() is result
    captured.replay.assert_called_once_with()
    assert len(runs) == WARM_UPS + 1


def test_a_failed_capture_leaves_the_callers_stream_current(cuda: mock.Mock) -> None:
    device = CudaDevice("cuda")
    stream = device.stream()
    cuda.graph.return_value.__exit__.return_value = False
    cuda.stream.return_value.__exit__.return_value = False

    def work() -> torch.Tensor:
        raise RuntimeError("CUDA error: planted")

    with pytest.raises(RuntimeError, match="planted"):
        device.capture(stream, work)
    cuda.stream.return_value.__exit__.assert_called_once()


def test_a_number_that_no_gpu_has_is_refused(cuda: mock.Mock) -> None:
    with pytest.raises(BackendUnavailableError, match="numbered from 0 to 1; use --device auto"):
        open_device("cuda:2")
    assert open_device("cuda:1").kind == torch.device("cuda:1")
    assert cuda.Stream.call_count == 0


def test_waiting_and_releasing_reach_the_driver(cuda: mock.Mock) -> None:
    device = open_device("cuda:1")
    device.synchronize()
    device.release()
    cuda.synchronize.assert_called_once_with(torch.device("cuda:1"))
    cuda.empty_cache.assert_called_once_with()


def test_the_cpu_is_opened_by_its_name() -> None:
    device = open_device("cpu")
    assert isinstance(device, CpuDevice)
    assert device.host(3).shape == (3,)


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_keeps_the_order_of_its_streams(name: str) -> None:
    device = open_device(name, timed=True)
    first, second = device.stream(), device.stream()
    data = torch.zeros(1_000_000, device=device.kind)
    device.synchronize()
    begin = first.record()
    first.do(lambda: data.add_(1))
    end = first.record()
    second.wait(end)
    second.do(lambda: data.mul_(2))
    device.synchronize()
    assert end.passed()
    assert end.ms_since(begin) >= 0
    assert data.eq(2).all()


@pytest.mark.gpu
def test_the_hosts_buffers_are_pinned() -> None:
    assert open_device("cuda").host(100).is_pinned()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("CUDA error: planted\nadvice", "CUDA error: planted"),
        ("backend='inductor' raised:\nNo compiler\n  at", "backend='inductor' raised: No compiler"),
        ("", "RuntimeError"),
    ],
)
def test_errors_are_told_in_a_line(text: str, line: str) -> None:
    assert first_line(RuntimeError(text)) == line
