# Starts a job once, however often this is called, and waits up to WAIT seconds for its end. Set before, beside those of lib.sh: SHA SPEC RUNNER, and NOW
# (the caller's time in seconds: this machine's own clock may be wrong by years).
# Ends with 65 where the id is taken by other content, with 73 where no folder can be written.

# why=CLASS of a message of the system in the language C, about a path.
class_of() {
    case $1 in
    *'No space left'* | *'Disk quota'*) why=disk_full ;;
    *'Read-only'*) why=read_only ;;
    *'Permission denied'* | *'not permitted'*) why=denied ;;
    *)
        why=io
        # A shell that cannot write out its buffer says no more than "I/O error".
        free=$(df -Pk "$2" 2>/dev/null | awk 'NR == 2 { print $4 }')
        [ "${free:-1}" != 0 ] || why=disk_full
        ;;
    esac
}

# Makes the job's folder and its content in $1; false with `why` where that cannot be.
prepare() {
    if ! message=$(umask 022 && mkdir -p "${1%/*}" 2>&1 && umask 077 && mkdir -p "$1" 2>&1); then
        class_of "$message" "${1%/*}"
        return 1
    fi
    d=$1/$OP
    if ! message=$(mkdir "$d" 2>&1) && [ ! -d "$d" ]; then
        class_of "$message" "$1"
        return 1
    fi
    [ ! -e "$d/sha" ] || return 0
    if message=$(put born "$NOW") && message=$(put "spec.$SHA" "$SPEC") && message=$(put runner "$RUNNER"); then
        if put_once sha "$SHA"; then
            return 0
        fi
        message=$( (: >"$d/sha.$$") 2>&1)
    fi
    class_of "$message" "$d"
    # What another start has written by now is not ours to remove.
    rm -f "$d/spec.$SHA.$$" "$d/runner.$$" "$d/sha.$$"
    rmdir "$d" 2>/dev/null
    return 1
}

refuse() {
    phase=refused rc=- ran=no pid=- jobboot=-
    report
    exit 73
}

# Somebody else holds the lock of this machine, or did since: who it is stands behind the header.
fenced() {
    note refused
    why=fenced OFF=0 MAX=0 phase=refused rc=- ran=no pid=- jobboot=-
    report
    holding
    exit 73
}

umask 077
where
if ! reachable "$d"; then
    why=denied
    refuse
fi
sign_of_life
admitted || fenced
if [ "$base" = fallback ]; then
    prepare "$PC_FALLBACK" || refuse
elif ! prepare "$PC_BASE"; then
    first=$why
    base=fallback
    if [ -z "$PC_FALLBACK" ] || [ "$why" = denied ] || ! prepare "$PC_FALLBACK"; then
        # The reason of the first folder is the one that a person can mend.
        base=primary why=$first d=$PC_BASE/$OP
        refuse
    fi
    why=$first
fi

read -r have <"$d/sha"
if [ "$have" != "$SHA" ]; then
    rm -f "$d/spec.$SHA"
    judge
    phase=conflict rc=-
    report
    exit 65
fi

launch() {
    launched=no
    if [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ] && command -v systemd-run >/dev/null; then
        # KillMode=mixed with the runner's own trap lets a shutdown wait for dpkg instead of killing it.
        systemd-run --quiet --no-block --no-ask-password --collect --unit="patchcore-$OP" \
            --description="patchcore job $OP" -p Type=exec -p KillMode=mixed -p TimeoutStopSec=15min \
            -p OOMScoreAdjust=-800 /bin/sh "$d/runner" "$d" "$FENCE" "$locks" && launched=yes
    fi
    # A second runner of one job finds the claim taken and leaves, so that launching twice does no harm.
    if [ "$launched" = no ]; then
        setsid nohup /bin/sh "$d/runner" "$d" "$FENCE" "$locks" >/dev/null 2>&1 </dev/null &
    fi
}

i=0 claimed=yes
while [ ! -e "$d/out" ] && [ ! -e "$d/rc" ] && [ "$i" -lt 50 ]; do
    if [ -d "$d/claim" ]; then
        claimed=yes
    elif [ "$claimed" = yes ]; then
        # Nobody has it, or the runner of an earlier holding, which came too late, has stepped back.
        claimed=no
        launch
    fi
    # Our own runner leaves without a trace in the folder where the lock changes hands meanwhile.
    admitted || fenced
    sleep 0.1
    i=$((i + 1))
done
judge
await
report
