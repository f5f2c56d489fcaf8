#!/bin/sh
# Makes what is missing in deploy/secrets/made and touches nothing that is there. See README.md beside it.
set -eu
cd "$(dirname "$0")"
mkdir -p made
# The folder keeps others out; the files are readable, because each is mounted alone into containers of several users.
chmod 0700 made
cd made
umask 0333

random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
make() { [ -e "$1" ] || { printf '%s' "$2" >"$1" && echo "made $1"; }; }

for principal in broker topics registration referral grievance notifications checker; do
    make "kafka_$principal" "$(random)"
done
for service in registration referral grievance notifications; do
    make "mongo_root_$service" "$(random)"
    make "mongo_$service" "$(random)"
    make "mongodb_uri_$service" \
        "mongodb://$service:$(cat "mongo_$service")@mongo-$service:27017/?authSource=hillhealth_$service"
    make "seal_key_$service" "$(random)"
done
make tracking_key "$(random)"
make slip_key "$(random)"
make open311_keys "portal $(random)"
# Only where attachments are kept in an S3-compatible store (S3_ENDPOINT).
make s3_secret not-given-yet
make grafana_password "$(random)"
# Given by ABDM when a facility is onboarded; until then something that no gateway takes.
make abdm_client_secret not-given-yet
