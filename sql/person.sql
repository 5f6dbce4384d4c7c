-- person: people named anywhere in a document.
--
-- target    Person
-- stage     stage_person, map_person, claim_person
-- after     laboratory
-- matches   externalId, then login, then siteId
-- refuses   ambiguous_match, duplicate_key, key_taken, keys_disagree
-- never     deletes a person, or writes personUUID, passwd, cache or a NULL over a key

-- pass: create

-- name: create_stage
CREATE TEMPORARY TABLE ispyb_sync.stage_person (
    row_id INT UNSIGNED NOT NULL DEFAULT 0 PRIMARY KEY,
    position INT UNSIGNED NOT NULL DEFAULT 0,
    document INT UNSIGNED NOT NULL DEFAULT 0,
    path VARCHAR(255) CHARACTER SET ascii NOT NULL DEFAULT '',
    refused VARCHAR(24) CHARACTER SET ascii NULL,
    contradicts VARCHAR(32) CHARACTER SET ascii NULL,
    clears VARCHAR(500) CHARACTER SET ascii NOT NULL DEFAULT '',
    conflicting BOOLEAN NOT NULL DEFAULT FALSE,
    laboratory_row INT UNSIGNED NULL
) ENGINE = InnoDB
SELECT
    t.a_column AS a_field, -- for: live
    CAST(NULL AS CHAR(255)) AS a_field, -- for: absent
    0 AS row_id
FROM (SELECT 1) AS nothing
LEFT JOIN Person AS t ON FALSE
WHERE FALSE;

-- name: create_map
CREATE TEMPORARY TABLE ispyb_sync.map_person (
    row_id INT UNSIGNED NOT NULL PRIMARY KEY,
    thing INT UNSIGNED NOT NULL,
    target_id INT UNSIGNED NULL,
    matched_by VARCHAR(32) NULL,
    action ENUM('insert', 'update') NULL,
    refused VARCHAR(24) NULL,
    field VARCHAR(32) NULL,
    value TEXT NULL,
    held TEXT NULL,
    changes LONGTEXT NULL,
    KEY (thing),
    KEY (target_id, thing)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- name: create_claim
CREATE TEMPORARY TABLE ispyb_sync.claim_person (
    row_id INT UNSIGNED NOT NULL,
    field VARCHAR(32) NOT NULL,
    holder_id INT UNSIGNED NOT NULL,
    holder_row INT UNSIGNED NULL,
    value TEXT NULL,
    PRIMARY KEY (row_id, field, holder_id),
    KEY (holder_row)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- pass: match

-- name: open_map
-- Every staged row starts as a thing of its own, and finds its row by externalId, which is unique, at once.
-- What Python could not stage whole is refused from the start.
INSERT INTO ispyb_sync.map_person (row_id, thing, refused, target_id, matched_by)
SELECT
    s.row_id,
    s.row_id,
    s.refused,
    IF(s.refused IS NULL, t.personId, NULL),
    IF(t.personId IS NULL, NULL, 'externalId')
FROM ispyb_sync.stage_person AS s
LEFT JOIN Person AS t ON t.externalId = s.externalId;

-- rounds: begin

-- name: join_external_id -- if: several, given(externalId) -- finds: joined
-- Mentions that share a key are one person. The joins run in rounds, until a round joins nothing more.
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT s.externalId, MIN(m.thing) AS first
    FROM ispyb_sync.map_person AS m
    INNER JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
    WHERE s.externalId IS NOT NULL AND m.refused IS NULL
    GROUP BY s.externalId
    HAVING MIN(m.thing) < MAX(m.thing)
) AS g ON g.externalId = s.externalId
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- name: join_login -- if: several, given(login) -- finds: joined
-- {login} in one place and {login, externalId} in another are one person.
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT s.login, MIN(m.thing) AS first
    FROM ispyb_sync.map_person AS m
    INNER JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
    WHERE s.login IS NOT NULL AND m.refused IS NULL
    GROUP BY s.login
    HAVING MIN(m.thing) < MAX(m.thing)
) AS g ON g.login = s.login
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- name: join_site_id -- if: several, given(siteId) -- finds: joined
-- The deprecated key counts only where the document gives it.
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT s.siteId, MIN(m.thing) AS first
    FROM ispyb_sync.map_person AS m
    INNER JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
    WHERE s.siteId IS NOT NULL AND m.refused IS NULL
    GROUP BY s.siteId
    HAVING MIN(m.thing) < MAX(m.thing)
) AS g ON g.siteId = s.siteId
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- rounds: end

