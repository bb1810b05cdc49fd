-- The log, its guards, and the one function that writes them. Read models own their tables elsewhere.

create table stored_events (
  originator_id      uuid        not null,
  originator_version bigint      not null,
  topic              text        not null,
  state              bytea       not null,
  notification_id    bigint      not null,  -- the position: dense, from 1, in commit order
  event_id           uuid        not null,
  recorded_at        timestamptz not null,
  metadata           bytea       not null,
  primary key (originator_id, originator_version)
);
create unique index on stored_events (notification_id);
create unique index on stored_events (event_id);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the log is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger stored_events_are_for_ever before update or delete or truncate on stored_events
  for each statement execute function refuse_change();

-- A restore to an earlier point begins a new epoch; positions mean nothing across epochs.
create table epochs (
  epoch          uuid        primary key default gen_random_uuid(),
  since_position bigint      not null default 0,
  timeline       int         not null,
  reason         text        not null,
  begun_at       timestamptz not null default clock_timestamp()
);
insert into epochs (timeline, reason) select timeline_id, 'the first' from pg_control_checkpoint();

-- Guards: pure functions of the events (application rules live in domain/<noun>/guards.py), rebuilt by `chancery guards rebuild`.

create table claims (
  kind  text not null,
  value text not null,
  owner uuid not null,
  primary key (kind, value)
);
create index on claims (owner, kind);

create table principals (
  user_id              uuid    primary key,
  role                 text    not null,
  state                text    not null,
  department_id        uuid,
  must_change_password boolean not null
);

create table sessions (
  session_id     uuid        primary key,
  user_id        uuid        not null,
  access_version int         not null default 1,  -- a cached access of another version is stale
  proved_at      timestamptz not null,
  expires_at     timestamptz not null,
  ended          boolean     not null default false
);
create index on sessions (user_id) where not ended;

create table rights (
  grant_id     uuid    primary key,
  subject_kind text    not null,
  subject_id   uuid    not null,
  scope_type   text    not null,
  scope_id     text    not null,
  module       text    not null,
  action       text    not null,
  grantable    boolean not null,
  not_before   timestamptz,
  expires_at   timestamptz
);
create index on rights (subject_kind, subject_id);

create table responsibles (
  record_id uuid primary key,
  user_id   uuid not null
);
create index on responsibles (user_id);

-- Beside the guards, and not rebuildable from events: secrets, refresh generations, answers kept for a retry, keys.

create table credentials (
  user_id       uuid        primary key,
  password_hash text        not null,
  changed_at    timestamptz not null default clock_timestamp()
);

create table refreshes (
  session_id uuid        primary key,
  generation int         not null default 1,
  secret     bytea       not null,  -- wrapped
  rotated_at timestamptz not null default clock_timestamp()
);

create table receipts (
  key         bytea       primary key,  -- sha256 of principal, method, path and the client's key
  fingerprint bytea       not null,
  stream_id   uuid        not null,
  version     bigint      not null,
  position    bigint      not null,
  status      smallint    not null,
  extra       bytea       not null,
  actor_id    uuid        not null,
  kept_at     timestamptz not null default clock_timestamp()
);
create index on receipts (actor_id);

create table subject_keys (
  subject_id   uuid        primary key,
  wrapped      bytea,  -- null once destroyed
  made_at      timestamptz not null default clock_timestamp(),
  destroyed_at timestamptz
);

create table signing_keys (
  kid        text        primary key,
  wrapped    bytea       not null,
  public_jwk jsonb       not null,
  state      text        not null,
  made_at    timestamptz not null default clock_timestamp()
);

