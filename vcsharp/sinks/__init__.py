"""Where frames go: virtual cameras, files, a browser page, nowhere."""

from vcsharp.sinks.registry import make_sink, virtual_available

__all__ = ["make_sink", "virtual_available"]
