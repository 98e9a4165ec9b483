#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# test_lunward_pr.sh - a node dies and is fenced, a paused one wakes up, the array restarts: on real sockets
#
# lunward-pr plays both nodes against lunward-target --standalone on loopback. Each call is a new session of the same
# nexus, so that registrations have to survive that, too (SPC-4 5.13.1).
set -u
export LC_ALL=C
pr=$PWD/fencing/lunward-pr target=$PWD/node/lunward-target
dir=$(mktemp -d) pid= failed=0 n=0

cleanup() {
	[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT

# Starts the array and waits until it says that it takes logins; another port if this one is taken.
start() {
	local try ready
	for try in 1 2 3 4 5; do
		port=${port:-$((20000 + RANDOM % 10000))}
		cat >"$dir/array.yaml" <<-YAML
			groups:
			  - name: array
			    portals: ["127.0.0.1:$port"]
			    targets:
			      - iqn: iqn.2026-11.org.example:array
			        luns:
			          1: {file: $dir/disk, size: 16MiB}
		YAML
		mkfifo "$dir/ready"
		"$target" --standalone "$dir/array.yaml" --state-dir "$dir/state" --ready-fd 9 9>"$dir/ready" \
			>"$dir/array.log" 2>&1 &
		pid=$!
		read -r ready <"$dir/ready" || ready=
		rm "$dir/ready"
		[ "$ready" = READY ] && return
		wait "$pid"
		pid='' port=
	done
	echo "the target does not start:"; cat "$dir/array.log"
	exit 99
}

stop() {
	kill "$1" "$pid"
	wait "$pid" 2>/dev/null
	pid=
}

# check WHAT EXIT PATTERN VERB OPTION…: run lunward-pr; its exit code, and a pattern in what it says
check() {
	local what=$1 want=$2 pattern=$3 verb=$4 got out
	shift 4
	n=$((n + 1))
	out=$("$pr" "$verb" "iscsi://127.0.0.1:$port/iqn.2026-11.org.example:array/1" "$@" 2>&1)
	got=$?
	if [ $got -eq "$want" ] && [[ $out == *$pattern* ]]; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what: exit $got (wanted $want), wanted '$pattern' in:"
		echo "$out"
		failed=1
	fi
}

a=(--initiator iqn.2026-11.io.lunward:prod:alpha --isid 800000000001)
a_data=(--initiator iqn.2026-11.io.lunward:prod:alpha --isid 800000001001)
b=(--initiator iqn.2026-11.io.lunward:prod:beta --isid 800000000001)
alien=(--initiator iqn.2026-11.org.example:alien)
as_a=(--cluster prod --node 1) as_b=(--cluster prod --node 2)
key() { printf '4c57dc4a%02x%06x' "$1" "$2"; }

truncate -s 16M "$dir/disk"
start
check "nothing is reserved" 0 "reservation  none" read
check "alpha takes the free LUN" 0 "Exclusive Access, Registrants Only" take "${a[@]}" "${as_a[@]}"
check "alpha's data nexus joins" 0 "join: ok" join "${a_data[@]}" "${as_a[@]}"
check "alpha writes" 0 GOOD write-test "${a_data[@]}" --lba 5 --data "alpha was here. "
check "a stranger cannot read" 3 "RESERVATION CONFLICT" read-test "${alien[@]}" --lba 5
check "a wrong expectation loses" 3 "take: lost" take "${b[@]}" "${as_b[@]}" --expect "$(key 1 9)" --epoch 10
check "alpha defends itself" 0 "epoch 2" bump "${a[@]}" "${as_a[@]}"
check "beta with the old key loses" 3 "take: lost" take "${b[@]}" "${as_b[@]}" --expect "$(key 1 1)"
check "and is not registered" 0 "registered   2" read
check "alpha's data nexus follows" 0 "rekey: ok" rekey "${a_data[@]}" --expect "$(key 1 1)" --key "$(key 1 2)"

check "alpha is dead, beta takes over" 0 "take: ok" take "${b[@]}" "${as_b[@]}" --expect "$(key 1 2)"
check "only beta is registered" 0 '"keys":[{"key":"0x'"$(key 2 3)" read --json
check "alpha's late write is refused" 3 "RESERVATION CONFLICT" write-test "${a_data[@]}" --lba 5 --data late
check "alpha's late read, too" 3 "RESERVATION CONFLICT" read-test "${a_data[@]}" --lba 5
check "beta reads what was acknowledged" 0 "alpha was here." read-test "${b[@]}" --lba 5
check "alpha wakes up and bumps: fenced" 3 "bump: lost" bump "${a[@]}" --expect "$(key 1 2)" --key "$(key 1 3)"
check "its data nexus rekeys: fenced" 3 "rekey: lost" rekey "${a_data[@]}" --expect "$(key 1 2)" --key "$(key 1 3)"
check "its data nexus joins: fenced" 3 "join: lost" join "${a_data[@]}" --key "$(key 1 2)"
check "nothing of that left a registration" 0 "registered   1" read

stop -KILL
start
check "the array lost power: beta holds (APTPL)" 0 "holder       0x$(key 2 3)" read
check "and alpha is still kept off" 3 "RESERVATION CONFLICT" write-test "${a_data[@]}" --lba 5 --data late
check "beta goes on after its own reboot" 0 "take: ok" take "${b[@]}" "${as_b[@]}"

check "somebody else registers" 0 GOOD register "${alien[@]}" --key 1234
check "foreign keys are left alone" 4 "not of Lunward" take "${a[@]}" "${as_a[@]}"
check "also by their sweep" 4 "sweep: foreign" sweep "${b[@]}" "${as_b[@]}"
check "the administrator removes it" 0 GOOD preempt "${b[@]}" --key "$(key 2 4)" --victim 1234
check "beta gives the LUN back" 0 "release: ok" release "${b[@]}" "${as_b[@]}"
check "nothing is left" 0 "registered   0" read

stop -TERM
check "an array that is down is told as such" 2 "Connection refused" read --timeout 300
echo "1..$n"
exit $failed
