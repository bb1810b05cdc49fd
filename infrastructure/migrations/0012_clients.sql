-- API clients: the terms they ask on (a guard), their keys' hashes, when each was last used, and the counters of requests.

create table clients (
  client_id          uuid          primary key,
  client_key         text          not null unique,
  kind               text          not null,
  allowed_origins    text[]        not null,
  allowed_ips        text[]        not null,
  allowed_paths      text[]        not null,
  rate_limit_per_min int,
  expires_at         timestamptz,
  key_ids            text[]        not null,
  keys_retire_at     timestamptz[] not null  -- beside key_ids; null: until further notice
);

-- Not rebuildable, by nature. sha256:<hex> of the whole key; imported ones may be bcrypt or argon2 until their first use.
create table client_keys (
  client_id uuid not null,
  key_id    text not null,
  hash      text not null,
  primary key (client_id, key_id)
);

create table client_uses (
  client_id uuid        primary key,
  used_at   timestamptz not null
) with (fillfactor = 50);

-- One row per counted thing: how much of its quota this window has used, and what the last statement was granted of it.
-- Unlogged: a crash empties it, and windows begin anew.
create unlogged table rate_limits (
  key     text        primary key,
  quota   int         not null,
  used    int         not null,
  granted int         not null,
  ends_at timestamptz not null
) with (fillfactor = 50);
create index on rate_limits (ends_at);

-- Around what was there before, so that migrations which add guards need not know each other.
alter function apply_guards(int[], uuid[], jsonb, timestamptz) rename to apply_guards_before_clients;
revoke execute on function apply_guards_before_clients from public;

create function apply_guards(v int[], streams uuid[], guards jsonb, t timestamptz) returns void
language plpgsql volatile set search_path = public, pg_temp as $$
begin
  perform apply_guards_before_clients(v, streams, guards, t);
  if guards ? 'clients' then
    insert into clients
      select r.* from jsonb_to_recordset(guards -> 'clients') as x(c int, changes jsonb)
      left join clients k on k.client_id = streams[x.c]
      cross join lateral jsonb_populate_record(k, x.changes || jsonb_build_object('client_id', streams[x.c])) r
      where v[x.c] = 0
      on conflict (client_id) do update set allowed_origins = excluded.allowed_origins, allowed_ips = excluded.allowed_ips,
        allowed_paths = excluded.allowed_paths, rate_limit_per_min = excluded.rate_limit_per_min,
        expires_at = excluded.expires_at, key_ids = excluded.key_ids, keys_retire_at = excluded.keys_retire_at;
    -- The session it stands in, under its own id: append judges it as anybody's.
    insert into sessions (session_id, user_id, proved_at, expires_at)
      select k.client_id, k.client_id, 'epoch', coalesce(k.expires_at, '9999-12-31T00:00:00Z')
      from jsonb_to_recordset(guards -> 'clients') as x(c int) join clients k on k.client_id = streams[x.c]
      where v[x.c] = 0
      on conflict (session_id) do update set expires_at = excluded.expires_at, access_version = sessions.access_version + 1;
    delete from client_keys h using jsonb_to_recordset(guards -> 'clients') as x(c int), clients k
      where k.client_id = streams[x.c] and h.client_id = k.client_id and v[x.c] = 0 and not h.key_id = any (k.key_ids);
  end if;
  if guards ? 'client_keys' then
    insert into client_keys (client_id, key_id, hash)
      select streams[x.c], x.key_id, x.hash
      from jsonb_to_recordset(guards -> 'client_keys') as x(c int, key_id text, hash text) where v[x.c] = 0;
  end if;
end $$;
