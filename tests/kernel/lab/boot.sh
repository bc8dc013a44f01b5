#!/bin/bash
# Boots the guest, runs one command in it as root, hands back its exit status and what it left in
# $OUT. The disk is never changed, and several may run at once.
#
#   boot.sh [options] COMMAND [ARG...]
#   boot.sh [options] --shell       a root console on this terminal (qemu: Ctrl-A X ends it)
#
#   --out FOLDER                    for stdout, stderr, journal.txt, serial.log and $OUT's files;
#                                   replaced (default: a new one under /tmp)
#   --share HOST=GUEST[:rw]         a folder of this machine, read-only unless :rw; what is shared as
#                                   /src is the checkout whose vcsharp runs
#   --loopback RELEASE|none         v4l2loopback to load (default: the oldest)
#   --timeout S                     for the whole run (default 600)
#   --engine uml|qemu               user-mode Linux (one CPU at this machine's own speed), or
#                                   Debian's own kernel, emulated and 15 times slower
#   --mem MIB                       default 3072
#
# Needs what run.py builds in VCSHARP_KERNEL_CACHE. Exit status: the command's own; 124 it took too
# long; 125 the guest ended without one.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${VCSHARP_KERNEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vcsharp/kernel-test}
image=$cache/image uml=$cache/kernel
out='' timeout=600 mem=3072 loopback='' shell=0 engine=uml shares=()
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2; shift 2 ;;
    --share) shares+=("$2"); shift 2 ;;
    --loopback) loopback=$2; shift 2 ;;
    --timeout) timeout=$2; shift 2 ;;
    --engine) engine=$2; shift 2 ;;
    --mem) mem=$2; shift 2 ;;
    --shell) shell=1; shift ;;
    -*) echo "boot.sh: no option is called '$1'" >&2; exit 2 ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || [ $shell = 1 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ "$engine" = uml ] || image=$cache/image-stock
[ -e "$image/root.img" ] || { echo "boot.sh: no guest in '$image'; run: make kernel-test" >&2; exit 2; }

# ---- the job's folder: what the guest mounts first ------------------------------------------------
job=$(mktemp -d /tmp/vmjob.XXXXXX)
trap 'rm -rf "$job"' EXIT
out=${out:-$(mktemp -d /tmp/vmout.XXXXXX)}
rm -rf "$out"
mkdir -p "$out" "$job/out"
out=$(cd "$out" && pwd)
cp "$here/agent.sh" "$job/agent"
virtfs=(-virtfs "local,path=$job,mount_tag=job,security_model=none,multidevs=remap")
: >"$job/shares"
for share in "${shares[@]}"; do
  host=$(cd "${share%%=*}" && pwd) guest=${share#*=} mode=ro readonly=,readonly=on
  case $guest in *:rw) guest=${guest%:rw} mode=rw readonly='' ;; esac
  tag=share$(wc -l <"$job/shares")
  virtfs+=(-virtfs "local,path=$host,mount_tag=$tag,security_model=none,multidevs=remap$readonly")
  echo "$tag $guest $mode $host" >>"$job/shares"
done
if [ $shell = 1 ]; then
  echo 'setsid --ctty bash -il </dev/console >/dev/console 2>&1' >"$job/run"
else
  { printf 'exec'; printf ' %q' "$@"; echo; } >"$job/run"
fi

# ---- boot -----------------------------------------------------------------------------------------
append=(rw quiet loglevel=4 panic=1 systemd.show_status=0 net.ifnames=0 "vmjob=$job"
  systemd.mask=serial-getty@ttyS0.service ${loopback:+"loopback=$loopback"})
case $engine in
  uml)
    # The guest's memory is a file; on tmpfs where that has room for it.
    memory=$job
    if [ "$(df --output=avail -m /dev/shm 2>/dev/null | tail -1)" -gt "$mem" ] 2>/dev/null; then
      memory=/dev/shm
    fi
    console=con0=null,fd:1
    [ $shell = 0 ] || console=con0=fd:0,fd:1
    guest=(env "TMPDIR=$memory" "$uml/linux" "mem=${mem}M" root=/dev/ubda
      "ubd0=$job/cow,$image/root.img" "uml_dir=$job/" "$console" con=null ssl=null
      init=/usr/local/sbin/uml-init "uml_overlay=$uml/overlay" random.trust_cpu=1 "${append[@]}") ;;
  qemu)
    serial=file:$out/serial.log
    [ $shell = 0 ] || serial=mon:stdio
    guest=(qemu-system-x86_64 -accel "tcg,thread=multi,tb-size=512" -cpu max -smp 2 -m "$mem" -M q35
      -nodefaults -nic none -no-reboot -display none -serial "$serial"
      -kernel "$image/vmlinuz" -initrd "$image/initrd.img"
      -append "root=/dev/vda console=ttyS0 mitigations=off ${append[*]}"
      -drive "file=$image/root.img,format=raw,if=virtio,snapshot=on,cache=unsafe,file.locking=off"
      -device virtio-rng-pci "${virtfs[@]}") ;;
  *) echo "boot.sh: no engine is called '$engine'; take uml or qemu" >&2; exit 2 ;;
esac
status=0
if [ $shell = 1 ]; then
  "${guest[@]}" || status=$?
else
  timeout -k 10 "$timeout" "${guest[@]}" </dev/null >"$out/console.log" 2>&1 &
  trap 'kill $!; wait $!; exit 130' INT TERM   # a guest is in a process group of its own
  wait $! || status=$?
fi

# ---- the result -----------------------------------------------------------------------------------
cp -a "$job/out/." "$out/"
if [ -s "$job/status" ]; then
  status=$(cat "$job/status")
elif [ "$status" != 124 ] && [ $shell = 0 ]; then
  status=125
fi
printf 'boot.sh: status %s, booted in %s s, all in %s s, %s\n' "$status" \
  "$(cat "$job/booted" 2>/dev/null || echo -)" "$SECONDS" "$out" >&2
exit "$status"