-- Verdicts: 0 accepted, 1 key seen, 2 stored already (a retry after a lost answer), 3 stale access, 4 claim taken,
-- 5 version conflict, 6 moved (something relied on changed), 7 subject erased, 8 would leave none.
-- One element per command in keys .. extras; per event in e_*; per claim in c_*; per sealed subject in s_*.
-- `conditions` and `guards` hold the rarer rows as JSON. In one call no two commands write what the other writes or reads.
create function append(
  keys bytea[], prints bytea[], statuses int[], extras bytea[], actors uuid[],
  streams uuid[], expected bigint[], counts int[], sess uuid[], sess_versions int[], allowed uuid[],
  e_cmd int[], e_stream uuid[], e_version bigint[], e_topic text[], e_state bytea[], e_id uuid[], e_meta bytea[],
  c_cmd int[], c_kind text[], c_value text[],
  s_cmd int[], s_subject uuid[], s_wrapped bytea[],
  conditions jsonb, guards jsonb, again boolean
) returns table (head bigint, at timestamptz, verdicts int[], details jsonb)
language plpgsql volatile security definer
set search_path = public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  h bigint;
  t timestamptz;
  v int[];
  d jsonb := '{}';
  bad boolean;
  f record;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'append needs READ COMMITTED' using errcode = 'invalid_transaction_state';
  end if;
  perform pg_advisory_xact_lock(4242);  -- held until the commit: commit order = position order
  select e.notification_id, e.recorded_at into h, t from stored_events e order by e.notification_id desc limit 1;
  h := coalesce(h, 0);
  t := greatest(clock_timestamp(), t);

  select array_agg(j.v order by j.ord), bool_or(j.v <> 0) into v, bad from (
    select c.ord, case
      when again and exists (select from unnest(e_cmd, e_id) as x(c, id) join stored_events e on e.event_id = x.id where x.c = c.ord) then 2
      when c.key is not null and exists (select from receipts r where r.key = c.key) then 1
      when c.sess is not null and not exists (select from sessions s where s.session_id = c.sess
        and s.access_version = c.sess_version and not s.ended and s.expires_at > t) then 3
      when c.allowed is not null and not exists (select from rights g where g.grant_id = c.allowed
        and (g.not_before is null or g.not_before <= t) and (g.expires_at is null or g.expires_at > t)) then 3
      when c.expected <> coalesce((select e.originator_version from stored_events e where e.originator_id = c.stream
        order by e.originator_version desc limit 1), 0) then 5
      else 0 end as v
    from unnest(keys, streams, expected, sess, sess_versions, allowed) with ordinality
      as c(key, stream, expected, sess, sess_version, allowed, ord)) j;

  for f in select x.c, k.owner, x.k as kind, x.value from unnest(c_cmd, c_kind, c_value) as x(c, k, value)
      join claims k on k.kind = x.k and k.value = x.value where k.owner <> streams[x.c] loop
    if v[f.c] = 0 then
      v[f.c] := 4;
      bad := true;
      d := jsonb_set(d, array[f.c::text], jsonb_build_object('kind', f.kind, 'value', f.value, 'owner', f.owner));
    end if;
  end loop;

  for f in select x.c, k.destroyed_at is not null as gone from unnest(s_cmd, s_subject, s_wrapped) as x(c, subject, wrapped)
      left join subject_keys k on k.subject_id = x.subject
      where k.destroyed_at is not null or (x.wrapped is not null and k.wrapped <> x.wrapped)
         or (x.wrapped is null and k.subject_id is null) loop
    if v[f.c] = 0 then
      v[f.c] := case when f.gone then 7 else 6 end;
      bad := true;
    end if;
  end loop;

  if conditions is not null then
    for f in
      select x.c, 6 as code from jsonb_to_recordset(conditions -> 'reads') as x(c int, stream uuid, version bigint)
        where x.version <> coalesce((select e.originator_version from stored_events e where e.originator_id = x.stream
          order by e.originator_version desc limit 1), 0)
      union all
      select x.c, 6 from jsonb_to_recordset(conditions -> 'require') as x(c int, kind text, value text, owner uuid)
        where not exists (select from claims k where k.kind = x.kind and k.value = x.value and k.owner = x.owner)
      union all
      select x.c, 6 from jsonb_to_recordset(conditions -> 'require_none') as x(c int, kind text, value text)
        where exists (select from claims k where k.kind = x.kind and k.value = x.value)
      union all
      select x.c, 8 from jsonb_to_recordset(conditions -> 'keep_one') as x(c int, kind text)
        where not exists (select from claims k where k.kind = x.kind and k.owner <> streams[x.c])
    loop
      if v[f.c] = 0 then
        v[f.c] := f.code;
        bad := true;
      end if;
    end loop;
  end if;

  if bad then
    insert into stored_events
      select e.s, e.ver, e.topic, e.b, h + row_number() over (order by e.ord), e.i, t, e.m
      from unnest(e_cmd, e_stream, e_version, e_topic, e_state, e_id, e_meta) with ordinality as e(c, s, ver, topic, b, i, m, ord)
      where v[e.c] = 0;
  else
    insert into stored_events
      select e.s, e.ver, e.topic, e.b, h + e.ord, e.i, t, e.m
      from unnest(e_stream, e_version, e_topic, e_state, e_id, e_meta) with ordinality as e(s, ver, topic, b, i, m, ord);
  end if;

  insert into subject_keys (subject_id, wrapped)
    select x.subject, x.wrapped from unnest(s_cmd, s_subject, s_wrapped) as x(c, subject, wrapped)
    where x.wrapped is not null and v[x.c] = 0 on conflict do nothing;
  if guards is not null then
    perform apply_guards(v, streams, guards, t);
  end if;
  insert into claims select x.k, x.value, streams[x.c] from unnest(c_cmd, c_kind, c_value) as x(c, k, value)
    where v[x.c] = 0 on conflict do nothing;  -- judged above: a conflict is with oneself
  if array_remove(keys, null) <> '{}' then
    insert into receipts (key, fingerprint, stream_id, version, position, status, extra, actor_id)
      select c.key, c.print, c.stream, c.expected + c.n,
        case c.n when 0 then coalesce((select e.notification_id from stored_events e
          where e.originator_id = c.stream and e.originator_version = c.expected), 0) else h + c.last end,
        c.status, c.extra, c.actor
      from (select x.*, sum(x.n) filter (where v[x.ord::int] = 0) over (order by x.ord) as last
            from unnest(keys, prints, statuses, extras, actors, streams, expected, counts) with ordinality
              as x(key, print, status, extra, actor, stream, expected, n, ord)) c
      where c.key is not null and v[c.ord::int] = 0;
  end if;
  return query select h, t, case when bad then v end, case when bad then d end;
