-- every_entity: what is the same for several entities, written once.
--
-- An entity's own file says which of these statements it takes, and where they run:
-- `-- name: join_login -- as: join_key(login)`. There its name stands for an_entity, its table for a_table, its key for
-- a_key; README.md has all stand-ins.

-- pass: create

-- name: create_stage
-- A date that only a new row gets is staged as it was sent: ISPyB's TIMESTAMP has no hour that summer time skips.
-- `clears` is as long as group_concat_max_len is for a run; a TEXT makes an initial load a fifth slower.
CREATE TEMPORARY TABLE ispyb_sync.stage_an_entity (
    row_id INT UNSIGNED NOT NULL DEFAULT 0 PRIMARY KEY,
    position INT UNSIGNED NOT NULL DEFAULT 0,
    document INT UNSIGNED NOT NULL DEFAULT 0,
    path VARCHAR(255) CHARACTER SET ascii NOT NULL DEFAULT '',
    refused VARCHAR(24) CHARACTER SET ascii NULL,
    contradicts VARCHAR(32) CHARACTER SET ascii NULL,
    unfit BOOLEAN NULL,
    clears VARCHAR(4096) CHARACTER SET ascii NOT NULL DEFAULT '',
    a_field INT UNSIGNED NULL, -- for: staged
    conflicting BOOLEAN NOT NULL DEFAULT FALSE
) ENGINE = InnoDB
SELECT
    CAST(NULL AS DATETIME) AS a_field, -- for: initial, date
    t.a_column AS a_field, -- for: live | left
    CAST(NULL AS CHAR(255)) AS a_field, -- for: absent
    0 AS row_id
FROM (SELECT 1) AS nothing
LEFT JOIN a_table AS t ON FALSE
WHERE FALSE;

