# What every job with apt or dpkg starts with. Set before: OP (job id) and LOCK_WAIT (seconds).
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical
export APT_LISTCHANGES_FRONTEND=none NEEDRESTART_SUSPEND=1 UCF_FORCE_CONFFOLD=1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# A line for patchcore; the job id in it keeps a package's own output from posing as one.
say() { printf '@patchcore %s %s\n' "$OP" "$*"; }

# A configuration file that somebody edited is kept, because nobody is there to be asked.
apt() {
    apt-get -y -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout="$LOCK_WAIT" -o Acquire::Retries=3 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" </dev/null
}

audit() {
    dpkg --audit | sed -n 's/^ \([^ ]*\).*/\1/p' | while read -r name; do say unhealthy "$name"; done
}
