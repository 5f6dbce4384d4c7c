-- protein: what a proposal may put into the beam.
--
-- target    Protein
-- stage     stage_protein, map_protein
-- after     proposal, person
-- matches   externalId, then acronym, both within the proposal
-- refuses   ambiguous_match, duplicate_key, parent_refused
-- never     deletes a protein, or writes modId

-- pass: create

-- name: create_stage
CREATE TEMPORARY TABLE ispyb_sync.stage_protein (
    row_id INT UNSIGNED NOT NULL DEFAULT 0 PRIMARY KEY,
    position INT UNSIGNED NOT NULL DEFAULT 0,
    document INT UNSIGNED NOT NULL DEFAULT 0,
    path VARCHAR(255) CHARACTER SET ascii NOT NULL DEFAULT '',
    refused VARCHAR(24) CHARACTER SET ascii NULL,
    contradicts VARCHAR(32) CHARACTER SET ascii NULL,
    clears VARCHAR(500) CHARACTER SET ascii NOT NULL DEFAULT '',
    conflicting BOOLEAN NOT NULL DEFAULT FALSE,
    person_row INT UNSIGNED NULL
) ENGINE = InnoDB
SELECT
    t.a_column AS a_field, -- for: live
    CAST(NULL AS CHAR(255)) AS a_field, -- for: absent
    0 AS row_id
FROM (SELECT 1) AS nothing
LEFT JOIN Protein AS t ON FALSE
WHERE FALSE;

-- name: create_map
CREATE TEMPORARY TABLE ispyb_sync.map_protein (
    row_id INT UNSIGNED NOT NULL PRIMARY KEY,
    thing INT UNSIGNED NOT NULL,
    proposal INT UNSIGNED NOT NULL DEFAULT 0,
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

-- pass: match

-- name: open_map
-- What hangs on a refused proposal is refused with it. Proteins find their row at once by the first key they give;
-- where several have it, the match statements refuse.
INSERT INTO ispyb_sync.map_protein (row_id, thing, proposal, refused, field, target_id, matched_by)
SELECT
    s.row_id,
    s.row_id,
    proposal.thing,
    NVL(s.refused, IF(proposal.refused IS NULL, NULL, 'parent_refused')),
    IF(s.refused IS NULL AND proposal.refused IS NOT NULL, 'proposal', NULL),
    IF(s.refused IS NULL AND proposal.refused IS NULL AND COUNT(NVL(e.proteinId, a.proteinId)) = 1, MIN(NVL(e.proteinId, a.proteinId)), NULL), -- if: acronym
    IF(s.refused IS NULL AND proposal.refused IS NULL AND COUNT(e.proteinId) = 1, MIN(e.proteinId), NULL), -- if: not acronym
    CASE
        WHEN COUNT(e.proteinId) = 1 THEN 'externalId'
        WHEN COUNT(a.proteinId) = 1 THEN 'acronym' -- if: acronym
    END
FROM ispyb_sync.stage_protein AS s
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
LEFT JOIN Protein AS e ON e.proposalId = proposal.target_id AND e.externalId = s.externalId
LEFT JOIN Protein AS a ON s.externalId IS NULL AND a.proposalId = proposal.target_id AND a.acronym = s.acronym -- if: acronym
GROUP BY s.row_id;

-- name: join_external_id -- if: several, given(externalId) -- finds: joined
-- Within a proposal, mentions that share an externalId are one protein; clones in other proposals share it too.
UPDATE ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT m.proposal, s.externalId, MIN(m.thing) AS first
    FROM ispyb_sync.map_protein AS m
    INNER JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
    WHERE s.externalId IS NOT NULL AND m.refused IS NULL
    GROUP BY m.proposal, s.externalId
    HAVING MIN(m.thing) < MAX(m.thing)
) AS g ON g.proposal = m.proposal AND g.externalId = s.externalId
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- name: owner_of_acronym -- if: several, lacks(externalId) -- finds: joined
-- A mention by acronym alone means the protein of that acronym; the mentions of one acronym are one protein. Two
-- proteins of one proposal may share an acronym; a mention by acronym alone then names neither.
UPDATE ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT
        m.proposal,
        s.acronym,
        COUNT(DISTINCT s.externalId) > 1 AS ambiguous,
        NVL(MIN(IF(s.externalId IS NULL, NULL, m.thing)), MIN(m.thing)) AS owner
    FROM ispyb_sync.map_protein AS m
    INNER JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
    WHERE s.acronym IS NOT NULL AND m.refused IS NULL
    GROUP BY m.proposal, s.acronym
    HAVING COUNT(*) > 1 AND SUM(s.externalId IS NULL) > 0
) AS g ON g.proposal = m.proposal AND g.acronym = s.acronym
SET
    m.thing = IF(g.ambiguous, m.thing, g.owner),
    m.refused = IF(g.ambiguous, 'ambiguous_match', NULL),
    m.field = IF(g.ambiguous, 'acronym', NULL),
    m.value = IF(g.ambiguous, s.acronym, NULL)
