# shellcheck shell=bash
# Sourced by kernel.sh and image.sh: packages of any Debian suite, without touching this machine's
# own apt state. Addresses come from its apt configuration at run time and are never written down.

say() { printf '[%(%T)T] %s\n' -1 "$*" >&2; }
die() { printf 'kernel-test: %s\n' "$*" >&2; exit 1; }

# debian_uri main|security: the archive that this machine is configured with.
debian_uri() {
  # shellcheck disable=SC2016  # apt's own fields
  apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk -v want="$1" '{ if ((want == "security") == ($2 ~ /security/)) { print $1; exit } }'
}

# fetch_deb SUITE PACKAGE FOLDER: the suite's .deb of a package; prints its path.
fetch_deb() {
  local suite=$1 package=$2 folder=$3 state=$3/apt.$1 uri options
  uri=$(debian_uri main)
  [ -n "$uri" ] || die "apt knows no Debian archive here; add one to /etc/apt/sources.list"
  mkdir -p "$state/none" "$state/lists/partial" "$state/cache/archives/partial"
  : >"$state/empty"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main contrib" \
    >"$state/sources"
  options=(-o "Dir::Etc::SourceList=$state/sources" -o "Dir::Etc::SourceParts=$state/none"
    -o "Dir::Etc::Preferences=$state/empty" -o "Dir::Etc::PreferencesParts=$state/none"
    -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache"
    -o APT::Sandbox::User=root -o Acquire::Languages=none)
  [ -e "$state/updated" ] || { apt-get "${options[@]}" -qq update >&2 && touch "$state/updated"; }
  (cd "$folder" && rm -f "${package}"_*.deb &&
    apt-get "${options[@]}" -qq download "$package" >&2 && realpath "${package}"_*.deb)
}

# Suites whose v4l2loopback is tested, oldest release first.
# shellcheck disable=SC2034  # read by who sources this
loopback_suites="bookworm bookworm-backports trixie sid"

# loopback_source SUITE FOLDER: its v4l2loopback source, unpacked; prints "VERSION FOLDER".
loopback_source() {
  local deb source
  deb=$(fetch_deb "$1" v4l2loopback-dkms "$2") || return 1
  dpkg-deb -x "$deb" "$2/loopback.$1"
  source=$(echo "$2/loopback.$1"/usr/src/v4l2loopback-*)
  echo "${source##*-} $source"
}
