-- undo: takes back what one run wrote, as far as nobody has built on it since.
--
-- target    all eight tables of ISPyB, and every table that refers to them
-- stage     undo, undo_claim
-- after     a run that history knows
-- refuses   changed_since, key_taken, linked_again, not_seen, parent_gone, referenced, row_gone
-- never     deletes a row that the run did not insert, that has changed, or that anything refers to
--
-- The passes from unseen to update run for each entity, with its names in place of the stand-ins, children before
-- parents, so that what hangs on a row is decided before the row. What is about one entity alone stands in its own
-- file, in the passes whose names begin with undo.
-- Rows that refer to others are found by statements that sync/history/references.py makes from the live foreign keys.

-- pass: create

-- name: create_undo
-- `was` holds the old values of an update, `wrote` the new ones; of a link that was deleted, `wrote` is the whole row.
CREATE TEMPORARY TABLE ispyb_sync.undo (
    entity VARCHAR(32) NOT NULL,
    number INT UNSIGNED NOT NULL,
    target_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
    second_id BIGINT UNSIGNED NULL,
    action ENUM('insert', 'update', 'delete') NOT NULL DEFAULT 'update',
    wrote LONGTEXT NULL,
    was LONGTEXT NULL,
    kept VARCHAR(32) NULL,
    held TEXT NULL,
    PRIMARY KEY (entity, number),
    KEY (entity, target_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- name: create_claim
CREATE TEMPORARY TABLE ispyb_sync.undo_claim (
    entity VARCHAR(32) NOT NULL,
    number INT UNSIGNED NOT NULL,
    field VARCHAR(32) NOT NULL,
    holder BIGINT UNSIGNED NOT NULL,
    giver INT UNSIGNED NULL,
    parked_on INT UNSIGNED NULL,
    PRIMARY KEY (entity, number, field, holder),
    KEY (entity, giver)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- pass: load

-- name: load
-- The fields of an update are pairs, old and new: `was` takes the first of each, `wrote` the second. What an earlier
-- undo of the same run has taken back already is left out.
INSERT INTO ispyb_sync.undo (entity, number, target_id, second_id, action, wrote, was)
SELECT
    c.entity,
    c.number,
    c.target_id,
    c.second_id,
    c.action,
    IF(
        c.action = 'update',
        REGEXP_REPLACE(
            c.fields,
            CONCAT(
                '\\[("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+), ',
                '("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+)\\]'
            ),
            '\\2'
        ),
        c.fields
    ),
    IF(
        c.action = 'update',
        REGEXP_REPLACE(
            c.fields,
            CONCAT(
                '\\[("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+), ',
                '("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+)\\]'
            ),
            '\\1'
        ),
        NULL
    )
FROM ispyb_sync.change AS c
LEFT JOIN (
    SELECT
        c.entity,
        c.number
    FROM ispyb_sync.run AS r
    INNER JOIN ispyb_sync.change AS c ON c.run = r.run
    WHERE r.mode = 'undo' AND JSON_VALUE(r.settings, '$.undoes') = %(undone)s
) AS done ON done.entity = c.entity AND done.number = c.number
WHERE c.run = %(undone)s AND done.number IS NULL;

-- pass: lock

-- name: lock
-- Who adds a row that refers to one of these waits from here on, or is waited for: nothing comes in between looking and
-- deleting. Only an undo that writes does this.
SELECT COUNT(*)
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN a_table AS t
    ON t.a_primary_key = u.target_id
    AND t.a_second_id = u.second_id -- if: paired
WHERE u.entity = 'an_entity' AND u.action <> 'delete'
FOR UPDATE;

-- pass: unseen

-- name: keep_unseen -- if: not link
-- Whoever cannot see all tables cannot know what refers to a row. Links are leaves.
UPDATE ispyb_sync.undo AS u
SET u.kept = 'not_seen'
WHERE u.entity = 'an_entity' AND u.action = 'insert' AND u.kept IS NULL;

-- pass: decide

-- name: keep_changed
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    IF(t.a_primary_key IS NULL, 'row_gone', 'changed_since'),
    CONCAT_WS(
        ', ',
        IF(NOT JSON_EXISTS(u.wrote, '$.a_parent_id') -- for: owner | reference
            OR BINARY CONVERT(t.a_parent_id USING utf8mb4) -- for: owner | reference
            <=> BINARY JSON_VALUE(u.wrote, '$.a_parent_id'), NULL, 'a_parent_id'), -- for: owner | reference
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: bytes
            OR HEX(t.a_column) <=> JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: bytes
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: float
            OR t.a_column + 0e0 <=> JSON_VALUE(u.wrote, '$.a_field') + 0e0, NULL, 'a_column'), -- for: float
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: date
            OR CONCAT(t.a_column) <=> LEFT(JSON_VALUE(u.wrote, '$.a_field'), 19), NULL, 'a_column'), -- for: date
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: live
            OR BINARY CONVERT(t.a_column USING utf8mb4) -- for: live
            <=> BINARY JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: live
        IF(t.a_primary_key IS NULL, 'a_primary_key', NULL)
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN a_table AS t
    ON t.a_primary_key = u.target_id
    AND t.a_second_id = u.second_id -- if: paired
WHERE u.entity = 'an_entity' AND u.action <> 'delete' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- name: keep_orphan -- if: not link
-- The row that it would refer to again is gone.
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    'parent_gone',
    CONCAT_WS(
        ', ',
        IF(JSON_VALUE(u.was, '$.a_parent_id') IS NOT NULL AND a_parent.a_parent_id IS NULL, -- for: owner | reference
            CONCAT('a_parent_id ', JSON_VALUE(u.was, '$.a_parent_id')), NULL), -- for: owner | reference
        NULL
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN a_parent_table AS a_parent -- for: owner | reference
    ON a_parent.a_parent_id = JSON_VALUE(u.was, '$.a_parent_id') -- for: owner | reference
WHERE u.entity = 'an_entity' AND u.action = 'update' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- name: keep_linked -- if: link
-- Somebody has made the link again.
INSERT INTO ispyb_sync.undo (entity, number, kept)
SELECT DISTINCT
    u.entity,
    u.number,
    'linked_again'
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN a_table AS t
    ON t.a_primary_key = u.target_id AND t.a_second_id = u.second_id -- if: paired
    ON TRUE -- if: not paired
    AND t.a_parent_id = JSON_VALUE(u.wrote, '$.a_parent_id') -- for: owner, not paired
WHERE u.entity = 'an_entity' AND u.action = 'delete' AND u.kept IS NULL
ON DUPLICATE KEY UPDATE kept = VALUES(kept);

-- name: keep_unlinked -- if: link
-- What it linked is gone. Where two columns name a link together, these are its ids; elsewhere history has them.
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    'parent_gone',
    CONCAT_WS(
        ', ',
        IF(a_parent.a_parent_id IS NULL, CONCAT( -- for: owner, paired
            'a_parent_id ', IF('a_parent_id' = 'a_primary_key', u.target_id, u.second_id) -- for: owner, paired
        ), NULL), -- for: owner, paired
        IF(a_parent.a_parent_id IS NULL, CONCAT( -- for: owner
            'a_parent_id ', JSON_VALUE(u.wrote, '$.a_parent_id') -- for: owner
        ), NULL), -- for: owner
        NULL
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN a_parent_table AS a_parent -- for: owner, paired
    ON a_parent.a_parent_id = IF('a_parent_id' = 'a_primary_key', u.target_id, u.second_id) -- for: owner, paired
LEFT JOIN a_parent_table AS a_parent -- for: owner
    ON a_parent.a_parent_id = JSON_VALUE(u.wrote, '$.a_parent_id') -- for: owner
WHERE u.entity = 'an_entity' AND u.action = 'delete' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- pass: claim

-- name: claim_external_id -- if: unique(externalId)
INSERT INTO ispyb_sync.undo_claim (entity, number, field, holder, giver)
SELECT
    u.entity,
    u.number,
    'externalId',
    h.a_primary_key,
    giver.number
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN a_table AS h
    ON h.externalId = UNHEX(JSON_VALUE(u.was, '$.externalId')) AND h.a_primary_key <> u.target_id
LEFT JOIN ispyb_sync.undo AS giver
    ON giver.entity = u.entity
    AND giver.target_id = h.a_primary_key
    AND giver.kept IS NULL
    AND (giver.action = 'insert' OR JSON_EXISTS(giver.was, '$.externalId'))
WHERE u.entity = 'an_entity' AND u.action = 'update' AND u.kept IS NULL;

-- pass: delete

-- name: delete
DELETE t
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN a_table AS t
    ON t.a_primary_key = u.target_id
    AND t.a_second_id = u.second_id -- if: paired
WHERE u.entity = 'an_entity' AND u.action = 'insert' AND u.kept IS NULL;

-- name: park_external_id -- if: unique(externalId)
-- Rows that swap a value back: whoever has it now is without it for a moment.
UPDATE ispyb_sync.undo_claim AS c
STRAIGHT_JOIN ispyb_sync.undo AS u ON u.entity = c.entity AND u.number = c.number
STRAIGHT_JOIN a_table AS t ON t.a_primary_key = c.holder
SET t.externalId = NULL
WHERE c.entity = 'an_entity' AND c.field = 'externalId' AND u.kept IS NULL;

-- pass: update

-- name: update -- if: any(live)
-- + 0e0: else a FLOAT that is not updated would become text, and lose its last digits.
UPDATE ispyb_sync.undo AS u
STRAIGHT_JOIN a_table AS t
    ON t.a_primary_key = u.target_id
    AND t.a_second_id = u.second_id -- if: paired
SET
    t.a_parent_id = IF( -- for: owner | reference, not link
        JSON_EXISTS(u.was, '$.a_parent_id'), -- for: owner | reference, not link
        JSON_VALUE(u.was, '$.a_parent_id'), -- for: owner | reference, not link
        t.a_parent_id -- for: owner | reference, not link
    ), -- for: owner | reference, not link
    t.a_column = IF( -- for: portal | key, float
        JSON_EXISTS(u.was, '$.a_field'), -- for: portal | key, float
        JSON_VALUE(u.was, '$.a_field') + 0e0, -- for: portal | key, float
        t.a_column -- for: portal | key, float
    ), -- for: portal | key, float
    t.a_column = IF( -- for: portal | key, text
        JSON_EXISTS(u.was, '$.a_field'), -- for: portal | key, text
        JSON_VALUE(u.was, '$.a_field'), -- for: portal | key, text
        CONVERT(t.a_column USING utf8mb4) -- for: portal | key, text
    ), -- for: portal | key, text
    t.a_column = IF( -- for: portal | key, bytes
        JSON_EXISTS(u.was, '$.a_field'), -- for: portal | key, bytes
        UNHEX(JSON_VALUE(u.was, '$.a_field')), -- for: portal | key, bytes
        t.a_column -- for: portal | key, bytes
    ), -- for: portal | key, bytes
    t.a_column = IF( -- for: portal | key, live
        JSON_EXISTS(u.was, '$.a_field'), -- for: portal | key, live
        JSON_VALUE(u.was, '$.a_field'), -- for: portal | key, live
        t.a_column -- for: portal | key, live
    ), -- for: portal | key, live
    t.a_primary_key = u.target_id
WHERE u.entity = 'an_entity' AND u.action = 'update' AND u.kept IS NULL;

-- pass: settle

-- name: keep_taken
-- A claim falls when the holder keeps the value, or when the one who would give it up is kept itself; what is left are
-- swaps and rotations.
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
WITH RECURSIVE fallen AS (
    SELECT c.entity, c.number, c.field, c.holder FROM ispyb_sync.undo_claim AS c WHERE c.giver IS NULL
    UNION
    SELECT c.entity, c.number, c.field, c.holder
    FROM ispyb_sync.undo_claim AS c
    INNER JOIN fallen ON fallen.entity = c.entity AND fallen.number = c.giver
)
SELECT
    fallen.entity,
    fallen.number,
    'key_taken',
    MIN(CONCAT(fallen.field, ' is held by row ', fallen.holder))
FROM fallen
GROUP BY fallen.entity, fallen.number
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- pass: report

-- name: counts
SELECT
    u.entity,
    COUNT(*) AS staged,
    SUM(u.action = 'delete' AND u.kept IS NULL) AS inserted,
    SUM(u.action = 'update' AND u.kept IS NULL) AS updated,
    SUM(u.kept IS NOT NULL) AS refused,
    SUM(u.action = 'insert' AND u.kept IS NULL) AS deleted
FROM ispyb_sync.undo AS u
GROUP BY u.entity;

-- name: kept
-- Of what has changed since, which later run was the last to change one of these columns; none if it was no run.
SELECT
    u.entity,
    u.kept,
    u.held,
    u.action,
    u.target_id,
    u.second_id,
    c.row_key,
    c.proposal,
    CONCAT(', by run ', MAX(r.run)) AS changed_by
FROM ispyb_sync.undo AS u
INNER JOIN ispyb_sync.change AS c ON c.run = %(undone)s AND c.entity = u.entity AND c.number = u.number
LEFT JOIN (
    ispyb_sync.change AS later
    INNER JOIN ispyb_sync.run AS r ON r.run = later.run AND NOT r.elsewhere
)
    ON u.kept = 'changed_since' AND later.entity = u.entity AND later.target_id = u.target_id
    AND later.second_id <=> u.second_id AND later.run > %(undone)s
    AND JSON_KEYS(later.fields) RLIKE CONCAT('"(', REPLACE(u.held, ', ', '|'), ')"')
WHERE u.kept IS NOT NULL
GROUP BY u.entity, u.number
ORDER BY u.entity, u.number;

-- name: changes
SELECT
    c.entity,
    c.target_id,
    CASE c.action WHEN 'insert' THEN 'delete' WHEN 'delete' THEN 'insert' ELSE 'update' END AS action,
    NULL AS matched_by,
    c.row_key,
    c.proposal,
    IF(
        c.action = 'update',
        REGEXP_REPLACE(
            c.fields,
            CONCAT(
                '\\[("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+), ',
                '("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+)\\]'
            ),
            '[\\2, \\1]'
        ),
        c.fields
    ) AS fields
FROM ispyb_sync.undo AS u
INNER JOIN ispyb_sync.change AS c ON c.run = %(undone)s AND c.entity = u.entity AND c.number = u.number
WHERE u.kept IS NULL
ORDER BY u.entity, u.number;

-- pass: history

-- name: record_changes
-- Under the number that the change has in the run that is taken back.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, row_key, proposal, fields)
SELECT
    %(run)s,
    c.entity,
    c.number,
    c.target_id,
    c.second_id,
    CASE c.action WHEN 'insert' THEN 'delete' WHEN 'delete' THEN 'insert' ELSE 'update' END,
    c.row_key,
    c.proposal,
    IF(
        c.action = 'update',
        REGEXP_REPLACE(
            c.fields,
            CONCAT(
                '\\[("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+), ',
                '("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+)\\]'
            ),
            '[\\2, \\1]'
        ),
        c.fields
    )
FROM ispyb_sync.undo AS u
INNER JOIN ispyb_sync.change AS c ON c.run = %(undone)s AND c.entity = u.entity AND c.number = u.number
WHERE u.kept IS NULL;

-- name: mark_run
UPDATE ispyb_sync.run AS r
SET r.status = IF(EXISTS (SELECT 1 FROM ispyb_sync.undo AS u WHERE u.kept IS NOT NULL), 'partly_undone', 'undone')
WHERE r.run = %(undone)s;

-- pass: show

-- name: find_undo
-- The undo of a connection that was lost before the server answered.
SELECT r.run FROM ispyb_sync.run AS r WHERE r.mode = 'undo' AND r.started = %(started)s;

-- name: undone_by
SELECT MAX(r.run)
FROM ispyb_sync.run AS r
WHERE r.mode = 'undo' AND JSON_VALUE(r.settings, '$.undoes') = %(undone)s;

-- name: kept_changes
SELECT COUNT(*) FROM ispyb_sync.change AS c WHERE c.run = %(undone)s;
