# withdraw.sh NAME VERSION: stops offering a version in both suites.
found=
for file in /srv/patchcore/repo/pool/*/"$1"_"$2"_*.deb; do
    [ -e "$file" ] || continue
    rm "$file"
    found=yes
done
[ -n "$found" ] || { echo "$1 $2 is not offered" >&2; exit 1; }
sh /srv/patchcore/index.sh
