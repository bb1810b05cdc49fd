-- Which invoices have been set as PDF. The object is named by the invoice's id; set again, it has the same bytes.
create table invoice_papers (
  invoice_id uuid        primary key,
  sha256     text        not null,
  size       int         not null,
  made_at    timestamptz not null default clock_timestamp()
);
