# cgroups.sh MARK COMMAND…: runs a command to its end and removes what is left of its guest's cgroups, which no
# namespace takes away with it.
mark=$1
shift
# It stays until that is done, also when a terminal interrupts everything that it started.
trap : HUP INT TERM
"$@"
status=$?
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    [ -d "$hierarchy/$mark" ] || continue
    tries=0
    # The kernel lets go of the last process a moment after its end.
    until find "$hierarchy/$mark" -depth -type d -exec rmdir {} + 2>/dev/null || [ "$tries" = 100 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
done
exit "$status"
