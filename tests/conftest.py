"""What all tests share."""

from __future__ import annotations

import hypothesis

# No test depends on how fast the machine is.
hypothesis.settings.register_profile("vcsharp", deadline=None)
hypothesis.settings.load_profile("vcsharp")
