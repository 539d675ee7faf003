# shellcheck shell=bash disable=SC2154
# Part of tests/bench/run: the same calls to a service behind wspr-proxyd, and what each costs the relay.

relay_line()
{
    bench --port "$wsprd_port" --pid "$relay_pid" --mode "$1" --conns "$2" --outstanding "$3" --endpoint "$behind" "${@:4}"
}

start relay "$build/wspr-proxyd" -address=127.0.0.1:0
relay_pid=$pid
relay=$text
start behind "$build/wspr-sampled" -open "-vproxy=$relay" -name=
behind=$text

printf '%-22s %10s %10s %10s %14s\n' 'through the relay' per_second p50_us p99_us relay_cpu_us
for shape in 'get 1 1' 'get 1 16' 'get 16 16' 'stream 16 16'; do
    read -r mode conns outstanding <<<"$shape"
    line=$(relay_line "$mode" "$conns" "$outstanding")
    printf '%-22s %10s %10s %10s %14s\n' "$mode ${conns}x$outstanding" "$(value per_second "$line")" \
        "$(value p50_us "$line")" "$(value p99_us "$line")" "$(value server_cpu_us "$line")"
done

if [ -n "$syscalls" ]; then
    for shape in '1 1' '16 16'; do
        read -r conns outstanding <<<"$shape"
        strace -c -f -qq -p "$relay_pid" -o "$tmp/strace" &
        tracer=$!
        sleep 0.5
        line=$(relay_line get "$conns" "$outstanding" --warmup 0)
        kill -INT $tracer
        wait $tracer || :
        echo "system calls of the relay, get ${conns}x$outstanding, per call:" \
            "$(awk -v n="$(value messages "$line")" '
                $1 ~ /^[0-9.]+$/ && $NF != "total" { printf "%s %.2f  ", $NF, $4 / n }' "$tmp/strace")"
    done
fi

if [ -n "$allocations" ]; then
    head -c 4096 /dev/zero >"$tmp/relay-count"
    WSPR_ALLOCCOUNT=$tmp/relay-count LD_PRELOAD=$build/tests/.libs/alloccount.so
    export WSPR_ALLOCCOUNT LD_PRELOAD
    start counted-relay "$build/wspr-proxyd" -address=127.0.0.1:0
    unset WSPR_ALLOCCOUNT LD_PRELOAD
    relay_pid=$pid
    start counted-behind "$build/wspr-sampled" -open "-vproxy=$text" -name=
    behind=$text
    for mode in get stream; do
        relay_line $mode 16 16 >/dev/null
        before=$(od -A n -t u8 -N 8 "$tmp/relay-count" | tr -d ' ')
        line=$(relay_line $mode 16 16 --warmup 0)
        after=$(od -A n -t u8 -N 8 "$tmp/relay-count" | tr -d ' ')
        echo "allocations of the relay, $mode 16x16, per message of the page:" \
            "$(awk -v n="$(value messages "$line")" -v a="$before" -v b="$after" 'BEGIN { printf "%.4f", (b - a) / n }')"
    done
fi
