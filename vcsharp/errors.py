"""Every error that vcsharp raises on purpose.

    VcsharpError
    ├── SettingsError (ValueError)              exit 2
    ├── SourceError (OSError)                   exit 3 while opening, 1 later
    │   └── SourceLost                          a live source went away; it is opened again
    ├── SinkError (OSError)                     exit 3 while opening, 1 later
    │   ├── SinkFormatError                     the device granted another format (EINVAL)
    │   ├── SinkIOError                         the device refused a frame (EIO, short write)
    │   └── SinkGone                            the device vanished (ENODEV)
    ├── ModelError                              exit 3
    │   └── ModelNotFoundError (FileNotFoundError)   exit 2
    ├── BackendError (RuntimeError)             exit 1
    │   └── BackendUnavailableError             exit 3
    ├── ImageError (ValueError)                 exit 1; one still could not be read or written
    └── MailboxClosed                           internal: the other side has gone

The text of an error is one line: what happened, where, why, and the cure. The value received stands
in quotes.
"""

from __future__ import annotations


class VcsharpError(Exception):
    """Base class. `exit_code` is what the process ends with if nothing handles the error."""

    exit_code = 1


class SettingsError(VcsharpError, ValueError):
    """A flag, variable or settings file held something that cannot be used."""

    exit_code = 2


class SourceError(VcsharpError, OSError):
    """A camera, stream or file could not be opened or read.

    `title` says it in three words, for the picture that stands in: `camera unplugged`.
    """

    exit_code = 1

    def __init__(self, text: str = "", *, title: str = "") -> None:
        super().__init__(text)
        self.title = title


class SourceLost(SourceError):
    """A live source stopped delivering. Opening it again may help."""


class SinkError(VcsharpError, OSError):
    """An output could not be opened or written."""

    exit_code = 1


class SinkFormatError(SinkError):
    """A device granted another size or pixel format than the one asked for."""


class SinkIOError(SinkError):
    """A device refused or truncated a frame."""


class SinkGone(SinkError):
    """A device vanished while it was being written."""


class ModelError(VcsharpError):
    """A model's files are damaged or do not fit its card."""

    exit_code = 3


class ModelNotFoundError(ModelError, FileNotFoundError):
    """No model of that name or path exists."""

    exit_code = 2


class BackendError(VcsharpError, RuntimeError):
    """An inference runtime failed."""

    exit_code = 1


class BackendUnavailableError(BackendError):
    """An inference runtime is not installed, or has no such device."""

    exit_code = 3


class ImageError(VcsharpError, ValueError):
    """A still picture could not be read or written."""

    exit_code = 1


class MailboxClosed(VcsharpError):
    """The mailbox was closed. `__cause__` tells why, if anything went wrong."""
