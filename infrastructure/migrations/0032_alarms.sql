-- What is wrong and concerns no single request: raised and cleared by whoever sees it, shown by readyz.
create table alarms (
  name      text        primary key,
  detail    text        not null,
  raised_at timestamptz not null default clock_timestamp()
);
