#!/usr/bin/env bash
# Makes sure that the programs of the lab are there: Debian packages for the small tools, for what nodes run containers
# with, for what builds images, and for PostgreSQL. The log is $1/packages.log. No daemon is started and no PostgreSQL
# cluster is made. Well below a second when nothing is missing.
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive PATH=$PATH:/usr/sbin:/sbin
step() { printf '%s  packages: %s\n' "$(date +%H:%M:%S)" "$*"; }

# program=package; the program's presence is the test, whoever installed it.
wanted=(ip=iproute2 iptables=iptables tcpdump=tcpdump ethtool=ethtool conntrack=conntrack ping=iputils-ping rsync=rsync
  openssl=openssl setpriv=util-linux ipcrm=util-linux curl=curl
  runc=runc /usr/lib/cni/macvlan=containernetworking-plugins buildah=buildah debootstrap=debootstrap
  /usr/lib/postgresql/15/bin/postgres=postgresql-15)
missing=()
for entry in "${wanted[@]}"; do
  command -v "${entry%%=*}" >/dev/null || missing+=("${entry#*=}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

# The lists are fetched only where they are missing or no longer name what the mirror has.
quietly() { "$@" >>"$log" 2>&1; }
refreshing_lists() { quietly "$@" || { step "refreshing the package lists"; quietly apt-get -qq update && quietly "$@"; }; }
install() { refreshing_lists apt-get -qq -y --no-install-recommends install "$@"; }

mkdir -p "$1"
log=$1/packages.log
: >"$log"
trap '[ $? -eq 0 ] || { echo "packages: failed; the end of $log:" >&2; tail -n 20 "$log" >&2; }' EXIT

quietly dpkg --configure -a # an install may have been interrupted
step "installing ${missing[*]} (10 to 60 s)"
if [[ " ${missing[*]} " == *" postgresql-15 "* ]]; then
  # Its package makes and starts a cluster "main" unless the common package, installed before, says not to.
  install postgresql-common
  sed -ri 's/^#?create_main_cluster .*$/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
fi
install "${missing[@]}"
step "done after $SECONDS s"