-- name: create_map
-- Links are many: keys on their map would cost more than they save.
CREATE TEMPORARY TABLE ispyb_sync.map_an_entity (
    row_id INT UNSIGNED NOT NULL,
    thing INT UNSIGNED NOT NULL,
    a_parent INT UNSIGNED NOT NULL DEFAULT 0, -- for: owner
    target_id INT UNSIGNED NULL,
    matched_by VARCHAR(32) NULL,
    action ENUM('insert', 'update') NULL,
    refused VARCHAR(24) NULL,
    field VARCHAR(32) NULL,
    value TEXT NULL,
    held TEXT NULL,
    changes LONGTEXT NULL,
    unsettled BOOLEAN NOT NULL DEFAULT FALSE,
    KEY (thing), -- if: not link
    KEY (target_id, thing), -- if: not link
    PRIMARY KEY (row_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- name: create_claim
CREATE TEMPORARY TABLE ispyb_sync.claim_an_entity (
    row_id INT UNSIGNED NOT NULL,
    field VARCHAR(32) NOT NULL,
    holder_id INT UNSIGNED NOT NULL,
    holder_row INT UNSIGNED NULL,
    value TEXT NULL,
    PRIMARY KEY (row_id, field, holder_id),
    KEY (holder_row)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- name: create_list
-- Lists of persons that documents give, where ISPyB may link more people than they name.
CREATE TEMPORARY TABLE ispyb_sync.list_an_entity (
    an_owner INT UNSIGNED NOT NULL PRIMARY KEY,
    target_id INT UNSIGNED NOT NULL,
    refused BOOLEAN NOT NULL DEFAULT FALSE
) ENGINE = InnoDB;

-- name: create_stale
-- Links that no document names any more; those that are doomed will be deleted.
CREATE TEMPORARY TABLE ispyb_sync.stale_an_entity (
    number INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    target_id INT UNSIGNED NOT NULL,
    an_owner INT UNSIGNED NOT NULL,
    person_id INT UNSIGNED NOT NULL,
    owned BOOLEAN NOT NULL DEFAULT FALSE,
    doomed BOOLEAN NOT NULL DEFAULT FALSE,
    row_key TEXT NULL,
    fields LONGTEXT NULL,
    UNIQUE KEY (target_id, person_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- pass: match

-- name: open_map
-- Every staged row starts as a thing of its own, and finds its row by externalId, which is unique, at once.
-- What Python could not stage whole is refused from the start.
INSERT INTO ispyb_sync.map_an_entity (row_id, thing, refused, target_id, matched_by)
SELECT
    s.row_id,
    s.row_id,
    s.refused,
    IF(s.refused IS NULL, t.a_primary_key, NULL),
    IF(t.a_primary_key IS NULL, NULL, 'externalId')
FROM ispyb_sync.stage_an_entity AS s
LEFT JOIN a_table AS t ON t.externalId = s.externalId;

-- name: join_key -- if: given(a_key) -- finds: joined
-- Mentions that share a key are one thing, of a key within a proposal those of that proposal. Where there are several
-- such keys, the joins run in rounds, until a round joins nothing more.
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT
        m.a_scope, -- if: within
        s.a_key,
        MIN(m.thing) AS first
    FROM ispyb_sync.map_an_entity AS m
    INNER JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
    WHERE s.a_key IS NOT NULL AND m.refused IS NULL
    GROUP BY
        m.a_scope, -- if: within
        s.a_key
    HAVING MIN(m.thing) < MAX(m.thing)
) AS g
    ON g.a_key = s.a_key
    AND g.a_scope = m.a_scope -- if: within
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- name: join_pair -- if: several -- finds: joined
-- The same person named twice is one link.
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN (
    SELECT m.an_owner, m.person, MIN(m.row_id) AS first
    FROM ispyb_sync.map_an_entity AS m
    WHERE m.refused IS NULL
    GROUP BY m.an_owner, m.person
    HAVING COUNT(*) > 1
) AS g ON g.an_owner = m.an_owner AND g.person = m.person
SET m.thing = g.first, m.action = NULL
WHERE m.thing > g.first AND m.refused IS NULL;

-- name: split_duplicates -- if: duplicates
-- Refused together, but counted and reported as the different things they are.
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN (
    SELECT
        m.row_id,
        MIN(m.row_id) OVER (PARTITION BY
            s.a_field, -- for: key
            m.a_parent, -- for: owner
            m.refused
        ) AS first
    FROM ispyb_sync.map_an_entity AS m
    INNER JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
    WHERE m.refused = 'duplicate_key'
) AS g ON g.row_id = m.row_id
SET m.thing = g.first;

-- name: unite_keys -- if: joined
-- The first row of a thing carries all its keys from here on.
UPDATE ispyb_sync.stage_an_entity AS s
STRAIGHT_JOIN (
    SELECT
        m.thing,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.a_field)), 11) AS a_field, -- for: key
        NVL(GROUP_CONCAT(DISTINCT NULLIF(s.clears, '')), '') AS clears
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_an_entity AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_an_entity AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
    GROUP BY m.thing
) AS u ON u.thing = s.row_id
SET
    s.a_field = NVL(s.a_field, u.a_field), -- for: key
    s.clears = u.clears;

-- name: keep_key -- if: given(clears)
-- A null gives a key up, but only of somebody or something that gives an earlier key too: by that one it will be found.
-- Another key is kept, and that is said. United copies may say so several times: each comma is doubled, so that none of
-- them hides another.
UPDATE ispyb_sync.stage_an_entity AS s
STRAIGHT_JOIN ispyb_sync.map_an_entity AS m ON m.row_id = s.row_id
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS whole ON whole.row_id = m.thing
SET s.clears = TRIM(BOTH ',' FROM REPLACE(
    REPLACE(CONCAT(',', REPLACE(s.clears, ',', ',,'), ','), ',a_key,', ',kept,'), ',,', ','
))
WHERE
    whole.a_field IS NULL AND -- for: earlier, live
    FIND_IN_SET('a_key', s.clears);

-- name: match_key -- if: given(a_key) -- again: inserted
-- A row of this key is the one that is meant, unless an earlier key of it says something else: that one is somebody or
-- something else, or gives this key up in the same run. Several rows of one key are refused.
INSERT INTO ispyb_sync.map_an_entity (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.a_primary_key), NULL),
    'a_key',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'a_key',
    HEX(s.a_field), -- for: this, bytes
    s.a_field, -- for: this
    IF(
        COUNT(*) = 1,
        NULL,
        CONCAT(
            'a_primary_key ', MIN(t.a_primary_key), IF(COUNT(*) = 2, ' and ', ', others, and '), MAX(t.a_primary_key)
        )
    )
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_a_scope AS a_scope ON a_scope.row_id = m.a_scope -- if: within
STRAIGHT_JOIN a_table AS t
    ON t.a_column = s.a_field -- for: this
    AND t.a_scope_id = a_scope.target_id -- if: within
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
GROUP BY m.row_id
HAVING COUNT(*) > 1 OR NVL(SUM(
    NVL(t.a_column <> s.a_field, FALSE) OR -- for: earlier, live
    FALSE
), 0) = 0
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    matched_by = VALUES(matched_by),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: match_common_key -- if: given(a_key) -- again: inserted
-- The same of a key that is not unique: of a row with another earlier key it says nothing.
INSERT INTO ispyb_sync.map_an_entity (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.a_primary_key), NULL),
    'a_key',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'a_key',
    s.a_key,
    IF(
        COUNT(*) = 1,
        NULL,
        CONCAT(
            'a_primary_key ', MIN(t.a_primary_key), IF(COUNT(*) = 2, ' and ', ', others, and '), MAX(t.a_primary_key)
        )
    )
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_a_scope AS a_scope ON a_scope.row_id = m.a_scope -- if: within
STRAIGHT_JOIN a_table AS t
    ON t.a_column = s.a_field -- for: this
    AND t.a_scope_id = a_scope.target_id -- if: within
WHERE
    m.thing = m.row_id
    AND m.target_id IS NULL
    AND m.refused IS NULL
    AND (t.a_column IS NULL OR s.a_field IS NULL) -- for: earlier, live
GROUP BY m.row_id
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    matched_by = VALUES(matched_by),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: recount_key -- if: several, given(a_key) -- finds: recounted
-- Of several rows of one key, those that get another one in this run do not count; claim_key lets this one fall with
-- them. Who gives the key up is found by now.
INSERT INTO ispyb_sync.map_an_entity (row_id, thing, target_id, matched_by)
SELECT
    m.row_id,
    m.thing,
    MIN(IF(
        NOT NVL(t.a_column <> s.a_field, FALSE) AND -- for: earlier, live
        giver.row_id IS NULL,
        t.a_primary_key,
        NULL
    )),
    'a_key'
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
STRAIGHT_JOIN a_table AS t
    ON t.a_column = s.a_field -- for: this
LEFT JOIN (
    ispyb_sync.map_an_entity AS giver
    INNER JOIN ispyb_sync.stage_an_entity AS given ON given.row_id = giver.row_id
)
    ON giver.target_id = t.a_primary_key AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND NVL(given.a_field <> t.a_column, FIND_IN_SET('a_field', given.clears)) -- for: this
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused = 'ambiguous_match' AND m.matched_by = 'a_key'
GROUP BY m.row_id
HAVING SUM(giver.row_id IS NULL) < 2
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- pass: settle

