#!/usr/bin/env bash
# Unpacks FRR's bfdd and the libraries that this machine lacks for it into the directory $1. Nothing is installed: the
# package would make users and start daemons. About 3 seconds.
set -euo pipefail
out=$1
[ -x "$out/usr/lib/frr/bfdd" ] && exit 0
work=$(mktemp -d "$out.XXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir "$work/tree"
cd "$work"

fetch() {
  local packages
  packages=$(apt-get install --simulate --no-install-recommends frr | awk '$1 == "Inst" && $2 != "logrotate" { print $2 }')
  # shellcheck disable=SC2086  # one word a package
  apt-get -qq -o APT::Sandbox::User=root download ${packages:-frr}
}
# The lists are fetched only where they are missing or no longer name what the mirror has.
fetch || { rm -f ./*.deb; apt-get -qq update && fetch; }
for package in ./*.deb; do dpkg-deb -x "$package" tree; done
mv --no-target-directory tree "$out" || [ -x "$out/usr/lib/frr/bfdd" ] # somebody else was faster
