-- A database that came out of a backup is not served before the newest keys of people were applied to it, nor, unless it
-- was only moved, before an epoch has begun.

create table restores (
  backup       uuid        not null,
  position     bigint      not null,  -- the last event that came back
  epoch        uuid        not null,  -- as the backup has it
  moved        boolean     not null,  -- somebody says that nothing was written after the backup
  restored_at  timestamptz primary key default clock_timestamp(),
  keys_at      timestamptz            -- when the keys were applied; null: nothing is served yet
);