-- name: probe_same_target -- finds: same_target
-- Whether several things found one row.
SELECT m.target_id
FROM ispyb_sync.map_an_entity AS m
WHERE m.target_id IS NOT NULL
GROUP BY m.target_id
HAVING MIN(m.thing) < MAX(m.thing)
LIMIT 1;

-- name: refuse_same_target -- if: same_target
-- Two things of the export that are one row of ISPyB, and disagree about its keys.
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN (
    SELECT m.target_id
    FROM (
        SELECT m.target_id
        FROM ispyb_sync.map_an_entity AS m
        WHERE m.target_id IS NOT NULL
        GROUP BY m.target_id
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_an_entity AS m ON m.target_id = several.target_id
    STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
    WHERE m.thing = m.row_id AND m.refused IS NULL
    GROUP BY m.target_id
    HAVING
        MIN(s.a_field) < MAX(s.a_field) OR -- for: key
        FALSE
) AS g ON g.target_id = m.target_id
SET m.refused = 'duplicate_key', m.field = m.matched_by, m.held = CONCAT('a_primary_key ', m.target_id)
WHERE m.thing = m.row_id AND m.refused IS NULL;

-- name: join_target -- if: same_target -- finds: joined
-- Two things of the export that turn out to be one row, and agree, are one.
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.map_an_entity AS whole ON whole.row_id = m.thing
STRAIGHT_JOIN (
    SELECT m.target_id, MIN(IF(m.refused IS NULL AND m.thing = m.row_id, m.row_id, NULL)) AS first
    FROM (
        SELECT m.target_id
        FROM ispyb_sync.map_an_entity AS m
        WHERE m.target_id IS NOT NULL
        GROUP BY m.target_id
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_an_entity AS m ON m.target_id = several.target_id
    GROUP BY m.target_id
) AS g ON g.target_id = whole.target_id
SET m.thing = g.first
WHERE whole.refused IS NULL AND m.refused IS NULL AND g.first IS NOT NULL;

-- name: unite -- if: joined
-- The copies of a thing become one row: per column the last in file order that gives a value. The position in
-- front of the value makes MAX() choose it.
REPLACE INTO ispyb_sync.stage_an_entity (
    a_field, -- for: live | absent | staged
    row_id, position, document, path, contradicts, unfit, clears, conflicting
)
SELECT
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.a_field + 0e0)), 11), -- for: float
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.a_field)), 11), -- for: live | absent
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), a_parent.thing)), 11), -- for: staged
    m.thing,
    MAX(s.position),
    MIN(s.document),
    SUBSTRING(MIN(CONCAT(LPAD(s.row_id, 10, '0'), s.path)), 11),
    MAX(s.contradicts),
    MAX(s.unfit),
    NVL(GROUP_CONCAT(DISTINCT NULLIF(s.clears, '')), ''),
    MAX(s.conflicting)
    OR COUNT(DISTINCT BINARY s.a_field) > 1 -- for: text | bytes
    OR COUNT(DISTINCT s.a_field) > 1 -- for: live | absent, not left
    OR COUNT(DISTINCT a_parent.thing) > 1 -- for: staged
    OR FALSE
FROM (
    SELECT DISTINCT m.thing FROM ispyb_sync.map_an_entity AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
) AS several
STRAIGHT_JOIN ispyb_sync.map_an_entity AS m ON m.thing = several.thing
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_a_parent AS a_parent ON a_parent.row_id = s.a_field -- for: staged
GROUP BY m.thing;

-- name: refuse_missing -- if: any(required)
-- A new row without a value that the table demands; the words are the server's.
INSERT INTO ispyb_sync.map_an_entity (row_id, thing, refused, field, held)
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
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
HAVING missing IS NOT NULL
ON DUPLICATE KEY UPDATE refused = VALUES(refused), field = VALUES(field), held = VALUES(held);

-- name: refuse_contradicted -- if: given(contradicts)
-- A value that does not fit is left out; but a new row would get the column's default, which says something else.
INSERT INTO ispyb_sync.map_an_entity (row_id, thing, refused)
SELECT m.row_id, m.thing, 'value_not_allowed'
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL AND (
    s.contradicts = 'a_field' AND s.a_field IS NULL OR -- for: default
    FALSE
)
ON DUPLICATE KEY UPDATE refused = VALUES(refused);

-- name: claim_key -- if: given(a_key) -- finds: claims
-- Keys to be written, or found in several rows, that another row of ISPyB holds now; and the thing of this run, if any,
-- that gives it up.
INSERT INTO ispyb_sync.claim_an_entity (row_id, field, holder_id, holder_row, value)
SELECT m.row_id, 'a_key', h.a_primary_key, MIN(giver.row_id), s.a_key
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
LEFT JOIN a_table AS t ON t.a_primary_key = m.target_id
STRAIGHT_JOIN a_table AS h
    ON h.a_column = s.a_field -- for: this
LEFT JOIN (
    ispyb_sync.map_an_entity AS giver
    INNER JOIN ispyb_sync.stage_an_entity AS given ON given.row_id = giver.row_id
)
    ON giver.target_id = h.a_primary_key AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND NVL(given.a_field <> h.a_column, FIND_IN_SET('a_field', given.clears)) -- for: this