WHERE s.externalId IS NULL AND m.refused IS NULL;

-- name: unite_keys -- if: joined
-- The first row of a thing carries all its keys from here on; of acronyms that differ, the last one.
UPDATE ispyb_sync.stage_protein AS s
STRAIGHT_JOIN (
    SELECT
        m.thing,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.externalId)), 11) AS externalId,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.acronym)), 11) AS acronym,
        COUNT(DISTINCT BINARY s.acronym) > 1 AS conflicting
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_protein AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_protein AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
    GROUP BY m.thing
) AS u ON u.thing = s.row_id
SET
    s.externalId = NVL(s.externalId, u.externalId),
    s.acronym = u.acronym,
    s.conflicting = u.conflicting;

-- name: match_external_id -- if: given(externalId) -- again: inserted
INSERT INTO ispyb_sync.map_protein (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.proteinId), NULL),
    'externalId',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'externalId',
    HEX(s.externalId),
    IF(COUNT(*) = 1, NULL, CONCAT('proteinId ', MIN(t.proteinId), ' to ', MAX(t.proteinId)))
FROM ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN Protein AS t ON t.proposalId = proposal.target_id AND t.externalId = s.externalId
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
GROUP BY m.row_id
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    matched_by = VALUES(matched_by),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: match_acronym -- if: given(acronym) -- again: inserted
-- A row of that acronym with a different externalId is another protein: acronyms are not unique.
INSERT INTO ispyb_sync.map_protein (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.proteinId), NULL),
    'acronym',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'acronym',
    s.acronym,
    IF(COUNT(*) = 1, NULL, CONCAT('proteinId ', MIN(t.proteinId), ' to ', MAX(t.proteinId)))
FROM ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN Protein AS t ON t.proposalId = proposal.target_id AND t.acronym = s.acronym
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL AND (t.externalId IS NULL OR s.externalId IS NULL)
GROUP BY m.row_id
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    matched_by = VALUES(matched_by),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: recount_acronym -- if: several, given(acronym)
-- Of several proteins of one acronym, those that get another one in this run do not count.
INSERT INTO ispyb_sync.map_protein (row_id, thing, target_id, matched_by)
SELECT
    m.row_id,
    m.thing,
    MIN(IF(giver.row_id IS NULL, t.proteinId, NULL)),
    'acronym'
FROM ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN Protein AS t ON t.proposalId = proposal.target_id AND t.acronym = s.acronym
LEFT JOIN (
    ispyb_sync.map_protein AS giver
    INNER JOIN ispyb_sync.stage_protein AS given ON given.row_id = giver.row_id
) ON giver.target_id = t.proteinId AND giver.thing = giver.row_id AND giver.refused IS NULL AND given.acronym <> t.acronym
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused = 'ambiguous_match' AND m.matched_by = 'acronym' AND (t.externalId IS NULL OR s.externalId IS NULL)
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
FROM ispyb_sync.map_protein AS m
WHERE m.target_id IS NOT NULL
GROUP BY m.target_id
HAVING MIN(m.thing) < MAX(m.thing)
LIMIT 1;

