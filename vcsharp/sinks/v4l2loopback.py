"""Linux's virtual camera: frames are written to a v4l2loopback device, where meetings read them.

What shaped this file: S_FMT succeeds and returns another format where somebody else owns the
device; write() cuts what is too long and never waits; STREAMON without buffers is refused since
0.14, and needed by 0.12; a device with `keep_format` does not say that it can be written, and can.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from vcsharp import videodev
from vcsharp.errors import SinkError, SinkFormatError, SinkGone, SinkIOError
from vcsharp.frame import Bytes, Frame, Result
from vcsharp.sinks import legacy, standin
from vcsharp.sinks import v4l2_abi as abi
from vcsharp.sinks.base import StreamFormat
from vcsharp.sinks.consumers import ConsumerWatch, Openers
from vcsharp.sinks.kept import Kept
from vcsharp.sinks.v4l2_device import Device
from vcsharp.sinks.v4l2_format import described, fits, option, requested

log = logging.getLogger(__name__)

LABEL = "vcsharp"
MODPROBE = f"sudo modprobe v4l2loopback video_nr=10 card_label={LABEL} exclusive_caps=1"
_DRIVER = b"v4l2 loopback"
LOOK_S = 1.0
"""Between two looks at whether the device still has our format."""
_SYSFS = Path("/sys/class/video4linux")
_MODULE = Path("/sys/module/v4l2loopback")


@dataclass(frozen=True, slots=True)
class LoopbackDevice:
    """A v4l2loopback device that this machine has."""

    path: str
    """`/dev/video10`."""
    label: str
    """What meetings call it."""
    writable: bool
    """True where it says that a writer may come; False also where only trying can tell."""


def find_loopback(device: Device | None = None, sysfs: Path = _SYSFS) -> list[LoopbackDevice]:
    """Every loopback device, best first.

    Those that announce a free place for a writer come before the others, then the label `vcsharp`,
    then the lowest number.
    """
    kernel = device or Device()
    found = [
        loopback
        for entry in videodev.listed(sysfs, "video*")
        if (loopback := _probe(kernel, entry))
    ]
    return sorted(found, key=lambda d: (not d.writable, d.label != LABEL, len(d.path), d.path))


class LoopbackSink:
    """Writes frames to a v4l2loopback device. Not thread-safe.

    While it is open the device is a camera; who reads it is told size, rate and colour.
    """

    realtime = True
    paced = True
    dresses = False

    def __init__(
        self,
        path: str | None = None,
        *,
        name: str = "virtual",
        pixel_format: str = "YU12",
        device: Device | None = None,
        sysfs: Path = _SYSFS,
        kept: Kept | None = None,
    ) -> None:
        """`path` None takes the first loopback device that lets itself be written.

        `pixel_format` is what readers get: `YU12` (as vcsharp works) or `YUYV` (for old readers).
        `kept` are the devices that stay open from one run to the next.
        """
        self.name = name
        self._asked, self._path, self._sysfs = path, path, sysfs
        self._pixel_format = pixel_format
        self._kernel, self._kept = device or Device(), kept
        self._descriptor = -1
        self._watch: ConsumerWatch | None = None
        self._stream: StreamFormat | None = None
        self._looked_s = 0.0

    @property
    def wanted(self) -> bool | None:
        """See `Sink.wanted`."""
        watch = self._watch
        return watch.wanted if watch is not None else None

    def open(self, stream: StreamFormat) -> str:
        """Opens the device and settles its format.

        Raises SinkError, which is a SinkFormatError where the device keeps another format.
        """
        if stream.width % 2 or stream.height % 2:
            raise SinkError(
                "a virtual camera needs an even width and height, "
                f"got '{stream.width}x{stream.height}'; give an even --size"
            )
        card = self._open_first(stream)
        self._stream, self._looked_s = stream, 0.0
        self._watch = ConsumerWatch(f"{self._path}", device=self._kernel, sysfs=self._sysfs)
        self._watch.start()
        return f'{self._path} "{card}" ({stream.width}x{stream.height} {self._pixel_format})'

    def write(self, result: Result) -> None:
        """Hands one picture to the readers. Raises SinkError: SinkGone where the device went."""
        data = _packed(result.frame, self._pixel_format)
        try:
            taken = self._kernel.write(self._descriptor, data)
        except OSError as error:
            self._drop_kept()
            raise _write_error(f"{self._path}", error) from error
        if taken != data.nbytes:
            self._drop_kept()
            raise SinkIOError(
                f"'{self._path}' took {taken} of {data.nbytes} bytes of a frame: another program "
                "changed its format; close that program and start again"
            )
        self._look_at_format()

    def close(self) -> None:
        """Releases the device; who still reads it sees that nobody writes any more. Idempotent."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self._descriptor >= 0:
            self._kernel.close(self._descriptor)
            self._descriptor = -1

    def _is_ours(self, path: str) -> bool:
        """Whether applications know this device as the one that vcsharp feeds."""
        return path == self._path or (self._kept is not None and self._kept.holds(path))

    def _drop_kept(self) -> None:
        """Lets go of what would bar this run from opening the device anew."""
        if self._kept is not None and self._path is not None:
            self._kept.drop(self._path)

    def _look_at_format(self) -> None:
        """Raises SinkFormatError where the device is no longer what it was opened as.

        A program that opens an `exclusive_caps=0` device between our S_FMT and the first frame may
        set another format on 0.13, and every frame would still be taken.
        """
        now_s = time.monotonic()
        if self._stream is None or now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        wanted = requested(self._stream, self._pixel_format)
        shown = abi.Format(type=abi.BUF_TYPE_VIDEO_CAPTURE)
        try:
            self._kernel.ioctl(self._descriptor, abi.G_FMT, shown)
        except OSError as error:
            log.debug("%s does not tell its format: %s", self._path, error.strerror)
            return
        if not fits(shown.fmt.pix, wanted.fmt.pix):
            raise SinkFormatError(
                f"'{self._path}' shows readers {described(shown)} instead of {described(wanted)}: "
                "another program changed its format; close that program"
            )

    def _open_first(self, stream: StreamFormat) -> str:
        """Opens the device asked for, or the first that does not refuse; returns its label."""
        if self._asked is not None:
            return self._open_one(self._asked, stream)
        refusals: list[str] = []
        found = find_loopback(self._kernel, self._sysfs)
        for candidate in sorted(found, key=lambda one: not self._is_ours(one.path)):
            try:
                label = self._open_one(candidate.path, stream)
            except SinkError as error:
                refusals.append(str(error))
            else:
                self._path = candidate.path
                return label
        raise SinkError("; ".join(refusals) or f"there is no virtual camera; make one: {MODPROBE}")

    def _open_one(self, path: str, stream: StreamFormat) -> str:
        return self._continued(path, stream) or self._opened(path, stream)

    def _continued(self, path: str, stream: StreamFormat) -> str | None:
        """Goes on with the device that the run before left open. None where it left none."""
        descriptor = self._kept.take(path) if self._kept is not None else None
        if self._kept is None or descriptor is None:
            return None
        self._descriptor = descriptor
        try:
            wanted = requested(stream, self._pixel_format)
            current = abi.Format(type=abi.BUF_TYPE_VIDEO_OUTPUT)
            if self._already(wanted, current):
                self._settle_rate(stream.fps)
                self._set_picture_aside(path, stream)
                return _text(_capability(self._kernel, descriptor).card)
        except OSError as error:
            log.debug("%s cannot be gone on with: %s", path, error.strerror)
        self._kept.drop(path)
        self.close()
        return None

    def _opened(self, path: str, stream: StreamFormat) -> str:
        try:
            label = _checked_label(path, self._asked_device(path))
            self._settle_format(path, stream)
            self._settle_rate(stream.fps)
            if legacy.is_legacy(path, self._sysfs):
                legacy.start_streaming(self._kernel, self._descriptor)
            self._set_picture_aside(path, stream)
            if self._kept is not None:
                self._kept.keep(path, self._descriptor)
        except SinkError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise _open_error(path, error) from error
        return label

    def _asked_device(self, path: str) -> videodev.Capability:
        """Opens the device and asks what it is; on 0.12 its writer's place may have to be freed."""
        self._descriptor = self._kernel.open(path)
        capability = _capability(self._kernel, self._descriptor)
        if _can_output(capability) or not legacy.is_legacy(path, self._sysfs):
            return capability
        self.close()
        openers = Openers(_MODULE, self._sysfs)
        if not legacy.free_place(self._kernel, path, openers):
            # 0.12 would let several programs write at once.
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        self._descriptor = self._kernel.open(path)
        return _capability(self._kernel, self._descriptor)

    def _set_picture_aside(self, path: str, stream: StreamFormat) -> None:
        """Lets a call go on while nobody writes: until vcsharp was restarted, or updated."""
        data = _packed(standin.picture(stream), self._pixel_format)
        standin.arm(self._kernel, path, self._descriptor, data.tobytes())

    def _settle_format(self, path: str, stream: StreamFormat) -> None:
        wanted = requested(stream, self._pixel_format)
        granted = abi.Format.from_buffer_copy(wanted)
        try:
            self._kernel.ioctl(self._descriptor, abi.S_FMT, granted)
        except OSError as error:
            # 0.13 says so where others grant the format that a reader or writer has.
            if error.errno != errno.EBUSY or self._already(wanted, granted):
                raise
        if not fits(granted.fmt.pix, wanted.fmt.pix):
            raise SinkFormatError(
                f"'{path}' stays at {described(granted)} where {described(wanted)} was asked: "
                "another program reads or writes it, or it has keep_format set; "
                f"close that program, or run with {option(granted, wanted)}"
            )

    def _already(self, wanted: abi.Format, current: abi.Format) -> bool:
        """Whether the device has the wanted format; puts what it has into `current`."""
        self._kernel.ioctl(self._descriptor, abi.G_FMT, current)
        return fits(current.fmt.pix, wanted.fmt.pix)

    def _settle_rate(self, fps: Fraction) -> None:
        parameters = abi.StreamParm(type=abi.BUF_TYPE_VIDEO_OUTPUT)
        output = parameters.parm.output
        output.numerator, output.denominator = fps.denominator, fps.numerator
        try:
            self._kernel.ioctl(self._descriptor, abi.S_PARM, parameters)
        except OSError as error:
            # Only what readers are told depends on it, so a driver without it is no reason to stop.
            log.warning("%s does not take a frame rate: %s", self._path, error.strerror)


