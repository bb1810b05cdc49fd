-- A department is archived while nobody is in it: one more thing that append judges under its lock, `vacant`.
-- append is patched, not written anew, so that other migrations may have changed it, too.
do $$
declare
  before text := pg_get_functiondef('append'::regproc);
  place  text := E'      union all\n      select x.c, 8 from jsonb_to_recordset(conditions -> ''keep_one'')';
  after  text := replace(before, place,
    E'      union all\n      select x.c, 6 from jsonb_to_recordset(conditions -> ''vacant'') as x(c int, department uuid)\n'
    || E'        where exists (select from principals p where p.department_id = x.department)\n' || place);
begin
  if after = before then
    raise exception 'append is not as this migration knows it';
  end if;
  execute after;
end $$;
