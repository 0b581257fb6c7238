# Forgets jobs that are over and older than MEMORY (in seconds), but never the last 20, and the old packages that such
# a job kept. Comes after a start, which has answered by then: whoever starts a job changes this machine anyway, and
# whoever only asks changes nothing. Set before, beside those of start.sh: MEMORY.
#
# The age is that since the first start by the clocks of callers, because this machine's own may be wrong by years.

# What an earlier removal left; the name is no job's.
rm -rf "$PC_BASE"/.forgotten.*
for job in "$PC_BASE"/*; do
    born=
    { read -r born <"$job/born"; } 2>/dev/null
    case $born in '' | *[!0-9]*) continue ;; esac
    echo "$born ${job##*/}"
done | sort -rn | tail -n +21 | while read -r born OP; do
    [ $((NOW - born)) -gt "$MEMORY" ] || continue
    case $OP in *[!a-z0-9-]*) continue ;; esac
    d=$PC_BASE/$OP
    judge
    case $phase in 'done' | cancelled | lost_reboot | lost_died | prepared) ;; *) continue ;; esac
    # Its old packages first: without the job nobody would know whose they are. Then the whole folder gets another
    # name at once, because a job of which a part is missing would look as if it had not run yet.
    rm -rf "${PC_BASE%/*}/rollback/$OP"
    mv "$d" "$PC_BASE/.forgotten.$OP.$$" && rm -rf "$PC_BASE/.forgotten.$OP.$$"
done
:
