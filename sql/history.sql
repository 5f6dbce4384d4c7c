-- history: the tool's own record of its runs, in the same transaction as what they wrote.
--
-- target    ispyb_sync.run, ispyb_sync.change, ispyb_sync.touched
-- after     each entity's own record_changes
-- never     holds a password: the settings are stored without the database URL

-- pass: record

-- name: record_run
INSERT INTO ispyb_sync.run (
    mode, status, started, ended, account, tool_version, export_name, export_bytes, export_sha256, settings, report,
    `trigger`, actor
)
VALUES (
    %(mode)s, %(status)s, %(started)s, UTC_TIMESTAMP(6), CURRENT_USER(), %(tool_version)s, %(export_name)s,
    %(export_bytes)s, UNHEX(%(export_sha256)s), %(settings)s, %(report)s, %(trigger)s,
    NVL(%(actor)s, CURRENT_USER())
);

-- name: find_run
-- Whether a run whose commit was not answered is there.
SELECT r.run FROM ispyb_sync.run AS r WHERE r.run = %(run)s AND r.started = %(started)s;

-- name: touch_staged
-- A run of few proposals touches each of them, also where ISPyB holds already what they say.
INSERT IGNORE INTO ispyb_sync.touched (proposal, run)
SELECT
    LEFT(COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(s.proposalCode USING utf8mb4), CONVERT(s.proposalNumber USING utf8mb4)
    ), ''), HEX(s.externalId)), 120),
    %(run)s
FROM ispyb_sync.stage_proposal AS s;

-- name: touch_changed
-- Of a run of many, or an undo: those of which it changed something.
INSERT IGNORE INTO ispyb_sync.touched (proposal, run)
SELECT DISTINCT
    LEFT(c.proposal, 120),
    c.run
FROM ispyb_sync.change AS c
WHERE c.run = %(run)s AND c.proposal IS NOT NULL;

-- name: touch_refused
INSERT IGNORE INTO ispyb_sync.touched (proposal, run) VALUES (%(proposal)s, %(run)s);

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
    LOWER(HEX(r.export_sha256)) AS export_sha256, r.settings, r.elsewhere, r.`trigger`, NVL(r.actor, r.account) AS actor
FROM ispyb_sync.run AS r
ORDER BY r.run DESC
LIMIT %(limit)s;

-- name: list_runs_of_proposal
SELECT
    r.run, r.mode, r.status, r.started, r.account, r.tool_version, r.export_name, r.report, r.ended, r.export_bytes,
    LOWER(HEX(r.export_sha256)) AS export_sha256, r.settings, r.elsewhere, r.`trigger`, NVL(r.actor, r.account) AS actor
FROM ispyb_sync.touched AS o
INNER JOIN ispyb_sync.run AS r ON r.run = o.run
WHERE o.proposal = %(proposal)s AND NOT r.elsewhere
ORDER BY o.run DESC
LIMIT %(limit)s;

-- name: list_runs_that_did
-- Those that changed or refused something; every five minutes most do neither.
SELECT
    r.run, r.mode, r.status, r.started, r.account, r.tool_version, r.export_name, r.report, r.ended, r.export_bytes,
    LOWER(HEX(r.export_sha256)) AS export_sha256, r.settings, r.elsewhere, r.`trigger`, NVL(r.actor, r.account) AS actor
FROM ispyb_sync.run AS r
WHERE
    (%(since)s IS NULL OR r.started >= %(since)s)
    AND (
        %(proposal)s IS NULL
        OR (
            NOT r.elsewhere
            AND EXISTS (SELECT 1 FROM ispyb_sync.touched AS o WHERE o.proposal = %(proposal)s AND o.run = r.run)
        )
    )
    AND (
        %(idle_too)s
        OR EXISTS (SELECT 1 FROM ispyb_sync.change AS c WHERE c.run = r.run)
        OR JSON_LENGTH(r.report, '$.refusals') > 0
    )
