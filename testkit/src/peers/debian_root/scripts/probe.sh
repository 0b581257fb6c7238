# probe.sh MOUNT_POINT: does once what every guest needs, and leaves nothing.
set -eu
for program in nsenter pivot_root mount umount mknod mktemp; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 1; }
done
mount -t tmpfs patchcore-probe "$1"
cd "$1"
mkdir lower upper work root
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work patchcore-probe root