WHERE
    m.thing = m.row_id
    AND m.refused IS NULL
    AND NOT h.a_primary_key <=> m.target_id
    AND (
        t.a_primary_key IS NULL
        OR NOT t.a_column <=> s.a_field -- for: this
        OR EXISTS (
            SELECT 1
            FROM ispyb_sync.map_an_entity AS part
            WHERE part.thing = m.row_id AND part.matched_by = 'a_key'
        )
    )
GROUP BY m.row_id, h.a_primary_key;

-- name: refuse_taken -- if: claims
-- A claim falls when nobody in this run gives the value up, or when the one who would falls itself; what is
-- left are swaps and rotations, in which everyone gets what it asks for. A key that is claimed beside an externalId
-- that has no row disagrees with it.
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN (
    WITH RECURSIVE fallen AS (
        SELECT c.row_id, c.field, 0 AS drawn_along FROM ispyb_sync.claim_an_entity AS c WHERE c.holder_row IS NULL
        UNION
        SELECT c.row_id, c.field, 1
        FROM ispyb_sync.claim_an_entity AS c INNER JOIN fallen ON fallen.row_id = c.holder_row
    )
    SELECT fallen.row_id, SUBSTRING(MIN(CONCAT(fallen.drawn_along, fallen.field)), 2) AS field
    FROM fallen
    GROUP BY fallen.row_id
) AS f ON f.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.claim_an_entity AS c ON c.row_id = m.row_id AND c.field = f.field
SET
    m.refused = CASE
        WHEN m.target_id IS NULL THEN 'keys_disagree' -- for: is(externalId)
        WHEN m.matched_by = c.field THEN 'ambiguous_match'
        ELSE 'key_taken'
    END,
    m.field = c.field,
    m.value = c.value,
    m.held = CONCAT('a_primary_key ', CONCAT_WS(' and ', IF(m.matched_by = c.field, m.target_id, NULL), c.holder_id));

-- name: share -- if: joined -- again: inserted
-- The other rows of a thing share what was found for it: children may name any of them.
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.map_an_entity AS whole ON whole.row_id = m.thing
SET m.target_id = whole.target_id, m.refused = NVL(m.refused, whole.refused), m.action = whole.action
WHERE m.thing <> m.row_id;

-- pass: compare

-- name: forget_changes -- if: compared
-- What was planned and written, before all is compared once more.
UPDATE ispyb_sync.map_an_entity AS m SET m.changes = NULL WHERE m.action = 'update';

-- name: decide -- if: not compared
UPDATE ispyb_sync.map_an_entity AS m
SET m.action = 'insert'
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL;

-- name: compare
-- Bytes decide, not the collation: a changed accent is a change. What a row refers to may be new, and has no id yet;
-- one that was refused leaves the row as it is.
INSERT INTO ispyb_sync.map_an_entity (row_id, thing, action, changes)
SELECT
    m.row_id,
    m.thing,
    'update',
    CONCAT('{', NULLIF(CONCAT_WS(
        ', ',
        IF( -- for: portal, bytes
            t.a_column <=> NVL(s.a_field, t.a_column), -- for: portal, bytes
            NULL, -- for: portal, bytes
            CONCAT('"a_field": ', JSON_ARRAY(HEX(t.a_column), HEX(s.a_field))) -- for: portal, bytes
        ), -- for: portal, bytes
        IF( -- for: portal, text
            BINARY t.a_column -- for: portal, text
            <=> BINARY NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), -- for: portal, text
            NULL, -- for: portal, text
            CONCAT('"a_field": ', JSON_ARRAY( -- for: portal, text
                CONVERT(t.a_column USING utf8mb4), CONVERT(s.a_field USING utf8mb4) -- for: portal, text
            )) -- for: portal, text
        ), -- for: portal, text
        IF( -- for: portal, float
            t.a_column <=> NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), -- for: portal, float
            NULL, -- for: portal, float
            CONCAT('"a_field": ', JSON_ARRAY(t.a_column + 0e0, s.a_field + 0e0)) -- for: portal, float
        ), -- for: portal, float
        IF( -- for: portal
            t.a_column <=> NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), -- for: portal
            NULL, -- for: portal
            CONCAT('"a_field": ', JSON_ARRAY(t.a_column, s.a_field)) -- for: portal
        ), -- for: portal
        IF( -- for: reference
            t.a_parent_id <=> CASE -- for: reference
                WHEN a_parent.refused IS NOT NULL THEN t.a_parent_id -- for: reference
                WHEN a_parent.row_id IS NOT NULL THEN NVL(a_parent.target_id, 0) -- for: reference
                WHEN FIND_IN_SET('a_parent', s.clears) THEN NULL -- for: reference
                ELSE t.a_parent_id -- for: reference
            END, -- for: reference
            NULL, -- for: reference
            CONCAT('"a_parent_id": ', IF( -- for: reference
                a_parent.row_id IS NOT NULL AND a_parent.target_id IS NULL, -- for: reference
                JSON_ARRAY(t.a_parent_id, 'new'), -- for: reference
                JSON_ARRAY(t.a_parent_id, a_parent.target_id) -- for: reference
            )) -- for: reference
        ), -- for: reference
        NULL
    ), ''), '}') AS changes
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
STRAIGHT_JOIN a_table AS t ON t.a_primary_key = m.target_id
LEFT JOIN ispyb_sync.map_a_parent AS a_parent ON a_parent.row_id = s.a_field -- for: reference
WHERE m.thing = m.row_id AND m.refused IS NULL
HAVING changes IS NOT NULL
ON DUPLICATE KEY UPDATE action = VALUES(action), changes = VALUES(changes);

