"""A browser that sends exactly what it is told."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

JSON = {"Content-Type": "application/json"}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class Browser:
    """Sends exactly what it is told."""

    def __init__(self, url: str) -> None:
        self.port = urlsplit(url).port or 0
        self.token = parse_qs(urlsplit(url).query)["token"][0]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.cookie = {"Cookie": f"vcsharp-{self.port}={self.token}"}

    def ask(self, method: str, path: str, headers=None, body: bytes | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, told, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, self.cookie | headers)


def nothing_done(runtime) -> bool:
    return not runtime.calls and not runtime.looks