-- name: refuse_duplicate_key -- if: joined -- finds: duplicates
-- Mentions that are joined and contradict each other: two logins under one externalId, or the other way round.
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN (
    SELECT
        m.thing,
        CASE
            WHEN MIN(s.externalId) < MAX(s.externalId) AND COUNT(DISTINCT s.login) = 1 THEN 'login'
            WHEN MIN(s.externalId) < MAX(s.externalId) AND COUNT(DISTINCT s.siteId) = 1 THEN 'siteId'
            WHEN MIN(s.externalId) < MAX(s.externalId) THEN 'externalId'
            WHEN MIN(s.login) < MAX(s.login) AND COUNT(DISTINCT s.externalId) = 1 THEN 'externalId'
            WHEN MIN(s.login) < MAX(s.login) AND COUNT(DISTINCT s.siteId) = 1 THEN 'siteId'
            WHEN MIN(s.login) < MAX(s.login) THEN 'login'
            WHEN MIN(s.siteId) < MAX(s.siteId) AND COUNT(DISTINCT s.externalId) = 1 THEN 'externalId'
            WHEN MIN(s.siteId) < MAX(s.siteId) THEN 'login'
        END AS field,
        CONCAT('documents ', GROUP_CONCAT(DISTINCT s.document ORDER BY s.document SEPARATOR ', ')) AS held
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_person AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_person AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
    GROUP BY m.thing
    HAVING field IS NOT NULL
) AS g ON g.thing = m.thing
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
SET
    m.refused = 'duplicate_key',
    m.field = g.field,
    m.value = CASE g.field
        WHEN 'externalId' THEN HEX(s.externalId)
        WHEN 'login' THEN CONVERT(s.login USING utf8mb4)
        WHEN 'siteId' THEN CONVERT(s.siteId USING utf8mb4)
    END,
    m.held = g.held
WHERE m.refused IS NULL;

-- name: split_duplicates -- if: duplicates
-- Refused together, but counted and reported as the different things they are.
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN (
    SELECT
        m.row_id,
        MIN(m.row_id) OVER (PARTITION BY s.externalId, s.login, s.siteId) AS first
    FROM ispyb_sync.map_person AS m
    INNER JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
    WHERE m.refused = 'duplicate_key'
) AS g ON g.row_id = m.row_id
SET m.thing = g.first;

-- name: refuse_ambiguous_mention -- if: duplicates
-- A mention by login alone cannot say which of the things that share it is meant.
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT s.login
    FROM ispyb_sync.map_person AS m
    INNER JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
    WHERE m.refused = 'duplicate_key'
    GROUP BY s.login
    HAVING MIN(s.externalId) < MAX(s.externalId)
) AS g ON g.login <=> s.login
SET m.refused = 'ambiguous_match', m.field = 'login', m.value = s.login
WHERE m.refused = 'duplicate_key' AND s.externalId IS NULL AND s.login IS NOT NULL;

-- name: unite_keys -- if: joined
-- The first row of a thing carries all its keys from here on.
UPDATE ispyb_sync.stage_person AS s
STRAIGHT_JOIN (
    SELECT
        m.thing,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.externalId)), 11) AS externalId,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.siteId)), 11) AS siteId,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.login)), 11) AS login,
        NVL(GROUP_CONCAT(DISTINCT NULLIF(s.clears, '')), '') AS clears
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_person AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_person AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
    GROUP BY m.thing
) AS u ON u.thing = s.row_id
SET
    s.externalId = NVL(s.externalId, u.externalId),
    s.siteId = NVL(s.siteId, u.siteId),
    s.login = NVL(s.login, u.login),
    s.clears = u.clears;