def _probe(kernel: Device, entry: Path) -> LoopbackDevice | None:
    path = f"/dev/{entry.name}"
    try:
        descriptor = kernel.open(path)
    except PermissionError:
        # Listed all the same, so that opening it can tell what to do about the permission.
        loopback = (entry / "max_openers").exists()
        return LoopbackDevice(path, "", writable=False) if loopback else None
    except OSError:
        return None
    try:
        capability = _capability(kernel, descriptor)
    except OSError:
        return None
    finally:
        kernel.close(descriptor)
    if capability.driver != _DRIVER:
        return None
    return LoopbackDevice(path, _text(capability.card), _can_output(capability))


def _capability(kernel: Device, descriptor: int) -> videodev.Capability:
    capability = videodev.Capability()
    kernel.ioctl(descriptor, videodev.QUERYCAP, capability)
    return capability


def _can_output(capability: videodev.Capability) -> bool:
    return bool((capability.capabilities | capability.device_caps) & videodev.CAP_VIDEO_OUTPUT)


def _checked_label(path: str, capability: videodev.Capability) -> str:
    """The device's label. Raises SinkError where it is a camera rather than a virtual one."""
    label = _text(capability.card)
    if capability.driver != _DRIVER and not _can_output(capability):
        raise SinkError(
            f"'{path}' is \"{label}\" (driver {_text(capability.driver)}), not a virtual camera; "
            f"make a virtual camera: {MODPROBE}"
        )
    return label


