-- Failed sign-ins, counted per login, known device and network. Not facts: a crash may forget them, hence unlogged.
create unlogged table sign_in_failures (
  kind       text             not null check (kind in ('login', 'device', 'network')),
  key        text             not null,                  -- blinded
  failures   double precision not null default 0,        -- of a login and a device: in a row; of a network: less 1 every 5 s
  pending    int              not null default 0,        -- passwords that are being verified just now
  opens_at   timestamptz      not null default 'epoch',  -- no password is verified before
  touched_at timestamptz      not null,
  forget_at  timestamptz      not null,
  primary key (kind, key)
);
create index on sign_in_failures (forget_at);

create function sign_ins_tolerated(kind text) returns int language sql immutable parallel safe as
$$ select case kind when 'network' then 100 else 5 end $$;

-- Takes a place in every bucket or in none. Answers 0: verify the password, then settle; more: closed for so many
-- seconds; -1: those verified just now may use up what is tolerated, so ask again when they are settled.
create function take_sign_in(kinds text[], keys text[]) returns double precision language plpgsql volatile as $$
declare
  t timestamptz := clock_timestamp();
  closed double precision;
  crowded boolean;
  locked int;
begin
  select extract(epoch from max(f.opens_at) - t) into closed
    from unnest(kinds, keys) as a(kind, key) join sign_in_failures f using (kind, key) where f.opens_at > t;
  if closed is not null then
    return closed;  -- the way of a flood: it writes and locks nothing
  end if;
  loop  -- until every row is there and locked, always in the same order; settling may have deleted one in between
    insert into sign_in_failures (kind, key, touched_at, forget_at)
      select a.kind, a.key, t, t + interval '1 hour' from unnest(kinds, keys) as a(kind, key) order by 1, 2
      on conflict do nothing;
    perform 1 from unnest(kinds, keys) as a(kind, key) join sign_in_failures f using (kind, key)
      order by f.kind, f.key for update of f;
    get diagnostics locked = row_count;
    exit when locked = cardinality(keys);
  end loop;
  t := clock_timestamp();
  -- Whoever took a place and never settled it has died: that counts as a failure. A network forgets with time.
  update sign_in_failures f set
      failures = case f.kind when 'network' then greatest(0, f.failures - extract(epoch from t - f.touched_at) / 5)
                 else f.failures end
               + case when f.touched_at < t - interval '15 seconds' then f.pending else 0 end,
      pending = case when f.touched_at < t - interval '15 seconds' then 0 else f.pending end,
      touched_at = t
    from unnest(kinds, keys) as a(kind, key)
    where f.kind = a.kind and f.key = a.key and (f.kind = 'network' or f.touched_at < t - interval '15 seconds');
  select extract(epoch from max(f.opens_at) - t),
         bool_or(f.pending > 0 and f.failures + f.pending >= sign_ins_tolerated(f.kind))
    into closed, crowded
    from unnest(kinds, keys) as a(kind, key) join sign_in_failures f using (kind, key);
  if closed > 0 then
    return closed;
  end if;
  if crowded then
    return -1;
  end if;
  update sign_in_failures f set pending = f.pending + 1, touched_at = t,
      forget_at = greatest(f.forget_at, t + interval '1 hour')
    from unnest(kinds, keys) as a(kind, key) where f.kind = a.kind and f.key = a.key;
  return 0;
end $$;

-- outcome: right, wrong, or unknown (nothing was verified).
create function settle_sign_in(kinds text[], keys text[], outcome text) returns void language plpgsql volatile as $$
declare
  t timestamptz;
begin
  perform 1 from unnest(kinds, keys) as a(kind, key) join sign_in_failures f using (kind, key)
    order by f.kind, f.key for update of f;
  t := clock_timestamp();
  update sign_in_failures f set
      pending = greatest(f.pending - 1, 0),
      failures = case when outcome = 'wrong' then f.failures + 1
                      when outcome = 'right' and f.kind <> 'network' then 0
                      else f.failures end,
      opens_at = case when outcome = 'wrong' and f.failures + 1 >= sign_ins_tolerated(f.kind)
                      then t + least(case f.kind when 'network' then 60 else 900 end,
                                     power(2, least(floor(f.failures) + 1 - sign_ins_tolerated(f.kind), 10)))
                             * interval '1 second'
                      when outcome = 'right' and f.kind <> 'network' then 'epoch'
                      else f.opens_at end,
      forget_at = case when outcome = 'wrong' and f.failures + 1 >= sign_ins_tolerated(f.kind)
                       then t + interval '1 day' else f.forget_at end
    from unnest(kinds, keys) as a(kind, key) where f.kind = a.kind and f.key = a.key;
  delete from sign_in_failures f using unnest(kinds, keys) as a(kind, key)
    where f.kind = a.kind and f.key = a.key and f.failures = 0 and f.pending = 0;
  -- Each failure makes two rows at most and clears away three: the table never needs another broom.
  delete from sign_in_failures f where (f.kind, f.key) in (
    select o.kind, o.key from sign_in_failures o where o.forget_at < t order by o.forget_at limit 3
    for update skip locked);
end $$;
