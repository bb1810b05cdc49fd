-- When each subject's access last changed: the head of the log then. It orders the snapshots that others keep, compares
-- with nothing but itself, and starts anew at the head when guards are rebuilt.
create table access_changes (
  subject_id uuid   primary key,
  position   bigint not null
);

create function note_access_change() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
  insert into access_changes (subject_id, position)
    select (case tg_op when 'DELETE' then to_jsonb(old) else to_jsonb(new) end ->> tg_argv[0])::uuid,
           coalesce((select notification_id from stored_events order by notification_id desc limit 1), 0)
    on conflict (subject_id) do update set position = excluded.position;
  return null;
end $$;

create trigger rights_change_access after insert or update or delete on rights
  for each row execute function note_access_change('subject_id');
create trigger principals_change_access after insert or update or delete on principals
  for each row execute function note_access_change('user_id');

-- Rights and accounts from before this migration.
insert into access_changes
  select subject_id, coalesce((select max(notification_id) from stored_events), 0)
  from (select subject_id from rights union select user_id from principals) as known;

create index on rights (expires_at) where expires_at is not null;
