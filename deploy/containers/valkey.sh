#!/bin/sh
# `jobs` may do what a broker is asked, in its own keys; `health` may say ping; nobody else is let in.
set -eu
secrets=${SECRETS:-/run/secrets}
config=${CONFIG:-/tmp/valkey.conf}
umask 077
password=$(printf %s "$(cat "$secrets/redis_password")" | sha256sum | cut -d ' ' -f 1)
cat > "$config" <<CONF
port ${PORT:-6379}
dir "${DATA:-/data}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
user default off
user health on nopass resetkeys resetchannels -@all +ping
user jobs on #$password resetchannels resetkeys ~dramatiq* -@all +@read +@write +@scripting +@connection -@dangerous
CONF
exec "${SERVER:-valkey-server}" "$config"
