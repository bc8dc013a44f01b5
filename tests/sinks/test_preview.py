from __future__ import annotations

import pytest

from vcsharp.errors import SinkError
from vcsharp.sinks import make_sink
from vcsharp.sinks.preview import PreviewSink


def served_at(port: int) -> str:
    return f"http://127.0.0.1:{port or 41234}/?token=x"


def test_it_has_the_page_served_and_tells_where(stream):
    sink = PreviewSink(8321, serve=served_at, watched=lambda: False)
    assert sink.open(stream) == "http://127.0.0.1:8321/?token=x"


@pytest.mark.parametrize(("spec", "port"), [("preview", 8321), ("preview:9000", 9000)])
def test_the_port_beside_the_name_goes_before_the_setting(stream, spec, port):
    sink = make_sink(
        spec,
        force=False,
        preview_port=8321,
        pixel_format="YU12",
        source_path=None,
        serve=served_at,
    )
    assert sink.open(stream) == served_at(port)


def test_it_is_wanted_while_a_page_watches():
    watching = False
    sink = PreviewSink(serve=served_at, watched=lambda: watching)
    assert sink.wanted is False
    watching = True
    assert sink.wanted is True


def test_a_port_that_cannot_be_had_is_told_as_it_is(stream):
    def refuse(port):
        raise SinkError(f"cannot serve the page on port '{port}'")

    sink = PreviewSink(80, serve=refuse, watched=lambda: False)
    with pytest.raises(SinkError, match="port '80'"):
        sink.open(stream)


def test_without_anybody_to_serve_it_the_page_cannot_be_opened(stream):
    sink = make_sink("preview", force=False, preview_port=0, pixel_format="YU12", source_path=None)
    with pytest.raises(SinkError, match="not served here"):
        sink.open(stream)
