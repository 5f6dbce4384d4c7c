-- grants: the role that the sync's account needs. A DBA reads it, and runs it once; `ispyb-sync grants` prints it with
-- the names of a database.
--
-- target    ispyb.*, the schema of ISPyB; ispyb_sync.*, the tool's own schema
-- after     ispyb-sync migrate, which needs more rights (ALTER, CREATE) and an account of its own
-- never     grants CREATE, ALTER, DROP, FILE or LOCK TABLES, or anything on other tables of ISPyB
--
-- Then give it to an account, for instance:
--
--     CREATE USER portal_sync@'sync.example.org' IDENTIFIED BY '...';
--     GRANT ispyb_sync TO portal_sync@'sync.example.org';
--     SET DEFAULT ROLE ispyb_sync FOR portal_sync@'sync.example.org';
--
-- Without the last line the role is there and does nothing. `ispyb-sync check`, run as that account, says
-- what is missing.
--
-- `undo` deletes a row that a run inserted only where it sees that nothing refers to it, in whichever table. This role
-- sees eight, so its undo takes back updates and links, and leaves and reports inserted rows. To let it delete those:
--
--     GRANT SELECT ON ispyb.* TO ispyb_sync;

-- name: create_role
CREATE ROLE IF NOT EXISTS ispyb_sync;

-- DELETE: only `undo` and pruning use it, on rows that a run inserted and on the two link tables. A sync that
-- never does either works without it.

-- name: grant_laboratory
GRANT SELECT, INSERT, UPDATE, DELETE ON ispyb.Laboratory TO ispyb_sync;

-- name: grant_person
GRANT SELECT, INSERT, UPDATE, DELETE ON ispyb.Person TO ispyb_sync;

-- name: grant_proposal
GRANT SELECT, INSERT, UPDATE, DELETE ON ispyb.Proposal TO ispyb_sync;

-- name: grant_proposal_has_person
-- A link is there or not: no column of it is ever changed.
GRANT SELECT, INSERT, DELETE ON ispyb.ProposalHasPerson TO ispyb_sync;

-- name: grant_session
GRANT SELECT, INSERT, UPDATE, DELETE ON ispyb.BLSession TO ispyb_sync;

-- name: grant_session_has_person
GRANT SELECT, INSERT, UPDATE, DELETE ON ispyb.Session_has_Person TO ispyb_sync;

-- name: grant_protein
GRANT SELECT, INSERT, UPDATE, DELETE ON ispyb.Protein TO ispyb_sync;

-- name: grant_lab_contact
GRANT SELECT, INSERT, UPDATE, DELETE ON ispyb.LabContact TO ispyb_sync;

-- name: grant_own_schema
-- The staging tables are temporary; the history of runs is not.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE TEMPORARY TABLES ON ispyb_sync.* TO ispyb_sync;
