# Holding apt to exactly what was approved. Set before: APPROVED, a line NAME ARCH FROM TO SHA256 for each
# package; FROM is - for a new one and * where it does not matter, TO is - where it goes, SHA256 is - where none
# is pinned.

# Nothing is removed, unless a job of its own puts in another word.
keep=--no-remove
archives=
eval "$(apt-config shell archives Dir::Cache::archives/d)"
archives=${archives%/}

# NAME:ARCH=TO for apt. A package for all architectures goes by its name alone.
words() { printf '%s\n' "$APPROVED" | awk '{ print ($2 == "all" ? $1 : $1 ":" $2) "=" $4 }'; }

# How apt calls the file of NAME ARCH VERSION.
file_of() { printf '%s_%s_%s.deb' "$1" "$(printf '%s' "$3" | sed 's/:/%3a/g')" "$2"; }

# Whether a file is the package NAME ARCH VERSION.
is_package() { [ "$(dpkg-deb -f "$1" Package Architecture Version 2>/dev/null | sed 's/^[^:]*: //' | tr '\n' ' ')" = "$2 $3 $4 " ]; }

# Ends the job where `apt install` with these arguments would do anything but what was approved.
# shellcheck disable=SC2086 # An empty word must vanish.
check_set() {
    if ! plan=$(apt -s -o Debug::NoLocking=1 -o APT::Get::Show-User-Simulation-Note=false $keep install "$@" 2>&1); then
        printf '%s\n' "$plan"
        say drift "apt cannot do what was approved"
        exit 79
    fi
    drift=$(
        {
            printf '%s\n' "$APPROVED" | sed 's/^/A /'
            # shellcheck disable=SC2016 # The fields are dpkg's.
            dpkg-query -W -f='I ${Package} ${Architecture} ${Version} ${db:Status-Status}\n'
            printf '%s\n' "$plan" | grep -E '^(Inst|Remv|Purg) '
        } | awk '
            $1 == "A" && $5 == "-" { goes[$2] = 1; next }
            $1 == "A" { k = $2 ":" $3; want[k] = $5; from[k] = $4; next }
            $1 == "I" && $5 == "installed" && ($2 in goes) { there[$2] = 1 }
            $1 == "I" { if ($5 == "installed") have[$2 ":" $3] = $4; next }
            $1 == "Remv" { name = $2; sub(/:.*/, "", name); if (name in goes) { went[name] = 1; next } }
            $1 != "Inst" { print "removes " $2; next }
            {
                name = $2; sub(/:.*/, "", name)
                if ($3 ~ /^\[/) { old = substr($3, 2, length($3) - 2); to = substr($4, 2) }
                else { old = "-"; to = substr($3, 2) }
                if (!match($0, /\[[a-z0-9-]+\]\)/)) { print "not understood: " $0; next }
                k = name ":" substr($0, RSTART + 1, RLENGTH - 3)
                seen[k] = 1
                if (!(k in want)) print "not approved: " k " " old " to " to
                else if (want[k] != to) print k " to " to " where " want[k] " was approved"
                else if (from[k] != "*" && from[k] != old) print k " from " old " where " from[k] " was approved"
            }
            END { for (k in there) if (!(k in went)) print k " does not go"; for (k in want) if (!(k in seen) && have[k] != want[k]) print k " does not come to " want[k] }'
    )
    if [ -n "$drift" ]; then
        printf '%s\n' "$drift" | while read -r line; do say drift "$line"; done
        exit 79
    fi
}

# Ends the job where a file that is about to be installed is not the pinned one. A file from a local
# repository is not copied to the archives; for it the digest counts that apt itself will insist on.
check_pins() {
    printf '%s\n' "$APPROVED" | awk '$5 != "-"' | {
        bad=0
        while read -r name arch _ to pin; do
            # shellcheck disable=SC2016 # The field is dpkg's.
            [ "$(dpkg-query -W -f='${Version}' "$name:$arch" 2>/dev/null)" != "$to" ] || continue
            file=$archives/$(file_of "$name" "$arch" "$to")
            if [ -f "$file" ]; then
                found=$(sha256sum <"$file" | cut -d' ' -f1)
            else
                word=$name:$arch
                [ "$arch" != all ] || word=$name
                found=$(apt-cache show "$word=$to" 2>/dev/null | sed -n 's/^SHA256: //p' | sort -u)
            fi
            if [ "$found" != "$pin" ]; then
                say drift "$name:$arch=$to" "is not the file that was approved: expected $pin found ${found:-none}"
                bad=79
            fi
        done
        exit "$bad"
    } || exit "$?"
}

# Downloads without installing, and looks at what came.
# shellcheck disable=SC2046 # The words are validated before they are sent.
fetch() {
    apt --download-only --no-remove install $(words) || exit "$?"
    check_pins
}
