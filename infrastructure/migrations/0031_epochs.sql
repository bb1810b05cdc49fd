-- A signature and its key belong to one epoch: when a restored store begins another, what was signed before stays as it
-- is, is vouched for no more, and no old key signs a second history.
create function current_epoch() returns uuid language sql stable as $$
  select epoch from public.epochs order by begun_at desc limit 1
$$;

alter table audit.checkpoints add column epoch uuid not null default public.current_epoch();
alter table audit.checkpoints drop constraint checkpoints_pkey;
alter table audit.checkpoints add primary key (epoch, size);
alter table audit.keys add column epoch uuid not null default public.current_epoch();

drop trigger keys_only_retire on audit.keys;
create trigger keys_only_retire before update on audit.keys
  for each row when ((old.id, old.name, old.public_key, old.wrapped, old.made_at, old.epoch)
    is distinct from (new.id, new.name, new.public_key, new.wrapped, new.made_at, new.epoch) or old.retired_at is not null)
  execute function refuse_change();
drop trigger checkpoints_are_signed_once on audit.checkpoints;
create trigger checkpoints_are_signed_once before update on audit.checkpoints
  for each row when ((old.epoch, old.size, old.root, old.inserted_at)
    is distinct from (new.epoch, new.size, new.root, new.inserted_at) or old.note is not null)
  execute function refuse_change();
create trigger epochs_are_for_ever before update or delete or truncate on epochs
  for each statement execute function refuse_change();