-- name: match_external_id -- if: given(externalId), joined | inserted -- again: inserted
INSERT INTO ispyb_sync.map_person (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.personId), NULL),
    'externalId',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'externalId',
    HEX(s.externalId),
    IF(COUNT(*) = 1, NULL, CONCAT('personId ', MIN(t.personId), ' to ', MAX(t.personId)))
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Person AS t ON t.externalId = s.externalId
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
GROUP BY m.row_id
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    matched_by = VALUES(matched_by),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: keep_login -- if: given(clears)
-- A null gives a login up, but only of somebody who is found by externalId, an earlier key.
UPDATE ispyb_sync.stage_person AS s
STRAIGHT_JOIN ispyb_sync.map_person AS m ON m.row_id = s.row_id
STRAIGHT_JOIN ispyb_sync.map_person AS whole ON whole.row_id = m.thing
SET s.clears = TRIM(BOTH ',' FROM REPLACE(CONCAT(',', s.clears, ','), ',login,', ','))
WHERE whole.target_id IS NULL;

-- name: match_login -- if: given(login) -- again: inserted
-- People typed in by hand have a login and no externalId yet. A login that carries a different externalId is
-- somebody else, unless that person gives the login up in this run: claim_login decides.
INSERT INTO ispyb_sync.map_person (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.personId), NULL),
    'login',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'login',
    s.login,
    IF(COUNT(*) = 1, NULL, CONCAT('personId ', MIN(t.personId), ' to ', MAX(t.personId)))
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Person AS t ON t.login = s.login
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
GROUP BY m.row_id
HAVING COUNT(*) > 1 OR NVL(SUM(t.externalId <> s.externalId), 0) = 0
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    matched_by = VALUES(matched_by),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: recount_login -- if: several, given(login)
-- Of several rows of one login, those that get another one in this run do not count; claim_login lets this one fall
-- with them. Only who is found by externalId can give a login up.
INSERT INTO ispyb_sync.map_person (row_id, thing, target_id, matched_by)
SELECT
    m.row_id,
    m.thing,
    MIN(IF(giver.row_id IS NULL AND NOT NVL(t.externalId <> s.externalId, FALSE), t.personId, NULL)),
    'login'
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Person AS t ON t.login = s.login
LEFT JOIN (
    ispyb_sync.map_person AS giver
    INNER JOIN ispyb_sync.stage_person AS given ON given.row_id = giver.row_id
) ON giver.target_id = t.personId AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND NVL(given.login <> t.login, FIND_IN_SET('login', given.clears))
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused = 'ambiguous_match' AND m.matched_by = 'login'
GROUP BY m.row_id
HAVING SUM(giver.row_id IS NULL) < 2
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: keep_site_id -- if: given(clears)
-- The same of a siteId, of somebody who is found by externalId or login.
UPDATE ispyb_sync.stage_person AS s
STRAIGHT_JOIN ispyb_sync.map_person AS m ON m.row_id = s.row_id
STRAIGHT_JOIN ispyb_sync.map_person AS whole ON whole.row_id = m.thing
SET s.clears = TRIM(BOTH ',' FROM REPLACE(CONCAT(',', s.clears, ','), ',siteId,', ','))
WHERE whole.target_id IS NULL;

