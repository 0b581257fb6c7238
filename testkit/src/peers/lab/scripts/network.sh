# network.sh: makes a guest the middle of a lab: its bridge and its key; inside the root.
ip link add lab type bridge
ip address add 10.77.0.1/24 dev lab
ip link set lab up
ssh-keygen -q -t ed25519 -N '' -C patchcore-lab -f /etc/ssh/lab
