-- Certificates and credit notes are papers that their contract owns by a claim, also those from before this.
insert into claims
  select 'contract.paper', originator_id::text, originator_id from stored_events where topic = 'contract.signed.v1'
  union all
  select 'contract.paper', convert_from(state, 'UTF8')::jsonb ->> 'credit_note_id', originator_id
  from stored_events where topic = 'contract.credited.v1'
on conflict do nothing;
