"""The command `vcsharp`, also as `python -m vcsharp`."""

from __future__ import annotations

import os
import sys
import threading

from vcsharp.interrupt import end_on_interrupt
from vcsharp.proctitle import hide_passwords

_SEEN_IN_PS = """\
vcsharp: warning: every user of this machine can read the password in your command with ps; write \
the source into the settings file or the variable VCSHARP_SOURCE instead
"""


def main() -> int:
    """Runs the command line; returns the exit status."""
    end_on_interrupt()
    if not hide_passwords():  # before anything that takes its time
        sys.stderr.write(_SEEN_IN_PS)
    from vcsharp import cli  # half a second of imports, in which Ctrl-C must not raise

    status = cli.main()
    _leave_if_a_thread_hangs(status)
    return status


def _leave_if_a_thread_hangs(status: int) -> None:
    """Ends the process at once if a device still holds one of our threads.

    The interpreter would tear the libraries down under that thread, and abort.
    """
    others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
    if any(thread.name.startswith("vcsharp-") for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
