# boot.sh MOUNT_POINT HOST_NAME ADDRESS MACHINE RESTART: starts a guest on its disk; it runs while standard input
# stays open. MACHINE and RESTART are the scripts of these names.
set -eu
exec 2>&1
cd "$1"
read -r pid rest </proc/self/stat
# A new file for each start: the old one may still be mounted in a guest that is going down.
boot_id=$(mktemp boot_id.XXXXXX)
cat /proc/sys/kernel/random/uuid >"$boot_id"
chmod 444 "$boot_id"
cable=up
[ ! -e unplugged ] || cable=down

mount -t proc -o nosuid,nodev,noexec proc root/proc
# Root in the guest is root of this machine: its kernel's settings stay out of reach.
for path in sys sysrq-trigger; do
    [ -e "root/proc/$path" ] || continue
    mount --bind "root/proc/$path" "root/proc/$path"
    mount -o remount,bind,ro "root/proc/$path"
done
mount --bind "$boot_id" root/proc/sys/kernel/random/boot_id
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs root/run
mkdir -m 1777 root/run/lock
mount -t tmpfs -o mode=755,nosuid tmpfs root/dev
mkdir root/dev/pts root/dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts root/dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs root/dev/shm
ln -s pts/ptmx root/dev/ptmx
ln -s /proc/self/fd root/dev/fd
ln -s fd/0 root/dev/stdin
ln -s fd/1 root/dev/stdout
ln -s fd/2 root/dev/stderr
# Bound and not made: who is root in a user namespace only may not make devices.
for name in null zero full random urandom tty; do
    : >"root/dev/$name"
    mount --bind "/dev/$name" "root/dev/$name"
done

cd root
pivot_root . .
umount -l .
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# By its system call: the file in /proc is for the machine's root alone.
hostname "$2"
env -i "PATH=$PATH" sh -c "$4" sh "$2" "$3" "$cable"
# What the tree has under these names is systemd's, which is not here.
printf '%s\n' "$5" >/srv/patchcore/restart.sh
chmod 755 /srv/patchcore/restart.sh
for program in reboot shutdown poweroff halt; do
    ln -sf /srv/patchcore/restart.sh "/usr/sbin/$program"
done
if [ -n "$3" ]; then
    mkdir -p /run/sshd
    # It returns before it listens, and writes this file when it does.
    rm -f /run/sshd.pid
    env -i "PATH=$PATH" /usr/sbin/sshd 3<&- </dev/null >/dev/null 2>&1
    turns=500
    until [ -s /run/sshd.pid ]; do
        turns=$((turns - 1))
        [ "$turns" -gt 0 ] || {
            echo "sshd does not listen after 10 s" >&2
            exit 1
        }
        sleep 0.02
    done
fi
exec 3<&-
echo "ready $pid"
# `reboot` tells every process of the guest to end, and this one is what its init waits for.
# A restart is a SIGHUP that ends it, which whoever started the lab with nohup had it ignore.
trap '' TERM
exec env -i --default-signal=HUP "PATH=$PATH" tini -- cat >/dev/null 2>&1
