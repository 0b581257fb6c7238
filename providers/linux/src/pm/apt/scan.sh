# Reads all that apt, dpkg and the system say, in one round trip. Changes nothing, needs no root.
# Set before: ID (of the marks), PC_BASE (folder of jobs), ASK (further packages whose versions are wanted), and ONLY:
# `facts` for no more than what the machine is, `named` also for the packages NAMED, and `wanted` also for what it takes
# to bring those to other versions, with WANT, a word NAME=VERSION for each of which size and digest are wanted.

begin() { printf '\n@%s begin %s\n' "$ID" "$1"; }
end() { printf '\n@%s end %s %s\n' "$ID" "$1" "$2"; }

# run SECTION COMMAND…: a section with what the command says and its status.
run() {
    section=$1
    shift
    begin "$section"
    "$@" 2>&1
    end "$section" "$?"
}

# apt keeps caches next to its lists and would renew them; without a place it keeps them in memory only.
# Even a simulation writes what it gave to its planner and solver into a log.
# Options that a machine may have set and that change how apt prints are set back.
quiet="-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Debug::NoLocking=1"
quiet="$quiet -o Dir::Log::Planner=/dev/null -o Dir::Log::Solver=/dev/null"
quiet="$quiet -o APT::Get::Show-User-Simulation-Note=false -o APT::Get::Show-Versions=false -o quiet=1"
# shellcheck disable=SC2086 # The words are wanted.
simulate() { apt-get -s $quiet "$@" </dev/null; }

# first FILE: the first line of a file, or nothing.
first() {
    line=
    { read -r line <"$1"; } 2>/dev/null
    printf '%s' "$line"
}

facts() {
    echo "arch $(dpkg --print-architecture)"
    echo "foreign_arch $(dpkg --print-foreign-architectures | tr '\n' ' ')"
    echo "node $(uname -n)"
    echo "kernel $(uname -r)"
    echo "kernel_build $(uname -v)"
    echo "machine_id $(first /etc/machine-id)"
    echo "boot_id $(first /proc/sys/kernel/random/boot_id)"
    echo "uptime $(first /proc/uptime)"
    echo "now $(date +%s)"
    echo "ticks $(getconf CLK_TCK 2>/dev/null || echo 100)"
    echo "uid $(id -u)"
    echo "systemd $([ -d /run/systemd/system ] && echo yes || echo no)"
    echo "apt $(apt-get --version | head -n 1)"
    # A container sees the firmware of the machine that it runs on, which is not its own.
    dmi=/sys/class/dmi/id
    [ ! -e /run/systemd/container ] || dmi=/nowhere
    echo "bios_uuid $(first "$dmi/product_uuid")"
    echo "serial $(first "$dmi/product_serial")"
}

# How far systemd has come, and what failed.
units() {
    [ -d /run/systemd/system ] || return 0
    echo "state $(systemctl is-system-running 2>/dev/null)"
    systemctl list-units --state=failed --plain --no-legend --no-pager 2>/dev/null | awk '{ print "failed " $1 }'
}

os_release() { cat /etc/os-release 2>/dev/null || cat /usr/lib/os-release; }

installed() {
    # shellcheck disable=SC2016 # The fields are dpkg's.
    dpkg-query -W -f='${Package}\t${Architecture}\t${Version}\t${db:Status-Want}\t${db:Status-Status}\t${db:Status-Eflag}\t${Config-Version}\t${source:Package}\t${source:Version}\n'
}

# The packages NAMED and all that are not whole, as above; and of how many that is, because none is an answer as well.
named() {
    packages=$(installed) || return
    printf '%s\n' "$packages" | awk -F '\t' -v names="$NAMED" '
        BEGIN { n = split(names, name, " "); while (n) is_named[name[n--]] = 1 }
        NF { all++ }
        $1 in is_named || $6 != "ok" || $5 !~ /^(installed|config-files|not-installed)$/ { print }
        END { print "of", all + 0 }'
}

