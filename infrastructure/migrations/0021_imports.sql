-- How far an import is, what its preview shows, and which of its rows failed: for people to look at, no facts. What an
-- import did to the records is in their events; this may be forgotten.
create table import_progress (
  import_id  uuid        primary key,
  step       text        not null check (step in ('reading', 'applying')),
  processed  bigint      not null default 0,
  total      bigint,
  counts     jsonb       not null default '{}',
  pending    jsonb,                            -- counts of the batch that is being written: a killed worker cannot tell
  format     text,
  encoding   text,
  columns    jsonb       not null default '{}', -- column -> the field it is
  header     text[]      not null default '{}',
  sample     jsonb       not null default '[]',
  problems   jsonb       not null default '[]',
  updated_at timestamptz not null default clock_timestamp()
);
create index on import_progress (updated_at);
create table import_failed_rows (
  import_id uuid   not null references import_progress on delete cascade,
  row       bigint not null,
  cells     text[] not null,
  problems  jsonb  not null,
  primary key (import_id, row)
);
