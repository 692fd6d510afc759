#!/usr/bin/env bash
# Builds kube-apiserver, kube-controller-manager and kube-scheduler from Debian's source package `kubernetes`
# (1.20.2; it carries its vendor tree) into the directory $1. About 6 minutes and 1.4 GB on two cores.
# The result appears under its final name only when it is whole, so an interrupted build is simply built again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/apt-mirror.sh"

out=$1
binaries=(kube-apiserver kube-controller-manager kube-scheduler)
work=$out.work
rm -rf "$work"
mkdir -p "$work"

step() { printf '%s  kubernetes: %s\n' "$(date +%H:%M:%S)" "$*"; }

dpkg --configure -a >"$work/apt.log" 2>&1 # an install may have been interrupted
step "installing the Go toolchain and fetching the source package (1 min)"
options=$(apt_source_options "$work/apt")
# shellcheck disable=SC2086  # the options are words
apt-get $options -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install \
  golang-1.19-go rsync make dpkg-dev golang-github-modern-go-reflect2-dev >>"$work/apt.log" 2>&1
# shellcheck disable=SC2086
(cd "$work" && apt-get $options -qq --download-only source kubernetes >>"$work/apt.log" 2>&1 && dpkg-source -x ./*.dsc src >>"$work/apt.log" 2>&1)

tree=$work/go/src/k8s.io/kubernetes
mkdir -p "$(dirname "$tree")"
mv "$work/src" "$tree"

# reflect2 1.0.1 of the vendor tree crashes when built with Go >= 1.18; Debian's 1.0.2 does not.
reflect2=$tree/vendor/github.com/modern-go/reflect2
rm -f "$reflect2"/go_*_17.go "$reflect2"/go_below_19.go "$reflect2"/*.s
cp -L /usr/share/gocode/src/github.com/modern-go/reflect2/*.go "$reflect2/"
find "$reflect2" -name '*_test.go' -delete
touch "$reflect2/relect2_amd64.s" "$reflect2/reflect2_amd64.s"

# Its check of types takes the zero value of a type for null. Go < 1.18 never saw them as equal, Go 1.19 does for "".
validate=$tree/vendor/github.com/go-openapi/validate/type.go
sed -i 's/data == nil || reflect.DeepEqual(reflect.Zero(reflect.TypeOf(data)), reflect.ValueOf(data))/data == nil/' "$validate"
grep -q 'if data == nil {' "$validate" || { echo "kubernetes: $validate is not as expected" >&2; exit 1; }

step "compiling ${binaries[*]} (5 to 6 min on two cores)"
export GOPATH=$work/go GO111MODULE=off GOCACHE=$work/gocache PATH=/usr/lib/go-1.19/bin:$PATH
export KUBE_GIT_VERSION=v1.20.2 KUBE_GIT_TREE_STATE=clean KUBE_GIT_COMMIT=debian KUBE_BUILD_PLATFORMS=
export SOURCE_DATE_EPOCH=1609459200
(while sleep 30; do step "still compiling ($SECONDS s so far)"; done) &
ticker=$!
trap 'kill $ticker 2>/dev/null || true' EXIT
if ! make -C "$tree" WHAT="${binaries[*]/#/cmd/}" GOFLAGS= >"$out.log" 2>&1; then
  echo "kubernetes: the build failed; the end of $out.log:" >&2
  tail -n 20 "$out.log" >&2
  exit 1
fi

mkdir -p "$work/out"
for name in "${binaries[@]}"; do
  cp "$(find "$tree/_output" -type f -name "$name" -perm -100 | head -n 1)" "$work/out/"
done
strip "$work"/out/* 2>/dev/null || true
"$work/out/kube-apiserver" --version
mv "$work/out" "$out"
rm -rf "$work"
step "done after $SECONDS s"
