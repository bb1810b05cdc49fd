-- What was read of files, to be searched: too long for events, which have its digest. It goes with its file.
create table file_texts (
  file_id uuid primary key,
  text    text not null
);
