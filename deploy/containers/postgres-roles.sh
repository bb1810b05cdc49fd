#!/bin/sh
# The owner, who migrates, and the application, which may do what the migrations grant it. Neither is a superuser.
set -eu
export SECRETS="${SECRETS:-/run/secrets}"
psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres <<'SQL'
\set owner_password `cat "$SECRETS/database_owner_password"`
\set app_password `cat "$SECRETS/database_password"`
create role chancery_owner login password :'owner_password';
create role chancery_app login password :'app_password';
create database chancery owner chancery_owner;
revoke all on database chancery from public;
grant connect, temporary on database chancery to chancery_app;
SQL
