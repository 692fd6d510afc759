#!/usr/bin/env bash
# Unpacks OVN >= 25.03 and Open vSwitch >= 3.5 from Debian 13 into the directory $1, without a chroot, a mount or a
# package script: the daemons are run with the loader and the libraries of that tree (lab/ovn.py). About 40 seconds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/apt-mirror.sh"

out=$1
work=$out.work
rm -rf "$work"
mkdir -p "$work"
step() { printf '%s  ovn: %s\n' "$(date +%H:%M:%S)" "$*"; }

if ! command -v debootstrap >/dev/null; then
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install debootstrap >"$out.log" 2>&1
fi
step "fetching OVN, Open vSwitch and their libraries (30 s)"
mirror=$(apt_mirror)
[ -n "$mirror" ] || { echo "ovn: no Debian mirror in apt's sources; run 'apt-get update' first" >&2; exit 1; }
if ! debootstrap --variant=minbase --download-only \
  --include=ovn-central,ovn-host,ovn-common,openvswitch-switch,openvswitch-common trixie "$work" "$mirror" >"$out.log" 2>&1; then
  tail -n 20 "$out.log" >&2
  exit 1
fi
step "unpacking"
mkdir "$work/tree"
for package in "$work"/var/cache/apt/archives/*.deb; do
  case ${package##*/} in
    ovn-* | openvswitch-* | lib*) dpkg-deb --fsys-tarfile "$package" | tar -C "$work/tree" -x --keep-directory-symlink ;;
  esac
done
[ -x "$work/tree/usr/bin/ovn-northd" ] || { echo "ovn: ovn-northd is missing in the packages" >&2; exit 1; }
mv "$work/tree" "$out"
rm -rf "$work"
step "done after $SECONDS s"
