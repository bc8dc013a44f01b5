"""What all tests share."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import hypothesis

# What a run measures on this machine is nobody else's: neither read nor written.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="vcsharp-tests-cache-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

# No test depends on how fast the machine is.
hypothesis.settings.register_profile("vcsharp", deadline=None)
hypothesis.settings.load_profile("vcsharp")
