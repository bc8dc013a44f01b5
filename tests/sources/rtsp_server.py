"""A small RTSP 1.0 server (RFC 2326) with H.264 over RTP (RFC 6184), as a process of its own.

    python rtsp_server.py --port 8554 [--user U --password P --auth digest|basic]
        [--size 320x240] [--fps 25] [--die-after N | --silent-after N]

Prints `ready PORT` once it listens. The stream is at /live. Each client gets a fresh encode that
begins with a key frame, over TCP (interleaved) or UDP as it asks. The first 64 columns show the
frame's number in binary, 8 bits of 8 columns each, so that a reader can tell how old a picture is.
`--die-after N` cuts the connection after N frames, `--silent-after N` keeps it and sends no more.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

PAYLOAD_TYPE = 96
MTU = 1400
CLOCK_HZ = 90_000
REALM, NONCE = "test camera", "5f1e0c7a"
MARK_COLUMNS, MARK_BITS = 8, 8


def picture(number: int, width: int, height: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A moving grey scene as I420 rows, with the number in its left columns."""
    frame = np.full((height * 3 // 2, width), 128, np.uint8)
    rows, columns = np.mgrid[0:height, 0:width]
    frame[:height] = 100 + 50 * np.sin(columns / 9 + number / 5) * np.cos(rows / 7)
    for bit in range(MARK_BITS):
        left = bit * MARK_COLUMNS
        frame[:height, left : left + MARK_COLUMNS] = 235 if number >> bit & 1 else 16
    return frame


def number_of(luma: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
    """The number that `picture` drew, modulo 256."""
    centre = luma[8:-8].mean(axis=0)
    marks = [centre[bit * MARK_COLUMNS + MARK_COLUMNS // 2] > 125 for bit in range(MARK_BITS)]
    return sum(1 << bit for bit, mark in enumerate(marks) if mark)


class Encoder:
    """x264, low delay; yields the NAL units of each frame without start codes."""

    def __init__(self, size: tuple[int, int], fps: int) -> None:
        self._size, self._number = size, 0
        self._codec: Any = av.CodecContext.create("libx264", "w")
        self._codec.width, self._codec.height = size
        self._codec.pix_fmt, self._codec.framerate = "yuv420p", Fraction(fps)
        self._codec.time_base = Fraction(1, fps)
        self._codec.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(fps)}

    def next_frame(self) -> list[bytes]:
        frame = av.VideoFrame.from_ndarray(picture(self._number, *self._size), format="yuv420p")
        frame.pts = self._number
        self._number += 1
        stream = b"".join(bytes(packet) for packet in self._codec.encode(frame))
        return [nal for nal in re.split(rb"\x00\x00\x00?\x01", stream) if nal]


def rtp_payloads(nal: bytes) -> Iterator[tuple[bytes, bool]]:
    """One NAL unit as (payload, last): whole if it fits, else FU-A fragments (RFC 6184, 5.8)."""
    if len(nal) <= MTU:
        yield nal, True
        return
    header, body = nal[0], nal[1:]
    for start in range(0, len(body), MTU):
        last = start + MTU >= len(body)
        fragment = (0x80 if start == 0 else 0) | (0x40 if last else 0) | header & 0x1F
        yield bytes([header & 0xE0 | 28, fragment]) + body[start : start + MTU], last


class Session(socketserver.StreamRequestHandler):
    """One client: answers requests on this thread, sends RTP on another."""

    server: Server
    rfile: Any
    _transport: tuple[str, int] | None = None
    _sender: threading.Thread | None = None

    def handle(self) -> None:
        self._stop, self._lock = threading.Event(), threading.Lock()
        try:
            while request := self._read_request():
                if not self._answer(*request):
                    break
        except OSError:
            pass
        self._stop.set()
        if self._sender:
            self._sender.join()

    def _read_request(self) -> tuple[str, str, dict[str, str]] | None:
        while first := self.rfile.peek(1)[:1]:
            if first != b"$":
                break
            self.rfile.read(struct.unpack(">BxH", self.rfile.read(4))[1])  # RTCP from the client
        line = self.rfile.readline().decode().split()
        if len(line) != 3:
            return None
        headers = {}
        while text := self.rfile.readline().decode().strip():
            key, _, value = text.partition(":")
            headers[key.lower()] = value.strip()
        self.rfile.read(int(headers.get("content-length", 0)))
        return line[0], line[1], headers

    def _answer(self, method: str, url: str, headers: dict[str, str]) -> bool:
        options = self.server.options
        if options.user and not self._authorised(method, headers.get("authorization", "")):
            challenge = f'Digest realm="{REALM}", nonce="{NONCE}"'
            if options.auth == "basic":
                challenge = f'Basic realm="{REALM}"'
            return self._reply(headers, "401 Unauthorized", {"WWW-Authenticate": challenge})
        if method == "DESCRIBE" and not url.rstrip("/").endswith("/live"):
            return self._reply(headers, "404 Not Found")
        handler = getattr(self, f"_on_{method.lower()}", None)
        return handler(headers) if handler else self._reply(headers, "501 Not Implemented")

    def _on_options(self, headers: dict[str, str]) -> bool:
        methods = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
        return self._reply(headers, "200 OK", {"Public": methods})

    def _on_describe(self, headers: dict[str, str]) -> bool:
        return self._reply(headers, "200 OK", {"Content-Type": "application/sdp"}, self._sdp())

    def _on_setup(self, headers: dict[str, str]) -> bool:
        wanted = headers["transport"]
        if ports := re.search(r"client_port=(\d+)", wanted):
            self._transport = ("udp", int(ports[1]))
            granted = f"{wanted};server_port={self.server.udp.getsockname()[1]}-0"
        else:
            self._transport, granted = ("tcp", 0), "RTP/AVP/TCP;unicast;interleaved=0-1"
        return self._reply(headers, "200 OK", {"Transport": granted})

    def _on_play(self, headers: dict[str, str]) -> bool:
        self._reply(headers, "200 OK", {"Range": "npt=0.000-"})
        self._sender = threading.Thread(target=self._send_stream, name="rtp", daemon=True)
        self._sender.start()
        return True

    def _on_get_parameter(self, headers: dict[str, str]) -> bool:
        return self._reply(headers, "200 OK")

    def _on_teardown(self, headers: dict[str, str]) -> bool:
        self._reply(headers, "200 OK")
        return False

    def _reply(
        self,
        request: dict[str, str],
        status: str,
        headers: dict[str, str] | None = None,
        body: str = "",
    ) -> bool:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {request.get('cseq', '0')}", "Session: 1;timeout=10"]
        lines += [f"{key}: {value}" for key, value in (headers or {}).items()]
        lines += [f"Content-Length: {len(body)}"] if body else []
        with self._lock:
            self.wfile.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        return True

    def _sdp(self) -> str:
        options = self.server.options
        sets = [
            nal for nal in Encoder(options.size, options.fps).next_frame() if nal[0] & 31 in (7, 8)
        ]
        parameters = ",".join(base64.b64encode(nal).decode() for nal in sets)
        return (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\na=control:*\r\n"
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}\r\nc=IN IP4 0.0.0.0\r\na=control:track1\r\n"
            f"a=rtpmap:{PAYLOAD_TYPE} H264/{CLOCK_HZ}\r\na=framerate:{options.fps}\r\n"
            f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;sprop-parameter-sets={parameters}\r\n"
        )

    def _authorised(self, method: str, header: str) -> bool:
        options = self.server.options
        kind, _, rest = header.partition(" ")
        if kind != options.auth.capitalize():
            return False
        if kind == "Basic":
            return base64.b64decode(rest).decode() == f"{options.user}:{options.password}"
        given = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        secret = _md5(f"{options.user}:{REALM}:{options.password}")
        expected = _md5(f"{secret}:{NONCE}:{_md5(method + ':' + given.get('uri', ''))}")
        return given.get("response") == expected

    def _send_stream(self) -> None:
        options = self.server.options
        encoder, packet_number, started_s = Encoder(options.size, options.fps), 0, time.monotonic()
        for number in range(1 << 30):
            if self._stop.wait(max(0.0, started_s + number / options.fps - time.monotonic())):
                return
            if options.silent_after is not None and number >= options.silent_after:
                continue
            if options.die_after is not None and number >= options.die_after:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            nals = encoder.next_frame()
            for index, nal in enumerate(nals):
                for payload, last in rtp_payloads(nal):
                    mark = 0x80 if last and index == len(nals) - 1 else 0
                    header = struct.pack(
                        ">BBHII",
                        0x80,
                        mark | PAYLOAD_TYPE,
                        packet_number & 0xFFFF,
                        number * CLOCK_HZ // options.fps & 0xFFFFFFFF,
                        0x1234,
                    )
                    packet_number += 1
                    try:
                        self._send(header + payload)
                    except OSError:
                        return

    def _send(self, packet: bytes) -> None:
        assert self._transport is not None
        kind, port = self._transport
        if kind == "udp":
            self.server.udp.sendto(packet, (self.client_address[0], port))
            return
        with self._lock:
            self.connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)


class Server(socketserver.ThreadingTCPServer):
    """Listens on loopback only."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        super().__init__(("127.0.0.1", options.port), Session)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", choices=("digest", "basic"), default="digest")
    parser.add_argument("--size", type=_size, default=(320, 240))
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--die-after", type=int)
    parser.add_argument("--silent-after", type=int)
    with Server(parser.parse_args()) as server:
        print(f"ready {server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
