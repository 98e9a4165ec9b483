# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# common.sh - what ./quickstart and ./runtests share: packages, building out of tree, progress. Sourced.
# Expects $top (source tree) and $out (where builds and logs go).

packages_build=(gcc libc6-dev linux-libc-dev make autoconf automake pkg-config protobuf-c-compiler libprotobuf-c-dev
	libzmq3-dev libqb-dev libcorosync-common-dev libcpg-dev libvotequorum-dev libquorum-dev libcmap-dev liburing-dev
	libisal-dev nettle-dev libiscsi-dev libyaml-dev libmnl-dev libcmocka-dev xz-utils)
packages_lab=(corosync iproute2 python3 util-linux libiscsi-bin)
packages_test=(spin qemu-utils qemu-block-extra procps tshark)
packages_vm=(qemu-system-x86 cpio kmod)

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' off=$'\e[0m'; else bold='' dim='' red='' green='' off=''; fi

# say TEXT: a heading; progress lines are indented below it
say() { printf '%s%s%s\n' "$bold" "$*" "$off"; }
note() { printf '  %s\n' "$*"; }

# quietly NAME COMMAND…: run with output in $out/logs/NAME.log; shown (its end) only on failure
quietly() {
	local name=$1 t0=$SECONDS log=$out/logs/$1.log rc=0
	shift
	mkdir -p "$out/logs"
	"$@" >"$log" 2>&1 </dev/null || rc=$?
	if [ "$rc" -ne 0 ]; then
		printf '  %s%s failed (exit %s); the end of %s:%s\n' "$red" "$name" "$rc" "$log" "$off"
		tail -n 25 "$log" | sed 's/^/    /'
		return "$rc"
	fi
	note "$name: $((SECONDS - t0)) s"
}

missing_packages() {
	local p
	for p in "$@"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || printf '%s\n' "$p"
	done
}

# Installs; services that come with a package (corosync) are not started: the lab runs its own.
apt_install() {
	local policy=/usr/sbin/policy-rc.d rc=0
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	else
		policy=
	fi
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get update -q && apt-get install -y -q --no-install-recommends "$@"; } || rc=$?
	[ -z "$policy" ] || { rm -f $policy; trap - EXIT; }
	return $rc
}

# install_packages PACKAGE…: only what is missing. Return: non-zero (with why) when that cannot be done
install_packages() {
	local need
	if ! command -v dpkg-query >/dev/null; then
		note "not Debian: taking the packages for granted"
		return 0
	fi
	mapfile -t need < <(missing_packages "$@")
	[ ${#need[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		note "missing packages, and only root can install them: ${need[*]}"
		return 1
	fi
	note "installing ${#need[@]} packages: ${need[*]}"
	quietly packages apt_install "${need[@]}"
}

jobs() { nproc 2>/dev/null || echo 2; }

# Reproducible addresses: older sanitizer runtimes do not cope with every layout of the address space.
fixed_layout() { if setarch -R true 2>/dev/null; then setarch -R "$@"; else "$@"; fi; }

autogen_if_needed() {
	if [ -e "$top/config.status" ]; then
		echo "the source tree itself is configured, which out-of-tree builds cannot share: make distclean first"
		return 1
	fi
	if [ ! -e "$top/configure" ] || [ -n "$(find "$top" -path "$out" -prune -o \( -name configure.ac -o -name Makefile.am \
		-o -name '*.am' \) -newer "$top/configure" -print -quit)" ]; then
		"$top/autogen.sh"
	fi
}

# configure_in DIR OPTION…: once, and again when the options or configure changed
configure_in() {
	local dir=$1
	shift
	mkdir -p "$dir" || return 1
	[ -e "$dir/Makefile" ] && [ "$(cat "$dir/.options" 2>/dev/null)" = "$*" ] && return 0
	(cd "$dir" && "$top/configure" -q "$@" && echo "$*" >.options)
}
