#!/bin/sh
# network.sh ADDRESS up|down: plugs a starting guest into its lab, whose network is descriptor 3; inside the root.
set -eu
address=$1
port=port${address##*.}
in_lab() { nsenter --net=/proc/self/fd/3 "$@"; }
# The cable of the boot before; the kernel itself takes a while to notice that its other end is gone.
in_lab ip link delete "$port" 2>/dev/null || :
# One hardware address per guest, or nobody would find it again before his ARP cache forgets the one of the boot before.
ip link add eth0 address "$(printf '02:77:00:00:00:%02x' "${address##*.}")" type veth peer name "$port" netns /proc/self/fd/3
in_lab ip link set "$port" master lab "$2"
ip address add "$address/24" dev eth0
ip link set eth0 up
