-- Who can do this? One range of each index: the holders of a right in a scope, a department's members, a role's people.
create index on rights (module, action, scope_type, scope_id, subject_id);
create index on principals (department_id, user_id) where department_id is not null;
create index on principals (role, user_id);
