"""A network camera: GStreamer's RTSP server with H.264, for the system's own Python.

    python3 -m tests.kernel.guest.rtsp_camera ADDRESS PORT FOLDER

FOLDER holds 000.jpg, 001.jpg and so on, which are sent in turn as rtsp://ADDRESS:PORT/camera.
"""

from __future__ import annotations

import sys
from typing import Any

import gi  # type: ignore[import-not-found, unused-ignore]

FPS = 15
PIPELINE = (
    '( multifilesrc location={folder}/%03d.jpg loop=true caps="image/jpeg,framerate={fps}/1" '
    "! jpegdec ! videoconvert ! video/x-raw,format=I420 "
    "! x264enc tune=zerolatency speed-preset=ultrafast bitrate=4000 key-int-max=15 "
    "! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def main(address: str, port: str, folder: str) -> None:
    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    repository: Any = __import__("gi.repository", fromlist=["GLib", "Gst", "GstRtspServer"])
    repository.Gst.init(None)
    server = repository.GstRtspServer.RTSPServer(address=address, service=port)
    factory = repository.GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE.format(folder=folder, fps=FPS))
    factory.set_shared(True)
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    print("serving", flush=True)
    repository.GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
