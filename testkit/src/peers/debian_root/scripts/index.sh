#!/bin/sh
# index.sh: writes and signs the index of both suites, inside the root.
set -eu
cd /srv/patchcore/repo
arch=$(dpkg --print-architecture)
export GNUPGHOME=/srv/patchcore/keys

for suite in pc pc-security; do
    label=PatchCore
    [ "$suite" = pc ] || label=PatchCore-Security
    index=dists/$suite/main/binary-$arch
    rm -rf "dists/$suite"
    mkdir -p "$index" "pool/$suite"
    # Phasing stands in the index alone, as in the archives that phase.
    apt-ftparchive packages "pool/$suite" | awk -v suite="$suite" '
        { print }
        suite == "pc-security" && $0 == "Package: pc-phased" { print "Phased-Update-Percentage: 0" }
    ' >"$index/Packages"
    gzip -9nk "$index/Packages"
    apt-ftparchive \
        -o APT::FTPArchive::Release::Origin=PatchCore \
        -o APT::FTPArchive::Release::Label="$label" \
        -o APT::FTPArchive::Release::Version=12 \
        -o APT::FTPArchive::Release::Suite="$suite" \
        -o APT::FTPArchive::Release::Codename="$suite" \
        -o APT::FTPArchive::Release::Architectures="$arch" \
        -o APT::FTPArchive::Release::Components=main \
        release "dists/$suite" >Release.new
    mv Release.new "dists/$suite/Release"
    # The Release file names the unpacked index, but only the packed one is served, as in a real archive.
    rm "$index/Packages"
    gpg --batch --quiet --yes --clearsign -o "dists/$suite/InRelease" "dists/$suite/Release"
done
# Else the agent would stay as a process of the guest that no test expects.
gpgconf --kill gpg-agent
