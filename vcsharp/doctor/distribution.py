"""How to install something on this distribution."""

from __future__ import annotations

from vcsharp.doctor.world import World

_INSTALL = {
    "debian": "sudo apt install",
    "ubuntu": "sudo apt install",
    "fedora": "sudo dnf install",
    "arch": "sudo pacman -S",
    "suse": "sudo zypper install",
}
_PACKAGES = {
    "v4l2loopback": {
        "debian": "v4l2loopback-dkms",
        "fedora": "akmod-v4l2loopback",
        "arch": "v4l2loopback-dkms",
        "suse": "v4l2loopback-kmp-default",
    },
    "headers": {
        "debian": "linux-headers-{release}",
        "fedora": "kernel-devel-{release}",
        "arch": "linux-headers",
        "suse": "kernel-default-devel",
    },
    "nvidia": {
        "debian": "nvidia-driver nvidia-smi",
        "fedora": "akmod-nvidia xorg-x11-drv-nvidia-cuda",
        "arch": "nvidia-dkms nvidia-utils",
        "suse": "nvidia-video-G06 nvidia-compute-utils-G06",
    },
    "libgl": {
        "debian": "libgl1",
        "fedora": "mesa-libGL",
        "arch": "libglvnd",
        "suse": "Mesa-libGL1",
    },
    "chrony": {},
}


def install(world: World, thing: str) -> str:
    """The command that installs a thing; Debian's where the distribution is not known."""
    related = [name for name in _related(world) if name in _INSTALL]
    family = related[0] if related else "debian"
    if family == "ubuntu" and thing == "nvidia":
        return "sudo ubuntu-drivers install"
    names = _PACKAGES[thing].get("debian" if family == "ubuntu" else family, thing)
    return f"{_INSTALL[family]} {names.format(release=world.release)}"


def _related(world: World) -> list[str]:
    """Itself and those it is made from: `ubuntu`, `debian`."""
    lines = (world.text("/etc/os-release") or "").splitlines()
    pairs = dict(line.split("=", 1) for line in lines if "=" in line)
    return f"{pairs.get('ID', '')} {pairs.get('ID_LIKE', '')}".replace('"', "").split()
