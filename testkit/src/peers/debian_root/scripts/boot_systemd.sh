# boot_systemd.sh MOUNT_POINT HOST_NAME ADDRESS MACHINE MARK: starts a guest with systemd on its disk; it runs while
# standard input stays open. MACHINE is the script of this name.
set -eu
exec 2>&1
cd "$1"
name=$2 mark=$5
cable=up
[ ! -e unplugged ] || cable=down

# As a whole machine of its own and not by chroot, in which apt ignores phasing.
# shellcheck disable=SC2016 # the inner shell is to expand them
unshare --mount --pid --fork sh -euc '
    mount -t proc proc root/proc
    cd root
    pivot_root . .
    umount -l .
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c "$@"
' sh "$4" sh "$name" "$3" "$cable"
exec 3<&- 4<&0 </dev/null

# A cgroup for this start alone: one that was in use may have become unfit for processes of its own.
start=$(mktemp -u XXXXXX)
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir -p "$hierarchy/$mark/$start"
    echo 0 >"$hierarchy/$mark/$start/cgroup.procs"
done
# What nspawn leaves in /run is gone with this mount namespace.
mount -t tmpfs tmpfs /run
# Process ids as the outside sees them are found here, once /proc is our own.
mkdir -p outside
mount --rbind /proc outside
mount -t proc proc /proc
rm -f nspawn.pid
sh -c '
    read -r pid rest <outside/self/stat
    echo "$pid" >nspawn.pid
    exec systemd-nspawn --quiet --directory=root --machine="$1" --hostname="$1" --boot --register=no --keep-unit \
        --link-journal=no --resolv-conf=off --timezone=off --network-namespace-path=/proc/self/ns/net --console=pipe
' sh "$name" >console 2>&1 4<&- &
nspawn=$!
# The guest is off when nobody holds the other end any more. All but this process and the first of them are killed.
{
    cat <&4 >/dev/null
    kill -KILL -1
} &
exec 4<&-

# The guest's init is the child of nspawn that is the first in its own namespace.
find_init() {
    [ -s nspawn.pid ] || return 1
    read -r pid <nspawn.pid
    read -r children <"outside/$pid/task/$pid/children" || :
    for child in $children; do
        if grep -q '^NSpid:.*[[:space:]]1$' "outside/$child/status" && [ -e "outside/$child/root/run/systemd/private" ]; then
            init=$child
            return 0
        fi
    done
    return 1
}
until find_init 2>/dev/null; do
    kill -0 "$nspawn" 2>/dev/null || {
        tail -n 3 console
        break
    }
    sleep 0.02
done
[ -z "${init:-}" ] || echo "ready $init"
status=0
wait "$nspawn" || status=$?
exit "$status"
