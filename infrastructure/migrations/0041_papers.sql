-- Every paper that was set as PDF, whatever it is: the object is named by the paper's id; set again, it has the same bytes.
alter table invoice_papers rename to papers;
alter table papers rename column invoice_id to id;