-- pass: prune

-- name: list_named -- finds: lists
-- Somebody who was refused may be anybody, so such a list says nothing of the others. A list that found as many
-- links as ISPyB has is complete, and needs no second look. Several documents give one list together.
INSERT INTO ispyb_sync.list_an_entity (an_owner, target_id, refused)
SELECT
    g.an_owner,
    whole.target_id,
    g.refused
FROM (
    SELECT
        m.an_owner,
        MAX(m.refused IS NOT NULL) AS refused,
        SUM(m.thing = m.row_id AND m.target_id IS NOT NULL) AS found
    FROM ispyb_sync.map_an_entity AS m
    GROUP BY m.an_owner
) AS g
STRAIGHT_JOIN ispyb_sync.map_an_owner AS whole ON whole.row_id = g.an_owner
WHERE
    whole.refused IS NULL
    AND whole.target_id IS NOT NULL
    AND (g.refused OR g.found < (SELECT COUNT(*) FROM a_table AS t WHERE t.an_owner_id = whole.target_id))
ON DUPLICATE KEY UPDATE refused = VALUES(refused);

-- name: own -- if: lists
-- The tool's own links: a run inserted them, and no later one deleted them. What somebody else made anew has another
-- id, where links have one. Of purged runs the ids of links are kept; what history says since then is later.
INSERT INTO ispyb_sync.stale_an_entity (number, target_id, an_owner, person_id, owned)
SELECT
    x.number,
    x.target_id,
    x.an_owner,
    x.person_id,
    TRUE
FROM ispyb_sync.stale_an_entity AS x
LEFT JOIN ispyb_sync.made_link AS k
    ON k.entity = 'an_entity' AND k.target_id = x.target_id
    AND k.second_id = x.person_id -- if: paired
    AND k.second_id = 0 -- if: not paired
LEFT JOIN (
    ispyb_sync.change AS c
    INNER JOIN ispyb_sync.run AS r ON r.run = c.run AND NOT r.elsewhere
)
    ON c.entity = 'an_entity' AND c.target_id = x.target_id AND c.action <> 'update'
    AND c.second_id = x.person_id -- if: paired
GROUP BY x.number
HAVING
    MAX(k.target_id IS NOT NULL OR (c.action = 'insert' AND r.mode = 'apply'))
    AND MAX(IF(c.action = 'insert', c.run, 0)) = MAX(NVL(c.run, 0))
ON DUPLICATE KEY UPDATE owned = TRUE;

-- name: doom -- if: lists
-- Another document of the proposal that was refused as a whole may have named anybody.
UPDATE ispyb_sync.stale_an_entity AS x
STRAIGHT_JOIN ispyb_sync.stage_an_owner AS s ON s.row_id = x.an_owner
STRAIGHT_JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
SET x.doomed = TRUE
WHERE
    (%(prune)s = 'all' OR (%(prune)s = 'owned' AND x.owned))
    AND NOT FIND_IN_SET(
        CONVERT(CONCAT_WS('-', d.proposalCode, d.proposalNumber) USING utf8mb4),
        CONVERT(%(unread)s USING utf8mb4) COLLATE utf8mb4_bin
    );

-- pass: apply

-- name: update -- does: update
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
STRAIGHT_JOIN a_table AS t ON t.a_primary_key = m.target_id
LEFT JOIN ispyb_sync.map_a_parent AS a_parent ON a_parent.row_id = s.a_field -- for: reference
SET
    t.a_parent_id = CASE -- for: reference
        WHEN a_parent.refused IS NOT NULL THEN t.a_parent_id -- for: reference
        WHEN a_parent.row_id IS NOT NULL THEN a_parent.target_id -- for: reference
        WHEN FIND_IN_SET('a_parent', s.clears) THEN NULL -- for: reference
        ELSE t.a_parent_id -- for: reference
    END, -- for: reference
    t.a_column = NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), -- for: portal, not bytes
    t.externalId = NVL(s.externalId, t.externalId)
WHERE
    m.row_id BETWEEN %(first_row)s AND %(last_row)s AND -- if: part
    m.action = 'update';

-- name: insert -- does: insert
-- A column that is not given keeps its default; one that is set to null has none.
INSERT INTO a_table (
    a_column, -- for: live, not bytes
    a_parent_id, -- for: owner | reference
    externalId
)
SELECT
    IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))), -- for: default, not bytes
    s.a_field, -- for: live, not bytes
    a_parent.target_id, -- for: owner
    IF(a_parent.refused IS NULL, a_parent.target_id, NULL), -- for: reference
    s.externalId
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_a_parent AS a_parent ON a_parent.row_id = m.a_parent -- for: owner
LEFT JOIN ispyb_sync.map_a_parent AS a_parent ON a_parent.row_id = s.a_field -- for: reference
WHERE
    m.row_id BETWEEN %(first_row)s AND %(last_row)s AND -- if: part
    m.action = 'insert'
ORDER BY m.row_id;

-- name: prune -- does: delete
DELETE t
FROM ispyb_sync.stale_an_entity AS x
STRAIGHT_JOIN a_table AS t ON t.a_primary_key = x.target_id AND t.personId = x.person_id
WHERE x.doomed;

-- pass: history

