# machine.sh HOST_NAME ADDRESS up|down: makes a starting copy of the base a machine of its own, inside the root.
# With an address it is a guest of a lab, whose network is descriptor 3, and is plugged into that.
set -eu
name=$1 address=$2 state=$3
ip link set dev lo up
printf '%s\n' "$name" >/etc/hostname
printf '127.0.0.1 localhost %s\n' "$name" >/etc/hosts
# apt draws 0 to 100 from the machine id and lets a machine in up to the percentage, so that one in 101 would be
# in a rollout of 0 %: such an id is drawn again.
while [ ! -s /etc/machine-id ]; do
	tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
	if apt-get -s -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Dir::Log::Planner=/dev/null \
		dist-upgrade 2>/dev/null | grep -q '^Inst pc-phased '; then
		: >/etc/machine-id
	fi
done
[ -n "$address" ] || exit 0

printf '10.77.0.1 repository\n%s %s\n' "$address" "$name" >>/etc/hosts
key=/etc/ssh/ssh_host_ed25519_key
[ -e "$key" ] || ssh-keygen -q -t ed25519 -N '' -C "root@$name" -f "$key"
sources=/etc/apt/sources.list.d/patchcore-tests.list
if grep -q copy: "$sources"; then
    sed -i 's,copy:/srv/patchcore/repo,http://10.77.0.1,' "$sources"
    # apt names its lists by where they came from: so it knows them already.
    cd /var/lib/apt/lists
    for list in _srv_patchcore_repo_dists_*; do
        mv "$list" "10.77.0.1_${list#_srv_patchcore_repo_}"
    done
fi

number=${address##*.}
in_lab() { nsenter --net=/proc/self/fd/3 "$@"; }
# The cable of the boot before; the kernel itself takes a while to notice that its other end is gone.
in_lab ip link delete "port$number" 2>/dev/null || :
# The same hardware address each time, or nobody would find it before his ARP cache forgets the one of the boot before.
ip link add eth0 address "$(printf '02:77:00:00:00:%02x' "$number")" type veth peer name "port$number" netns /proc/self/fd/3
in_lab ip link set "port$number" master lab "$state"
ip address add "$address/24" dev eth0
ip link set eth0 up
