-- Streams that an operator set aside for one read model: one of their events cannot be applied, all others go on.
-- What waits is the stream's events from `position` to the read model's own; the log has them, in order.
alter table projections
  add column fence        uuid not null default gen_random_uuid(),  -- another one: park, unpark; its worker looks again
  add column failed_event uuid;                                     -- the event after `position`, if that is what fails

create table parked_streams (
  projection text        not null,
  place      text        not null,
  stream_id  uuid        not null,
  position   bigint      not null,  -- of the event that could not be applied: the first that waits
  event_id   uuid        not null,
  failure    text        not null,
  parked_at  timestamptz not null default clock_timestamp(),
  primary key (projection, place, stream_id),
  foreign key (projection, place) references projections (name, place) on update cascade on delete cascade
);
