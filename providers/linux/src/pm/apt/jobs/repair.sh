# Finishes what an interrupted or failed run of dpkg left.

# dpkg does not wait for its lock as apt does.
waited=0
while :; do
    said=$(dpkg --force-confdef --force-confold --configure -a 2>&1 </dev/null)
    status=$?
    case $said in
    *'locked by another process'*) ;;
    *) break ;;
    esac
    [ "$waited" -lt "$LOCK_WAIT" ] || break
    sleep 5
    waited=$((waited + 5))
done
printf '%s\n' "$said"
say configured "$status"
apt --fix-broken --no-remove install
status=$?
audit
# Whether it is mended is what dpkg says, not what the commands returned.
left=$(dpkg --audit)
if [ "$status" = 0 ] && [ -n "$left" ]; then
    status=1
fi
exit "$status"