-- name: record_pruned -- if: lists
-- The whole row, so that undo can bring it back. Its numbers follow those of the staged rows.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, row_key, proposal, fields)
SELECT
    %(run)s,
    'an_entity',
    last.row_id + x.number,
    x.target_id,
    x.person_id, -- if: paired
    NULL, -- if: not paired
    'delete',
    x.row_key,
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    x.fields
FROM (SELECT NVL(MAX(s.row_id), 0) AS row_id FROM ispyb_sync.stage_an_entity AS s) AS last
INNER JOIN ispyb_sync.stale_an_entity AS x ON x.doomed
INNER JOIN ispyb_sync.stage_an_owner AS s ON s.row_id = x.an_owner
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document;

-- pass: digest

-- name: digest
-- What the portal may own of each row of a proposal, and whose it is, with all that the portal may own of that person;
-- a link that somebody else has made counts too.
INSERT INTO ispyb_sync.digest_proposal (proposalId, digest)
SELECT
    d.proposalId,
    BIT_XOR(CONV(LEFT(SHA1(CONCAT_WS(
        ',',
        'an_entity',
        t.a_primary_key,
        NVL(person.digest, 0),
        QUOTE(CONVERT(t.a_column USING utf8mb4)), -- for: portal | key, live, text
        QUOTE(t.a_column), -- for: portal | key, live
        QUOTE(t.personId)
    )), 16), 16, 10))
FROM ispyb_sync.digest_proposal AS d
STRAIGHT_JOIN a_table AS t ON t.proposalId = d.proposalId
LEFT JOIN ispyb_sync.digest_person AS person ON person.personId = t.personId
GROUP BY d.proposalId
ON DUPLICATE KEY UPDATE digest = digest ^ VALUES(digest);

-- pass: draw

-- name: touch
-- Rows of ISPyB of which the documents that are examined change something, or say what others may say otherwise: what
-- was refused, copies that differ, values that no column of ISPyB holds, a null that keeps its key.
INSERT INTO ispyb_sync.touched_an_entity (id)
SELECT m.target_id
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
WHERE m.target_id IS NOT NULL AND (
    s.a_field IS NOT NULL OR -- for: absent
    m.action IS NOT NULL OR m.refused IS NOT NULL OR s.conflicting OR FIND_IN_SET('kept', s.clears)
)
ON DUPLICATE KEY UPDATE id = VALUES(id);

-- name: touch_key -- if: given(a_key)
-- Rows that hold a key which somebody else gives, claims or changes.
INSERT INTO ispyb_sync.touched_an_entity (id)
SELECT touched.id
FROM (
    SELECT t.a_primary_key AS id
    FROM ispyb_sync.map_an_entity AS m
    STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
    STRAIGHT_JOIN ispyb_sync.map_an_entity AS whole ON whole.row_id = m.thing
    STRAIGHT_JOIN a_table AS t
        ON t.a_column = s.a_field -- for: this
    WHERE
        whole.action IS NOT NULL
        OR whole.refused IS NOT NULL
        OR m.refused IS NOT NULL
        OR NOT t.a_primary_key <=> whole.target_id
    UNION
    SELECT whole.target_id AS id
    FROM ispyb_sync.map_an_entity AS m
    STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
    STRAIGHT_JOIN ispyb_sync.map_an_entity AS whole ON whole.row_id = m.thing
    STRAIGHT_JOIN a_table AS t
        ON t.a_column = s.a_field -- for: this
    WHERE t.a_primary_key <> whole.target_id
) AS touched
ON DUPLICATE KEY UPDATE id = VALUES(id);

-- pass: confirm

-- name: unsettle
-- What must be examined each time: what was refused; where it was compared once more, what would be changed again;
-- copies that differ, or of which one empties what another one gives; a null that keeps its key, as another document
-- may give an earlier one.
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.map_an_entity AS whole ON whole.row_id = m.thing
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.thing
SET m.unsettled = TRUE
WHERE
    FIND_IN_SET('a_field', s.clears) AND s.a_field IS NOT NULL OR -- for: portal
    FIND_IN_SET('a_parent', s.clears) AND s.a_field IS NOT NULL OR -- for: reference, staged
    whole.changes IS NOT NULL OR -- if: compared
    FIND_IN_SET('kept', s.clears) OR
    m.refused IS NOT NULL OR whole.refused IS NOT NULL OR s.conflicting;

-- name: unsettle_crowded -- if: given(a_key)
-- A key that another row has too: which one is meant, an earlier key in another document may decide.
INSERT INTO ispyb_sync.map_an_entity (row_id, thing, unsettled)
SELECT m.row_id, m.thing, TRUE
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_an_entity AS whole ON whole.row_id = m.thing
STRAIGHT_JOIN a_table AS t
    ON t.a_column = s.a_field -- for: this
WHERE NOT t.a_primary_key <=> whole.target_id
ON DUPLICATE KEY UPDATE unsettled = TRUE;

-- name: unsettle_lists -- if: lists
-- A list that no longer names somebody whom ISPyB links is told each time.
UPDATE ispyb_sync.stale_an_entity AS x
STRAIGHT_JOIN ispyb_sync.map_an_owner AS m ON m.row_id = x.an_owner
SET m.unsettled = TRUE
WHERE NOT x.doomed;

-- name: unsettle_spoilt -- if: spoilt
-- What is staged once for all documents, where one of its values was refused: that is told of the first one that names
-- it, which may be another one the next time.
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
SET m.unsettled = TRUE
WHERE FIND_IN_SET(s.document, %(documents)s);

-- pass: unsettled

-- name: unsettle_along
-- Whoever names what is unsettled is so too.
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_a_parent AS a_parent ON a_parent.row_id = s.a_field -- for: staged
SET m.unsettled = TRUE
WHERE
    a_parent.unsettled OR -- for: staged
    FALSE;

