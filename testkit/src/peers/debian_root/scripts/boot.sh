# boot.sh MOUNT_POINT HOST_NAME ADDRESS: starts a guest on its disk; it runs while standard input stays open.
# With an address it is a guest of a lab, whose network is descriptor 3.
set -eu
exec 2>&1
cd "$1"
read -r pid rest </proc/self/stat
printf '%s\n' "$2" >/proc/sys/kernel/hostname
# A new file for each start: the old one may still be mounted in a guest that is going down.
boot_id=$(mktemp boot_id.XXXXXX)
cat /proc/sys/kernel/random/uuid >"$boot_id"
chmod 444 "$boot_id"
link=up
[ ! -e unplugged ] || link=down

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
ip link set dev lo up
printf '%s\n' "$2" >/etc/hostname
printf '127.0.0.1 localhost %s\n' "$2" >/etc/hosts
# The tree's own are systemd's, which is not here. They are links, so that nothing of the tree is written over.
for program in reboot shutdown poweroff halt; do
    ln -sf /srv/patchcore/restart.sh "/usr/sbin/$program"
done
# apt draws 0 to 100 from the machine id and lets a machine in up to the percentage, so that one in 101 would be
# in a rollout of 0 %: such an id is drawn again.
while [ ! -s /etc/machine-id ]; do
	tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
	if env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin apt-get -s -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
		-o Dir::Log::Planner=/dev/null dist-upgrade 2>/dev/null | grep -q '^Inst pc-phased '; then
		: >/etc/machine-id
	fi
done
if [ -n "$3" ]; then
    sh /srv/patchcore/network.sh "$3" "$link"
    sh /srv/patchcore/login.sh
    mkdir -p /run/sshd
    /usr/sbin/sshd 3<&- </dev/null >/dev/null 2>&1
fi
exec 3<&-
echo "ready $pid"
# `reboot` tells every process of the guest to end, and this one is what its init waits for.
trap '' TERM
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin tini -- cat >/dev/null 2>&1
