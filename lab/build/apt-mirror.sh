# Sourced. The package mirror this machine already uses, read from apt itself, so that no script names one.

# The base URL of the Debian archive, as apt has it (deb822 or one-line sources).
apt_mirror() {
  apt-get indextargets --format '$(SITE)|$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(CODENAME)' 'Created-By: Packages' 2>/dev/null |
    awk -F'|' '$3 == "Debian" && $4 == "Debian" { print $2; exit }'
}

# A private apt configuration with the source packages of the archive, below the directory $1.
# Prints the options that make apt-get use it; the machine's own apt settings stay as they are.
apt_source_options() {
  local dir=$1 mirror codename
  mirror=$(apt_mirror)
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  [ -n "$mirror" ] || { echo "no Debian mirror in apt's sources; run 'apt-get update' first" >&2; return 1; }
  mkdir -p "$dir/lists/partial" "$dir/parts"
  echo "deb-src $mirror $codename main" >"$dir/sources.list"
  echo "-o Dir::Etc::SourceList=$dir/sources.list -o Dir::Etc::SourceParts=$dir/parts -o Dir::State::Lists=$dir/lists"
}
