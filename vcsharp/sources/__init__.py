"""Where frames come from: cameras, RTSP streams, video files and a generated scene."""

from vcsharp.sources.auto import make_source
from vcsharp.sources.cameras import CameraInfo, list_cameras
from vcsharp.sources.urls import redact

__all__ = ["CameraInfo", "list_cameras", "make_source", "redact"]
