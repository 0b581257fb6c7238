#!/bin/sh
# package.sh NAME VERSION SUITE: builds one package of the test repository, inside the root.
# What a package does follows from its name and version alone; 1.0-1 of all of them is harmless.
set -eu
name=$1 version=$2 suite=$3
pool=/srv/patchcore/repo/pool/$suite
tree=$(mktemp -d /tmp/package.XXXXXX)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
mkdir -p "$pool" "$tree/DEBIAN" "$tree/usr/share/$name"
printf '%s %s\n' "$name" "$version" >"$tree/usr/share/$name/version"

arch=all
relations=
postinst() {
    { printf '#!/bin/sh\nset -e\n'; cat; } >"$tree/DEBIAN/postinst"
    chmod 755 "$tree/DEBIAN/postinst"
}

case $name/$version in
pc-conf/*)
    mkdir -p "$tree/etc/pc-conf"
    printf '# written by pc-conf %s\nanswer=42\n' "$version" >"$tree/etc/pc-conf/pc-conf.conf"
    echo /etc/pc-conf/pc-conf.conf >"$tree/DEBIAN/conffiles"
    ;;
libpc1/*)
    # A copy of a small real library: it is mapped executable, and no compiler is needed.
    arch=$(dpkg --print-architecture)
    library=$(ldconfig -p | sed -n 's/^[[:space:]]*libutil\.so\.1 .* => //p' | head -n 1)
    mkdir -p "$tree/usr/lib"
    cp "$library" "$tree/usr/lib/libpc.so.1"
    ;;
pc-daemon/*)
    arch=$(dpkg --print-architecture)
    relations='Depends: libpc1'
    mkdir -p "$tree/usr/sbin" "$tree/usr/libexec"
    cp /bin/sleep "$tree/usr/libexec/pc-daemon"
    printf '#!/bin/sh\nexec env LD_PRELOAD=/usr/lib/libpc.so.1 /usr/libexec/pc-daemon infinity\n' >"$tree/usr/sbin/pc-daemon"
    chmod 755 "$tree/usr/sbin/pc-daemon"
    # Where there is systemd, it runs from the start on.
    mkdir -p "$tree/lib/systemd/system/multi-user.target.wants"
    printf '[Unit]\nDescription=test daemon\n[Service]\nExecStart=/usr/sbin/pc-daemon\n' >"$tree/lib/systemd/system/pc-daemon.service"
    ln -s ../pc-daemon.service "$tree/lib/systemd/system/multi-user.target.wants/pc-daemon.service"
    ;;
*/1.0-1) ;;
pc-badpost/*)
    postinst <<'SCRIPT'
if [ "$1" = configure ] && [ ! -e /etc/pc-badpost.ok ]; then
    echo "pc-badpost: /etc/pc-badpost.ok is not there" >&2
    exit 1
fi
SCRIPT
    ;;
pc-kernel/*)
    postinst <<'SCRIPT'
echo "*** System restart required ***" >/run/reboot-required
echo pc-kernel >>/run/reboot-required.pkgs
SCRIPT
    ;;
pc-slow/*)
    postinst <<'SCRIPT'
[ "$1" = configure ] || exit 0
seconds=8
[ ! -e /etc/pc-slow.seconds ] || read -r seconds </etc/pc-slow.seconds
echo $$ >/run/pc-slow.running
sleep "$seconds"
rm /run/pc-slow.running
SCRIPT
    ;;
pc-removed/*) relations='Depends: pc-newdep' ;;
pc-conflict/*)
    relations='Conflicts: pc-victim
Replaces: pc-victim'
    ;;
esac

{
    printf 'Package: %s\nVersion: %s\nArchitecture: %s\n' "$name" "$version" "$arch"
    printf 'Maintainer: patchcore tests <tests@localhost>\nPriority: optional\nSection: misc\n'
    [ -z "$relations" ] || printf '%s\n' "$relations"
    printf 'Description: test package %s\n' "$name"
} >"$tree/DEBIAN/control"
dpkg-deb -Zgzip -z1 --root-owner-group --build "$tree" "$pool/${name}_${version}_${arch}.deb" >/dev/null
