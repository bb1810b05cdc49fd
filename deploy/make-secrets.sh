#!/bin/sh
# Makes what is missing of the secrets that compose.yaml and the units read, and never touches one that is there.
# The folder is its owner's alone; the files in it can be read by whatever user a container runs as.
set -eu
folder=${1:-secrets}
mkdir -p "$folder"
chmod 700 "$folder"

make() {
    [ -e "$folder/$1" ] && return
    "$2" > "$folder/$1.new"
    chmod 444 "$folder/$1.new"
    mv "$folder/$1.new" "$folder/$1"
    echo "made $folder/$1"
}
letters() { od -An -vtx1 -N32 /dev/urandom | tr -d ' \n'; }
key() { head -c 32 /dev/urandom | base64 | tr -d '\n'; }

for name in postgres_password database_owner_password database_password nats_password nats_relay_password \
    redis_password s3_secret_key admin_password internal_secret; do
    make "$name" letters
done
make key_encryption_key key
