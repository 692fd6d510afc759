#!/usr/bin/env bash
# Puts a Docker engine and Compose into the directory $1, for the test of docker-compose.yml: docker, dockerd, docker-proxy,
# docker-init, containerd, containerd-shim-runc-v2, docker-compose. The engine is the machine's, where it has one, else the packages of Debian,
# unpacked and not installed: nothing of it starts by itself. Compose is the machine's plugin, else the official binary where it
# can be downloaded, else built from the Go module that lab/build/compose/go.mod pins (2 to 3 minutes on two cores). The directory
# appears under its final name only when it is whole.
#
# $VEG_COMPOSE_DOWNLOAD names a mirror of the official place; "none" builds without asking.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/go.sh"
source=$here/compose
out=$1
work=$out.work
version=$(sed -n 's/^\tgithub.com\/docker\/compose\/v2 \(v[0-9.]*\).*/\1/p' "$source/go.mod")
download=${VEG_COMPOSE_DOWNLOAD:-https://github.com/docker/compose/releases/download}
engine=(docker dockerd docker-proxy docker-init containerd containerd-shim-runc-v2)
export PATH=$PATH:/usr/sbin:/sbin

step() { printf '%s  docker: %s\n' "$(date +%H:%M:%S)" "$*"; }
fetch() { curl -fsSL --connect-timeout 3 --retry 2 --retry-connrefused --retry-max-time 5 "$@" 2>>"$out.log"; }

of_machine() { # PROGRAM…
  local program path
  for program in "$@"; do
    path=$(command -v "$program" || ls /usr/{local/,}lib{exec,}/docker/{cli-plugins/,}"$program" 2>/dev/null | head -n 1) && [ -n "$path" ] || return 1
    ln -sf "$path" "$work/out/$program"
  done
}

packages() {
  step "fetching docker.io and containerd of Debian, not installed (10 s)"
  (
    cd "$work"
    apt-get -qq download docker.io containerd tini || { apt-get -qq update && apt-get -qq download docker.io containerd tini; }
    for package in *.deb; do dpkg-deb -x "$package" tree; done
    rm -rf out && mkdir out # no copy may go through a link to the machine's program
    cp tree/usr/sbin/{dockerd,docker-proxy} tree/usr/bin/{docker,containerd,containerd-shim-runc-v2} out/
    cp tree/usr/bin/tini-static out/docker-init
  ) >>"$out.log" 2>&1
}

official() {
  local file=docker-compose-linux-x86_64
  [ "$download" != none ] && [ "$(uname -m)" = x86_64 ] || return 1
  fetch -o "$work/$file.sha256" "$download/$version/$file.sha256" || return 1
  step "downloading Compose $version"
  fetch -o "$work/$file" "$download/$version/$file" && (cd "$work" && sha256sum --check --quiet "$file.sha256") || return 1
  install -m 755 "$work/$file" "$work/out/docker-compose"
}

build() {
  go_toolchain "$work/go" "$source/go.mod"
  export GOCACHE=$work/gocache GOMODCACHE=$work/modules GOFLAGS=-mod=readonly CGO_ENABLED=0
  step "building Compose $version (2 to 3 min)"
  (
    cd "$source"
    go build -trimpath -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$version" -o "$work/out/docker-compose" \
      github.com/docker/compose/v2/cmd
  ) >>"$out.log" 2>&1 || return 1
  chmod -R u+w "$work/modules" # Go makes its modules read-only
}

trap '[ $? -eq 0 ] || { echo "docker: failed; the end of $out.log:" >&2; tail -n 20 "$out.log" >&2; }' EXIT
[ ! -e "$work" ] || chmod -R u+w "$work"
rm -rf "$work"
mkdir -p "$work/out"
: >"$out.log"
of_machine "${engine[@]}" || packages
of_machine docker-compose && [[ $("$work/out/docker-compose" version --short 2>>"$out.log") =~ ^v?([2-9]|[1-9][0-9])\. ]] ||
  { rm -f "$work/out/docker-compose"; official || build; }
"$work/out/dockerd" --version >>"$out.log" 2>&1
rm -rf "$out"
mv "$work/out" "$out"
rm -rf "$work"
step "done after $SECONDS s"
