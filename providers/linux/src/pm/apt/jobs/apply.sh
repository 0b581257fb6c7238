# Installs exactly what was approved, and nothing where the machine would do anything else.

names=$(printf '%s\n' "$APPROVED" | awk '{ print ($2 == "all" ? $1 : $1 ":" $2) }')
added=$(printf '%s\n' "$APPROVED" | awk '$3 == "-" { print ($2 == "all" ? $1 : $1 ":" $2) }')

# shellcheck disable=SC2046,SC2086 # The words are validated before they are sent.
apply() {
    check_set $(words)
    fetch
    # Naming a package counts as wanting it; what came as a dependency before stays one.
    before=$(apt-mark showauto $names 2>/dev/null)
    say begins
    apt --no-remove install $(words)
    status=$?
    [ -z "$before$added" ] || apt-mark auto $before $added >/dev/null || say auto_marks_lost
    audit
    exit "$status"
}

apply