-- name: unsettled_documents
-- Documents of which something must be examined each time: see unsettle.
SELECT DISTINCT s.document
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
WHERE m.unsettled;

-- pass: report

-- name: unplaced -- again: inserted -- counts: overtaken
-- An inserted row that is not found again was changed by somebody else in between: the run starts anew.
SELECT COUNT(*)
FROM ispyb_sync.map_an_entity AS m
WHERE m.action = 'insert' AND (m.target_id IS NULL OR m.refused IS NOT NULL);

-- name: contradicted -- if: given(contradicts)
-- What refuse_contradicted has refused: the document, and the path of the value.
SELECT s.document, CONCAT(s.path, '.', s.contradicts) AS path
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
WHERE m.refused = 'value_not_allowed' AND s.refused IS NULL AND s.contradicts IS NOT NULL;

-- name: new_unfit -- if: given(unfit)
-- Mentions of new rows that had a value which does not fit: the row is written without it.
SELECT s.document, s.path
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_an_entity AS whole ON whole.row_id = m.thing
WHERE s.unfit AND m.refused IS NULL AND whole.action = 'insert';

-- name: counts
SELECT
    COUNT(*) AS staged,
    NVL(SUM(m.action = 'insert'), 0) AS inserted,
    NVL(SUM(m.action = 'update'), 0) AS updated,
    NVL(SUM(m.refused IS NOT NULL), 0) AS refused
FROM ispyb_sync.map_an_entity AS m
WHERE m.thing = m.row_id;

-- name: conflicting_copies -- if: joined
-- How many, and ten of them as examples, each under its first key.
SELECT
    COUNT(*) OVER () AS things,
    s.document,
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)
    ), ''), HEX(d.externalId)) AS proposal,
    s.path,
    COALESCE(
        HEX(s.a_field), -- for: key, bytes
        CONVERT(s.a_field USING utf8mb4), -- for: key
        NULL
    ) AS value
FROM ispyb_sync.stage_an_entity AS s
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE s.conflicting
ORDER BY s.row_id
LIMIT 10;

-- name: refusals
-- Rows that Python refused are already reported, with the value that did not fit. Of a row that was refused with what
-- it belongs to, that is told too.
SELECT
    m.refused,
    m.field,
    m.value,
    m.held,
    s.document,
    COALESCE(NULLIF(CONCAT_WS(
        '-',
        CONVERT(d.proposalCode USING utf8mb4),
        CONVERT(d.proposalNumber USING utf8mb4)
    ), ''), HEX(d.externalId)) AS proposal,
    s.path,
    m.row_id,
    CASE
        WHEN of_a_parent.row_id IS NOT NULL -- for: owner
            THEN JSON_ARRAY( -- for: owner
                'a_parent', of_a_parent.row_id, a_parent.document, a_parent.path, of_a_parent.refused -- for: owner
            ) -- for: owner
        WHEN FALSE THEN NULL
    END AS parent
FROM ispyb_sync.map_an_entity AS m
INNER JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
LEFT JOIN ispyb_sync.map_a_parent AS of_a_parent -- for: owner
    ON of_a_parent.row_id = m.a_parent AND m.refused = 'parent_refused' AND m.field = 'a_parent' -- for: owner
LEFT JOIN ispyb_sync.stage_a_parent AS a_parent ON a_parent.row_id = of_a_parent.row_id -- for: owner
WHERE m.refused IS NOT NULL AND m.field IS NOT NULL AND s.refused IS NULL
ORDER BY m.row_id;

-- name: shared_keys -- if: duplicates | same_target
-- Of rows that contradict each other: each key up to this one with the first row that has the same, and its value. What
-- comes after it joins nothing, and is told where two differ in it; so is what they belong to.
SELECT
    m.row_id,
    s.document,
    IF(m.held LIKE 'a_primary_key %', m.target_id, NULL) AS target_id,
    JSON_OBJECT(
        'a_field', JSON_ARRAY(MIN(m.row_id) OVER (PARTITION BY s.a_field), HEX(s.a_field)), -- for: key, bytes
        'a_field', JSON_ARRAY( -- for: this, within
            MIN(m.row_id) OVER (PARTITION BY m.a_scope, s.a_field), -- for: this, within
            CONVERT(s.a_field USING utf8mb4) -- for: this, within
        ), -- for: this, within
        'a_field', JSON_ARRAY( -- for: this | earlier, live
            MIN(m.row_id) OVER (PARTITION BY s.a_field), CONVERT(s.a_field USING utf8mb4) -- for: this | earlier, live
        ), -- for: this | earlier, live
        'a_field', JSON_ARRAY(NULL, CONVERT(s.a_field USING utf8mb4)), -- for: key
        'a_parent', JSON_ARRAY(NULL, COALESCE(NULLIF(CONCAT_WS( -- for: owner
            '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4) -- for: owner
        ), ''), HEX(d.externalId))), -- for: owner
        'row', JSON_ARRAY(NULL, NULL)
    ) AS shared
FROM ispyb_sync.map_an_entity AS m
INNER JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE
    m.field IS NOT NULL
    AND s.refused IS NULL
    AND (m.refused = 'duplicate_key' OR (m.refused = 'ambiguous_match' AND m.held IS NULL))
ORDER BY m.row_id;

