-- history: the tool's own record of its runs, in the same transaction as what they wrote.
--
-- target    ispyb_sync.run, ispyb_sync.change
-- after     each entity's own record_changes
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

-- name: served_schema
-- The ISPyB of one run, or of the last one; one of an older release does not say.
SELECT JSON_VALUE(r.settings, '$.schema')
FROM ispyb_sync.run AS r
WHERE %(run)s IS NULL OR r.run = %(run)s
ORDER BY r.run DESC
LIMIT 1;

-- pass: plan

-- name: shadow_change
-- A plan records its changes as an apply does, but into a temporary table: it hides the table of the same name from
-- this connection, until the run drops it.
CREATE TEMPORARY TABLE ispyb_sync.change (
    run INT UNSIGNED NOT NULL,
    entity VARCHAR(32) NOT NULL,
    number INT UNSIGNED NOT NULL,
    target_id BIGINT UNSIGNED NULL,
    second_id BIGINT UNSIGNED NULL,
    action ENUM('insert', 'update', 'delete') NOT NULL,
    matched_by VARCHAR(32) NULL,
    row_key TEXT NULL,
    proposal TEXT NULL,
    fields LONGTEXT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- pass: show

-- name: list_runs
SELECT
    r.run, r.mode, r.status, r.started, r.account, r.tool_version, r.export_name, r.report, r.ended, r.export_bytes,
    LOWER(HEX(r.export_sha256)) AS export_sha256, r.settings
FROM ispyb_sync.run AS r
ORDER BY r.run DESC
LIMIT %(limit)s;

-- name: show_run
SELECT
    r.run, r.mode, r.status, r.started, r.account, r.tool_version, r.export_name, r.report, r.ended, r.export_bytes,
    LOWER(HEX(r.export_sha256)) AS export_sha256, r.settings
FROM ispyb_sync.run AS r
WHERE r.run = %(run)s;

-- name: show_changes
SELECT c.entity, c.target_id, c.action, c.matched_by, c.row_key, c.proposal, c.fields
FROM ispyb_sync.change AS c
WHERE c.run = %(run)s
ORDER BY
    FIELD(
        c.entity, 'laboratory', 'person', 'proposal', 'proposal_has_person', 'session', 'session_has_person', 'protein', 'lab_contact'
    ),
    c.number
LIMIT %(limit)s;

-- name: show_row
-- What the tool ever did to one row.
SELECT c.run, c.entity, c.target_id, c.action, c.matched_by, c.row_key, c.proposal, c.fields, r.started
FROM ispyb_sync.change AS c
INNER JOIN ispyb_sync.run AS r ON r.run = c.run
WHERE c.entity = %(entity)s AND c.target_id = %(id)s
ORDER BY c.run, c.number;

-- pass: purge

-- name: purge_changes
-- Personal data does not stay for ever.
DELETE FROM ispyb_sync.change
WHERE run IN (SELECT r.run FROM ispyb_sync.run AS r WHERE r.started < UTC_TIMESTAMP() - INTERVAL %(days)s DAY);

-- name: purge_runs
DELETE FROM ispyb_sync.run WHERE started < UTC_TIMESTAMP() - INTERVAL %(days)s DAY;
