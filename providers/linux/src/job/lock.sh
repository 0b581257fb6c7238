# The lock of this machine, version 1: what take, look, give_back, start, poll and the runner share. POSIX sh; dash and
# busybox ash are tried. Set before: locks (the folder) and FENCE (the number of the caller's holding).
#
# Each holding is a file, and its name is its number: N (1 JOURNAL OPENING EPOCH LEASE SINCE HOLDER), N.seen (touched at
# each sign of life), N.free (it is given back). `ln` makes the next one only where it is not there yet, so that of all
# who want it one has it. `log` says what was let in and what was not.

# last=the number of the last holding, 0 where there never was one.
last_fence() {
    last=0
    for n in "$locks"/*; do
        n=${n##*/}
        case $n in '' | *[!0-9]*) continue ;; esac
        [ "$n" -le "$last" ] || last=$n
    done
}

# Whether somebody has the last holding. One of which nothing is written was cut off before anybody heard of it.
is_held() {
    [ "$last" -gt 0 ] && [ -s "$locks/$last" ] && [ ! -e "$locks/$last.free" ]
}

# False where whoever comes with FENCE may not begin anything any more.
admitted() {
    last_fence
    if is_held; then
        [ "$FENCE" -eq "$last" ]
    else
        [ "$FENCE" -ge "$last" ]
    fi
}

# A call of the holder is a sign of life. A builtin that is no special one, so that a failure ends nothing.
sign_of_life() {
    [ ! -e "$locks/$FENCE" ] || { true >"$locks/$FENCE.seen"; } 2>/dev/null || true
}

# Says in the log what became of job OP.
note() {
    [ ! -d "$locks" ] || printf '%s\n' "$(date +%s) $1 fence=$FENCE last=$last op=$OP" >>"$locks/log"
}

# The last holding in one line: its number, its last sign of life, and what is written of it.
holding() {
    seen=$(stat -c %Y "$locks/$last.seen" 2>/dev/null) || seen=$(stat -c %Y "$locks/$last" 2>/dev/null) || seen=0
    { read -r line <"$locks/$last"; } 2>/dev/null
    printf '%s\n' "$last $seen $line"
}