end $$;

-- The rarer guard rows of the accepted commands; {"c": <command>, ...} in each list.
create function apply_guards(v int[], streams uuid[], guards jsonb, t timestamptz) returns void
language plpgsql volatile set search_path = public, pg_temp as $$
begin
  if guards ? 'released' then
    delete from claims k using jsonb_to_recordset(guards -> 'released') as x(c int, kind text, kept text[])
      where k.owner = streams[x.c] and k.kind = x.kind and v[x.c] = 0 and not k.value = any (x.kept);
  end if;
  if guards ? 'principals' then
    insert into principals
      select r.* from jsonb_to_recordset(guards -> 'principals') as x(c int, changes jsonb)
      left join principals p on p.user_id = streams[x.c]
      cross join lateral jsonb_populate_record(p, x.changes || jsonb_build_object('user_id', streams[x.c])) r
      where v[x.c] = 0
      on conflict (user_id) do update set role = excluded.role, state = excluded.state,
        department_id = excluded.department_id, must_change_password = excluded.must_change_password;
    update sessions s set access_version = access_version + 1
      from jsonb_to_recordset(guards -> 'principals') as x(c int) where s.user_id = streams[x.c] and not s.ended and v[x.c] = 0;
  end if;
  if guards ? 'opened' then
    insert into sessions (session_id, user_id, proved_at, expires_at)
      select streams[x.c], x.user_id, x.proved_at, x.expires_at
      from jsonb_to_recordset(guards -> 'opened') as x(c int, user_id uuid, proved_at timestamptz, expires_at timestamptz)
      where v[x.c] = 0;
  end if;
  if guards ? 'proved' then
    update sessions s set proved_at = x.proved_at, access_version = access_version + 1
      from jsonb_to_recordset(guards -> 'proved') as x(c int, proved_at timestamptz)
      where s.session_id = streams[x.c] and v[x.c] = 0;
  end if;
  if guards ? 'ended' then
    update sessions s set ended = true, access_version = access_version + 1
      from jsonb_to_recordset(guards -> 'ended') as x(c int) where s.session_id = streams[x.c] and v[x.c] = 0;
  end if;
  if guards ? 'all_ended' then
    update sessions s set ended = true, access_version = access_version + 1
      from jsonb_to_recordset(guards -> 'all_ended') as x(c int, keep uuid)
      where s.user_id = streams[x.c] and not s.ended and s.session_id is distinct from x.keep and v[x.c] = 0;
  end if;
  if guards ? 'rights' then
    insert into rights
      select streams[x.c], x.subject_kind, x.subject_id, x.scope_type, x.scope_id, x.module, x.action, x.grantable, x.not_before, x.expires_at
      from jsonb_to_recordset(guards -> 'rights') as x(c int, subject_kind text, subject_id uuid, scope_type text, scope_id text,
        module text, action text, grantable boolean, not_before timestamptz, expires_at timestamptz)
      where v[x.c] = 0
      on conflict (grant_id) do update set grantable = excluded.grantable, not_before = excluded.not_before, expires_at = excluded.expires_at;
  end if;
  if guards ? 'rights_gone' then
    delete from rights r using jsonb_to_recordset(guards -> 'rights_gone') as x(c int)
      where r.grant_id = streams[x.c] and v[x.c] = 0;
  end if;
  if guards ? 'responsibles' then
    insert into responsibles select streams[x.c], x.user_id
      from jsonb_to_recordset(guards -> 'responsibles') as x(c int, user_id uuid) where v[x.c] = 0 and x.user_id is not null
      on conflict (record_id) do update set user_id = excluded.user_id;
    delete from responsibles r using jsonb_to_recordset(guards -> 'responsibles') as x(c int, user_id uuid)
      where r.record_id = streams[x.c] and v[x.c] = 0 and x.user_id is null;
  end if;
  if guards ? 'credentials' then
    insert into credentials (user_id, password_hash)
      select x.user_id, x.password_hash from jsonb_to_recordset(guards -> 'credentials') as x(c int, user_id uuid, password_hash text)
      where v[x.c] = 0
      on conflict (user_id) do update set password_hash = excluded.password_hash, changed_at = clock_timestamp();
  end if;
  if guards ? 'refreshes' then
    insert into refreshes (session_id, secret)
      select streams[x.c], decode(x.secret, 'base64') from jsonb_to_recordset(guards -> 'refreshes') as x(c int, secret text)
      where v[x.c] = 0;
  end if;