ORDER BY r.run DESC
LIMIT %(limit)s;

-- name: count_idle_runs
-- The others, by how many of those stand above them.
SELECT
    m.above,
    COUNT(*) AS runs,
    MAX(m.started) AS latest
FROM (
    SELECT
        d.started,
        d.did,
        SUM(d.did) OVER (ORDER BY d.run DESC) AS above
    FROM (
        SELECT
            r.run,
            r.started,
            EXISTS (SELECT 1 FROM ispyb_sync.change AS c WHERE c.run = r.run)
            OR NVL(JSON_LENGTH(r.report, '$.refusals') > 0, FALSE) AS did
        FROM ispyb_sync.run AS r
        WHERE
            r.run >= %(oldest)s
            AND (%(since)s IS NULL OR r.started >= %(since)s)
            AND (
                %(proposal)s IS NULL
                OR (
            NOT r.elsewhere
            AND EXISTS (SELECT 1 FROM ispyb_sync.touched AS o WHERE o.proposal = %(proposal)s AND o.run = r.run)
        )
            )
    ) AS d
) AS m
WHERE NOT m.did
GROUP BY m.above;

-- name: show_run
SELECT
    r.run, r.mode, r.status, r.started, r.account, r.tool_version, r.export_name, r.report, r.ended, r.export_bytes,
    LOWER(HEX(r.export_sha256)) AS export_sha256, r.settings, r.elsewhere, r.`trigger`, NVL(r.actor, r.account) AS actor
FROM ispyb_sync.run AS r
WHERE r.run = %(run)s;

-- name: show_changes
SELECT c.entity, c.target_id, c.action, c.matched_by, c.row_key, c.proposal, c.fields
FROM ispyb_sync.change AS c
WHERE c.run = %(run)s
ORDER BY FIND_IN_SET(c.entity, %(entities)s), c.number
LIMIT %(limit)s;

-- name: show_row
-- What the tool ever did to one row of the ISPyB that is served, to its links, and to what refers to it: there a new or
-- deleted row names its id, and an updated one the old and the new.
SELECT c.run, c.entity, c.target_id, c.action, c.matched_by, c.row_key, c.proposal, c.fields, r.started
FROM ispyb_sync.change AS c
INNER JOIN ispyb_sync.run AS r ON r.run = c.run
WHERE
    NOT r.elsewhere
    AND (%(run)s IS NULL OR c.run = %(run)s)
    AND (
        (c.target_id = %(id)s AND FIND_IN_SET(c.entity, %(same_key)s))
        OR (c.second_id = %(id)s AND FIND_IN_SET(c.entity, %(second_key)s))
        OR (
            FIND_IN_SET(c.entity, %(referring)s)
            AND (
                JSON_CONTAINS(JSON_EXTRACT(c.fields, %(path)s), CONCAT(%(id)s))
                OR JSON_CONTAINS(JSON_EXTRACT(c.fields, %(path)s), JSON_QUOTE(CONCAT(%(id)s)))
            )
        )
    )
ORDER BY c.run, FIND_IN_SET(c.entity, %(entities)s), c.number;

-- name: find_people
-- Who has a login, or had it in a run. Compared in one character set, in any case: a bare login with letters that the
-- column cannot hold would be an error.
SELECT p.personId -- if: login
FROM Person AS p -- if: login
WHERE CONVERT(p.login USING utf8mb4) = CONVERT(%(login)s USING utf8mb4) -- if: login
UNION -- if: login
SELECT c.target_id
FROM ispyb_sync.change AS c
INNER JOIN ispyb_sync.run AS r ON r.run = c.run
WHERE c.entity = 'person' AND c.row_key = %(login)s AND c.target_id IS NOT NULL AND NOT r.elsewhere;

-- name: find_refusals
-- Runs that refused something with this value: who was never written has no change.
SELECT
    r.run,
    r.started,
    JSON_QUERY(r.report, '$.refusals') AS refusals
