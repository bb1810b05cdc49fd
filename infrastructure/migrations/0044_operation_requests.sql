-- The request that an operation follows from, so that its lines in the log of jobs carry the same id.
alter table operations add column request_id text;
