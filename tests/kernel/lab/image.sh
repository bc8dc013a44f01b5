#!/bin/bash
# Builds the guest's disk: Debian 12 with systemd, Chromium, ffmpeg, an RTSP server, and Python with
# what vcsharp needs (not vcsharp itself). Needs root and debootstrap; 3 to 5 minutes.
#
#   image.sh FOLDER WHEELS [--stock-kernel]
#
# WHEELS is a folder of wheels with a requirements.txt. Leaves in FOLDER: root.img (sparse ext4, never
# written again), manifest.txt and the logs. --stock-kernel adds Debian's own kernel, v4l2loopback
# built for it, vmlinuz and initrd.img, for boot.sh --engine qemu.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=apt.sh
. "$here/apt.sh"
mkdir -p "$1"
out=$(cd "$1" && pwd)
wheels=$(cd "$2" && pwd)
stock=${3:-}
suite=bookworm root=$out/root.d
main=$(debian_uri main) security=$(debian_uri security)
[ -n "$main" ] || die "apt knows no Debian archive here; add one to /etc/apt/sources.list"

mounts=()
cleanup() {
  for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do umount -l "${mounts[i]}" 2>/dev/null || true; done
  mounts=()
  rm -rf --one-file-system "$root"
}
trap cleanup EXIT
cleanup
mkdir -p "$root" "$out/cache"

in_root() {
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive ${http_proxy:+"http_proxy=$http_proxy"} chroot "$root" "$@"
}

say "unpacking Debian ($suite)"
debootstrap --variant=minbase --cache-dir="$out/cache" \
  --include=ca-certificates,systemd,systemd-sysv,udev,dbus,kmod \
  "$suite" "$root" "$main" >"$out/debootstrap.log" ||
  die "debootstrap failed; see $out/debootstrap.log"

# Name resolution, certificates and archives of this machine, while building only.
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cat >"$root/etc/apt/apt.conf.d/90kernel-test" <<'CONF'
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::Languages "none";
APT::Install-Recommends "false";
CONF
{
  echo "deb $main $suite main contrib"
  echo "deb $main $suite-updates main"
  [ -z "$security" ] || echo "deb $security $suite-security main"
} >"$root/etc/apt/sources.list"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"   # nothing may start in here
chmod +x "$root/usr/sbin/policy-rc.d"
mount -t proc proc "$root/proc" && mounts+=("$root/proc")
mount -t tmpfs tmpfs "$root/tmp" && mounts+=("$root/tmp")

say "installing packages (Chromium, ffmpeg, GStreamer, Python)"
packages=(v4l-utils ffmpeg chromium fonts-dejavu-core libgl1 libglib2.0-0
  python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  gstreamer1.0-plugins-ugly python3 python3-venv
  libpam-systemd dbus-user-session iproute2 procps psmisc lsof)
[ -z "$stock" ] || packages+=(initramfs-tools lz4 busybox gcc make libc6-dev linux-image-amd64
  linux-headers-amd64)
# A small initrd: only what mounts the root disk.
mkdir -p "$root/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=lz4\nRESUME=none\n' >"$root/etc/initramfs-tools/conf.d/kernel-test"
printf 'virtio_pci\nvirtio_blk\next4\n' >"$root/etc/initramfs-tools/modules"
in_root apt-get update -qq
in_root apt-get install -y -qq "${packages[@]}" >"$out/apt.log" 2>&1 ||
  die "apt failed in the guest; see $out/apt.log"

build_stock_modules() {
  local release version folder target
  release=$(basename "$root"/lib/modules/*)
  for suite in $loopback_suites; do
    read -r version folder <<<"$(loopback_source "$suite" "$out/cache")"
    target=$root/opt/loopback/$release/$version
    [ ! -e "$target" ] || continue
    say "compiling v4l2loopback $version for $release"
    cp -a "$folder" "$root/root/loopback"
    in_root make -s -C "/lib/modules/$release/build" M=/root/loopback KERNELRELEASE="$release" \
      modules >"$out/v4l2loopback-$version.log" 2>&1 ||
      die "v4l2loopback $version did not compile; see $out/v4l2loopback-$version.log"
    install -D -m644 "$root/root/loopback/v4l2loopback.ko" "$target/v4l2loopback.ko"
    install -D -m644 "$target/v4l2loopback.ko" \
      "$root/lib/modules/$release/updates/v4l2loopback.ko"
    rm -rf "$root/root/loopback"
  done
  in_root depmod "$release"
  in_root update-initramfs -u -k "$release" >/dev/null
  cp "$root/boot/vmlinuz-$release" "$out/vmlinuz"
  cp "$root/boot/initrd.img-$release" "$out/initrd.img"
}
[ -z "$stock" ] || build_stock_modules

say "installing Python packages"
mkdir "$root/mnt/wheels"
mount --bind "$wheels" "$root/mnt/wheels" && mounts+=("$root/mnt/wheels")
in_root python3 -m venv /opt/venv
in_root /opt/venv/bin/pip install -q --no-index --find-links /mnt/wheels \
  -r /mnt/wheels/requirements.txt
umount "$root/mnt/wheels" && unset 'mounts[-1]' && rmdir "$root/mnt/wheels"

say "configuring"
cp -a --no-preserve=ownership "$here/rootfs/." "$root/"
echo kernel-test >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 kernel-test\n' >"$root/etc/hosts"
: >"$root/etc/fstab"   # the kernel mounts the root file system
in_root passwd -d root >/dev/null
in_root useradd -m -u 1000 -s /bin/bash -G video user
in_root passwd -d user >/dev/null
in_root useradd -m -u 1001 -s /bin/bash outsider   # may not open video devices
install -D /dev/null "$root/var/lib/systemd/linger/user"
in_root systemctl -q enable vm-job.service
# What only costs boot time in a throw-away guest.
in_root systemctl -q mask systemd-timesyncd.service systemd-networkd.service \
  apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service \
  fstrim.timer dpkg-db-backup.timer man-db.timer systemd-tmpfiles-clean.timer \
  systemd-update-utmp.service systemd-random-seed.service getty@tty1.service \
  systemd-pstore.service modprobe@drm.service modprobe@fuse.service \
  systemd-binfmt.service ldconfig.service
rm -f "$root/usr/sbin/policy-rc.d" "$root/etc/apt/sources.list" "$root/etc/resolv.conf"
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
# shellcheck disable=SC2016  # dpkg's own fields
in_root dpkg-query -W -f '${Package} ${Version}\n' chromium ffmpeg python3 systemd v4l-utils |
  tee "$out/manifest.txt" >&2
umount -l "$root/proc" "$root/tmp" && mounts=()

say "writing the disk"
rm -f "$out/root.img"
truncate -s 8G "$out/root.img"
mkfs.ext4 -q -F -m 0 -E lazy_itable_init=1,lazy_journal_init=1 -O ^has_journal -d "$root" \
  "$out/root.img"
rm -rf "$out/cache"
