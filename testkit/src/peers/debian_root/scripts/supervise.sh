# supervise.sh BOOT MOUNT_POINT HOST_NAME ADDRESS: boots a guest, and boots it again each time it restarts itself.
# 129 is what is left of a guest that called reboot(2), and of one whose init got SIGHUP, as its own `reboot` does it.
exec 3</proc/self/ns/net
while :; do
    status=0
    unshare --mount --pid --uts --ipc --net --fork --kill-child sh -c "$1" sh "$2" "$3" "$4" || status=$?
    [ "$status" = 129 ] || exit "$status"
    echo down
done
