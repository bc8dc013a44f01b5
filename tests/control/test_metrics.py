"""What Prometheus is told: every figure of the state, whole histograms, nothing that is secret."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from vcsharp.control.metrics import make_metrics_app
from vcsharp.states import EngineState, SinkState, SourceState
from vcsharp.telemetry import Telemetry

from .fake_runtime import FakeRuntime

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def ask(runtime: FakeRuntime, telemetry: Telemetry, path: str = "/metrics", method: str = "GET"):
    app = make_metrics_app(runtime, telemetry.histograms)

    async def request() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path)

    return asyncio.run(request())


def samples(runtime: FakeRuntime, telemetry: Telemetry) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    answer = ask(runtime, telemetry)
    assert answer.status_code == 200
    return {
        (sample.name, *(sample.labels[key] for key in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_the_figures_of_the_state_are_told(runtime, telemetry):
    runtime.update(
        paused=True,
        source={"reconnects": 3, "stalls": 5},
        engine={
            "share": 0.25,
            "restarts": 2,
            "model": "deep",
            "device": "cuda:1",
            "backend": "torch fp16",
        },
    )
    found = samples(runtime, telemetry)
    figures = runtime.state().figures
    expected = {
        ("vcsharp_frames_in_total",): figures.frames_in,
        ("vcsharp_frames_out_total",): figures.frames_out,
        ("vcsharp_frames_dropped_total",): figures.frames_dropped,
        ("vcsharp_frames_repeated_total",): figures.frames_repeated,
        ("vcsharp_source_reconnects_total",): 3,
        ("vcsharp_source_stalls_total",): 5,
        ("vcsharp_engine_restarts_total",): 2,
        ("vcsharp_engine_info", "torch fp16", "cuda:1", "deep"): 1,
        ("vcsharp_build_info", "1.2.3"): 1,
        ("vcsharp_paused",): 1,
        ("vcsharp_wanted",): 1,
        ("vcsharp_uptime_seconds",): 75,
        ("vcsharp_fps",): 30,
        ("vcsharp_engine_share",): 0.25,
        ("vcsharp_governor_steps_total", "down"): 2,
        ("vcsharp_governor_steps_total", "up"): 1,
        ("vcsharp_tiles_total", "kept"): 7000,
        ("vcsharp_strength",): 1,
    }
    assert {key: found[key] for key in expected} == expected
    assert found[("vcsharp_delay_seconds",)] == pytest.approx(0.0142)
    assert found[("vcsharp_memory_bytes",)] == pytest.approx(figures.rss_mib * 2**20)
    assert 0 < found[("vcsharp_cpu_seconds_total",)] <= time.process_time()


@pytest.mark.parametrize("state", SourceState)
def test_exactly_the_state_that_holds_is_one(runtime, telemetry, state):
    runtime.update(source={"state": state}, engine={"state": EngineState.FALLBACK})
    found = samples(runtime, telemetry)
    assert [s for s in SourceState if found[("vcsharp_source_state", s)] == 1] == [state]
    engine = [s for s in EngineState if found[("vcsharp_engine_state", s)] == 1]
    assert engine == [EngineState.FALLBACK]


def test_outputs_tell_who_looks_unless_that_is_unknown(runtime, telemetry):
    sink = runtime.state().sinks[0]
    runtime.update(
        sinks=[
            sink,
            sink.model_copy(update={"name": "/dev/video11", "wanted": False}),
            sink.model_copy(
                update={"name": "out.mkv", "wanted": None, "state": SinkState.REOPENING}
            ),
        ]
    )
    found = samples(runtime, telemetry)
    assert found[("vcsharp_sink_wanted", "virtual")] == 1
    assert found[("vcsharp_sink_wanted", "/dev/video11")] == 0
    assert ("vcsharp_sink_wanted", "out.mkv") not in found
    assert found[("vcsharp_consumers",)] == 1
    assert found[("vcsharp_sink_state", "out.mkv", "reopening")] == 1
    assert found[("vcsharp_sink_state", "out.mkv", "writing")] == 0


def test_buckets_hold_all_that_took_at_most_so_long(runtime, telemetry):
    for late_ms in (0.5, 3, 3.5, 40, 5000):
        telemetry.frame_out(time.monotonic_ns() - round(late_ms * 1e6))
    found = samples(runtime, telemetry)
    bounds = ("0.001", "0.004", "0.033", "0.05", "0.25", "1.0", "+Inf")
    counts = [found[("vcsharp_latency_seconds_bucket", bound)] for bound in bounds]
    assert counts[-1] == 5 == found[("vcsharp_latency_seconds_count",)]
    assert counts[-2] == counts[-3]  # the five seconds are beyond the last bound
    assert counts == sorted(counts)
    assert found[("vcsharp_latency_seconds_sum",)] >= 5.047


def test_a_bound_belongs_to_its_bucket(telemetry):
    ticks = iter([0.0, 0.016, 0.0, 0.0161])
    for _ in range(2):
        with telemetry.timed("engine", lambda: next(ticks)):
            pass
    counts = telemetry.histograms()["engine"].counts
    assert counts == (0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2)
    assert telemetry.histograms()["engine"].sum_s == pytest.approx(0.0321)
    assert set(telemetry.histograms()) == {"capture", "engine", "sink", "latency"}


def test_histograms_never_forget(runtime, telemetry):
    for _ in range(700):  # more than the percentiles keep
        with telemetry.timed("sink"):
            pass
    assert samples(runtime, telemetry)[("vcsharp_stage_seconds_count", "sink")] == 700


def test_nothing_else_is_served_and_nothing_can_be_done(runtime, telemetry):
    for path in ("/", "/api/state", "/metrics/", "/metrics/x", "//metrics", "/%2e%2e/metrics"):
        assert ask(runtime, telemetry, path).status_code in (404, 307), path
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert ask(runtime, telemetry, method=method).status_code == 405
    assert ask(runtime, telemetry, "/metrics?name[]=%ff%fe").status_code == 200
    assert runtime.calls == []


def test_no_credentials_are_told(runtime, telemetry):
    address = "rtsp://anna:planted-secret@camera/live?token=planted-secret"
    sink = runtime.state().sinks[0]
    runtime.update(
        options={"source": address},
        source={"name": address, "description": address, "words": f"'{address}' is away"},
        engine={"words": address},
        sinks=[sink.model_copy(update={"name": address, "description": address})],
    )
    text = ask(runtime, telemetry).text
    assert "rtsp://***@camera/live?token=***" in text  # it was there to be told
    assert "planted-secret" not in text
    assert "anna" not in text


def metric_names(expression: str) -> set[str]:
    return set(re.findall(r"\bvcsharp_\w+", expression))


def expressions(node: Any) -> Iterator[str]:
    """Every query of a dashboard, of its panels and of its variables."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query") and isinstance(value, str):
                yield value
            yield from expressions(value)
    elif isinstance(node, list):
        for item in node:
            yield from expressions(item)


