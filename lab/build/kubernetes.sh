#!/usr/bin/env bash
# Puts Kubernetes (etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kubectl) and containerd (with
# its shim for runc, and ctr) into the directory $1: the official binaries where they can be downloaded (1 minute), else
# built from the Go modules that lab/build/{kubernetes,containerd}/go.mod pin, Kubernetes as one binary under six names
# (8 minutes and 5 GB on two cores, all of it removed). The directory appears under its final name only when it is
# whole, so an interrupted run is simply run again.
#
# $VEG_KUBE_DOWNLOAD, $VEG_ETCD_DOWNLOAD and $VEG_CONTAINERD_DOWNLOAD name mirrors of the official places; "none" builds
# without asking.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/go.sh"
source=$here/kubernetes
runtime=$here/containerd
out=$1
work=$out.work
version=$(sed -n 's/^\tk8s.io\/kubernetes \(v[0-9.]*\)$/\1/p' "$source/go.mod")
etcd_version=$(sed -n 's/^\tgo.etcd.io\/etcd\/server\/v3 \(v[0-9.]*\)$/\1/p' "$source/go.mod")
containerd_version=$(sed -n 's/^\tgithub.com\/containerd\/containerd\/v2 \(v[0-9.]*\).*/\1/p' "$runtime/go.mod")
kube_download=${VEG_KUBE_DOWNLOAD:-https://dl.k8s.io}
etcd_download=${VEG_ETCD_DOWNLOAD:-https://github.com/etcd-io/etcd/releases/download}
containerd_download=${VEG_CONTAINERD_DOWNLOAD:-https://github.com/containerd/containerd/releases/download}
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl)
runtimes=(containerd containerd-shim-runc-v2 ctr)

step() { printf '%s  kubernetes %s: %s\n' "$(date +%H:%M:%S)" "$version" "$*"; }
fetch() { curl -fsSL --connect-timeout 3 --retry 2 --retry-connrefused --retry-max-time 5 "$@"; }

# Each of these leaves the programs in $work/out, or fails.
download() {
  local platform=linux/amd64 program archive=etcd-$etcd_version-linux-amd64 runtime_archive
  [[ " $kube_download $etcd_download $containerd_download " != *" none "* ]] && [ "$(uname -m)" = x86_64 ] || return 1
  fetch -o "$work/first.sha256" "$kube_download/$version/bin/$platform/${programs[0]}.sha256" 2>"$work/curl.log" || return 1
  step "downloading the official binaries (450 MB)"
  for program in "${programs[@]}"; do
    fetch -o "$work/out/$program" "$kube_download/$version/bin/$platform/$program" || return 1
    fetch -o "$work/sum" "$kube_download/$version/bin/$platform/$program.sha256" || return 1
    echo "$(cut -c1-64 "$work/sum")  $work/out/$program" | sha256sum --check --quiet || return 1
  done
  fetch -o "$work/$archive.tar.gz" "$etcd_download/$etcd_version/$archive.tar.gz" || return 1
  fetch -o "$work/sums" "$etcd_download/$etcd_version/SHA256SUMS" || return 1
  (cd "$work" && grep " $archive.tar.gz\$" sums | sha256sum --check --quiet) || return 1
  tar -xzf "$work/$archive.tar.gz" -C "$work/out" --strip-components=1 "$archive/etcd" || return 1
  runtime_archive=containerd-${containerd_version#v}-linux-amd64.tar.gz
  for program in "$runtime_archive" "$runtime_archive.sha256sum"; do
    fetch -o "$work/$program" "$containerd_download/$containerd_version/$program" || return 1
  done
  (cd "$work" && sha256sum --check --quiet "$runtime_archive.sha256sum") || return 1
  tar -xzf "$work/$runtime_archive" -C "$work/out" --strip-components=1 "${runtimes[@]/#/bin/}" || return 1
  chmod 755 "$work"/out/*
}

# Says every half minute how far the compiler may be. Ends with its sleep, which would hold the output open.
tick() {
  local began=$SECONDS
  trap 'kill $!; exit' TERM
  while sleep 30 & wait $!; do step "compiling: $((SECONDS - began)) s of about 450 s"; done
}

build() {
  local flags="-s -w" variable number
  for variable in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    number=${version#v1.}
    flags+=" -X $variable.gitVersion=$version -X $variable.gitMajor=1 -X $variable.gitMinor=${number%%.*}"
    flags+=" -X $variable.gitTreeState=clean"
  done
  go_toolchain "$work/go" "$source/go.mod" "$runtime/go.mod"
  export GOCACHE=$work/gocache GOMODCACHE=$work/modules GOFLAGS=-mod=readonly CGO_ENABLED=0
  step "fetching the Go modules (30 s)"
  { (cd "$source" && go mod download) && (cd "$runtime" && go mod download); } >"$out.log" 2>&1 || return 1
  step "compiling (7 to 8 min on two cores)"
  tick &
  ticker=$!
  (cd "$source" && go build -trimpath -ldflags "$flags" -o "$work/out/kubernetes" .) >>"$out.log" 2>&1 || return 1
  for name in etcd "${programs[@]}"; do ln -s kubernetes "$work/out/$name"; done
  flags="-s -w -X github.com/containerd/containerd/v2/version.Version=$containerd_version"
  (cd "$runtime" && go build -trimpath -ldflags "$flags" -o "$work/out/" "${runtimes[@]/#/github.com/containerd/containerd/v2/cmd/}") \
    >>"$out.log" 2>&1 || return 1
  chmod -R u+w "$work/modules" # Go makes its modules read-only
}

ticker=
trap '[ -z "$ticker" ] || kill "$ticker"' EXIT
[ ! -e "$work" ] || chmod -R u+w "$work"
rm -rf "$work"
mkdir -p "$work/out"
if ! download; then
  step "no download ($kube_download): it is built"
  rm -rf "$work/out"
  mkdir -p "$work/out"
  if ! build; then
    echo "kubernetes: the build failed; the end of $out.log:" >&2
    tail -n 20 "$out.log" >&2
    exit 1
  fi
fi
[ "$("$work/out/kube-apiserver" --version)" = "Kubernetes $version" ] || { echo "kubernetes: not $version" >&2; exit 1; }
[[ $("$work/out/ctr" --version) = *" $containerd_version" ]] || { echo "containerd: not $containerd_version" >&2; exit 1; }
rm -rf "$out"
mv "$work/out" "$out"
rm -rf "$work"
step "done after $SECONDS s"