-- name: refuse_same_target -- if: same_target
-- Two things of the export that are one row of ISPyB, and disagree about its keys.
UPDATE ispyb_sync.map_protein AS m
STRAIGHT_JOIN (
    SELECT m.target_id
    FROM (
        SELECT m.target_id
        FROM ispyb_sync.map_protein AS m
        WHERE m.target_id IS NOT NULL
        GROUP BY m.target_id
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_protein AS m ON m.target_id = several.target_id
    STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
    WHERE m.thing = m.row_id AND m.refused IS NULL
    GROUP BY m.target_id
    HAVING
        COUNT(*) > 1
        AND (MIN(s.externalId) < MAX(s.externalId)
        OR MIN(s.acronym) < MAX(s.acronym))
) AS g ON g.target_id = m.target_id
SET m.refused = 'duplicate_key', m.field = m.matched_by, m.held = CONCAT('proteinId ', m.target_id)
WHERE m.thing = m.row_id AND m.refused IS NULL;

-- name: join_target -- if: same_target -- finds: joined
-- Two things of the export that turn out to be one row, and agree, are one.
UPDATE ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.map_protein AS t ON t.row_id = m.thing
STRAIGHT_JOIN (
    SELECT m.target_id, MIN(IF(m.refused IS NULL AND m.thing = m.row_id, m.row_id, NULL)) AS first
    FROM (
        SELECT m.target_id
        FROM ispyb_sync.map_protein AS m
        WHERE m.target_id IS NOT NULL
        GROUP BY m.target_id
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_protein AS m ON m.target_id = several.target_id
    GROUP BY m.target_id
) AS g ON g.target_id = t.target_id
SET m.thing = g.first
WHERE t.refused IS NULL AND m.refused IS NULL AND g.first IS NOT NULL;

-- name: unite -- if: joined
-- The copies of a thing become one row: per column the last in file order that gives a value. The position in
-- front of the value makes MAX() choose it.
REPLACE INTO ispyb_sync.stage_protein (
    a_field, -- for: live | absent
    row_id, position, document, path, contradicts, clears, conflicting, person_row
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
    OR COUNT(DISTINCT person.thing) > 1,
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), person.thing)), 11)
FROM (
    SELECT DISTINCT m.thing FROM ispyb_sync.map_protein AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
) AS several
STRAIGHT_JOIN ispyb_sync.map_protein AS m ON m.thing = several.thing
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
GROUP BY m.thing;

-- name: refuse_missing -- if: any(required)
-- A new row without a value that the table demands; the words are the server's.
INSERT INTO ispyb_sync.map_protein (row_id, thing, refused, field, held)
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
FROM ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
HAVING missing IS NOT NULL
ON DUPLICATE KEY UPDATE refused = VALUES(refused), field = VALUES(field), held = VALUES(held);

-- name: refuse_contradicted -- if: given(contradicts)
-- A value that does not fit is left out; but a new row would get the column's default, which says something else.
INSERT INTO ispyb_sync.map_protein (row_id, thing, refused)
SELECT m.row_id, m.thing, 'value_not_allowed'
FROM ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL AND (
    s.contradicts = 'a_field' AND s.a_field IS NULL OR -- for: default
    FALSE
)
ON DUPLICATE KEY UPDATE refused = VALUES(refused);

-- name: share -- if: joined -- again: inserted
-- The other rows of a thing share what was found for it: children may name any of them.
UPDATE ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.map_protein AS t ON t.row_id = m.thing
SET m.target_id = t.target_id, m.refused = NVL(m.refused, t.refused), m.action = t.action
WHERE m.thing <> m.row_id;

-- pass: compare

-- name: decide
UPDATE ispyb_sync.map_protein AS m
SET m.action = 'insert'
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL;

-- name: compare
INSERT INTO ispyb_sync.map_protein (row_id, thing, action, changes)
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
            t.personId <=> CASE
                WHEN person.refused IS NOT NULL THEN t.personId
                WHEN person.row_id IS NOT NULL THEN NVL(person.target_id, 0)
                WHEN FIND_IN_SET('person', s.clears) THEN NULL
                ELSE t.personId
            END,
            NULL,
            CONCAT('"personId": ', IF(
                person.row_id IS NOT NULL AND person.target_id IS NULL,
                JSON_ARRAY(t.personId, 'new'),
                JSON_ARRAY(t.personId, person.target_id)
            ))
        )
    ), ''), '}') AS changes
FROM ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Protein AS t ON t.proteinId = m.target_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
WHERE m.thing = m.row_id AND m.refused IS NULL
HAVING changes IS NOT NULL
ON DUPLICATE KEY UPDATE action = VALUES(action), changes = VALUES(changes);

-- pass: apply

-- name: update -- does: update
UPDATE ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Protein AS t ON t.proteinId = m.target_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
SET
    t.personId = CASE
        WHEN person.refused IS NOT NULL THEN t.personId
        WHEN person.row_id IS NOT NULL THEN person.target_id
        WHEN FIND_IN_SET('person', s.clears) THEN NULL
        ELSE t.personId
    END,
    t.a_column = NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), -- for: portal, not bytes
    t.externalId = NVL(s.externalId, t.externalId)
WHERE
    m.row_id BETWEEN @first_row AND @last_row AND -- if: part
    m.action = 'update';

-- name: insert -- does: insert
INSERT INTO Protein (
    a_column, -- for: live
    proposalId, personId
)
SELECT
    IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))), -- for: default
    s.a_field, -- for: live
    proposal.target_id,
    IF(person.refused IS NULL, person.target_id, NULL)
