-- What must be done outside, until it has visibly ended. The broker only carries ids; this table is the truth.
create table operations (
  id           uuid        primary key,
  kind         text        not null,
  about        jsonb       not null,
  occasion     text        unique,             -- the same occasion asks once: an event's id, an hour
  state        text        not null default 'queued' check (state in ('queued', 'running', 'done', 'failed')),
  attempt      int         not null default 0,
  run_at       timestamptz not null default clock_timestamp(),
  leased_until timestamptz,
  offered_at   timestamptz,                    -- when its id was last given to the broker
  last_error   text,
  made_at      timestamptz not null default clock_timestamp(),
  ended_at     timestamptz
);
create index on operations (run_at) where state in ('queued', 'running');
