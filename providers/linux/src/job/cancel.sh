# Takes the claim itself, so that the job never runs: also one whose start is still on its way to us.
# A job that has begun is left alone, because dpkg is never killed.
umask 077
where
if reachable "$d"; then
    if [ ! -d "$d" ]; then
        mkdir -p "$PC_BASE" 2>/dev/null && mkdir "$d" 2>/dev/null
    fi
    if mkdir "$d/claim" 2>/dev/null; then
        put rc "C $(date +%s) $boot" >/dev/null
    fi
fi
judge
report
