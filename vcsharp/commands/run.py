"""`vcsharp run`: a camera, a stream or a file in, a sharp picture out."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from vcsharp import flags
from vcsharp.console import setup_logging
from vcsharp.settings import RunSettings, load

DESCRIPTION = """\
Takes the picture from SRC, sharpens every frame, and sends it to one or more
SINKs until Ctrl-C, the end of the file, --frames or --seconds. Live pictures
never lag: where the machine is too slow, old frames are dropped and counted.
From a file into files no frame is lost.

SRC is one of
  auto             the first camera that works, else demo (and it says which)
  0, /dev/video0, /dev/v4l/by-id/...
                   a camera; "vcsharp devices" lists them
  rtsp://USER:PASSWORD@HOST/PATH
                   a network camera
  talk.mp4         a video file, any format that FFmpeg reads
  demo             a generated scene that looks like a bad call

SINK is one of
  auto             the virtual camera if there is one, else preview
  virtual, /dev/video10
                   a virtual camera (v4l2loopback on Linux)
  out.mp4          a video file, H.264
  out.mkv          a video file, FFV1, lossless
  preview          a page on 127.0.0.1 with the live picture, before and after
  null, digest     nothing; a checksum per frame (for tests and benchmarks)
"""

EPILOG = """\
Every option can also be set by a variable (VCSHARP_RTSP_TRANSPORT=udp,
VCSHARP_SINK=virtual,preview) or in the settings file (rtsp_transport = "udp",
sink = ["virtual", "preview"]). A flag beats a variable, which beats the file.

exit codes: 0 done, or asked to stop; 1 failed while running; 2 bad settings;
3 never came up
"""


def main(argv: Sequence[str], console: Console) -> int:
    """Parses the arguments and runs the daemon; returns the exit code."""
    usage = "vcsharp run [options]"
    given = flags.given(RunSettings, "run", argv, DESCRIPTION, EPILOG, usage)
    settings = load(RunSettings, given)
    setup_logging(console, settings.debug)
    from vcsharp import daemon  # brings OpenCV and FFmpeg

    return daemon.run(settings, console, lambda: load(RunSettings, given))
