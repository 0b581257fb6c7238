# Brings the package lists up to date. Set before: STATE (folder of patchcore's own state).

said=$(apt -o APT::Update::Error-Mode=any update 2>&1)
status=$?
printf '%s\n' "$said"
# An older apt calls a list that it could not get a warning and ends with 0.
if [ "$status" = 0 ] && printf '%s\n' "$said" | grep -qE '^(Err:|W: (Failed to fetch|Some index files failed))'; then
    status=100
fi
if [ "$status" = 0 ]; then
    mkdir -p "$STATE" && : >"$STATE/refreshed"
fi
exit "$status"
