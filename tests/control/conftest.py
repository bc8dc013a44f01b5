"""What the tests of the control API share."""

from __future__ import annotations

import pytest

from .fake_runtime import FakeRuntime


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()
