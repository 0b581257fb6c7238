# disk.sh MOUNT_POINT BASE HOST_NAME: the disk of a guest, held while standard input stays open. It lives in
# memory, in a mount namespace that nobody else has, so it is gone when this process is gone.
# The mounts carry the guest's name, so that what is left of one could be told from the others.
set -eu
exec 2>&1
mount -t tmpfs -o size=1g,mode=755 "$3" "$1"
cd "$1"
mkdir lower upper work root
mount --bind "$2" lower
mount -o remount,bind,ro lower
# Who is root in a user namespace only may not write the marks that overlayfs keeps by default.
read -r first outside count </proc/self/uid_map
marks=
[ "$count" = 4294967295 ] || marks=,userxattr
# Relative names, because the mount option knows no way to write a colon or a comma in a path.
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work$marks "$3" root
# This /proc still is the one from outside, so it says our process id as the outside sees it.
read -r pid rest </proc/self/stat
echo "ready $pid"
exec cat >/dev/null 2>&1