end $$;

-- The face of the eventsourcing package: versions as given, judged by the primary key alone, all or nothing.
create function append_as_given(e_stream uuid[], e_version bigint[], e_topic text[], e_state bytea[], e_meta bytea)
returns setof bigint language plpgsql volatile security definer set search_path = public, pg_temp as $$
declare
  h bigint;
  t timestamptz;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'append needs READ COMMITTED' using errcode = 'invalid_transaction_state';
  end if;
  perform pg_advisory_xact_lock(4242);
  select e.notification_id, e.recorded_at into h, t from stored_events e order by e.notification_id desc limit 1;
  return query insert into stored_events
    select e.s, e.ver, e.topic, e.b, coalesce(h, 0) + e.ord, gen_random_uuid(), greatest(clock_timestamp(), t), e_meta
    from unnest(e_stream, e_version, e_topic, e_state) with ordinality as e(s, ver, topic, b, ord)
    returning notification_id;
end $$;

-- Read models: thrown away and rebuilt beside; the application's own role owns them.
create schema read;
create schema read_next;
create schema read_prev;

create table projections (
  name       text        not null,
  place      text        not null,  -- the schema: read, read_next, read_prev
  version    int         not null,
  position   bigint      not null default 0,
  count      bigint      not null default 0,
  digest     bytea       not null default '\x',  -- running sha256 over event ids: nothing skipped, nothing doubled
  failure    text,
  failed_at  timestamptz,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (name, place)
);