def test_the_dashboard_asks_only_for_what_there_is(runtime, telemetry):
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    there = {name for name, *_ in samples(runtime, telemetry)}
    asked = set().union(*map(metric_names, expressions(dashboard)))
    assert asked
    assert asked <= there
    told_elsewhere = {"vcsharp_wanted", "vcsharp_paused", "vcsharp_strength"}
    told_elsewhere |= {"vcsharp_uptime_seconds"}
    parts = re.compile(r"_(count|sum)$")
    assert {name for name in there - asked if not parts.search(name)} == told_elsewhere


def test_the_dashboard_can_be_imported_and_its_panels_have_names_and_room():
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    assert dashboard["title"]
    assert dashboard["schemaVersion"] >= 36
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert panel["title"]
        assert "vcsharp_" not in panel["title"]
        assert panel["description"].endswith(".")
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
        spot = panel["gridPos"]
        assert spot["x"] + spot["w"] <= 24
        cells = {
            (x, y)
            for x in range(spot["x"], spot["x"] + spot["w"])
            for y in range(spot["y"], spot["y"] + spot["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_page_of_the_metrics_names_all_of_them_and_no_others(runtime, telemetry):
    text = (DOCS / "metrics.md").read_text()
    families = text_string_to_metric_families(ask(runtime, telemetry).text)
    there = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    rows = set(re.findall(r"^\| `(vcsharp_\w+)", text, re.MULTILINE))
    assert rows == there
    for states in (SourceState, EngineState, SinkState):
        assert ", ".join(f"`{state}`" for state in states) in text
