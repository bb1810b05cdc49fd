#!/bin/sh
# Only `relay` publishes events and keeps their stream; `app` reads them and rings bells.
set -eu
secrets=${SECRETS:-/run/secrets}
config=${CONFIG:-/tmp/nats.conf}
umask 077
cat > "$config" <<CONF
server_name: chancery
listen: "${LISTEN:-0.0.0.0:4222}"
http: "${MONITOR:-127.0.0.1:8222}"
max_payload: 8MB
jetstream { store_dir: "${STORE:-/data}" }
authorization {
  users: [
    { user: relay, password: "$(cat "$secrets/nats_relay_password")" }
    { user: app, password: "$(cat "$secrets/nats_password")", permissions: { publish: { deny: [
      "events.>", "\$JS.API.STREAM.CREATE.>", "\$JS.API.STREAM.UPDATE.>", "\$JS.API.STREAM.DELETE.>",
      "\$JS.API.STREAM.PURGE.>", "\$JS.API.STREAM.MSG.DELETE.>"
    ] } } }
  ]
}
CONF
exec nats-server -c "$config"
