"""The command `vcsharp`, also as `python -m vcsharp`."""

from __future__ import annotations

import sys

from vcsharp.interrupt import end_on_interrupt


def main() -> int:
    """Runs the command line; returns the exit status."""
    end_on_interrupt()
    from vcsharp import cli  # half a second of imports, in which Ctrl-C must not raise

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
