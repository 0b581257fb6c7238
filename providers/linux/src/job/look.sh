# Says who has the lock of this machine. Changes nothing.
last_fence
if is_held; then
    echo "PL1 answer=held fence=$last now=$(date +%s)"
    holding
else
    echo "PL1 answer=free fence=$last now=$(date +%s)"
fi
