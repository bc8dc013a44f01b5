"""The API attacked by its own description.

`VCSHARP_FUZZ_CASES` says how many requests are made up; `make fuzz` makes ten thousand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.types import ASGIApp

from vcsharp.control import pictures
from vcsharp.control.api import make_app
from vcsharp.control.guards import socket_guard

from .fake_runtime import FakeRuntime, picture

CASES = int(os.environ.get("VCSHARP_FUZZ_CASES", "60"))
ROUTES = [
    ("GET", "/api/state"),
    ("PATCH", "/api/options"),
    ("POST", "/api/pause"),
    ("POST", "/api/resume"),
    ("POST", "/api/reload"),
    ("GET", "/api/sources"),
    ("GET", "/api/models"),
    ("GET", "/api/snapshot.png"),
    ("GET", "/api/pair"),
    ("POST", "/api/ui"),
]
TAKING = [("PATCH", "/api/options"), ("GET", "/api/snapshot.png"), ("GET", "/api/pair")]
"""Those that can be asked wrongly."""
EACH = max(5, CASES // (2 * len(TAKING)))

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the client that calls the app
    pytest.mark.timeout(180 + CASES),
]


@pytest.fixture(scope="module")
def app() -> Iterator[ASGIApp]:
    runtime = FakeRuntime()
    runtime.show(picture(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "POLL_TIMEOUT_S", 0.001)
        yield make_app(
            runtime,
            socket_guard,
            open_page=lambda: ("http://127.0.0.1:1/?token=x", "http://127.0.0.1:1/?ticket=y"),
        )


@pytest.fixture(scope="module")
def described(app):
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def attack(described, method: str, path: str, mode: GenerationMode, cases: int) -> int:
    """Makes requests up and checks each answer against the description; how many there were."""
    made = 0

    @hypothesis.settings(
        max_examples=cases,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(described[path][method].as_strategy(generation_mode=mode))
    def ask(case) -> None:
        nonlocal made
        made += 1
        # Only the run itself can tell which names there are.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    ask()
    return made


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_is_one_of_those_described(described, method, path):
    cases = EACH if (method, path) in TAKING else 3
    assert attack(described, method, path, GenerationMode.POSITIVE, cases)


@pytest.mark.parametrize(("method", "path"), TAKING)
def test_whatever_is_wrong_is_refused(described, method, path):
    assert attack(described, method, path, GenerationMode.NEGATIVE, EACH)


def test_the_description_is_valid_and_complete(described):
    described.validate()
    found = [operation.ok() for operation in described.get_all_operations()]
    assert sorted((one.method.upper(), one.path) for one in found) == sorted(ROUTES)