-- name: match_site_id -- if: given(siteId) -- again: inserted
INSERT INTO ispyb_sync.map_person (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.personId), NULL),
    'siteId',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'siteId',
    s.siteId,
    IF(COUNT(*) = 1, NULL, CONCAT('personId ', MIN(t.personId), ' to ', MAX(t.personId)))
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Person AS t ON t.siteId = s.siteId
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
GROUP BY m.row_id
HAVING COUNT(*) > 1 OR NVL(SUM(
    NVL(t.login <> s.login, FALSE) OR -- if: login
    t.externalId <> s.externalId
), 0) = 0
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    matched_by = VALUES(matched_by),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: recount_site_id -- if: several, given(siteId)
-- The same of the deprecated key.
INSERT INTO ispyb_sync.map_person (row_id, thing, target_id, matched_by)
SELECT
    m.row_id,
    m.thing,
    MIN(IF(
        giver.row_id IS NULL
        AND NOT NVL(t.login <> s.login, FALSE) -- if: login
        AND NOT NVL(t.externalId <> s.externalId, FALSE),
        t.personId,
        NULL
    )),
    'siteId'
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Person AS t ON t.siteId = s.siteId
LEFT JOIN (
    ispyb_sync.map_person AS giver
    INNER JOIN ispyb_sync.stage_person AS given ON given.row_id = giver.row_id
) ON giver.target_id = t.personId AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND NVL(given.siteId <> t.siteId, FIND_IN_SET('siteId', given.clears))
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused = 'ambiguous_match' AND m.matched_by = 'siteId'
GROUP BY m.row_id
HAVING SUM(giver.row_id IS NULL) < 2
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- pass: settle

-- name: probe_same_target -- if: several -- finds: same_target
-- Whether several things found one row.
SELECT m.target_id
FROM ispyb_sync.map_person AS m
WHERE m.target_id IS NOT NULL
GROUP BY m.target_id
HAVING MIN(m.thing) < MAX(m.thing)
LIMIT 1;

-- name: refuse_same_target -- if: same_target
-- Two things of the export that are one row of ISPyB, and disagree about its keys.
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN (
    SELECT m.target_id
    FROM (
        SELECT m.target_id
        FROM ispyb_sync.map_person AS m
        WHERE m.target_id IS NOT NULL
        GROUP BY m.target_id
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_person AS m ON m.target_id = several.target_id
    STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
    WHERE m.thing = m.row_id AND m.refused IS NULL
    GROUP BY m.target_id
    HAVING
        COUNT(*) > 1
        AND (MIN(s.externalId) < MAX(s.externalId)
        OR MIN(s.login) < MAX(s.login)
        OR MIN(s.siteId) < MAX(s.siteId)
        )
) AS g ON g.target_id = m.target_id
SET m.refused = 'duplicate_key', m.field = m.matched_by, m.held = CONCAT('personId ', m.target_id)
WHERE m.thing = m.row_id AND m.refused IS NULL;

-- name: join_target -- if: same_target -- finds: joined
-- Two things of the export that turn out to be one row, and agree, are one.
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.map_person AS t ON t.row_id = m.thing
STRAIGHT_JOIN (
    SELECT m.target_id, MIN(IF(m.refused IS NULL AND m.thing = m.row_id, m.row_id, NULL)) AS first
    FROM (
        SELECT m.target_id
        FROM ispyb_sync.map_person AS m
        WHERE m.target_id IS NOT NULL
        GROUP BY m.target_id
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_person AS m ON m.target_id = several.target_id
    GROUP BY m.target_id
) AS g ON g.target_id = t.target_id
SET m.thing = g.first
WHERE t.refused IS NULL AND m.refused IS NULL AND g.first IS NOT NULL;

-- name: unite -- if: joined
-- The copies of a thing become one row: per column the last in file order that gives a value. The position in
-- front of the value makes MAX() choose it.
REPLACE INTO ispyb_sync.stage_person (
    a_field, -- for: live | absent
    row_id, position, document, path, contradicts, clears, conflicting, laboratory_row
)
SELECT
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.a_field + 0e0)), 11), -- for: float
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.a_field)), 11), -- for: live | absent
    m.thing,
    MAX(s.position),
    MIN(s.document),
    SUBSTRING(MIN(CONCAT(LPAD(s.row_id, 10, '0'), s.path)), 11),
    MAX(s.contradicts),
    NVL(GROUP_CONCAT(DISTINCT NULLIF(s.clears, '')), ''),
    MAX(s.conflicting)
    OR COUNT(DISTINCT BINARY s.a_field) > 1 -- for: text | bytes
    OR COUNT(DISTINCT s.a_field) > 1 -- for: live | absent
    OR COUNT(DISTINCT laboratory.thing) > 1,
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), laboratory.thing)), 11)
FROM (
    SELECT DISTINCT m.thing FROM ispyb_sync.map_person AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
) AS several
STRAIGHT_JOIN ispyb_sync.map_person AS m ON m.thing = several.thing
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_laboratory AS laboratory ON laboratory.row_id = s.laboratory_row
GROUP BY m.thing;

