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
useradd --create-home --shell /bin/sh nosudo
useradd --create-home --groups sudo --shell /bin/sh pwsudo
printf '%s:patchcore\n' nosudo pwsudo | chpasswd

# In a lab one key opens all of them. Each guest makes its own host key.
rm -f /etc/ssh/ssh_host_*
cat >/etc/ssh/sshd_config.d/patchcore.conf <<'CONFIG'
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
MaxStartups 100:30:200
UseDNS no
CONFIG

# Nothing patches by itself, unless a test asks for it.
rm -f /etc/apt/apt.conf.d/20auto-upgrades
systemctl mask apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service
# What is not there or costs every start a second.
systemctl mask systemd-timesyncd.service e2scrub_all.timer fstrim.timer dpkg-db-backup.timer getty.target console-getty.service

# Each guest gets its own identity when it starts, and starts with an empty history.
apt-get clean
rm -f /etc/machine-id /var/log/apt/*.log /var/log/dpkg.log
