"""An RTSP camera on loopback that says at each step what a camera says, or something damaged."""

from __future__ import annotations

import re
import socket
import struct
import threading
from contextlib import suppress
from random import Random

from tests.sources.rtsp_server import Encoder, rtp_payloads

from .mutate import mutated

_PATIENCE_S = 0.15
_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\na=control:*\r\n"
    "m=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\na=control:track1\r\n"
    "a=rtpmap:96 H264/90000\r\na=framerate:25\r\na=fmtp:96 packetization-mode=1\r\n"
)
_ANSWERS = {
    b"OPTIONS": b"Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n",
    b"DESCRIBE": (
        f"Content-Type: application/sdp\r\nContent-Length: {len(_SDP)}\r\n\r\n{_SDP}".encode()
    ),
    b"SETUP": b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n",
    b"PLAY": b"Range: npt=0.000-\r\n\r\n",
}


class DamagedCamera:
    """Serves one client at a time, on a thread of its own, as the last `prepare` said."""

    def __init__(self) -> None:
        self._packets = _packets()
        self._random = Random(0)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        threading.Thread(target=self._serve, name="camera", daemon=True).start()

    def prepare(self, random: Random) -> str:
        """What comes next; returns the address."""
        self._random = Random(random.random())
        return f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/live"

    def _serve(self) -> None:
        while True:
            client, _ = self._listener.accept()
            random = self._random
            client.settimeout(_PATIENCE_S)
            with client, suppress(OSError):
                self._answer_all(client, random)

    def _answer_all(self, client: socket.socket, random: Random) -> None:
        damaged = random.choice(("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "rtp", "rtp", "rtp", ""))
        while request := client.recv(4096):
            method = request.partition(b" ")[0]
            answer = _reply(request, method)
            if method.decode("latin-1") == damaged:
                answer = mutated([answer], random)
            client.sendall(answer)
            if method == b"PLAY":
                self._send_pictures(client, random, whole=damaged != "rtp")
                return

    def _send_pictures(self, client: socket.socket, random: Random, *, whole: bool) -> None:
        for number, packet in enumerate(self._packets):
            payload = packet
            if not whole and random.random() < 0.3:
                payload = mutated([packet], random)
            framed = struct.pack(">cBH", b"$", 0, len(payload) & 0xFFFF) + payload
            if not whole and number and random.random() < 0.05:
                framed = mutated([framed], random)
            client.sendall(framed)


def _reply(request: bytes, method: bytes) -> bytes:
    found = re.search(rb"CSeq: *(\d+)", request)
    number = found[1] if found else b"0"
    head = b"RTSP/1.0 200 OK\r\nCSeq: " + number + b"\r\nSession: 1;timeout=10\r\n"
    return head + _ANSWERS.get(method, b"\r\n")


def _packets() -> list[bytes]:
    """Ten small pictures as RTP."""
    encoder = Encoder((64, 48), 25)
    packets: list[bytes] = []
    for number in range(10):
        nals = encoder.next_frame()
        for index, nal in enumerate(nals):
            for payload, last in rtp_payloads(nal):
                mark = 0x80 if last and index == len(nals) - 1 else 0
                head = struct.pack(">BBHII", 0x80, mark | 96, len(packets), number * 3600, 0x1234)
                packets.append(head + payload)
    return packets