-- name: holders -- if: claims
-- Of rows that claim a key: which row of ISPyB has it, whether this run was to take it from that one, and the earlier
-- keys in which the two differ.
SELECT
    c.row_id,
    m.target_id,
    c.holder_id,
    c.holder_row IS NOT NULL AS gives_up,
    JSON_OBJECT(
        'a_field', IF(h.a_column <> s.a_field, JSON_ARRAY(HEX(h.a_column), HEX(s.a_field)), NULL), -- for: key, bytes
        'row', NULL
    ) AS differing
FROM ispyb_sync.claim_an_entity AS c
STRAIGHT_JOIN ispyb_sync.map_an_entity AS m ON m.row_id = c.row_id AND m.field = c.field
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = c.row_id
STRAIGHT_JOIN a_table AS h ON h.a_primary_key = c.holder_id
WHERE m.refused IN ('keys_disagree', 'key_taken');

-- name: field_refusals
-- The row is written; only what it refers to, refused itself, is left as it was.
SELECT
    'parent_refused' AS refused,
    'a_parent' AS field, -- for: reference
    NULL AS value,
    NULL AS held,
    s.document,
    COALESCE(NULLIF(CONCAT_WS(
        '-',
        CONVERT(d.proposalCode USING utf8mb4),
        CONVERT(d.proposalNumber USING utf8mb4)
    ), ''), HEX(d.externalId)) AS proposal,
    CONCAT(s.path, '.a_parent') AS path, -- for: reference
    m.row_id,
    JSON_ARRAY('a_parent', a_parent.thing, whole.document, whole.path, a_parent.refused) AS parent -- for: reference
FROM ispyb_sync.map_an_entity AS m
INNER JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.map_a_parent AS a_parent ON a_parent.row_id = s.a_field -- for: reference
INNER JOIN ispyb_sync.stage_a_parent AS whole ON whole.row_id = a_parent.thing -- for: reference
WHERE
    a_parent.refused IS NOT NULL AND -- for: reference
    m.thing = m.row_id AND m.refused IS NULL
ORDER BY m.row_id;

-- name: deleted -- if: lists
SELECT COUNT(*) FROM ispyb_sync.stale_an_entity AS x WHERE x.doomed;

-- name: stale_links -- if: lists
-- What pruning would delete, and does not.
SELECT
    COUNT(*) AS stale,
    NVL(SUM(x.owned), 0) AS owned
FROM ispyb_sync.stale_an_entity AS x
WHERE NOT x.doomed;

-- name: stale_people -- if: lists
-- Ten of them, as examples: the list of the export that no longer names them, and who they are.
SELECT
    s.document,
    COALESCE(NULLIF(CONCAT_WS(
        '-',
        CONVERT(d.proposalCode USING utf8mb4),
        CONVERT(d.proposalNumber USING utf8mb4)
    ), ''), HEX(d.externalId)) AS proposal,
    CONCAT(s.path, '.persons') AS path,
    x.row_key
FROM ispyb_sync.stale_an_entity AS x
INNER JOIN ispyb_sync.stage_an_owner AS s ON s.row_id = x.an_owner
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE NOT x.doomed
ORDER BY x.number
LIMIT 10;

-- name: kept_lists -- if: lists
-- How many, and ten of them as examples.
SELECT
    COUNT(*) OVER () AS things,
    s.document,
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)
    ), ''), HEX(d.externalId)) AS proposal,
    CONCAT(s.path, '.persons') AS path,
    NULL AS value
FROM ispyb_sync.list_an_entity AS l
INNER JOIN ispyb_sync.stage_an_owner AS s ON s.row_id = l.an_owner
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE l.refused
ORDER BY l.an_owner
LIMIT 10;

-- name: losers -- if: lists
-- The proposals of which links would be deleted, and how many.
SELECT
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)
    ), ''), HEX(d.externalId)) AS proposal,
    COUNT(*) AS links
FROM ispyb_sync.stale_an_entity AS x
INNER JOIN ispyb_sync.stage_an_owner AS s ON s.row_id = x.an_owner
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE x.doomed
GROUP BY d.row_id
ORDER BY links DESC, d.row_id;

-- pass: check

-- name: duplicate_key -- stops: mention
-- Rows that one key names together, as the column's own collation compares: the value, how many rows have it, and the
-- first ten of their ids.
SELECT
    CONCAT(HEX(t.a_column), ' in a_scope ', t.a_scope_id) AS value, -- for: this, is(externalId), within
    CONCAT(CONVERT(MIN(t.a_column) USING utf8mb4), ' in a_scope ', t.a_scope_id) AS value, -- for: this, within
    HEX(t.a_column) AS value, -- for: this, is(externalId)
    MIN(t.a_column) AS value, -- for: this
    COUNT(*) AS row_count,
    GROUP_CONCAT(t.a_primary_key ORDER BY t.a_primary_key SEPARATOR ', ' LIMIT 10) AS ids
FROM a_table AS t
WHERE t.a_column IS NOT NULL -- for: this
GROUP BY
    t.a_scope_id, -- if: within
    t.a_column -- for: this
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(t.a_primary_key);

-- pass: undo_apply

-- name: park_key -- if: unique(a_key)
-- Rows that swap a key back: whoever has it now is without it for a moment.
UPDATE ispyb_sync.undo_claim AS c
STRAIGHT_JOIN ispyb_sync.undo AS u ON u.entity = c.entity AND u.number = c.number
STRAIGHT_JOIN a_table AS t ON t.a_primary_key = c.holder
SET t.a_key = NULL
WHERE c.entity = 'an_entity' AND c.field = 'a_key' AND u.kept IS NULL;