-- name: refuse_missing -- if: any(required)
-- A new row without a value that the table demands; the words are the server's.
INSERT INTO ispyb_sync.map_person (row_id, thing, refused, field, held)
SELECT
    m.row_id,
    m.thing,
    'refused_by_database',
    CASE
        WHEN s.a_field IS NULL THEN 'a_field' -- for: required
        WHEN FALSE THEN NULL
    END AS missing,
    CASE
        WHEN s.a_field IS NULL THEN 'Column ''a_column'' cannot be null' -- for: required
        WHEN FALSE THEN NULL
    END
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
HAVING missing IS NOT NULL
ON DUPLICATE KEY UPDATE refused = VALUES(refused), field = VALUES(field), held = VALUES(held);

-- name: refuse_contradicted -- if: given(contradicts)
-- A value that does not fit is left out; but a new row would get the column's default, which says something else.
INSERT INTO ispyb_sync.map_person (row_id, thing, refused)
SELECT m.row_id, m.thing, 'value_not_allowed'
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL AND (
    s.contradicts = 'a_field' AND s.a_field IS NULL OR -- for: default
    FALSE
)
ON DUPLICATE KEY UPDATE refused = VALUES(refused);

-- name: claim_login -- if: given(login) -- finds: claims
-- Logins to be written, or found in several rows, that another row of ISPyB holds now; and the thing of this run, if
-- any, that gives it up.
INSERT INTO ispyb_sync.claim_person (row_id, field, holder_id, holder_row, value)
SELECT m.row_id, 'login', h.personId, MIN(giver.row_id), s.login
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
LEFT JOIN Person AS t ON t.personId = m.target_id
STRAIGHT_JOIN Person AS h ON h.login = s.login
LEFT JOIN (
    ispyb_sync.map_person AS giver
    INNER JOIN ispyb_sync.stage_person AS given ON given.row_id = giver.row_id
) ON giver.target_id = h.personId AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND NVL(given.login <> h.login, FIND_IN_SET('login', given.clears))
WHERE
    m.thing = m.row_id
    AND m.refused IS NULL
    AND NOT h.personId <=> m.target_id
    AND (
        t.personId IS NULL
        OR NOT t.login <=> s.login
        OR EXISTS (SELECT 1 FROM ispyb_sync.map_person AS part WHERE part.thing = m.row_id AND part.matched_by = 'login')
    )
GROUP BY m.row_id, h.personId;

-- name: claim_site_id -- if: given(siteId) -- finds: claims
INSERT INTO ispyb_sync.claim_person (row_id, field, holder_id, holder_row, value)
SELECT m.row_id, 'siteId', h.personId, MIN(giver.row_id), s.siteId
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
LEFT JOIN Person AS t ON t.personId = m.target_id
STRAIGHT_JOIN Person AS h ON h.siteId = s.siteId
LEFT JOIN (
    ispyb_sync.map_person AS giver
    INNER JOIN ispyb_sync.stage_person AS given ON given.row_id = giver.row_id
) ON giver.target_id = h.personId AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND NVL(given.siteId <> h.siteId, FIND_IN_SET('siteId', given.clears))
WHERE
    m.thing = m.row_id
    AND m.refused IS NULL
    AND NOT h.personId <=> m.target_id
    AND (
        t.personId IS NULL
        OR NOT t.siteId <=> s.siteId
        OR EXISTS (SELECT 1 FROM ispyb_sync.map_person AS part WHERE part.thing = m.row_id AND part.matched_by = 'siteId')
    )
