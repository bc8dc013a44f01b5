"""What runs the network: ONNX Runtime, GPU and PyTorch, the models, the video libraries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from vcsharp import catalogue
from vcsharp.doctor.distribution import install
from vcsharp.doctor.finding import Finding, failed, fault, ok, skipped, warning
from vcsharp.doctor.machine import IMPORT_TIMEOUT_S
from vcsharp.doctor.world import World
from vcsharp.errors import ModelError

_ORT = ("onnxruntime", "onnxruntime-gpu")
_ASK_ORT = (
    "import json, onnxruntime as o; print(json.dumps([o.__version__, o.get_available_providers()]))"
)
_ASK_VIDEO = (
    "import av, cv2; "
    "print('PyAV', av.__version__, '(FFmpeg ' + str(av.ffmpeg_version_info) + '), '"
    "'OpenCV', cv2.__version__)"
)
_CUDA_PROVIDER = "CUDAExecutionProvider"
_NVIDIA, _DISPLAY_CLASS = "0x10de", "0x03"
_DEFAULT_MODEL = "nano"


def check_onnxruntime(world: World) -> list[Finding]:
    """Is exactly one ONNX Runtime installed, and does it load?"""
    installed = [name for name in _ORT if name in world.packages()]
    pip = f"{world.python} -m pip"
    if len(installed) > 1:
        what = "onnxruntime and onnxruntime-gpu share one folder and overwrite each other; keep one"
        keep = "onnxruntime-gpu" if has_gpu(world) else "onnxruntime"
        return [failed(what, f"{pip} uninstall -y {' '.join(_ORT)} && {pip} install {keep}")]
    if not installed:
        return [_without_ort(world, f"{pip} install onnxruntime")]
    answer = world.run([world.python, "-c", _ASK_ORT], IMPORT_TIMEOUT_S)
    if answer is None or answer.code:
        why = answer.why if answer else f"'{world.python}' is not there"
        return [failed(f"{installed[0]} does not load: {why}", _again(world, installed[0]))]
    version, providers = json.loads(answer.out)
    names = ", ".join(name.removesuffix("ExecutionProvider") for name in providers)
    return [ok(f"{installed[0]} {version} loads; it can use: {names}")]


def _without_ort(world: World, cure: str) -> Finding:
    if world.settings.model == "none":
        return ok("ONNX Runtime is not installed, and not needed: model is 'none'")
    if "torch" in world.packages():
        return warning("ONNX Runtime is not installed: PyTorch is slower on a CPU", cure)
    return failed("neither ONNX Runtime nor PyTorch is installed: no network can run", cure)


def _again(world: World, package: str) -> str:
    return f"{world.python} -m pip install --force-reinstall --no-deps {package}"


def has_gpu(world: World) -> bool:
    """Whether an NVIDIA GPU is built in, with or without a driver."""
    return world.path("/dev/nvidiactl").exists() or _on_the_bus(world)


def check_gpu(world: World) -> list[Finding]:
    """Does the GPU's driver work, and does it fit what was built for it?"""
    device = world.settings.device
    needed = device.startswith("cuda")
    if device == "cpu":
        return [ok("no GPU is needed: device is 'cpu'")]
    answer = world.run(["nvidia-smi", "-q"])
    if answer is None or answer.code:
        return [_no_driver(world, answer.why if answer else "", needed=needed)]
    driver, cuda = _fact(answer.out, "Driver Version"), _fact(answer.out, "CUDA Version")
    name = _fact(answer.out, "Product Name") or "NVIDIA GPU"
    said = f"{name}, driver {driver}, for CUDA up to {cuda}"
    return [ok(said), _runtime(world, cuda, needed=needed)]


def _no_driver(world: World, why: str, *, needed: bool) -> Finding:
    if not has_gpu(world):
        if needed:
            what = f"device is '{world.settings.device}', but there is no NVIDIA GPU"
            return failed(what, "vcsharp run --device cpu")
        return ok("no NVIDIA GPU: the network runs on the CPU, which is enough for nano at 1080p")
    if "mismatch" in why:
        what = "the NVIDIA driver was updated and the old one still runs; restart the machine"
        return fault(what, "sudo reboot", needed=needed)
    if why:
        what = f"the NVIDIA driver does not work: {why}"
        return fault(what, "sudo dmesg -T | grep -iE 'nvrm|nvidia'", needed=needed)
    what = "there is an NVIDIA GPU without NVIDIA's driver: the network runs on the CPU"
    return fault(what, install(world, "nvidia"), needed=needed)


def _runtime(world: World, driver_cuda: str, *, needed: bool) -> Finding:
    """Whether something that can use the GPU is installed and not newer than the driver."""
    built = world.torch_cuda()
    if built is not None and _major(built) > _major(driver_cuda) > 0:
        what = f"PyTorch is built for CUDA {built}, the driver ends at {driver_cuda}: the GPU lies "
        return fault(f"{what}idle; update the driver", install(world, "nvidia"), needed=needed)
    if built is not None:
        return ok(f"PyTorch for CUDA {built} fits the driver")
    if "onnxruntime-gpu" in world.packages():
        return _ort_on_gpu(world, needed=needed)
    cpu_only = "PyTorch is built for the CPU only" if "torch" in world.packages() else ""
    what = f"{cpu_only or 'no runtime for the GPU is installed'}: the network runs on the CPU"
    again = " --force-reinstall" if cpu_only else ""
    return fault(what, f"{world.python} -m pip install{again} torch safetensors", needed=needed)


def _ort_on_gpu(world: World, *, needed: bool) -> Finding:
    answer = world.run([world.python, "-c", _ASK_ORT], IMPORT_TIMEOUT_S)
    if answer and not answer.code and _CUDA_PROVIDER in answer.out:
        return ok("ONNX Runtime can use the GPU")
    what = "ONNX Runtime cannot use the GPU: the network runs on the CPU"
    return fault(what, _again(world, "onnxruntime-gpu"), needed=needed)


def _fact(text: str, name: str) -> str:
    match = re.search(rf"^\s*{name}\s*: *(.+?)\s*$", text, re.MULTILINE)
    return match[1] if match else ""


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdecimal() else 0


def _on_the_bus(world: World) -> bool:
    """By PCI vendor and class, as the kernel lists them."""
    return any(
        vendor.read_text().strip() == _NVIDIA
        and (vendor.parent / "class").read_text().startswith(_DISPLAY_CLASS)
        for vendor in world.path("/sys/bus/pci/devices").glob("*/vendor")
    )


def check_models(world: World) -> list[Finding]:
    """Are the models' files what their cards say?"""
    wanted = world.settings.model
    if wanted == "none":
        return [skipped("model is 'none'")]
    try:
        findings = list(_models(world))
    except ModelError as error:  # the folder of the models itself was lost
        return [failed(str(error), _again(world, "vcsharp"))]
    wished = _DEFAULT_MODEL if wanted == "auto" else wanted
    if any(finding.what.startswith(f"{wished} ") for finding in findings):
        return findings
    return [*findings, _named_model(world, wished)]


def _models(world: World) -> Iterator[Finding]:
    """One finding for each model in the folders; the first of a name counts."""
    seen: set[str] = set()
    for folder in world.model_folders():
        for card in sorted(folder.glob("*/card.json")):
            if card.parent.name not in seen:
                seen.add(card.parent.name)
                yield _model(world, card.parent)


def _model(world: World, folder: Path) -> Finding:
    wanted = (world.settings.model, _DEFAULT_MODEL if world.settings.model == "auto" else "")
    try:
        model = catalogue.load(folder)
        model.check()
    except ModelError as error:
        needed = folder.name in wanted or str(folder) in wanted
        what = f"{folder.name} is damaged: {str(error).removesuffix('; reinstall the model')}"
        return fault(what, _restore(world, folder), needed=needed)
    size_mib = sum(file.bytes for file in model.card.every_file()) / 2**20
    return ok(f"{folder.name} {model.card.version} is intact ({size_mib:.1f} MiB, checksums match)")


def _named_model(world: World, wished: str) -> Finding:
    """A model that is not in the folders: given by its path, or not there at all."""
    try:
        folder = catalogue.find(wished).folder
    except ModelError as error:
        return failed(str(error), "vcsharp models")
    return _model(world, folder)


def _restore(world: World, folder: Path) -> str:
    """By git in a checkout, else by installing anew."""
    real = folder.resolve()
    checkout = next((up for up in real.parents if (up / ".git").exists()), None)
    if checkout is not None:
        return f"git -C {checkout} checkout -- {real.relative_to(checkout)}"
    return _again(world, "vcsharp")


def check_libraries(world: World) -> list[Finding]:
    """Do FFmpeg (PyAV) and OpenCV load?"""
    answer = world.run([world.python, "-c", _ASK_VIDEO], IMPORT_TIMEOUT_S)
    if answer is not None and answer.code == 0:
        return [ok(answer.out.strip())]
    why = answer.why if answer else f"'{world.python}' is not there"
    what = f"the video libraries do not load: {why}"
    if "libGL" in why:
        return [failed(what, install(world, "libgl"))]
    return [failed(what, f"{world.python} -m pip install --force-reinstall av opencv-python")]
