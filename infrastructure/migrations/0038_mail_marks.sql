-- Which operation told him of it: its next attempt may, another one not.
alter table mail_marks add column operation_id uuid;
