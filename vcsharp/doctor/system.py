"""What is left of the machine: its clock."""

from __future__ import annotations

from vcsharp.doctor.distribution import install
from vcsharp.doctor.finding import Finding, ok, skipped, warning
from vcsharp.doctor.world import World


def check_clock(world: World) -> list[Finding]:
    """Is the clock kept right? Frames are timed by another, which never jumps."""
    answer = world.run(["timedatectl", "show", "-p", "NTPSynchronized", "--value"])
    said = answer.out.strip() if answer is not None and not answer.code else ""
    synchronised = said == "yes" if said else world.synchronised()
    if synchronised is None:
        return [skipped("the system does not tell whether its clock is kept right")]
    if synchronised:
        return [ok("the clock is kept right by the network")]
    what = "nothing keeps the clock right: times in logs may be wrong or jump (pictures do not: "
    systemd = world.path("/run/systemd/system").exists()
    cure = "sudo timedatectl set-ntp true" if systemd else install(world, "chrony")
    return [warning(f"{what}they go by the monotonic clock)", cure)]