GROUP BY m.row_id, h.personId;

-- name: refuse_taken -- if: claims
-- A claim falls when nobody in this run gives the value up, or when the one who would falls itself; what is
-- left are swaps and rotations, in which everyone gets what it asks for.
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN (
    WITH RECURSIVE fallen AS (
        SELECT c.row_id, c.field, 0 AS drawn_along FROM ispyb_sync.claim_person AS c WHERE c.holder_row IS NULL
        UNION
        SELECT c.row_id, c.field, 1
        FROM ispyb_sync.claim_person AS c INNER JOIN fallen ON fallen.row_id = c.holder_row
    )
    SELECT fallen.row_id, SUBSTRING(MIN(CONCAT(fallen.drawn_along, fallen.field)), 2) AS field
    FROM fallen
    GROUP BY fallen.row_id
) AS f ON f.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.claim_person AS c ON c.row_id = m.row_id AND c.field = f.field
SET
    m.refused = CASE
        WHEN m.target_id IS NULL THEN 'keys_disagree'
        WHEN m.matched_by = c.field THEN 'ambiguous_match'
        ELSE 'key_taken'
    END,
    m.field = c.field,
    m.value = c.value,
    m.held = CONCAT('personId ', CONCAT_WS(' and ', IF(m.matched_by = c.field, m.target_id, NULL), c.holder_id));

-- name: share -- if: joined -- again: inserted
-- The other rows of a thing share what was found for it: children may name any of them.
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.map_person AS t ON t.row_id = m.thing
SET m.target_id = t.target_id, m.refused = NVL(m.refused, t.refused), m.action = t.action
WHERE m.thing <> m.row_id;

-- pass: compare

-- name: decide
UPDATE ispyb_sync.map_person AS m
SET m.action = 'insert'
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL;

-- name: compare
-- Bytes decide, not the collation: a changed accent is a change. A laboratory that is new has no id yet.
-- Of several laboratories of one name, a person keeps the one it has.
INSERT INTO ispyb_sync.map_person (row_id, thing, action, changes)
SELECT
    m.row_id,
    m.thing,
    'update',
    CONCAT('{', NULLIF(CONCAT_WS(
        ', ',
        IF(t.a_column <=> NVL(s.a_field, t.a_column), NULL, -- for: portal, bytes
            CONCAT('"a_field": ', JSON_ARRAY(HEX(t.a_column), HEX(s.a_field)))), -- for: portal, bytes
        IF(BINARY t.a_column <=> BINARY NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), NULL, -- for: portal, text
            CONCAT('"a_field": ', JSON_ARRAY(CONVERT(t.a_column USING utf8mb4), CONVERT(s.a_field USING utf8mb4)))), -- for: portal, text
        IF(t.a_column <=> NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), NULL, -- for: portal, float
            CONCAT('"a_field": ', JSON_ARRAY(t.a_column + 0e0, s.a_field + 0e0))), -- for: portal, float
        IF(t.a_column <=> NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), NULL, -- for: portal
            CONCAT('"a_field": ', JSON_ARRAY(t.a_column, s.a_field))), -- for: portal
        IF(
            t.laboratoryId <=> CASE
                WHEN own.laboratoryId IS NOT NULL OR laboratory.refused IS NOT NULL THEN t.laboratoryId
                WHEN laboratory.row_id IS NOT NULL THEN NVL(laboratory.target_id, 0)
                WHEN FIND_IN_SET('laboratory', s.clears) THEN NULL
                ELSE t.laboratoryId
            END,
            NULL,
            CONCAT('"laboratoryId": ', IF(
                laboratory.row_id IS NOT NULL AND laboratory.target_id IS NULL,
                JSON_ARRAY(t.laboratoryId, 'new'),
                JSON_ARRAY(t.laboratoryId, laboratory.target_id)
            ))
        )
    ), ''), '}') AS changes
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Person AS t ON t.personId = m.target_id
LEFT JOIN ispyb_sync.map_laboratory AS laboratory ON laboratory.row_id = s.laboratory_row
LEFT JOIN ispyb_sync.candidate_laboratory AS own
    ON own.row_id = laboratory.thing AND own.laboratoryId = t.laboratoryId AND own.kept
