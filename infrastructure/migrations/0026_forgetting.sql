-- Who is forgotten loses his key, his password, the secrets of his sessions and the answers kept for him, in the very
-- transaction of the event that says so. Around what was there before, so that migrations which add guards need not know
-- each other; and before it, since it ends his sessions.
alter function apply_guards(int[], uuid[], jsonb, timestamptz) rename to apply_guards_before_forgetting;
revoke execute on function apply_guards_before_forgetting from public;

create function apply_guards(v int[], streams uuid[], guards jsonb, t timestamptz) returns void
language plpgsql volatile set search_path = public, pg_temp as $$
begin
  if guards ? 'forgotten' then
    insert into subject_keys (subject_id, wrapped, made_at, destroyed_at)
      select streams[x.c], null, t, t from jsonb_to_recordset(guards -> 'forgotten') as x(c int) where v[x.c] = 0
      on conflict (subject_id) do update set wrapped = null, destroyed_at = coalesce(subject_keys.destroyed_at, t);
    delete from refreshes r using jsonb_to_recordset(guards -> 'forgotten') as x(c int), sessions s
      where s.user_id = streams[x.c] and not s.ended and r.session_id = s.session_id and v[x.c] = 0;
    delete from credentials k using jsonb_to_recordset(guards -> 'forgotten') as x(c int)
      where k.user_id = streams[x.c] and v[x.c] = 0;
    delete from receipts r using jsonb_to_recordset(guards -> 'forgotten') as x(c int)
      where r.actor_id = streams[x.c] and v[x.c] = 0;
  end if;
  perform apply_guards_before_forgetting(v, streams, guards, t);
end $$;

-- Every process asks twice a second whose keys it must not keep in memory.
create index on subject_keys (destroyed_at) where destroyed_at is not null;

-- Nobody under a legal hold is forgotten: one more thing that append judges under its lock, `unheld`. There are few holds,
-- and the prefix is compared so as to be right in every collation.
-- append is patched, not written anew, so that other migrations may have changed it, too.
do $$
declare
  before text := pg_get_functiondef('append'::regproc);
  place  text := E'      union all\n      select x.c, 8 from jsonb_to_recordset(conditions -> ''keep_one'')';
  after  text := replace(before, place,
    E'      union all\n      select x.c, 6 from jsonb_to_recordset(conditions -> ''unheld'') as x(c int, subject text)\n'
    || E'        where exists (select from claims k where k.kind = ''legal_hold.on'' and starts_with(k.value, x.subject || '':''))\n'
    || place);
begin
  if after = before then
    raise exception 'append is not as this migration knows it';
  end if;
  execute after;
end $$;
