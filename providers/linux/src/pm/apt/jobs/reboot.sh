# Restarts the machine, late enough that this job's result is on disk and its answer on the way.

# A timer of systemd is a minute inexact where it is not told otherwise.
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
    systemd-run --quiet --no-block --no-ask-password --collect --unit="patchcore-restart-$OP" --on-active=2s \
        --timer-property=AccuracySec=100ms systemctl reboot || exit "$?"
elif command -v reboot >/dev/null; then
    setsid sh -c 'sleep 2; exec reboot' >/dev/null 2>&1 </dev/null &
elif command -v shutdown >/dev/null; then
    setsid sh -c 'sleep 2; exec shutdown -r now' >/dev/null 2>&1 </dev/null &
else
    say no_reboot_command
    exit 69
fi
say restarts
