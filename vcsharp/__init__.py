"""vcsharp: a soft webcam or a badly connected RTSP camera looks sharp, live."""

__version__ = "0.2.0"