WHERE m.thing = m.row_id AND m.refused IS NULL
HAVING changes IS NOT NULL
ON DUPLICATE KEY UPDATE action = VALUES(action), changes = VALUES(changes);

-- pass: apply

-- name: release_login -- if: claims, nullable(login)
-- Where logins are unique, a swap needs a moment in which the old holder has none.
UPDATE ispyb_sync.claim_person AS c
STRAIGHT_JOIN ispyb_sync.map_person AS m ON m.row_id = c.row_id
STRAIGHT_JOIN Person AS t ON t.personId = c.holder_id
SET t.login = NULL
WHERE c.field = 'login' AND m.refused IS NULL;

-- name: update -- does: update
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Person AS t ON t.personId = m.target_id
LEFT JOIN ispyb_sync.map_laboratory AS laboratory ON laboratory.row_id = s.laboratory_row
LEFT JOIN ispyb_sync.candidate_laboratory AS own
    ON own.row_id = laboratory.thing AND own.laboratoryId = t.laboratoryId AND own.kept
SET
    t.laboratoryId = CASE
        WHEN own.laboratoryId IS NOT NULL OR laboratory.refused IS NOT NULL THEN t.laboratoryId
        WHEN laboratory.row_id IS NOT NULL THEN laboratory.target_id
        WHEN FIND_IN_SET('laboratory', s.clears) THEN NULL
        ELSE t.laboratoryId
    END,
    t.a_column = NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), -- for: portal, not bytes
    t.externalId = NVL(s.externalId, t.externalId)
WHERE
    m.row_id BETWEEN @first_row AND @last_row AND -- if: part
    m.action = 'update';

-- name: insert -- does: insert
INSERT INTO Person (
    a_column, -- for: live
    laboratoryId
)
SELECT
    IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))), -- for: default
    s.a_field, -- for: live
    IF(laboratory.refused IS NULL, laboratory.target_id, NULL)
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_laboratory AS laboratory ON laboratory.row_id = s.laboratory_row
WHERE
    m.row_id BETWEEN @first_row AND @last_row AND -- if: part
    m.action = 'insert'
ORDER BY m.row_id;

-- pass: history

-- name: record_changes
-- Of an insert all values, of an update the old and the new ones. Where compare said "new", the laboratory has its id by
-- now; in a plan it has none.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    @run,
    'person',
    m.row_id,
    m.target_id,
    NULL,
    m.action,
    IF(m.action = 'update', m.matched_by, NULL),
    COALESCE(CONVERT(s.login USING utf8mb4), CONVERT(s.siteId USING utf8mb4), HEX(s.externalId)),
    COALESCE(NULLIF(CONCAT_WS('-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    CASE
        WHEN m.action = 'insert' THEN JSON_OBJECT(
            'laboratoryId', IF(laboratory.refused IS NULL, NVL(laboratory.target_id, IF(laboratory.row_id IS NULL, NULL, 'new')), NULL),
            'a_field', CONVERT(IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))) USING utf8mb4), -- for: default, text
            'a_field', IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))) + 0e0, -- for: default, float
            'a_field', IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))), -- for: default, not bytes
            'a_field', CONVERT(s.a_field USING utf8mb4), -- for: text
            'a_field', s.a_field + 0e0, -- for: float
            'a_field', s.a_field, -- for: live, not bytes
            'externalId', HEX(s.externalId)
        )
        WHEN laboratory.action = 'insert' AND laboratory.target_id IS NOT NULL THEN REGEXP_REPLACE(m.changes, '("laboratoryId": \\[[^,]*, )"new"', CONCAT('\\1', laboratory.target_id))
        ELSE m.changes
    END
