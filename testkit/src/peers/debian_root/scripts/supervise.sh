# supervise.sh BOOT ARGUMENT…: boots a guest, and boots it again each time it restarts itself.
# 129 is what is left of a guest that called reboot(2), and of one whose init got SIGHUP, as `restart.sh` does it;
# 133 is how systemd-nspawn says that a guest asked for it.
boot=$1
shift
exec 3</proc/self/ns/net
while :; do
    status=0
    unshare --mount --pid --uts --ipc --net --fork --kill-child sh -c "$boot" sh "$@" || status=$?
    case $status in
    129 | 133) echo down ;;
    *) exit "$status" ;;
    esac
done
