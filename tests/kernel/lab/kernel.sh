#!/bin/bash
# Builds a user-mode Linux kernel with vivid, uvcvideo and every v4l2loopback release, from Debian's
# own source packages: about 8 minutes of one core.
#
#   kernel.sh FOLDER
#
# Leaves in FOLDER: linux (the kernel, a program), overlay/ (its modules, copied into the guest at
# boot), kernel.config, manifest.txt and the logs.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=apt.sh
. "$here/apt.sh"
source=linux-source-6.12 suite=trixie
mkdir -p "$1"
out=$(cd "$1" && pwd)
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
export PATH=$PATH:/usr/sbin:/sbin

say "downloading $source"
deb=$(fetch_deb $suite $source "$work")
mkdir "$work/src"
dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/src/$source.tar.xz" |
  tar -xJ -C "$work/src" --strip-components=1

cd "$work/src"
make -s ARCH=um defconfig >/dev/null
./scripts/kconfig/merge_config.sh -m .config "$here/uml.config" >/dev/null
make -s ARCH=um olddefconfig
for option in VIDEO_VIVID=m VIDEO_DEV=y HOSTFS=y BLK_DEV_UBD=y EXT4_FS=y USB_VIDEO_CLASS=m \
  USBIP_VHCI_HCD=m VETH=y; do
  grep -qx "CONFIG_$option" .config || die "the kernel's configuration lost CONFIG_$option"
done
say "compiling the kernel and its modules (5 to 13 minutes)"
nice make -s ARCH=um -j"$(nproc)" linux modules >"$out/build.log" 2>&1 ||
  die "the kernel did not compile; see $out/build.log"
release=$(make -s ARCH=um kernelrelease)
rm -rf "$out/overlay"
make -s ARCH=um modules_install INSTALL_MOD_PATH="$out/overlay/usr" >>"$out/build.log" 2>&1
modules=$out/overlay/usr/lib/modules/$release
rm -f "$modules"/{build,source}

default=
for suite in $loopback_suites; do
  read -r version folder <<<"$(loopback_source "$suite" "$work")"
  target=$out/overlay/opt/loopback/$release/$version
  [ ! -e "$target" ] || continue
  say "compiling v4l2loopback $version"
  # 0.12 uses strlcpy, which newer kernels dropped for strscpy.
  nice make -s ARCH=um M="$folder" KERNELRELEASE="$release" KCFLAGS=-Dstrlcpy=strscpy modules \
    >"$out/v4l2loopback-$version.log" 2>&1 ||
    die "v4l2loopback $version did not compile; see $out/v4l2loopback-$version.log"
  install -D -m644 "$folder/v4l2loopback.ko" "$target/v4l2loopback.ko"
  default=${default:-$version}
done
install -D -m644 "$out/overlay/opt/loopback/$release/$default/v4l2loopback.ko" \
  "$modules/updates/v4l2loopback.ko"
find "$out/overlay" -name '*.ko' -exec strip --strip-debug {} +
install -m755 -s linux "$out/linux"
cp .config "$out/kernel.config"
{
  echo "kernel $release ($(basename "$deb"))"
  echo "v4l2loopback $(cd "$out/overlay/opt/loopback/$release" && echo *)"
} | tee "$out/manifest.txt" >&2
