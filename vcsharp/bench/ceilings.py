"""The machine's own limits, as contenders among the others: matrix products and memory copies.

Products run on ONNX Runtime, whose kernels the networks run on too. Each thread computes products
of its own, single-threaded, as the engine runs its tiles: nothing waits for anything but the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal

import numpy as np

from vcsharp.bench.contender import CLOCKS, Clocks, NotHereError, Sample, Subject, timed
from vcsharp.bench.products import product_graph

EDGES = (512, 1024)
"""Of the square matrices that are tried; the faster kind is measured."""
TRIAL_S = 0.05
COPY_BYTES = 32 * 2**20
"""Of each thread's copy: larger than a core's share of the cache."""

_Step = Callable[[], object]


def threads_words(threads: int) -> str:
    """How many threads, in words."""
    return "1 thread" if threads == 1 else f"{threads} threads"


class Products:
    """How fast ONNX Runtime multiplies matrices on CPU cores; see `Contender`."""

    def __init__(
        self,
        precision: Literal["int8", "fp32"],
        threads: int,
        edges: Sequence[int] = EDGES,
        clocks: Clocks = CLOCKS,
    ) -> None:
        self._precision, self._threads, self._edges = precision, threads, edges
        self._crew, self._clocks = _Crew(threads), clocks
        self._steps: list[_Step] = []
        self.subject = self._subject(edges[0])

    def prepare(self) -> None:
        """Tries each size and keeps the fastest. Raises NotHereError without ONNX Runtime."""
        best = 0.0
        for edge in self._edges:
            steps = self._made(edge)
            rate = self._tried(steps) * edge**3
            if rate > best:
                best, self._steps, self.subject = rate, steps, self._subject(edge)

    def _tried(self, steps: Sequence[_Step]) -> float:
        """Products a second, once warm."""
        self._crew.run(steps)
        sample = timed(lambda _: self._crew.run(steps), TRIAL_S, self._clocks)
        return sample.frames / sample.wall_s

    def turn(self, seconds: float) -> Sample:
        """One product for each thread is one piece of work."""
        return timed(lambda _: self._crew.run(self._steps), seconds, self._clocks)

    def close(self) -> None:
        """Ends the threads and frees the matrices."""
        self._crew.close()
        self._steps = []

    def _subject(self, edge: int) -> Subject:
        return Subject(
            group="ceilings",
            name=f"{self._precision} matrix products, {threads_words(self._threads)}",
            unit="GMAC",
            work=self._threads * edge**3 / 1e9,
            backend="onnxruntime",
            device="cpu",
            precision=self._precision,
            threads=self._threads,
        )

    def _made(self, edge: int) -> list[_Step]:
        rng, shape = np.random.default_rng(0), (edge, edge)
        if self._precision == "int8":
            left: Any = rng.integers(0, 256, shape, np.uint8)
            # 7 bits, as the students' weights: pairs of products then fit 16 bits without VNNI.
            graph = product_graph(rng.integers(-63, 64, shape, np.int8), edge)
        else:
            left, right = rng.random((2, *shape), np.float32)
            graph = product_graph(right, edge)
        session = _session(graph)
        return [_bound(session, left) for _ in range(self._threads)]


def _session(graph: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise NotHereError("ONNX Runtime is not installed") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _bound(session: Any, left: Any) -> _Step:
    """One product into a buffer of its own."""
    kind = np.int32 if left.dtype == np.uint8 else np.float32
    result = np.empty(left.shape, kind)
    binding = session.io_binding()
    binding.bind_input("a", "cpu", 0, left.dtype.type, left.shape, left.ctypes.data)
    binding.bind_output("c", "cpu", 0, kind, result.shape, result.ctypes.data)

    def step() -> Any:
        session.run_with_iobinding(binding)
        return left, result  # whose memory the binding uses

    return step


class Copies:
    """How fast memory is copied, in bytes written (as many are read); see `Contender`."""

    def __init__(self, threads: int, size: int = COPY_BYTES, clocks: Clocks = CLOCKS) -> None:
        self.subject = Subject(
            group="ceilings",
            name=f"memory copies, {threads_words(threads)}",
            unit="GB",
            work=threads * size / 1e9,
            device="cpu",
            threads=threads,
        )
        self._crew, self._size, self._clocks = _Crew(threads), size, clocks
        self._steps: list[_Step] = []

    def prepare(self) -> None:
        """Touches all pages once."""
        for _ in range(self.subject.threads):
            source, target = np.ones(self._size, np.uint8), np.zeros(self._size, np.uint8)
            self._steps.append(partial(np.copyto, target, source))
        self._crew.run(self._steps)

    def turn(self, seconds: float) -> Sample:
        """One copy for each thread is one piece of work."""
        return timed(lambda _: self._crew.run(self._steps), seconds, self._clocks)

    def close(self) -> None:
        """Frees the buffers."""
        self._crew.close()
        self._steps = []


class _Crew:
    """Threads that each do their own step, and wait for each other."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "bench") if threads > 1 else None

    def run(self, steps: Sequence[_Step]) -> None:
        if self._pool is None:
            for step in steps:
                step()
            return
        for done in [self._pool.submit(step) for step in steps]:
            done.result()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
