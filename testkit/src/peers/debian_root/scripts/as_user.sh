# as_user.sh USER COMMAND…: becomes the user and the command without another process in between, so
# that whoever kills this process kills the command.
user=$1
shift
entry=$(getent passwd "$user") || { echo "no user $user" >&2; exit 125; }
home=${entry%:*}
home=${home##*:}
export HOME="$home" USER="$user" LOGNAME="$user"
[ "$user" != root ] || exec "$@"
exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
