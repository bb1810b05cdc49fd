-- The last key set of each outside issuer, sealed.
create table issuer_keys (
  issuer     text        primary key,
  sealed     bytea       not null,
  fetched_at timestamptz not null default clock_timestamp()
);

-- What the identity provider's admin API is to be told of a person, until it has been told: one row per person, sealed.
-- A later wish joins the one that waits; `edition` tells whether another came while the first was told.
create table provider_wishes (
  person   text        primary key,  -- blinded
  sealed   bytea       not null,
  edition  bigint      not null default 1,
  made_at  timestamptz not null default clock_timestamp()
);
