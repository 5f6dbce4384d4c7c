-- adopt: fills an empty externalId with the number of a deprecated key, so that the key may go.
--
-- target    Laboratory, Person or BLSession
-- stage     adopted
-- refuses   ambiguous_match, key_taken, value_not_allowed
-- never     changes an externalId that is there
--
-- Stand-ins: a_table is the table, a_primary_key its primary key, a_key the column of the deprecated key.

-- pass: find

-- name: create_adopted
CREATE TEMPORARY TABLE ispyb_sync.adopted (
    target_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    number TEXT NOT NULL,
    externalId BINARY(16) NULL,
    refused VARCHAR(24) NULL,
    held TEXT NULL,
    KEY (externalId)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- name: find_rows
-- The number as 16 bytes, big-endian, as externalId has it. 0 stands for no number; sites may hold the key as text.
INSERT INTO ispyb_sync.adopted (target_id, number, externalId)
SELECT
    t.a_primary_key,
    CONVERT(t.a_key USING utf8mb4),
    IF(
        CONVERT(t.a_key USING utf8mb4) REGEXP '^0*[1-9][0-9]{0,17}$',
        UNHEX(LPAD(HEX(CAST(t.a_key AS UNSIGNED)), 32, '0')),
        NULL
    )
FROM a_table AS t
WHERE t.externalId IS NULL AND t.a_key IS NOT NULL;

-- name: refuse_no_number
UPDATE ispyb_sync.adopted AS a SET a.refused = 'value_not_allowed' WHERE a.externalId IS NULL;

-- name: refuse_taken
UPDATE ispyb_sync.adopted AS a
STRAIGHT_JOIN a_table AS h ON h.externalId = a.externalId
SET a.refused = 'key_taken', a.held = CONCAT('a_primary_key ', h.a_primary_key);

-- name: refuse_several
-- Two rows of one number are one thing typed in twice, or two things: a DBA must say.
UPDATE ispyb_sync.adopted AS a
STRAIGHT_JOIN (
    SELECT a.externalId, LEFT(GROUP_CONCAT(a.target_id ORDER BY a.target_id SEPARATOR ', '), 200) AS ids
    FROM ispyb_sync.adopted AS a
    WHERE a.externalId IS NOT NULL
    GROUP BY a.externalId
    HAVING COUNT(*) > 1
) AS g ON g.externalId = a.externalId
SET a.refused = 'ambiguous_match', a.held = CONCAT('a_primary_key ', g.ids)
WHERE a.refused IS NULL;

-- pass: apply

-- name: update
UPDATE ispyb_sync.adopted AS a
STRAIGHT_JOIN a_table AS t ON t.a_primary_key = a.target_id
SET t.externalId = a.externalId
WHERE a.refused IS NULL AND t.externalId IS NULL AND t.a_key = a.number;

-- pass: history

-- name: record_changes
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    %(run)s,
    'an_entity',
    ROW_NUMBER() OVER (ORDER BY a.target_id),
    a.target_id,
    NULL,
    'update',
    'a_field',
    a.number,
    NULL,
    CONCAT('{"externalId": ', JSON_ARRAY(NULL, HEX(a.externalId)), '}')
FROM ispyb_sync.adopted AS a
WHERE a.refused IS NULL;

-- pass: report

-- name: counts
SELECT COUNT(*) AS staged, NVL(SUM(a.refused IS NULL), 0) AS updated, NVL(SUM(a.refused IS NOT NULL), 0) AS refused
FROM ispyb_sync.adopted AS a;

-- name: refusals
SELECT a.target_id, a.refused, a.number, a.held
FROM ispyb_sync.adopted AS a
WHERE a.refused IS NOT NULL
ORDER BY a.target_id;
