#!/usr/bin/env bash
# Instructions per message for a handler that is linked in and for the same one loaded from a file,
# counted by valgrind: the difference of two runs, divided by the messages.
#
#   dispatch.sh BUILD-FOLDER
set -Eeuo pipefail

build=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$build/tests/.libs/bench_handler.so" "$folder/"
chmod 755 "$folder/bench_handler.so"

count()
{
    valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "$build/tests/bench-dispatch" "$1" "$2" 2>&1 >/dev/null |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

per_message()
{
    local few many
    few=$(count "$1" 1000)
    many=$(count "$1" 11000)
    awk -v few="$few" -v many="$many" 'BEGIN { printf "%.1f\n", (many - few) / 10000 }'
}

linked=$(per_message linked)
loaded=$(per_message "$folder")
echo "linked in: $linked instructions per message, of the envelope to the end of the flow"
echo "loaded:    $loaded"
awk -v a="$linked" -v b="$loaded" \
    'BEGIN { printf "dispatch through a loaded handler costs %.1f more\n", b - a }'
