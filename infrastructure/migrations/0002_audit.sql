-- What the log has signed, and with which keys. No rebuild touches it: a signature cannot be taken back.

create schema audit;

create table audit.checkpoints (
  size        bigint      primary key check (size > 0),
  root        bytea       not null check (octet_length(root) = 32),
  note        text,  -- signed after the row is committed, and only as it stands here
  inserted_at timestamptz not null default clock_timestamp(),
  signed_at   timestamptz
);

create table audit.keys (
  id         bigint      generated always as identity primary key,
  name       text        not null,  -- the log's origin
  public_key bytea       not null unique check (octet_length(public_key) = 32),
  wrapped    bytea       not null,
  made_at    timestamptz not null default clock_timestamp(),
  retired_at timestamptz
);

create trigger keys_are_for_ever before delete or truncate on audit.keys
  for each statement execute function refuse_change();
create trigger keys_only_retire before update on audit.keys
  for each row when ((old.id, old.name, old.public_key, old.wrapped, old.made_at)
    is distinct from (new.id, new.name, new.public_key, new.wrapped, new.made_at) or old.retired_at is not null)
  execute function refuse_change();

create trigger checkpoints_are_for_ever before delete or truncate on audit.checkpoints
  for each statement execute function refuse_change();
create trigger checkpoints_are_signed_once before update on audit.checkpoints
  for each row when ((old.size, old.root, old.inserted_at) is distinct from (new.size, new.root, new.inserted_at)
    or old.note is not null)
  execute function refuse_change();
