# unattended.sh: lets Debian's own patcher do what it does at night.
cat >/etc/apt/apt.conf.d/90patchcore-unattended <<'CONFIG'
APT::Periodic::Unattended-Upgrade "1";
#clear Unattended-Upgrade::Origins-Pattern;
Unattended-Upgrade::Origins-Pattern { "origin=PatchCore,label=PatchCore-Security"; };
Unattended-Upgrade::Package-Blacklist { "pc-badpost"; };
CONFIG
apt-get -q update
exec unattended-upgrade --verbose
