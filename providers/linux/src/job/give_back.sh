# Gives the lock of this machine back, where it is held with FENCE.
umask 022
last_fence
if is_held && [ "$last" -eq "$FENCE" ]; then
    if ! message=$( { printf '' >"$locks/$last.free"; } 2>&1); then
        echo "PL1 answer=failed fence=$last now=$(date +%s)"
        printf '%s\n' "$message"
        exit 0
    fi
    sync "$locks" 2>/dev/null || sync
    printf '%s\n' "$(date +%s) given_back fence=$last" >>"$locks/log"
fi
echo "PL1 answer=free fence=$last now=$(date +%s)"
