-- How long a session may rest between two refreshes (null: as long as the settings give everybody), and how often the
-- present refresh token was given again to somebody who had not got it.
alter table refreshes add column idle interval, add column repeats int not null default 0;

-- In which state a key is, the log says, and the claims that follow from it; here is only its private half, wrapped.
-- Keys of before had no events: a new one is made, and whoever is signed in refreshes once.
delete from signing_keys;
alter table signing_keys drop column state, drop column public_jwk;
