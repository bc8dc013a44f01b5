"""Strange peers on loopback: what answers where a camera should."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def answering(reply: bytes | None, port: int = 0) -> Iterator[int]:
    """A server that sends `reply` to each client and hangs up, or accepts and says nothing.

    Yields its port, on 127.0.0.1.
    """
    clients: list[socket.socket] = []

    def serve(server: socket.socket) -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            clients.append(client)
            if reply is not None:
                with suppress(OSError):  # gone already
                    client.recv(4096)
                    client.sendall(reply)
                client.close()

    with socket.create_server(("127.0.0.1", port)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for client in clients:
                client.close()
