-- Registers of other people that are looked things up in: no events, no read models. A register's table is made beside
-- the present one by each fill, by the application itself, and takes its place when it is whole.
create schema lookup;
create table lookup.registers (
  name        text        primary key,
  entries     bigint      not null,            -- rows that can be found
  valid_as_of date        not null,            -- the register's own date
  loaded_at   timestamptz not null default clock_timestamp()
);