interrupted() { ls -A "$admin/updates"; }

# The names that apt keeps back, for whatever reason.
kept_back() {
    printf '%s\n' "$plan" | awk '
        /^[^ ]/ { on = /kept back:$/ || /deferred due to phasing:$/ || /^Not upgrading/ }
        on && /^  / { print }'
}

# shellcheck disable=SC2046,SC2086 # The names are words; dpkg's grammar allows no other characters.
policy() (
    set -f
    set -- $(kept_back)
    [ $# = 0 ] || apt-cache $quiet policy "$@"
)

# Sizes and digests of what would come, and of what is wanted.
# shellcheck disable=SC2046,SC2086 # As above.
offers() (
    set -f
    set -- $(printf '%s\n' "$plan" | sed -n 's/^Inst \([^ ]*\) \(\[[^]]*\] \)\{0,1\}(\([^ ]*\) .*/\1=\3/p') $WANT
    [ $# = 0 ] || apt-cache $quiet show "$@" |
        awk '/^(Package|Architecture|Version|Size|SHA256):/ || /^$/ || /^[EWN]:/'
)

# Only a plan with new or removed packages says something else without them.
grows() { printf '%s\n' "$plan" | grep -qE '^(Inst [^ ]+ \(|Remv |Purg )'; }

upgrade() { ! grows || simulate upgrade; }

# Whose dependency each new package is. The first one stands on the line of apt's progress.
pulled() {
    ! grows || simulate -o Debug::pkgDepCache::AutoInstall=1 dist-upgrade 2>&1 |
        sed -n 's/^.* Installing \([^ ]*\) as \([A-Za-z]*\) of \([^ ]*\)$/\1 \2 \3/p'
}

# Which versions can be had, of what would come and of what was asked for; and the files that are here already.
# shellcheck disable=SC2046,SC2086 # The names are words; dpkg's grammar allows no other characters.
versions() {
    (
        set -f
        set -- $(printf '%s\n' "$plan" | sed -n 's/^Inst \([^ ]*\) \[.*/\1/p') $ASK
        [ $# = 0 ] || apt-cache $quiet madison "$@" 2>/dev/null |
            awk -F' *[|] *' '$3 !~ / Sources$/ { sub(/^ */, "", $1); print "served", $1, $2 }' | sort -u
    )
    for file in "$archives"/*.deb; do
        [ ! -f "$file" ] || echo "cached ${file##*/}"
    done
}

lists() {
    echo "success $(stat -c %Y "${PC_BASE%/*}/refreshed" /var/lib/apt/periodic/update-success-stamp 2>/dev/null | sort -n | tail -n 1)"
    stat -c '%Y %Z' "$lists"/*Release 2>/dev/null | awk '
        $1 > m { m = $1 } $2 > c { c = $2 } END { print "published " m; print "written " c }'
}

# shellcheck disable=SC2046 # Two words or none.
locks() {
    # Read in one go and twice: the kernel counts its list anew at each read, and one that is given back meanwhile hides
    # another.
    held=$(cat /proc/locks /proc/locks | sed 's/^[^ ]* *//' | sort -u)
    for path in "$admin/lock-frontend" "$admin/lock" "$lists/lock" "$archives/lock"; do
        set -- $(stat -c '%i %d' "$path" 2>/dev/null)
        [ $# = 2 ] || continue
        while read -r kind _ mode pid place _; do
            if [ "$kind" = '->' ] || [ "$mode" != WRITE ] || [ "${place##*:}" != "$1" ]; then
                continue
            fi
            # On an overlay the kernel's list has another device than stat; root sees who has the file open.
            place=${place%:*}
            [ -z "$(find "/proc/$pid/fd" -lname "$path" 2>/dev/null)" ] || place='='
            stat=
            { read -r stat <"/proc/$pid/stat"; } 2>/dev/null
            echo "$path $2 $place $pid $(echo "${stat##*) }" | cut -d' ' -f20) $(first "/proc/$pid/comm")"
        done <<EOF
$held
EOF
    done
}

reboot() {
    if [ -e /run/reboot-required ]; then
        echo required
        cat /run/reboot-required.pkgs 2>/dev/null
    fi
}

# Processes that run code which is no longer on disk. An ordinary user sees only their own. Our own shell may be older than
# what was replaced, and sudo above it; they end with our connection.
# shellcheck disable=SC2086 # The words are wanted: state, parent and group come first.
deleted() {
    stat=$(first "/proc/$$/stat")
    set -- ${stat##*) }
    above=$2 group=$3 sudo=' '
    while [ "$(first "/proc/$above/comm")" = sudo ]; do
        sudo="$sudo$above "
        stat=$(first "/proc/$above/stat")
        set -- ${stat##*) }
        above=$2
    done
    grep -sHE '^[^ ]+ ..x[^ ]* .* /(usr|lib|lib32|lib64|opt|bin|sbin)/.* \(deleted\)$' /proc/[0-9]*/maps |
        sed 's/^\/proc\/\([0-9]*\)\/maps:[^\/]*\(\/.*\) (deleted)$/\1 \2/' | sort -u |
        while read -r pid path; do
            stat=$(first "/proc/$pid/stat")
            set -- ${stat##*) }
            # Gone by now, or our own.
            if [ -z "$stat" ] || [ "$3" = "$group" ]; then continue; fi
            case $sudo in *" $pid "*) continue ;; esac
            unit=$(sed -n 's/.*\/\([^/]*\.service\).*/\1/p' "/proc/$pid/cgroup" 2>/dev/null | head -n 1)
            printf '%s\t%s\t%s\t%s\n' "$pid" "${unit:--}" "$(first "/proc/$pid/comm")" "$path"
        done
}

jobs() {
    if [ -d "$PC_BASE" ] && ! { [ -r "$PC_BASE" ] && [ -x "$PC_BASE" ]; }; then
        echo denied
        return 0
    fi
    for job in "$PC_BASE"/*; do
        if [ ! -d "$job" ] || [ -e "$job/rc" ]; then
            continue
        fi
        echo "${job##*/} $([ -d "$job/claim" ] && echo claimed || echo prepared)"
    done
}

unattended() {
    echo "tool $([ -x /usr/bin/unattended-upgrade ] && echo yes || echo no)"
    echo "periodic ${unattended:-0}"
    # Without systemd cron starts the same script.
    timer=yes
    [ ! -d /run/systemd/system ] || [ -e /etc/systemd/system/timers.target.wants/apt-daily-upgrade.timer ] || timer=no
    echo "timer $timer"
}

disk() { df -Pk / /var /boot "$archives"; }

lists='' archives='' status='' unattended=''
eval "$(apt-config shell lists Dir::State::lists/d archives Dir::Cache::archives/d status Dir::State::status/f unattended APT::Periodic::Unattended-Upgrade)"
lists=${lists%/} archives=${archives%/} admin=${status%/*}

all() {
    run facts facts
    run os_release os_release
    run units units
    [ "$ONLY" != facts ] || return 0
    run locks locks
    case $ONLY in named | wanted) run named named ;; esac
    [ "$ONLY" != named ] || return 0
    plan=
    if [ "$ONLY" != wanted ]; then
        run installed installed
        begin dist_upgrade
        plan=$(simulate dist-upgrade 2>&1)
        code=$?
        printf '%s\n' "$plan"
        end dist_upgrade "$code"
        run upgrade upgrade
        run pulled pulled
        run holds apt-mark showhold
        run policy policy
    fi
    run offers offers
    run versions versions
    run audit dpkg --audit
    run interrupted interrupted
    run disk disk
    [ "$ONLY" != wanted ] || return 0
    run lists lists
    run reboot reboot
    run deleted deleted
    run jobs jobs
    run unattended unattended
}

all
:
