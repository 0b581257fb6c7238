# Runs one job, detached from whoever started it. Arguments: the job's folder, the fence of who started it, the folder
# of locks. Stands behind lock.sh.
d=$1 FENCE=$2 locks=$3 OP=${1##*/}
umask 077
cd / || exit 1
# Before the claim, so that who holds the lock now can run the job himself.
admitted || { note refused; exit 0; }
# The first to make the claim runs the job; every other runner leaves.
mkdir "$d/claim" 2>/dev/null || exit 0
# HUP of a lost session is ignored. TERM of a shutdown is caught with an empty action, which children do
# not inherit: the shutdown then waits for dpkg. PIPE stays as it is, because children would inherit it
# and a pipeline of a maintainer script would see write errors instead of its quiet end.
trap '' HUP
trap : TERM INT

read -r boot </proc/sys/kernel/random/boot_id || boot=-
read -r stat <"/proc/$$/stat"
# shellcheck disable=SC2086 # The words are wanted.
set -- ${stat##*) }
started=${20}

put() { printf '%s\n' "$2" >"$d/$1.$$" && mv -f "$d/$1.$$" "$d/$1"; }

# No state, no work: whoever asks later would not know that it ran. `ln` loses against one who called us dead.
printf '%s\n' "1 running $$ $started $boot $(date +%s)" >"$d/state.$$" && ln "$d/state.$$" "$d/state" || exit 1
rm -f "$d/state.$$"
# A power cut must not take back the claim of a job that has begun.
sync "${d%/*}" "$d" "$d/state" 2>/dev/null || sync

# One block in reserve, so that a disk filled by the job still takes its result.
head -c 4096 /dev/zero >"$d/reserve" 2>/dev/null

# Once more, after all that may have taken time: from here to the first command of the content nothing waits. Who is too
# late steps back from the claim, last of all: who holds the lock now runs the job himself.
if ! admitted; then
    note refused
    rm -f "$d/reserve" "$d/state"
    rmdir "$d/claim"
    exit 0
fi
note begun
read -r sha <"$d/sha"
have=$(sha256sum <"$d/spec.$sha" | cut -d' ' -f1)
if [ "$have" = "$sha" ]; then
    # That it is there says that the content was begun.
    : >>"$d/out"
    umask 022
    /bin/sh "$d/spec.$sha" >>"$d/out" 2>&1 </dev/null
    rc=$?
    umask 077
else
    echo "@patchcore ${d##*/} spec_damaged expected $sha found $have" >>"$d/out"
    rc=74
fi
rm -f "$d/reserve"
put rc "$rc $(date +%s) $boot"
sync "$d" "$d/rc" 2>/dev/null || sync
