# Takes the lock of this machine, or says who has it. Set before, beside those of lock.sh: JOURNAL OPENING EPOCH LEASE
# HOLDER of who asks.

# answer=WORD and the holding it is about.
answer() {
    echo "PL1 answer=$1 fence=$last now=$now"
    [ "$1" = free ] || holding
    exit 0
}

# What the system said, and whether there is room: a shell that cannot write says no more than "I/O error".
failed() {
    room=
    if [ -d "$locks" ]; then
        room=$( { head -c 4096 /dev/zero >"$locks/.room.$$"; } 2>&1)
        rm -f "$locks/.room.$$"
    fi
    echo "PL1 answer=failed fence=$last now=$now"
    printf '%s\n' "$message" "$room"
    exit 0
}

umask 022
now=$(date +%s) last=0
message=$(mkdir -p "$locks" 2>&1) || failed
while :; do
    last_fence
    from=
    if is_held; then
        from=$(holding)
        # shellcheck disable=SC2086 # The words are wanted.
        set -- $from
        silent=$((now - $2))
        [ "$silent" -ge 0 ] || silent=$((-silent))
        if [ "$4" = "$JOURNAL" ] && [ "$5" = "$OPENING" ]; then
            FENCE=$last
            sign_of_life
            answer ours
        elif [ "$3" != 1 ]; then
            # Of a later version: it is for that one to say when it lapses.
            answer held
        elif [ "$4" = "$JOURNAL" ] && [ "$EPOCH" -gt "$6" ]; then
            :
        elif [ "$silent" -lt "$7" ]; then
            answer held
        fi
    fi
    next=$((last + 1))
    if message=$( { printf '%s\n' "1 $JOURNAL $OPENING $EPOCH $LEASE $now $HOLDER" >"$locks/.$next.$$"; } 2>&1); then
        message=$(ln "$locks/.$next.$$" "$locks/$next" 2>&1) && taken=yes || taken=no
    else
        taken=no
    fi
    rm -f "$locks/.$next.$$"
    last_fence
    if [ "$taken" = yes ] && [ "$last" = "$next" ]; then
        break
    fi
    # Somebody else was faster; where nobody was, it cannot be written.
    [ "$last" -ge "$next" ] || failed
done
# A power cut must not take back a number that was given out.
sync "$locks" "$locks/$last" 2>/dev/null || sync
if [ -s "$locks/log" ] && [ "$(wc -c <"$locks/log")" -gt 262144 ]; then
    mv -f "$locks/log" "$locks/log.1"
fi
printf '%s\n' "$now taken fence=$last journal=$JOURNAL opening=$OPENING by $HOLDER${from:+, from $from}" >>"$locks/log"
old=$((last - 20))
rm -f "$locks/$old" "$locks/$old.seen" "$locks/$old.free"
if [ -z "$from" ]; then
    answer ours
fi
echo "PL1 answer=over fence=$last now=$now"
printf '%s\n' "$from"
