#!/usr/bin/env bash
# Instructions of wsprd per message, by what they are for, counted by valgrind under the load of wspr-bench.
#
#   instructions.sh BUILD-FOLDER [BUILD-FOLDER-OF-THE-BENCH]
#
# The second folder, the first unless it is named, has the programs of the bench: so that an older wsprd
# can be looked at with the bench of today. WSPRD_FLAGS are further options of wsprd. System calls are not in
# these figures.
set -Eeuo pipefail

build=$(cd "$1" && pwd)
bench=$(cd "${2:-$1}" && pwd)
folder=$(mktemp -d)
pids=
# shellcheck disable=SC2086 # a list of words
trap 'kill $pids 2>/dev/null || :; wait; rm -rf "$folder"' EXIT

# start NAME COMMAND...: in the background; sets pid, and text to what follows "Listening at: ".
start()
{
    local log=$folder/$1.log
    shift
    : >"$log" # it is read before the process has made it
    "$@" >"$log" 2>&1 &
    pid=$!
    pids="$pids $pid"
    for _ in $(seq 600); do
        text=$(sed -n 's/^Listening at: //p' "$log")
        [ -z "$text" ] || return 0
        sleep 0.1
    done
    cat "$log" >&2
    exit 1
}

# Sums callgrind's list of functions up by the folder or library that they are in.
groups()
{
    callgrind_annotate --threshold=100 --auto=no "$1" | awk -v n="$2" '
        function group(where) {
            if (match(where, /core\/(json|vom|ws|vc|rpc|gateway|loop|security|naming|base)\//))
                return substr(where, RSTART + 5, RLENGTH - 6)
            if (where ~ /plugins\//) return "plugins"
            if (where ~ /libgnutls|libnettle|libhogweed|libgmp|vgpreload/) return "cipher"
            if (where ~ /libevent/) return "libevent"
            return "libc"
        }
        # "  1,234 ( 5.67%)  file:function [object]"
        $1 ~ /^[0-9,]+$/ && $0 !~ /PROGRAM TOTALS/ {
            cost = $1; gsub(",", "", cost)
            if (!($0 ~ /:/)) next
            sum[group($0)] += cost; total += cost
        }
        END {
            printf "%.0f a message:", total / n
            while (length(sum) > 0) {
                best = ""
                for (g in sum) if (best == "" || sum[g] > sum[best]) best = g
                printf " %s %.0f (%.0f %%)", best, sum[best] / n, 100 * sum[best] / total
                delete sum[best]
            }
            print ""
        }'
}

# count NAME MODE CONNS OUTSTANDING ENDPOINT
count()
{
    local load messages
    load="--mode $2 --conns $3 --outstanding $4 --endpoint $5 --port $port"
    # shellcheck disable=SC2086 # a list of words
    "$bench/tests/wspr-bench" $load --seconds 1 --warmup 0 >/dev/null
    callgrind_control -i on "$wsprd_pid" >/dev/null
    # shellcheck disable=SC2086
    messages=$("$bench/tests/wspr-bench" $load --calls 5000 --pid "$wsprd_pid" | tr ' ' '\n' | sed -n 's/^messages=//p')
    callgrind_control -i off "$wsprd_pid" >/dev/null
    callgrind_control -d "$wsprd_pid" >/dev/null
    sleep 1
    # shellcheck disable=SC2012 # names of valgrind's own
    echo "$1 $3x$4, $messages messages, $(groups "$(ls -t "$folder"/callgrind.out.* | head -1)" "$messages")"
}

unset NAMESPACE_ROOT VEYRON_IDENTITY
export STATE_DIRECTORY="$folder/state"
start sampled "$build/wspr-sampled" -open
endpoint=$text
export NAMESPACE_ROOT=/@2@tcp@127.0.0.1:1@00000000000000000000000000000001@1@2@@
# shellcheck disable=SC2086 # a list of words
start wsprd valgrind --tool=callgrind --instr-atstart=no "--callgrind-out-file=$folder/callgrind.out.%p" \
    "$build/wsprd" -port=0 "-plugin-dir=$build/plugins/.libs" ${WSPRD_FLAGS:-}
wsprd_pid=$pid
port=$(echo "$text" | sed 's,/ws$,,; s,.*:,,')
count get get 16 16 "$endpoint"
count stream stream 16 16 "$endpoint"
if [ -x "$bench/tests/wspr-bench-page" ]; then
    start page "$bench/tests/wspr-bench-page" "$port"
    count 'served get' get 4 4 "$text" || echo "served get: not served"
fi
[ -z "${WSPR_PROFILE:-}" ] || cp "$folder"/callgrind.out.* "$WSPR_PROFILE"
