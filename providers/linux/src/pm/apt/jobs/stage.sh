# Downloads what was approved, and the versions that are there now for the way back. Installs nothing.
# Set before: ROLLBACK (folder of the old packages of this job).

# shellcheck disable=SC2046 # The words are validated before they are sent.
arm() {
    mkdir -p "$ROLLBACK" && cd "$ROLLBACK" || exit 74
    old=$(printf '%s\n' "$APPROVED" | awk '$3 != "-" { print $1, $2, $3 }')
    [ -n "$old" ] || return 0
    offered=$(apt-cache madison $(printf '%s\n' "$old" | awk '{ print ($2 == "all" ? $1 : $1 ":" $2) }') 2>/dev/null |
        awk -F' *[|] *' '{ sub(/^ */, "", $1); print $1 "=" $2 }')
    wanted=$(printf '%s\n' "$old" | while read -r name arch version; do
        file=$(file_of "$name" "$arch" "$version")
        if is_package "$archives/$file" "$name" "$arch" "$version"; then
            cp "$archives/$file" "$file" && continue
        fi
        word=$name:$arch
        [ "$arch" != all ] || word=$name
        # apt-get download gives up on all where it cannot find one, so that it is asked for no others.
        if printf '%s\n' "$offered" | grep -qxF -e "$name=$version" -e "$name:$arch=$version"; then
            echo "$word=$version"
        fi
    done)
    # shellcheck disable=SC2086 # As above.
    [ -z "$wanted" ] || apt download $wanted
    printf '%s\n' "$old" | while read -r name arch version; do
        file=$(file_of "$name" "$arch" "$version")
        if is_package "$file" "$name" "$arch" "$version"; then
            say armed "$name $arch $version $(sha256sum <"$file" | cut -d' ' -f1)"
        else
            rm -f "$file"
            say not_armed "$name $arch $version"
        fi
    done
    sync
}

# shellcheck disable=SC2046 # As above.
check_set $(words)
fetch
arm
say staged
