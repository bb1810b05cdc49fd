#!/bin/sh
# One identity, for one bucket.
set -eu
secrets=${SECRETS:-/run/secrets}
config=${CONFIG:-/tmp/s3.json}
umask 077
cat > "$config" <<CONF
{"identities": [{"name": "chancery",
  "credentials": [{"accessKey": "chancery", "secretKey": "$(cat "$secrets/s3_secret_key")"}],
  "actions": ["Admin:chancery", "Read:chancery", "List:chancery", "Tagging:chancery", "Write:chancery"]}]}
CONF
exec weed server -s3 "-dir=${DATA:-/data}" "-s3.config=$config"
