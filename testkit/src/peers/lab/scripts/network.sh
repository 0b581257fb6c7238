# network.sh SERVE: makes a guest the middle of a lab: its bridge, its repository's server and its key; inside the root.
ip link add lab type bridge
ip address add 10.77.0.1/24 dev lab
ip link set lab up
ssh-keygen -q -t ed25519 -N '' -C patchcore-lab -f /etc/ssh/lab
setsid -f python3 -c "$1" /srv/patchcore/repo </dev/null >/run/serve.log 2>&1
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40; do
    ! ss -Hltn 'sport = :80' | grep -q . || exit 0
    sleep 0.1
done
cat /run/serve.log >&2
exit 1
