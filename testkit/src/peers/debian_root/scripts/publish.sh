# publish.sh NAME VERSION: offers one more version in the suite of security patches.
sh /srv/patchcore/package.sh "$1" "$2" pc-security
sh /srv/patchcore/index.sh