def _packed(frame: Frame, pixel_format: str) -> Bytes:
    return yuyv(frame) if pixel_format == "YUYV" else frame.data


def yuyv(frame: Frame) -> Bytes:
    """The frame as Y0 Cb Y1 Cr, each chroma row used twice; uint8, (height, width, 2)."""
    chroma = cv2.merge([frame.u, frame.v]).reshape(frame.u.shape[0], frame.width)
    return np.asarray(cv2.merge([frame.y, np.repeat(chroma, 2, axis=0)]), np.uint8)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _open_error(path: str, error: OSError) -> SinkError:
    number = path.removeprefix("/dev/video")
    modprobe = MODPROBE.replace("=10", f"={number}") if number.isdecimal() else MODPROBE
    cures = {
        errno.ENOENT: f"there is no such device; make it: {modprobe}",
        errno.ENODEV: f"the device is gone; make it again: {modprobe}",
        errno.ENXIO: f"the device is gone; make it again: {modprobe}",
        errno.EBUSY: "another program writes to it; close that program or choose another device",
        errno.EACCES: "no permission; run: sudo usermod -aG video $USER, then log in again",
        errno.EPERM: "no permission; run: sudo usermod -aG video $USER, then log in again",
        errno.ENOTTY: f"it is not a video device; make one: {MODPROBE}",
        # What v4l2loopback 0.15 says to a second writer.
        errno.EINVAL: "another program writes to it; close that program or choose another device",
    }
    return SinkError(f"cannot use '{path}': {cures.get(error.errno or 0, error.strerror)}")


def _write_error(path: str, error: OSError) -> SinkError:
    """A refused frame, as the type that tells whether opening again can help."""
    if error.errno in (errno.ENODEV, errno.ENXIO, errno.EBADF):
        return SinkGone(f"'{path}' is gone: the v4l2loopback module was unloaded; load it again")
    if error.errno == errno.EINVAL:
        # What 0.13 says to a second writer, and every release after a change of format.
        return SinkFormatError(
            f"'{path}' refuses the frames: another program writes to it or changed its format; "
            "close that program"
        )
    causes = {
        errno.EBUSY: "another program writes to it; close that program",
        errno.EIO: "the driver reports an input/output error; reload v4l2loopback",
    }
    return SinkIOError(f"cannot write to '{path}': {causes.get(error.errno or 0, error.strerror)}")
