# replace.sh NAME VERSION: offers other content under a version that is offered already.
ls /srv/patchcore/repo/pool/pc-security/"$1"_"$2"_*.deb >/dev/null
sh /srv/patchcore/package.sh "$1" "$2" pc-security "$(cat /proc/sys/kernel/random/uuid)"
sh /srv/patchcore/index.sh
