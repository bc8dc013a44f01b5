"""What runs the network: each way in which a runtime, a GPU or a model can be wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from vcsharp import catalogue
from vcsharp.doctor import network
from vcsharp.doctor.finding import Finding, Status
from vcsharp.errors import ModelNotFoundError

from .conftest import Machine

LOADS = json.dumps(["1.20.0", ["CUDAExecutionProvider", "CPUExecutionProvider"]])
SMI = """\
==============NVSMI LOG==============
Driver Version                            : 550.54.14
CUDA Version                              : 12.4
Attached GPUs                             : 1
    Product Name                          : NVIDIA L4
"""


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_one_onnxruntime_that_loads_is_ok(machine: Machine) -> None:
    machine.says("python3 -c", LOADS)
    finding = only(network.check_onnxruntime(machine.world()))
    assert finding.what == "onnxruntime 1.20.0 loads; it can use: CUDA, CPU"


@pytest.mark.parametrize(("gpu", "keep"), [(True, "onnxruntime-gpu"), (False, "onnxruntime")])
def test_both_onnxruntimes_overwrite_each_other(machine: Machine, gpu: bool, keep: str) -> None:
    machine.packages = {"onnxruntime": "1", "onnxruntime-gpu": "1"}
    if gpu:
        machine.file("/dev/nvidiactl")
    finding = only(network.check_onnxruntime(machine.world()))
    assert finding.status is Status.FAILED
    assert finding.cure == (
        f"python3 -m pip uninstall -y onnxruntime onnxruntime-gpu && python3 -m pip install {keep}"
    )


@pytest.mark.parametrize(
    ("packages", "model", "status"),
    [
        ({}, "auto", Status.FAILED),
        ({"torch": "2.5"}, "auto", Status.WARNING),
        ({}, "none", Status.OK),
    ],
)
def test_no_onnxruntime_is_as_bad_as_what_else_there_is(
    machine: Machine, packages: dict[str, str], model: str, status: Status
) -> None:
    machine.packages = packages
    finding = only(network.check_onnxruntime(machine.world(model=model)))
    assert finding.status is status
    if status is not Status.OK:
        assert finding.cure == "python3 -m pip install onnxruntime"


def test_an_onnxruntime_that_does_not_load_fails_with_its_last_words(machine: Machine) -> None:
    machine.says("python3 -c", "", 1, "Traceback ...\nImportError: libcudart.so.12: no such file\n")
    finding = only(network.check_onnxruntime(machine.world()))
    assert finding.status is Status.FAILED
    assert finding.what.endswith("does not load: ImportError: libcudart.so.12: no such file")
    assert "--force-reinstall" in finding.cure


def test_an_interpreter_that_has_gone_is_named(machine: Machine) -> None:
    for check in (network.check_onnxruntime, network.check_libraries):
        finding = only(check(machine.world()))
        assert finding.status is Status.FAILED
        assert finding.what.endswith("'python3' is not there")


def test_no_gpu_is_fine_unless_one_is_asked_for(machine: Machine) -> None:
    assert only(network.check_gpu(machine.world())).status is Status.OK
    finding = only(network.check_gpu(machine.world(device="cuda:0")))
    assert finding.status is Status.FAILED
    assert finding.cure == "vcsharp run --device cpu"


def test_a_gpu_is_not_asked_for_where_the_cpu_is_chosen(machine: Machine) -> None:
    machine.says("nvidia-smi", "", 9, "broken")
    assert only(network.check_gpu(machine.world(device="cpu"))).status is Status.OK


def plant_gpu(machine: Machine) -> None:
    machine.file("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
    machine.file("/sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n")


@pytest.mark.parametrize(
    ("release", "cure"),
    [
        ("ID=debian", "sudo apt install nvidia-driver nvidia-smi"),
        ("ID=ubuntu\nID_LIKE=debian", "sudo ubuntu-drivers install"),
        ("ID=fedora", "sudo dnf install akmod-nvidia xorg-x11-drv-nvidia-cuda"),
        ("ID=arch", "sudo pacman -S nvidia-dkms nvidia-utils"),
    ],
)
def test_a_gpu_without_driver_is_found_on_the_bus(
    machine: Machine, release: str, cure: str
) -> None:
    plant_gpu(machine)
    machine.file("/etc/os-release", release)
    finding = only(network.check_gpu(machine.world()))
    assert finding.status is Status.WARNING
    assert "without NVIDIA's driver" in finding.what
    assert finding.cure == cure
    assert only(network.check_gpu(machine.world(device="cuda"))).status is Status.FAILED


def test_other_devices_on_the_bus_are_no_gpu(machine: Machine) -> None:
    machine.file("/sys/bus/pci/devices/0000:00:01.0/vendor", "0x8086\n")
    machine.file("/sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n")
    machine.file("/sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n")
    assert not network.has_gpu(machine.world())


@pytest.mark.parametrize(
    ("said", "words", "cure"),
    [
        ("Failed to initialize NVML: Driver/library version mismatch", "restart", "sudo reboot"),
        ("couldn't communicate with the NVIDIA driver", "communicate", "sudo dmesg"),
    ],
)
def test_a_driver_that_does_not_answer_is_told(
    machine: Machine, said: str, words: str, cure: str
) -> None:
    machine.file("/dev/nvidiactl")
    machine.says("nvidia-smi", f"{said}\n", 18)
    finding = only(network.check_gpu(machine.world()))
    assert finding.status is Status.WARNING
    assert words in finding.what
    assert finding.cure.startswith(cure)


@pytest.mark.parametrize(
    ("cuda", "packages", "status", "words"),
    [
        ("12.1", {"torch": "2"}, Status.OK, "PyTorch for CUDA 12.1 fits the driver"),
        ("12.8", {"torch": "2"}, Status.OK, "fits the driver"),
        ("13.0", {"torch": "2"}, Status.WARNING, "built for CUDA 13.0, the driver ends at 12.4"),
        (None, {"torch": "2"}, Status.WARNING, "PyTorch is built for the CPU only"),
        (None, {"onnxruntime": "1"}, Status.WARNING, "no runtime for the GPU is installed"),
        (None, {"onnxruntime-gpu": "1"}, Status.OK, "ONNX Runtime can use the GPU"),
    ],
)
def test_the_runtime_is_compared_with_the_driver(
    machine: Machine, cuda: str | None, packages: dict[str, str], status: Status, words: str
) -> None:
    machine.says("nvidia-smi -q", SMI)
    machine.says("python3 -c", LOADS)
    machine.packages = packages
    machine.facts["torch_cuda"] = lambda: cuda
    driver, runtime = network.check_gpu(machine.world())
    assert driver.what == "NVIDIA L4, driver 550.54.14, for CUDA up to 12.4"
    assert runtime.status is status
    assert words in runtime.what
    wanted = network.check_gpu(machine.world(device="cuda"))[1].status
    assert wanted is (Status.OK if status is Status.OK else Status.FAILED)


@pytest.mark.parametrize("answer", [(LOADS.replace("CUDA", "Azure"), 0), ("", 1)])
def test_an_onnxruntime_for_gpus_that_sees_none(machine: Machine, answer: tuple[str, int]) -> None:
    machine.says("nvidia-smi -q", SMI)
    machine.says("python3 -c", *answer)
    machine.packages = {"onnxruntime-gpu": "1"}
    runtime = network.check_gpu(machine.world())[1]
    assert runtime.status is Status.WARNING
    assert runtime.what.startswith("ONNX Runtime cannot use the GPU")


def test_a_driver_that_names_no_cuda_version_is_not_blamed(machine: Machine) -> None:
    machine.says("nvidia-smi -q", SMI.replace("12.4", "N/A").replace("Product Name", "Serial"))
    machine.facts["torch_cuda"] = lambda: "12.1"
    assert [f.status for f in network.check_gpu(machine.world())] == [Status.OK, Status.OK]


@pytest.fixture
def models(machine: Machine) -> Path:
    """A copy of the packaged models, which a test may damage."""
    folder = machine.root / "models"
    shutil.copytree(catalogue.packaged_folder() / "nano", folder / "nano")
    machine.facts["model_folders"] = lambda: [folder, folder]
    return folder


def damage(models: Path) -> None:
    path = next((models / "nano").glob("*.onnx"))
    path.write_bytes(path.read_bytes()[:-1] + b"X")


@pytest.mark.usefixtures("models")
def test_intact_models_are_ok_and_counted_once(machine: Machine) -> None:
    finding = only(network.check_models(machine.world()))
    assert finding.status is Status.OK
    assert finding.what.startswith("nano ")
    assert "checksums match" in finding.what


@pytest.mark.parametrize("wanted", ["auto", "nano"])
def test_a_damaged_model_that_is_wanted_fails(machine: Machine, models: Path, wanted: str) -> None:
    damage(models)
    finding = only(network.check_models(machine.world(model=wanted)))
    assert finding.status is Status.FAILED
    assert "does not match the checksum" in finding.what
    assert finding.cure == "python3 -m pip install --force-reinstall --no-deps vcsharp"


def test_a_damaged_model_of_a_checkout_is_fetched_from_git(machine: Machine, models: Path) -> None:
    damage(models)
    machine.file("/.git/HEAD")
    finding = only(network.check_models(machine.world()))
    assert finding.cure == f"git -C {machine.root} checkout -- models/nano"


def test_a_damaged_model_that_nobody_wants_is_a_warning(machine: Machine, models: Path) -> None:
    shutil.copytree(models / "nano", models / "other")
    (models / "other" / "card.json").write_text("{")
    found = network.check_models(machine.world())
    assert [finding.status for finding in found] == [Status.OK, Status.WARNING]


def test_a_model_by_path_is_checked_too(machine: Machine, models: Path) -> None:
    elsewhere = machine.root / "mine" / "soft"
    shutil.copytree(models / "nano", elsewhere)
    found = network.check_models(machine.world(model=str(elsewhere)))
    assert [finding.status for finding in found] == [Status.OK, Status.OK]
    (elsewhere / "card.json").write_text("[]")
    found = network.check_models(machine.world(model=str(elsewhere)))
    assert [finding.status for finding in found] == [Status.OK, Status.FAILED]


@pytest.mark.usefixtures("models")
def test_a_model_that_is_not_there_fails(machine: Machine) -> None:
    found = network.check_models(machine.world(model="nanoo"))
    assert found[-1].status is Status.FAILED
    assert "no model named 'nanoo'" in found[-1].what


def test_a_lost_folder_of_models_fails(machine: Machine) -> None:
    def lost() -> Any:
        raise ModelNotFoundError("the symbolic link was lost")

    machine.facts["model_folders"] = lost
    assert only(network.check_models(machine.world())).status is Status.FAILED
    assert not only(network.check_models(machine.world(model="none"))).checked


def test_video_libraries_that_load_are_named(machine: Machine) -> None:
    machine.says("python3 -c", "PyAV 16.0, OpenCV 4.13\n")
    assert only(network.check_libraries(machine.world())).what == "PyAV 16.0, OpenCV 4.13"


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        ("ImportError: libGL.so.1: cannot open shared object file", "sudo apt install libgl1"),
        (
            "ModuleNotFoundError: No module named 'av'",
            "python3 -m pip install --force-reinstall av opencv-python",
        ),
    ],
)
def test_video_libraries_that_do_not_load_fail(machine: Machine, error: str, cure: str) -> None:
    machine.says("python3 -c", "", 1, f"Traceback\n{error}\n")
    finding = only(network.check_libraries(machine.world()))
    assert finding.status is Status.FAILED
    assert finding.what.endswith(error)
    assert finding.cure == cure
