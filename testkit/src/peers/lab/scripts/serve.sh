# serve.sh SERVE: starts the server of the repository, unless it runs; inside the root.
is_up() { ss -Hltn 'sport = :80' | grep -q .; }
! is_up || exit 0
setsid -f python3 -c "$1" /srv/patchcore/repo </dev/null >/run/serve.log 2>&1
tries=0
until is_up; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || {
        cat /run/serve.log >&2
        exit 1
    }
    sleep 0.05
done
