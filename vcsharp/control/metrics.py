"""The figures of a run for Prometheus: `/metrics`, and nothing else.

Everything is read at the moment it is asked for. No label holds what the user typed as a source,
and addresses of outputs are shown without credentials.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from vcsharp.control.model import SinkView, State
from vcsharp.control.runtime import Runtime
from vcsharp.sources.urls import redact
from vcsharp.states import EngineState, SinkState, SourceState
from vcsharp.telemetry import BOUNDS_S, STAGES, Histogram

Histograms = Callable[[], Mapping[str, Histogram]]


def make_metrics_app(runtime: Runtime, histograms: Histograms) -> ASGIApp:
    """An application that answers GET and HEAD of `/metrics`.

    Args:
        runtime: the run that is asked.
        histograms: `Telemetry.histograms` of that run.
    """
    registry = CollectorRegistry()
    registry.register(_Collector(runtime, histograms))

    def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return Starlette(routes=[Route("/metrics", metrics)])


class _Collector:
    """Fulfils prometheus_client's `Collector`."""

    def __init__(self, runtime: Runtime, histograms: Histograms) -> None:
        self._runtime, self._histograms = runtime, histograms

    def describe(self) -> Iterator[Metric]:
        """Nothing, so that registering asks nothing of a run that has not started."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Every metric, of one moment."""
        state = self._runtime.state()
        yield from _frames(state)
        yield from _durations(self._histograms(), state)
        yield from _source(state)
        yield from _engine(state)
        yield from _sinks(state.sinks)
        yield from _program(state)


def _frames(state: State) -> Iterator[Metric]:
    figures = state.figures
    yield _counter("frames_in", "Frames that the source delivered.", figures.frames_in)
    yield _counter("frames_out", "Frames that the first output took.", figures.frames_out)
    yield _counter(
        "frames_dropped", "Frames that a newer one replaced unused.", figures.frames_dropped
    )
    yield _counter(
        "frames_repeated", "Frames that an output sent once more.", figures.frames_repeated
    )
    yield _gauge("fps", "Frames per second that are asked for.", state.fps)


def _durations(histograms: Mapping[str, Histogram], state: State) -> Iterator[Metric]:
    stages = HistogramMetricFamily(
        "vcsharp_stage_seconds",
        "Time of a frame in a stage; capture is CPU time, the others are wall-clock time.",
        labels=["stage"],
    )
    for stage in STAGES:
        stages.add_metric([stage], *_buckets(histograms[stage]))
    yield stages
    latency = HistogramMetricFamily(
        "vcsharp_latency_seconds", "From the capture's return to the end of the output's write."
    )
    latency.add_metric([], *_buckets(histograms["latency"]))
    yield latency
    yield _gauge(
        "delay_seconds",
        "Median of the last frames' latency: what sound has to be put off by.",
        state.delay_ms / 1e3,
    )


def _source(state: State) -> Iterator[Metric]:
    source = state.source
    yield _one_hot("source_state", "Where the source stands.", SourceState, source.state)
    yield _counter("source_reconnects", "Times that the source came back.", source.reconnects)
    yield _counter("source_stalls", "Times that the source fell silent.", source.stalls)


def _engine(state: State) -> Iterator[Metric]:
    engine = state.engine
    yield _one_hot("engine_state", "Where the engine stands.", EngineState, engine.state)
    yield _counter(
        "engine_restarts", "Times that the engine was built again after a fault.", engine.restarts
    )
    yield _gauge("engine_share", "Share of the tiles that may be sharpened.", engine.share)
    yield _labelled(
        "governor_steps",
        "Times that the governor sharpened less, or more again.",
        "direction",
        state.figures.steps,
    )
    yield _labelled(
        "tiles",
        "Tiles that were computed, kept unchanged, or passed on for lack of time.",
        "fate",
        state.figures.tiles,
    )
    yield _info(
        "engine",
        "What sharpens: model, device, runtime and precision.",
        model=engine.model,
        device=engine.device,
        backend=engine.backend,
    )


def _sinks(sinks: list[SinkView]) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "vcsharp_sink_state", "Where an output stands: 1 for its state.", labels=["sink", "state"]
    )
    wanted = GaugeMetricFamily(
        "vcsharp_sink_wanted",
        "1 while a program looks at an output; left out where that cannot be told.",
        labels=["sink"],
    )
    for sink in sinks:
        name = redact(sink.name)
        for state in SinkState:
            states.add_metric([name, state], state == sink.state)
        if sink.wanted is not None:
            wanted.add_metric([name], sink.wanted)
    yield states
    yield wanted
    consumers = sum(sink.wanted is True for sink in sinks)
    yield _gauge("consumers", "Outputs that a program looks at.", consumers)


def _program(state: State) -> Iterator[Metric]:
    yield _gauge("wanted", "1 while anybody needs pictures.", state.wanted)
    yield _gauge("paused", "1 while somebody has paused the run.", state.paused)
    yield _gauge("strength", "Share of the correction that is added.", state.options.strength)
    yield _gauge("uptime_seconds", "Time since the start.", state.uptime_s)
    yield _counter("cpu_seconds", "CPU time of all threads.", time.process_time())
    yield _gauge("memory_bytes", "Memory that is resident.", state.figures.rss_mib * 2**20)
    yield _info("build", "The version that runs.", version=state.version)


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(f"vcsharp_{name}", what, value)


def _labelled(name: str, what: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"vcsharp_{name}", what, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"vcsharp_{name}", what, value)


def _info(name: str, what: str, **labels: str) -> Metric:
    return InfoMetricFamily(f"vcsharp_{name}", what, labels)


def _one_hot(name: str, what: str, states: type[StrEnum], now: StrEnum) -> Metric:
    """A gauge for each state: 1 for the one that holds, 0 for the others."""
    family = GaugeMetricFamily(f"vcsharp_{name}", f"{what} 1 for that state.", labels=["state"])
    for state in states:
        family.add_metric([state], state == now)
    return family


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    return list(zip(bounds, histogram.counts, strict=True)), histogram.sum_s
