-- What must not be done twice is handed over once: said before it is done, and from then on no attempt does it again,
-- whatever became of this one.
alter table operations add column handed_over_at timestamptz;
-- What was given up, for whoever looks after Chancery.
create index on operations (ended_at) where state = 'failed';

-- Of which message in a dialog somebody was told by mail last: as long as he has not read that one he is told of none.
create table mail_marks (
  user_id    uuid not null,
  dialog_id  uuid not null,
  message_id uuid not null,
  primary key (user_id, dialog_id)
);
