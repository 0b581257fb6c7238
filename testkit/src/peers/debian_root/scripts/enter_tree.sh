# enter_tree.sh TREE: runs /srv/patchcore/prepare.sh in a tree, in namespaces of its own.
set -eu
cd "$1"
mount -t proc proc proc
# With what is mounted in it: in a user namespace the kernel refuses to bind it without.
mount --rbind /dev dev
exec </dev/null
exec chroot . /usr/bin/env -i LC_ALL=C.UTF-8 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    sh /srv/patchcore/prepare.sh