FROM ispyb_sync.map_person AS m
INNER JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
LEFT JOIN ispyb_sync.map_laboratory AS laboratory ON laboratory.row_id = s.laboratory_row
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- pass: digest

-- name: digest_rows
-- What the portal may own of each person, the laboratory included, and how many have the same keys.
REPLACE INTO ispyb_sync.digest_person (personId, digest)
SELECT
    t.personId,
    CONV(LEFT(MD5(CONCAT_WS(
        ',',
        t.personId,
        NVL(laboratory.digest, 0),
        (SELECT COUNT(*) FROM Person AS n WHERE n.login = t.login), -- if: login
        (SELECT COUNT(*) FROM Person AS n WHERE n.siteId = t.siteId), -- if: siteId
        QUOTE(CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
        QUOTE(t.a_column), -- for: portal
        QUOTE(t.laboratoryId)
    )), 16), 16, 10)
FROM Person AS t
LEFT JOIN ispyb_sync.digest_laboratory AS laboratory ON laboratory.laboratoryId = t.laboratoryId;

-- pass: report

-- name: unplaced -- again: inserted -- counts: overtaken
-- An inserted row that is not found again was changed by somebody else in between: the run starts anew.
SELECT COUNT(*) FROM ispyb_sync.map_person AS m WHERE m.action = 'insert' AND (m.target_id IS NULL OR m.refused IS NOT NULL);

-- name: rivals -- if: login -- again: inserted -- counts: overtaken
-- A login is not unique everywhere. A row that another writer has not committed yet is waited for.
SELECT COUNT(*)
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Person AS t ON t.login = s.login
WHERE m.action = 'insert' AND m.thing = m.row_id AND t.personId <> m.target_id
LOCK IN SHARE MODE;

-- name: contradicted -- if: given(contradicts)
-- What refuse_contradicted has refused: the document, and the path of the value.
SELECT s.document, CONCAT(s.path, '.', s.contradicts) AS path
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
WHERE m.refused = 'value_not_allowed' AND s.refused IS NULL AND s.contradicts IS NOT NULL;

-- name: counts
SELECT
    COUNT(*) AS staged,
    NVL(SUM(m.action = 'insert'), 0) AS inserted,
    NVL(SUM(m.action = 'update'), 0) AS updated,
    NVL(SUM(m.refused IS NOT NULL), 0) AS refused
FROM ispyb_sync.map_person AS m
WHERE m.thing = m.row_id;

-- name: conflicting_copies -- if: joined
SELECT COUNT(*) FROM ispyb_sync.stage_person AS s WHERE s.conflicting;

-- name: refusals
-- Rows that Python refused are already reported, with the value that did not fit.
SELECT
    m.refused,
    m.field,
    m.value,
    m.held,
    s.document,
    COALESCE(NULLIF(CONCAT_WS('-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)) AS proposal,
    s.path
FROM ispyb_sync.map_person AS m
INNER JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE m.refused IS NOT NULL AND m.field IS NOT NULL AND s.refused IS NULL
ORDER BY m.row_id;

-- name: field_refusals
-- The person is written; only the laboratory, refused itself, is left as it was.
SELECT
    'parent_refused' AS refused,
    'laboratory' AS field,
    NULL AS value,
    NULL AS held,
    s.document,
    COALESCE(NULLIF(CONCAT_WS('-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)) AS proposal,
    CONCAT(s.path, '.laboratory') AS path
FROM ispyb_sync.map_person AS m
INNER JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.map_laboratory AS laboratory ON laboratory.row_id = s.laboratory_row
WHERE m.thing = m.row_id AND m.refused IS NULL AND laboratory.refused IS NOT NULL
ORDER BY m.row_id;
