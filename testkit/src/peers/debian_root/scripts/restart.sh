#!/bin/sh
# restart.sh: `reboot`, `shutdown`, `poweroff` and `halt` of a guest without systemd. Whoever called has a moment to
# say so, every process is asked to end and has five seconds, as under System V's init, and the guest is gone at once.
[ "$(id -u)" = 0 ] || { echo "${0##*/}: must be root" >&2; exit 1; }
# tini hands a signal on to what it waits for: SIGHUP starts the guest again, SIGKILL does not.
signal=HUP
case ${0##*/} in
poweroff | halt) signal=KILL ;;
shutdown)
    signal=KILL
    for word; do
        case $word in
        -*r*) signal=HUP ;;
        -c) exit 0 ;;
        esac
    done
    ;;
esac
# shellcheck disable=SC2016 # the inner shell is to expand them
setsid -f sh -c '
    trap "" TERM HUP
    sleep 0.3
    kill -TERM -1
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
        # Six are left at least: init, what it waits for, this shell, and three that count.
        [ "$(ps -e -o pid= | wc -l)" -gt 6 ] || break
        sleep 0.2
    done
    if [ "$1" = HUP ]; then kill -HUP 1; else pkill -KILL -P 1 -x cat; fi
' sh "$signal" </dev/null >/dev/null 2>&1
