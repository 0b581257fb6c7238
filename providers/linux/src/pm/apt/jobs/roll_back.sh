# Goes back to recorded versions, from the files kept before where they are there.
# Set before: ROLLBACK (folder of the old packages).

# Absolute paths and words hold no spaces: the folder and the names are validated before they are sent.
targets=$(printf '%s\n' "$APPROVED" | while read -r name arch _ version _; do
    file=$ROLLBACK/$(file_of "$name" "$arch" "$version")
    word=$name:$arch
    [ "$arch" != all ] || word=$name
    if [ "$version" = - ]; then
        echo "$word-"
    elif is_package "$file" "$name" "$arch" "$version"; then
        echo "$file"
    else
        echo "$word=$version"
    fi
done)

# apt does nothing at all where a run of dpkg was cut off, so that dpkg first finishes what it can. What fails in that
# goes back with the rest.
finish() {
    eval "$(apt-config shell status Dir::State::status/f)"
    [ -n "$(ls -A "${status%/*}/updates" 2>/dev/null)" ] || return 0
    say interrupted
    dpkg --force-confdef --force-confold --configure -a </dev/null
}

# shellcheck disable=SC2046,SC2086 # As above.
roll_back() {
    finish
    names=$(printf '%s\n' "$APPROVED" | awk '$4 != "-" { print ($2 == "all" ? $1 : $1 ":" $2) }')
    printf '%s\n' "$APPROVED" | awk '$4 == "-" { found = 1 } END { exit !found }' && keep=
    check_set --allow-downgrades $targets
    before=
    [ -z "$names" ] || before=$(apt-mark showauto $names 2>/dev/null)
    say begins
    apt --allow-downgrades $keep install $targets
    status=$?
    [ -z "$before" ] || apt-mark auto $before >/dev/null || say auto_marks_lost
    audit
    exit "$status"
}

roll_back
