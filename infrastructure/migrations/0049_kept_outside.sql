-- When something was last written to a place of its own, for whoever asks whether that is too long ago.
create table kept_outside (
  what text        primary key,  -- backup, subject keys
  at   timestamptz not null default clock_timestamp()
);
