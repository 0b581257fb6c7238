#!/bin/sh
# prepare.sh: turns a plain Debian tree into the base of all guests, inside that tree: the signed
# repository, all test packages at 1.0-1, the users.
set -eu
cd /srv/patchcore
umask 022
mkdir -m 700 keys
GNUPGHOME=/srv/patchcore/keys gpg --batch --quiet --passphrase '' \
    --quick-generate-key 'patchcore tests <tests@localhost>' ed25519 sign never
GNUPGHOME=/srv/patchcore/keys gpg --batch --export >/usr/share/keyrings/patchcore-tests.gpg

everywhere='pc-hello pc-conf pc-badpost pc-kernel pc-slow pc-held pc-phased pc-removed libpc1'
for name in $everywhere; do
    sh package.sh "$name" 1.0-1 pc
    sh package.sh "$name" 1.1-1 pc-security
done
for name in pc-daemon pc-conflict pc-victim; do
    sh package.sh "$name" 1.0-1 pc
done
sh package.sh pc-newdep 1.0-1 pc-security
sh index.sh

# `copy:` and not `file:`, because it fills apt's cache of packages as a download does.
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d /var/lib/apt/lists
mkdir -p /etc/apt/sources.list.d /var/lib/apt/lists/partial
chown _apt /var/lib/apt/lists/partial
source='[signed-by=/usr/share/keyrings/patchcore-tests.gpg] copy:/srv/patchcore/repo'
echo "deb $source pc main" >/etc/apt/sources.list.d/patchcore-tests.list
apt-get -q update
# shellcheck disable=SC2086 # the list is one word for each package
DEBIAN_FRONTEND=noninteractive apt-get -q -y install $everywhere pc-daemon pc-conflict pc-victim
apt-mark hold pc-held
echo "deb $source pc-security main" >>/etc/apt/sources.list.d/patchcore-tests.list
apt-get -q update

useradd --create-home --groups adm --shell /bin/sh op
echo 'op ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/op
chmod 440 /etc/sudoers.d/op

# Each guest gets its own identity when it starts, and starts with an empty history.
apt-get clean
rm -f /etc/machine-id /var/log/apt/*.log /var/log/dpkg.log