FROM ispyb_sync.run AS r
WHERE
    NOT r.elsewhere
    AND (%(run)s IS NULL OR r.run = %(run)s)
    AND JSON_SEARCH(r.report, 'one', %(escaped)s, '|', '$.refusals[*].value') IS NOT NULL
ORDER BY r.run;

-- pass: purge

-- name: count_old
-- What a purge would forget.
SELECT
    COUNT(DISTINCT r.run) AS runs,
    COUNT(c.run) AS changes
FROM ispyb_sync.run AS r
LEFT JOIN ispyb_sync.change AS c ON c.run = r.run
WHERE r.started < %(before)s;

-- name: forget_links
-- A link of which an earlier purge kept the ids, and the last word is now that it was deleted. What is said behind this
-- purge counts more: an undo may have brought the link back.
DELETE k
FROM ispyb_sync.made_link AS k
INNER JOIN (
    SELECT
        c.entity,
        c.target_id,
        NVL(c.second_id, 0) AS second_id
    FROM ispyb_sync.run AS r
    INNER JOIN ispyb_sync.change AS c ON c.run = r.run AND c.entity IN ('proposal_has_person', 'session_has_person')
    WHERE r.started < %(before)s AND NOT r.elsewhere AND c.action <> 'update'
    GROUP BY c.entity, c.target_id, NVL(c.second_id, 0)
    HAVING MAX(IF(c.action = 'insert', c.run, 0)) < MAX(c.run)
) AS gone ON gone.entity = k.entity AND gone.target_id = k.target_id AND gone.second_id = k.second_id
WHERE
    NOT EXISTS (
        SELECT 1
        FROM ispyb_sync.change AS c
        INNER JOIN ispyb_sync.run AS r ON r.run = c.run
        WHERE
            c.entity = k.entity
            AND c.target_id = k.target_id
            AND NVL(c.second_id, 0) = k.second_id
            AND c.action <> 'update'
            AND r.started >= %(before)s
            AND NOT r.elsewhere
    );

-- name: keep_links
-- Which links runs made outlives the changes that say so, by ids alone: --prune owned goes by it.
INSERT INTO ispyb_sync.made_link (entity, target_id, second_id)
SELECT
    made.entity,
    made.target_id,
    made.second_id
FROM (
    SELECT
        c.entity,
        c.target_id,
        NVL(c.second_id, 0) AS second_id,
        MAX(IF(c.action = 'insert', c.run, 0)) = MAX(c.run) AS there
    FROM ispyb_sync.run AS r
    INNER JOIN ispyb_sync.change AS c ON c.run = r.run AND c.entity IN ('proposal_has_person', 'session_has_person')
    WHERE r.started < %(before)s AND NOT r.elsewhere AND c.action <> 'update' AND c.target_id IS NOT NULL
    GROUP BY c.entity, c.target_id, NVL(c.second_id, 0)
    HAVING MAX(c.action = 'insert' AND r.mode = 'apply')
) AS made
WHERE
    made.there
    OR EXISTS (
        SELECT 1
        FROM ispyb_sync.change AS c
        INNER JOIN ispyb_sync.run AS r ON r.run = c.run
        WHERE
            c.entity = made.entity
            AND c.target_id = made.target_id
            AND NVL(c.second_id, 0) = made.second_id
            AND c.action <> 'update'
            AND r.started >= %(before)s
            AND NOT r.elsewhere
    )
ON DUPLICATE KEY UPDATE entity = VALUES(entity);

-- name: purge_changes
-- Personal data does not stay for ever.
DELETE FROM ispyb_sync.change
WHERE run IN (SELECT r.run FROM ispyb_sync.run AS r WHERE r.started < %(before)s);

-- name: purge_touched
DELETE FROM ispyb_sync.touched
WHERE run IN (SELECT r.run FROM ispyb_sync.run AS r WHERE r.started < %(before)s);

-- name: purge_runs
DELETE FROM ispyb_sync.run WHERE started < %(before)s;
