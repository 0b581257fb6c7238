# Job protocol, version 1: what start, poll and cancel share. POSIX sh; dash and busybox ash are tried.
# Set before: OP (job id), PC_BASE (folder of all jobs), PC_FALLBACK (folder for when that one cannot be
# written, or empty), OFF and MAX (part of the log to show; OFF=end for its last MAX bytes), WHOLE (the most bytes of
# a log that is shown whole once its job is over) and WAIT (the most seconds to wait for a job's end).
#
# A job's folder: born (when it was first started, by the caller's clock), sha (digest of the spec), spec.DIGEST,
# runner, claim/ (who makes it may run, once), state (1 running PID STARTTIME BOOT EPOCH, or 1 lost - - BOOT EPOCH), out
# (log; there as soon as the content is begun), rc (STATUS EPOCH BOOT).

# Where the job is: the fallback only where the job is there and the first folder knows nothing of it.
where() {
    d=$PC_BASE/$OP base=primary
    if [ ! -e "$d/sha" ] && [ ! -d "$d/claim" ] && [ -n "$PC_FALLBACK" ] && [ -d "$PC_FALLBACK/$OP" ]; then
        d=$PC_FALLBACK/$OP base=fallback
    fi
    read -r boot </proc/sys/kernel/random/boot_id || boot=-
    why=-
}

# False where a folder on the way may not be entered: then "not there" would be a guess.
reachable() {
    p=$1
    while [ -n "$p" ]; do
        if [ -d "$p" ]; then
            [ -x "$p" ]
            return
        fi
        p=${p%/*}
    done
    return 0
}

# Writes a file whole or not at all. The rename of a half-written file would be a lie.
put() {
    { printf '%s\n' "$2" >"$d/$1.$$" && mv -f "$d/$1.$$" "$d/$1"; } 2>&1
}

# Writes a file only where there is none yet; link(2) decides between two writers, a rename would not.
put_once() {
    { printf '%s\n' "$2" >"$d/$1.$$" && ln "$d/$1.$$" "$d/$1"; } 2>/dev/null
    rm -f "$d/$1.$$" 2>/dev/null
    [ -e "$d/$1" ]
}

# alive=STARTTIME of a process that lives, else empty. The start time tells a reused pid from ours.
start_time() {
    alive=
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    # After the last parenthesis the fields are plain words: state is the 1st, start time the 20th.
    # shellcheck disable=SC2086 # The words are wanted.
    set -- ${stat##*) }
    [ "$1" = Z ] || alive=${20}
}

read_state() {
    word=
    if [ -r "$d/state" ]; then
        read -r _ word pid started jobboot _ <"$d/state"
    fi
}

# Sets phase rc ran pid jobboot.
judge() {
    phase=absent rc=- ran=no pid=- jobboot=-
    if ! reachable "$d"; then
        phase=refused why=denied
        return 0
    fi
    [ -d "$d" ] || return 0
    phase=prepared
    [ -d "$d/claim" ] || return 0
    read_state
    if [ -z "$word" ] && [ ! -e "$d/rc" ]; then
        phase=claimed
        made=$(stat -c %Y "$d/claim" 2>/dev/null) || return 0
        made=$(($(date +%s) - made))
        # A claim of the future is one from before the clock was set back.
        [ "$made" -gt 60 ] || [ "$made" -lt -60 ] || return 0
        # Its runner died before it said so. Taking its place in `state` keeps a runner that was only
        # asleep from starting after we called it dead.
        put_once state "1 lost - - $boot $(date +%s)" || { phase=lost_died; return 0; }
        read_state
    fi
    if [ "$word" = lost ]; then
        phase=lost_died
        return 0
    fi
    # Liveness is read before `rc`: a job that ends in between has left its result.
    alive=
    [ -z "$word" ] || start_time "$pid"
    [ ! -e "$d/out" ] || ran=yes
    if [ -r "$d/rc" ]; then
        read -r rc _ <"$d/rc"
        phase='done' ran=yes
        [ "$rc" != C ] || { phase=cancelled rc=- ran=no; }
        return 0
    fi
    if [ "$jobboot" != "$boot" ]; then
        phase=lost_reboot
    elif [ -n "$alive" ] && [ "$alive" = "$started" ]; then
        # Before its content is begun its runner may still step back.
        phase=claimed
        [ "$ran" = no ] || phase=running
    else
        phase=lost_died
    fi
}

# Waits until a job that is claimed has begun, or its runner has stepped back. Nearly always that is a moment; it takes
# longer where the machine or its disk is very busy.
settle() {
    i=0
    while [ "$phase" = claimed ] && [ "$i" -lt 50 ]; do
        sleep 0.1
        judge
        i=$((i + 1))
    done
}

# Waits for the end of a job that was judged to be at work.
await() {
    case $phase in running | claimed) ;; *) return 0 ;; esac
    i=0
    # Only builtins and one sleep a turn: with fifty guests on one machine, forks here were 17 % of the time.
    while [ "$i" -lt $((WAIT * 2)) ] && [ ! -e "$d/rc" ]; do
        [ "$phase" = claimed ] || kill -0 "$pid" 2>/dev/null || break
        [ "$phase" = running ] || judge
        case $phase in running | claimed) ;; *) return 0 ;; esac
        sleep 0.5
        i=$((i + 1))
    done
    judge
}

# The header line, then the asked part of the log.
report() {
    size=0
    [ ! -r "$d/out" ] || size=$(wc -c <"$d/out")
    read -r up _ </proc/uptime
    echo "PC1 op=$OP phase=$phase rc=$rc ran=$ran pid=$pid jobboot=$jobboot boot=$boot size=$((size)) up=$up now=$(date +%s) base=$base why=$why"
    from=$OFF most=$MAX
    [ "$OFF" != end ] || from=$((size > MAX ? size - MAX : 0))
    case $phase in 'done' | cancelled | lost_reboot | lost_died)
        [ "$size" -gt "$WHOLE" ] || from=0 most=$WHOLE
        ;;
    esac
    if [ "$size" -gt "$from" ] && [ "$most" -gt 0 ]; then
        tail -c "+$((from + 1))" "$d/out" | head -c "$most"
    fi
}
