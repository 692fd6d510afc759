# Sourced. The package mirror this machine already uses, read from apt itself, so that no script names one.

# The base URL of the Debian archive, as apt has it (deb822 or one-line sources).
apt_mirror() {
  apt-get indextargets --format '$(SITE)|$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(CODENAME)' 'Created-By: Packages' 2>/dev/null |
    awk -F'|' '$3 == "Debian" && $4 == "Debian" { print $2; exit }'
}