FROM ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
WHERE
    m.row_id BETWEEN @first_row AND @last_row AND -- if: part
    m.action = 'insert'
ORDER BY m.row_id;

-- pass: history

-- name: record_changes
-- Of an insert all values, of an update the old and the new ones. Where compare said "new", the person has its id by
-- now; in a plan it has none.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    @run,
    'protein',
    m.row_id,
    m.target_id,
    NULL,
    m.action,
    IF(m.action = 'update', m.matched_by, NULL),
    NVL(CONVERT(s.acronym USING utf8mb4), HEX(s.externalId)),
    COALESCE(NULLIF(CONCAT_WS('-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    CASE
        WHEN m.action = 'insert' THEN JSON_OBJECT(
            'proposalId', NVL(proposal.target_id, 'new'),
            'personId', IF(person.refused IS NULL, NVL(person.target_id, IF(person.row_id IS NULL, NULL, 'new')), NULL),
            'a_field', CONVERT(IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))) USING utf8mb4), -- for: default, text
            'a_field', IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))) + 0e0, -- for: default, float
            'a_field', IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))), -- for: default, not bytes
            'a_field', CONVERT(s.a_field USING utf8mb4), -- for: text
            'a_field', s.a_field + 0e0, -- for: float
            'a_field', s.a_field, -- for: live, not bytes
            'externalId', HEX(s.externalId)
        )
        WHEN person.action = 'insert' AND person.target_id IS NOT NULL THEN REGEXP_REPLACE(m.changes, '("personId": \\[[^,]*, )"new"', CONCAT('\\1', person.target_id))
        ELSE m.changes
    END
FROM ispyb_sync.map_protein AS m
INNER JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- pass: digest

-- name: digest
-- What the portal may own of each protein, its person included.
INSERT INTO ispyb_sync.digest_proposal (taken, proposalId, digest)
SELECT
    d.taken,
    d.proposalId,
    BIT_XOR(CONV(LEFT(MD5(CONCAT_WS(
        ',',
        'protein',
        t.proteinId,
        NVL(person.digest, 0),
        QUOTE(CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
        QUOTE(t.a_column), -- for: portal
        QUOTE(t.personId)
    )), 16), 16, 10))
FROM ispyb_sync.digest_proposal AS d
STRAIGHT_JOIN Protein AS t ON t.proposalId = d.proposalId
LEFT JOIN ispyb_sync.digest_person AS person ON person.personId = t.personId
WHERE d.taken = @taken
GROUP BY d.proposalId
ON DUPLICATE KEY UPDATE digest = digest ^ VALUES(digest);

-- pass: report

-- name: unplaced -- again: inserted -- counts: overtaken
-- An inserted row that is not found again was changed by somebody else in between: the run starts anew.
SELECT COUNT(*) FROM ispyb_sync.map_protein AS m WHERE m.action = 'insert' AND (m.target_id IS NULL OR m.refused IS NOT NULL);

-- name: contradicted -- if: given(contradicts)
-- What refuse_contradicted has refused: the document, and the path of the value.
SELECT s.document, CONCAT(s.path, '.', s.contradicts) AS path
FROM ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
WHERE m.refused = 'value_not_allowed' AND s.refused IS NULL AND s.contradicts IS NOT NULL;

-- name: counts
SELECT
    COUNT(*) AS staged,
    NVL(SUM(m.action = 'insert'), 0) AS inserted,
    NVL(SUM(m.action = 'update'), 0) AS updated,
    NVL(SUM(m.refused IS NOT NULL), 0) AS refused
FROM ispyb_sync.map_protein AS m
WHERE m.thing = m.row_id;

-- name: conflicting_copies -- if: joined
SELECT COUNT(*) FROM ispyb_sync.stage_protein AS s WHERE s.conflicting;

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
FROM ispyb_sync.map_protein AS m
INNER JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE m.refused IS NOT NULL AND m.field IS NOT NULL AND s.refused IS NULL
ORDER BY m.row_id;

-- name: field_refusals
-- The protein is written; only its person, refused itself, is left as it was.
SELECT
    'parent_refused' AS refused,
    'person' AS field,
    NULL AS value,
    NULL AS held,
    s.document,
    COALESCE(NULLIF(CONCAT_WS('-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)) AS proposal,
    CONCAT(s.path, '.person') AS path
FROM ispyb_sync.map_protein AS m
INNER JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
WHERE m.thing = m.row_id AND m.refused IS NULL AND person.refused IS NOT NULL
ORDER BY m.row_id;
