#!/bin/sh
# The floor: one ssh for each guest, twenty at a time, and nothing that outlives a lost connection.
# shellcheck disable=SC2154 # PACKAGE is in the environment
xargs -P 20 -I{} ssh -F none -i ../id_ed25519 -o UserKnownHostsFile=../known_hosts op@{} \
    "sudo env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -y -q install --only-upgrade $PACKAGE </dev/null" <addresses
