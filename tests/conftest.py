"""What all tests share."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile

import hypothesis

# What a run measures on this machine is nobody else's: neither read nor written.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="vcsharp-tests-cache-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

# No test depends on how fast the machine is.
hypothesis.settings.register_profile("vcsharp", deadline=None)
hypothesis.settings.load_profile("vcsharp")

# Begun in the background by a plain shell, this process ignores Ctrl-C, and so would every one that
# it starts: those that a test interrupts would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
