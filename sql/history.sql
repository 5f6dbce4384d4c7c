-- history: the tool's own record of its runs, in the same transaction as what they wrote.
--
-- target    ispyb_sync.run
-- never     holds a password: the settings are stored without the database URL

-- pass: record

-- name: record_run
INSERT INTO ispyb_sync.run (
    mode, status, started, ended, account, tool_version, export_name, export_bytes, export_sha256, settings, report
)
VALUES (
    %(mode)s, %(status)s, %(started)s, UTC_TIMESTAMP(6), CURRENT_USER(), %(tool_version)s, %(export_name)s,
    %(export_bytes)s, UNHEX(%(export_sha256)s), %(settings)s, %(report)s
);

-- name: find_run
-- Whether a run whose commit was not answered is there.
SELECT r.run FROM ispyb_sync.run AS r WHERE r.run = %(run)s AND r.started = %(started)s;
