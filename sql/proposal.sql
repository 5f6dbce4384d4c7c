-- proposal: one per document.
--
-- target    Proposal
-- stage     stage_proposal, map_proposal, claim_proposal
-- after     person
-- matches   externalId, then proposalCode + proposalNumber
-- refuses   ambiguous_match, duplicate_key, key_taken, keys_disagree, no_proposer
-- never     deletes a proposal, or writes a NULL over its key or its proposer

-- pass: create

-- name: create_stage
CREATE TEMPORARY TABLE ispyb_sync.stage_proposal (
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
LEFT JOIN Proposal AS t ON FALSE
WHERE FALSE;

-- name: create_map
CREATE TEMPORARY TABLE ispyb_sync.map_proposal (
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
CREATE TEMPORARY TABLE ispyb_sync.claim_proposal (
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
INSERT INTO ispyb_sync.map_proposal (row_id, thing, refused, target_id, matched_by)
SELECT
    s.row_id,
    s.row_id,
    s.refused,
    IF(s.refused IS NULL, t.proposalId, NULL),
    IF(t.proposalId IS NULL, NULL, 'externalId')
FROM ispyb_sync.stage_proposal AS s
LEFT JOIN Proposal AS t ON t.externalId = s.externalId;

-- rounds: begin

-- name: join_external_id -- if: given(externalId) -- finds: joined
-- Documents that share a key are one proposal. The joins run in rounds, until a round joins nothing more.
UPDATE ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT s.externalId, MIN(m.thing) AS first
    FROM ispyb_sync.map_proposal AS m
    INNER JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
    WHERE s.externalId IS NOT NULL AND m.refused IS NULL
    GROUP BY s.externalId
    HAVING MIN(m.thing) < MAX(m.thing)
) AS g ON g.externalId = s.externalId
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- name: join_code_number -- if: given(proposalNumber) -- finds: joined
-- Elettra has no proposalCode: a missing code equals a missing code.
UPDATE ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT s.proposalCode, s.proposalNumber, MIN(m.thing) AS first
    FROM ispyb_sync.map_proposal AS m
    INNER JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
    WHERE s.proposalNumber IS NOT NULL AND m.refused IS NULL
    GROUP BY s.proposalCode, s.proposalNumber
    HAVING MIN(m.thing) < MAX(m.thing)
) AS g ON g.proposalCode <=> s.proposalCode AND g.proposalNumber = s.proposalNumber
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- rounds: end

-- name: refuse_duplicate_key -- if: joined -- finds: duplicates
-- Documents that are joined and contradict each other: two numbers under one externalId, or the other way round.
UPDATE ispyb_sync.map_proposal AS m
STRAIGHT_JOIN (
    SELECT
        m.thing,
        CASE
            WHEN MIN(s.externalId) < MAX(s.externalId) THEN 'proposalNumber'
            WHEN COUNT(DISTINCT s.proposalNumber) > 1 OR COUNT(DISTINCT s.proposalCode) > 1 OR COUNT(DISTINCT IF(s.proposalNumber IS NULL, NULL, NVL(s.proposalCode, ''))) > 1 THEN 'externalId'
        END AS field,
        CONCAT('documents ', GROUP_CONCAT(DISTINCT s.document ORDER BY s.document SEPARATOR ', ')) AS held
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_proposal AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_proposal AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
    GROUP BY m.thing
    HAVING field IS NOT NULL
) AS g ON g.thing = m.thing
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
SET
    m.refused = 'duplicate_key',
    m.field = g.field,
    m.value = CASE g.field
        WHEN 'externalId' THEN HEX(s.externalId)
        WHEN 'proposalNumber' THEN CONCAT_WS('-', CONVERT(s.proposalCode USING utf8mb4), CONVERT(s.proposalNumber USING utf8mb4))
    END,
    m.held = g.held
WHERE m.refused IS NULL;

-- name: split_duplicates -- if: duplicates
-- Refused together, but counted and reported as the different things they are.
UPDATE ispyb_sync.map_proposal AS m
STRAIGHT_JOIN (
    SELECT
        m.row_id,
        MIN(m.row_id) OVER (PARTITION BY s.externalId, s.proposalCode, s.proposalNumber) AS first
    FROM ispyb_sync.map_proposal AS m
    INNER JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
    WHERE m.refused = 'duplicate_key'
) AS g ON g.row_id = m.row_id
SET m.thing = g.first;

-- name: refuse_ambiguous_mention -- if: duplicates
-- A mention by proposalNumber alone cannot say which of the things that share it is meant.
UPDATE ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT s.proposalCode, s.proposalNumber
    FROM ispyb_sync.map_proposal AS m
    INNER JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
    WHERE m.refused = 'duplicate_key'
    GROUP BY s.proposalCode, s.proposalNumber
    HAVING MIN(s.externalId) < MAX(s.externalId)
) AS g ON g.proposalCode <=> s.proposalCode AND g.proposalNumber <=> s.proposalNumber
SET m.refused = 'ambiguous_match', m.field = 'proposalNumber', m.value = CONCAT_WS('-', CONVERT(s.proposalCode USING utf8mb4), CONVERT(s.proposalNumber USING utf8mb4))
WHERE m.refused = 'duplicate_key' AND s.externalId IS NULL AND s.proposalNumber IS NOT NULL;

-- name: unite_keys -- if: joined
-- The first row of a thing carries all its keys from here on.
UPDATE ispyb_sync.stage_proposal AS s
STRAIGHT_JOIN (
    SELECT
        m.thing,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.externalId)), 11) AS externalId,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.proposalCode)), 11) AS proposalCode,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.proposalNumber)), 11) AS proposalNumber
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_proposal AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_proposal AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
    GROUP BY m.thing
) AS u ON u.thing = s.row_id
SET
    s.externalId = NVL(s.externalId, u.externalId),
    s.proposalCode = NVL(s.proposalCode, u.proposalCode),
    s.proposalNumber = NVL(s.proposalNumber, u.proposalNumber);

-- name: match_external_id -- if: given(externalId), joined | inserted -- again: inserted
INSERT INTO ispyb_sync.map_proposal (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.proposalId), NULL),
    'externalId',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'externalId',
    HEX(s.externalId),
    IF(COUNT(*) = 1, NULL, CONCAT('proposalId ', MIN(t.proposalId), ' to ', MAX(t.proposalId)))
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Proposal AS t ON t.externalId = s.externalId
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
GROUP BY m.row_id
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    matched_by = VALUES(matched_by),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: match_code_number -- if: given(proposalNumber) -- again: inserted
-- A number that carries a different externalId is another proposal, unless it gives the number up in this run.
INSERT INTO ispyb_sync.map_proposal (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.proposalId), NULL),
    'proposalNumber',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'proposalNumber',
    CONCAT_WS('-', CONVERT(s.proposalCode USING utf8mb4), CONVERT(s.proposalNumber USING utf8mb4)),
    IF(COUNT(*) = 1, NULL, CONCAT('proposalId ', MIN(t.proposalId), ' to ', MAX(t.proposalId)))
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Proposal AS t
    ON t.proposalNumber = s.proposalNumber
    AND t.proposalCode <=> s.proposalCode -- if: proposalCode
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

-- name: recount_code_number -- if: given(proposalNumber)
-- Of several rows of one number, those that get another one in this run do not count; claim_code_number lets this one
-- fall with them.
INSERT INTO ispyb_sync.map_proposal (row_id, thing, target_id, matched_by)
SELECT
    m.row_id,
    m.thing,
    MIN(IF(giver.row_id IS NULL AND NOT NVL(t.externalId <> s.externalId, FALSE), t.proposalId, NULL)),
    'proposalNumber'
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Proposal AS t
    ON t.proposalNumber = s.proposalNumber
    AND t.proposalCode <=> s.proposalCode -- if: proposalCode
LEFT JOIN (
    ispyb_sync.map_proposal AS giver
    INNER JOIN ispyb_sync.stage_proposal AS given ON given.row_id = giver.row_id
) ON giver.target_id = t.proposalId AND giver.thing = giver.row_id AND giver.refused IS NULL AND NOT (
    NVL(given.proposalCode, t.proposalCode) <=> t.proposalCode AND -- if: proposalCode
    NVL(given.proposalNumber, t.proposalNumber) <=> t.proposalNumber
)
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused = 'ambiguous_match' AND m.matched_by = 'proposalNumber'
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
FROM ispyb_sync.map_proposal AS m
WHERE m.target_id IS NOT NULL
GROUP BY m.target_id
HAVING MIN(m.thing) < MAX(m.thing)
LIMIT 1;

-- name: refuse_same_target -- if: same_target
-- Two things of the export that are one row of ISPyB, and disagree about its keys. A row found by a number without a
-- code must not get one, or the next run would not find it.
UPDATE ispyb_sync.map_proposal AS m
STRAIGHT_JOIN (
    SELECT m.target_id
    FROM (
        SELECT m.target_id
        FROM ispyb_sync.map_proposal AS m
        WHERE m.target_id IS NOT NULL
        GROUP BY m.target_id
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_proposal AS m ON m.target_id = several.target_id
    STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
    WHERE m.thing = m.row_id AND m.refused IS NULL
    GROUP BY m.target_id
    HAVING
        COUNT(*) > 1
        AND (MIN(s.externalId) < MAX(s.externalId)
        OR MIN(s.proposalNumber) < MAX(s.proposalNumber)
        OR MIN(s.proposalCode) < MAX(s.proposalCode)
        OR MAX(s.proposalCode) IS NOT NULL AND SUM(m.matched_by = 'proposalNumber' AND s.proposalCode IS NULL) > 0
        OR COUNT(DISTINCT IF(s.proposalNumber IS NULL, NULL, NVL(s.proposalCode, ''))) > 1)
) AS g ON g.target_id = m.target_id
SET m.refused = 'duplicate_key', m.field = m.matched_by, m.held = CONCAT('proposalId ', m.target_id)
WHERE m.thing = m.row_id AND m.refused IS NULL;

-- name: join_target -- if: same_target -- finds: joined
-- Two things of the export that turn out to be one row, and agree, are one.
UPDATE ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.map_proposal AS t ON t.row_id = m.thing
STRAIGHT_JOIN (
    SELECT m.target_id, MIN(IF(m.refused IS NULL AND m.thing = m.row_id, m.row_id, NULL)) AS first
    FROM (
        SELECT m.target_id
        FROM ispyb_sync.map_proposal AS m
        WHERE m.target_id IS NOT NULL
        GROUP BY m.target_id
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_proposal AS m ON m.target_id = several.target_id
    GROUP BY m.target_id
) AS g ON g.target_id = t.target_id
SET m.thing = g.first
WHERE t.refused IS NULL AND m.refused IS NULL AND g.first IS NOT NULL;

-- name: unite -- if: joined
-- The copies of a thing become one row: per column the last in file order that gives a value. The position in
-- front of the value makes MAX() choose it.
REPLACE INTO ispyb_sync.stage_proposal (
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
    SELECT DISTINCT m.thing FROM ispyb_sync.map_proposal AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
) AS several
STRAIGHT_JOIN ispyb_sync.map_proposal AS m ON m.thing = several.thing
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
GROUP BY m.thing;

-- name: refuse_missing -- if: any(required)
-- A new row without a value that the table demands; the words are the server's.
INSERT INTO ispyb_sync.map_proposal (row_id, thing, refused, field, held)
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
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
HAVING missing IS NOT NULL
ON DUPLICATE KEY UPDATE refused = VALUES(refused), field = VALUES(field), held = VALUES(held);

-- name: refuse_contradicted -- if: given(contradicts)
-- A value that does not fit is left out; but a new row would get the column's default, which says something else.
INSERT INTO ispyb_sync.map_proposal (row_id, thing, refused)
SELECT m.row_id, m.thing, 'value_not_allowed'
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL AND (
    s.contradicts = 'a_field' AND s.a_field IS NULL OR -- for: default
    FALSE
)
ON DUPLICATE KEY UPDATE refused = VALUES(refused);

-- name: refuse_same_number -- if: proposalNumber
-- A document may give a number without its code, which its row or another document completes: only now it shows
-- that two things claim one number.
INSERT INTO ispyb_sync.map_proposal (row_id, thing, refused, field, value, held)
SELECT
    n.row_id,
    n.row_id,
    'duplicate_key',
    'proposalNumber',
    CONCAT_WS('-', CONVERT(n.proposalCode USING utf8mb4), CONVERT(n.proposalNumber USING utf8mb4)),
    CONCAT('documents ', n.first_document, ', ', n.last_document)
FROM (
    SELECT
        claim.*,
        COUNT(*) OVER number AS things,
        MIN(claim.document) OVER number AS first_document,
        MAX(claim.document) OVER number AS last_document
    FROM (
        SELECT
            m.row_id,
            s.document,
            NVL(s.proposalCode, t.proposalCode) AS proposalCode, -- if: proposalCode
            s.proposalCode, -- if: not proposalCode
            NVL(s.proposalNumber, t.proposalNumber) AS proposalNumber
        FROM ispyb_sync.map_proposal AS m
        STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
        LEFT JOIN Proposal AS t ON t.proposalId = m.target_id
        WHERE
            m.thing = m.row_id
            AND m.refused IS NULL
            AND NOT (
                NVL(s.proposalCode, t.proposalCode) <=> t.proposalCode AND -- if: proposalCode
                NVL(s.proposalNumber, t.proposalNumber) <=> t.proposalNumber
            )
    ) AS claim
    WHERE claim.proposalNumber IS NOT NULL
    WINDOW number AS (PARTITION BY
        claim.proposalCode, -- if: proposalCode
        claim.proposalNumber
    )
) AS n
WHERE n.things > 1
ON DUPLICATE KEY UPDATE refused = VALUES(refused), field = VALUES(field), value = VALUES(value), held = VALUES(held);

-- name: claim_code_number -- if: proposalNumber -- finds: claims
-- Numbers to be written, or found in several rows, that another row of ISPyB holds now; and the thing of this run, if
-- any, that gives it up.
INSERT INTO ispyb_sync.claim_proposal (row_id, field, holder_id, holder_row, value)
SELECT
    m.row_id,
    'proposalNumber',
    h.proposalId,
    MIN(giver.row_id),
    CONCAT_WS(
        '-',
        CONVERT(NVL(s.proposalCode, t.proposalCode) USING utf8mb4), -- if: proposalCode
        CONVERT(NVL(s.proposalNumber, t.proposalNumber) USING utf8mb4)
    )
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
LEFT JOIN Proposal AS t ON t.proposalId = m.target_id
STRAIGHT_JOIN Proposal AS h
    ON h.proposalNumber = NVL(s.proposalNumber, t.proposalNumber)
    AND h.proposalCode <=> NVL(s.proposalCode, t.proposalCode) -- if: proposalCode
LEFT JOIN (
    ispyb_sync.map_proposal AS giver
    INNER JOIN ispyb_sync.stage_proposal AS given ON given.row_id = giver.row_id
) ON giver.target_id = h.proposalId AND giver.thing = giver.row_id AND giver.refused IS NULL AND NOT (
    NVL(given.proposalCode, h.proposalCode) <=> h.proposalCode AND -- if: proposalCode
    NVL(given.proposalNumber, h.proposalNumber) <=> h.proposalNumber
)
WHERE
    m.thing = m.row_id
    AND m.refused IS NULL
    AND NOT h.proposalId <=> m.target_id
    AND (
        t.proposalId IS NULL
        OR s.proposalCode <> t.proposalCode -- if: proposalCode
        OR s.proposalNumber <> t.proposalNumber
        OR t.proposalCode IS NULL AND s.proposalCode IS NOT NULL -- if: proposalCode
        OR t.proposalNumber IS NULL
        OR EXISTS (SELECT 1 FROM ispyb_sync.map_proposal AS part WHERE part.thing = m.row_id AND part.matched_by = 'proposalNumber')
    )
GROUP BY m.row_id, h.proposalId;

-- name: refuse_taken -- if: claims
-- A claim falls when nobody in this run gives the value up, or when the one who would falls itself; what is
-- left are swaps and rotations, in which everyone gets what it asks for.
UPDATE ispyb_sync.map_proposal AS m
STRAIGHT_JOIN (
    WITH RECURSIVE fallen AS (
        SELECT c.row_id, c.field, 0 AS drawn_along FROM ispyb_sync.claim_proposal AS c WHERE c.holder_row IS NULL
        UNION
        SELECT c.row_id, c.field, 1
        FROM ispyb_sync.claim_proposal AS c INNER JOIN fallen ON fallen.row_id = c.holder_row
    )
    SELECT fallen.row_id, SUBSTRING(MIN(CONCAT(fallen.drawn_along, fallen.field)), 2) AS field
    FROM fallen
    GROUP BY fallen.row_id
) AS f ON f.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.claim_proposal AS c ON c.row_id = m.row_id AND c.field = f.field
SET
    m.refused = CASE
        WHEN m.target_id IS NULL THEN 'keys_disagree'
        WHEN m.matched_by = c.field THEN 'ambiguous_match'
        ELSE 'key_taken'
    END,
    m.field = c.field,
    m.value = c.value,
    m.held = CONCAT('proposalId ', CONCAT_WS(' and ', IF(m.matched_by = c.field, m.target_id, NULL), c.holder_id));

-- name: choose_proposer
-- A new proposal needs a proposer: when the first of its list was refused, the first who was not.
UPDATE ispyb_sync.stage_proposal AS s
STRAIGHT_JOIN (
    SELECT whole.row_id, MIN(l.row_id) AS first
    FROM ispyb_sync.stage_proposal_has_person AS l
    STRAIGHT_JOIN ispyb_sync.map_proposal AS part ON part.row_id = l.document
    STRAIGHT_JOIN ispyb_sync.map_proposal AS whole ON whole.row_id = part.thing
    STRAIGHT_JOIN ispyb_sync.stage_proposal AS united ON united.row_id = whole.row_id
    STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = l.person_row
    LEFT JOIN ispyb_sync.map_person AS proposer ON proposer.row_id = united.person_row
    WHERE
        whole.target_id IS NULL
        AND person.refused IS NULL
        AND (proposer.row_id IS NULL OR proposer.refused IS NOT NULL)
    GROUP BY whole.row_id
) AS g ON g.row_id = s.row_id
STRAIGHT_JOIN ispyb_sync.stage_proposal_has_person AS l ON l.row_id = g.first
SET s.person_row = l.person_row;

-- name: refuse_no_proposer
UPDATE ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
SET m.refused = 'no_proposer', m.field = 'persons'
WHERE
    m.thing = m.row_id
    AND m.target_id IS NULL
    AND m.refused IS NULL
    AND (person.row_id IS NULL OR person.refused IS NOT NULL);

-- name: refuse_no_code -- if: given(proposalNumber), lacks(proposalCode), proposalCode
-- A forgotten code would make a second proposal: ISPyB has this number with a code, and not without.
INSERT INTO ispyb_sync.map_proposal (row_id, thing, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    'ambiguous_match',
    'proposalNumber',
    CONVERT(s.proposalNumber USING utf8mb4),
    CONCAT('proposalId ', GROUP_CONCAT(t.proposalId ORDER BY t.proposalId SEPARATOR ', ' LIMIT 3))
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Proposal AS t ON t.proposalNumber = s.proposalNumber
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL AND s.proposalCode IS NULL
GROUP BY m.row_id
HAVING SUM(t.proposalCode IS NULL) = 0
ON DUPLICATE KEY UPDATE refused = VALUES(refused), field = VALUES(field), value = VALUES(value), held = VALUES(held);

-- name: share -- if: joined -- again: inserted
-- The other rows of a thing share what was found for it: children may name any of them.
UPDATE ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.map_proposal AS t ON t.row_id = m.thing
SET m.target_id = t.target_id, m.refused = NVL(m.refused, t.refused), m.action = t.action
WHERE m.thing <> m.row_id;

-- pass: compare

-- name: decide
UPDATE ispyb_sync.map_proposal AS m
SET m.action = 'insert'
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL;

-- name: compare
-- The first person of the list is the proposer; one who was refused leaves the proposer as it is.
INSERT INTO ispyb_sync.map_proposal (row_id, thing, action, changes)
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
            person.row_id IS NULL OR person.refused IS NOT NULL OR t.personId <=> NVL(person.target_id, 0),
            NULL,
            CONCAT('"personId": ', IF(
                person.target_id IS NULL,
                JSON_ARRAY(t.personId, 'new'),
                JSON_ARRAY(t.personId, person.target_id)
            ))
        )
    ), ''), '}') AS changes
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Proposal AS t ON t.proposalId = m.target_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
WHERE m.thing = m.row_id AND m.refused IS NULL
HAVING changes IS NOT NULL
ON DUPLICATE KEY UPDATE action = VALUES(action), changes = VALUES(changes);

-- pass: apply

-- name: release_code_number -- if: claims, nullable(proposalNumber)
-- Where numbers are unique, a swap needs a moment in which the old holder has none: no number, or no code if it gets
-- another code alone.
UPDATE ispyb_sync.claim_proposal AS c
STRAIGHT_JOIN ispyb_sync.map_proposal AS m ON m.row_id = c.row_id
STRAIGHT_JOIN ispyb_sync.stage_proposal AS given ON given.row_id = c.holder_row
STRAIGHT_JOIN Proposal AS t ON t.proposalId = c.holder_id
SET
    t.proposalCode = IF(given.proposalNumber IS NULL, NULL, t.proposalCode), -- if: nullable(proposalCode)
    t.proposalNumber = IF(given.proposalNumber IS NULL, t.proposalNumber, NULL)
WHERE m.refused IS NULL;

-- name: update -- does: update
UPDATE ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Proposal AS t ON t.proposalId = m.target_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
SET
    t.personId = IF(person.refused IS NULL, NVL(person.target_id, t.personId), t.personId),
    t.a_column = NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), -- for: portal, not bytes
    t.externalId = NVL(s.externalId, t.externalId)
WHERE
    m.row_id BETWEEN @first_row AND @last_row AND -- if: part
    m.action = 'update';

-- name: insert -- does: insert
INSERT INTO Proposal (
    a_column, -- for: live
    personId
)
SELECT
    IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))), -- for: default
    s.a_field, -- for: live
    person.target_id
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
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
    'proposal',
    m.row_id,
    m.target_id,
    NULL,
    m.action,
    IF(m.action = 'update', m.matched_by, NULL),
    CONCAT_WS('-', CONVERT(s.proposalCode USING utf8mb4), CONVERT(s.proposalNumber USING utf8mb4)),
    COALESCE(NULLIF(CONCAT_WS('-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    CASE
        WHEN m.action = 'insert' THEN JSON_OBJECT(
            'personId', NVL(person.target_id, 'new'),
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
FROM ispyb_sync.map_proposal AS m
INNER JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- pass: digest

-- name: digest
-- What the portal may own of each proposal, the proposer included, and how many have the same number.
INSERT INTO ispyb_sync.digest_proposal (taken, proposalId, digest)
SELECT
    d.taken,
    d.proposalId,
    BIT_XOR(CONV(LEFT(MD5(CONCAT_WS(
        ',',
        'proposal',
        t.proposalId,
        NVL(person.digest, 0),
        (SELECT COUNT(*) FROM Proposal AS n WHERE n.proposalNumber = t.proposalNumber -- if: proposalNumber
            AND n.proposalCode <=> t.proposalCode -- if: proposalCode, proposalNumber
        ), -- if: proposalNumber
        QUOTE(CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
        QUOTE(t.a_column), -- for: portal
        QUOTE(t.personId)
    )), 16), 16, 10))
FROM ispyb_sync.digest_proposal AS d
STRAIGHT_JOIN Proposal AS t ON t.proposalId = d.proposalId
LEFT JOIN ispyb_sync.digest_person AS person ON person.personId = t.personId
WHERE d.taken = @taken
GROUP BY d.proposalId
ON DUPLICATE KEY UPDATE digest = digest ^ VALUES(digest);

-- pass: report

-- name: unplaced -- again: inserted -- counts: overtaken
-- An inserted row that is not found again was changed by somebody else in between: the run starts anew.
SELECT COUNT(*) FROM ispyb_sync.map_proposal AS m WHERE m.action = 'insert' AND (m.target_id IS NULL OR m.refused IS NOT NULL);

-- name: rivals -- if: proposalNumber -- again: inserted -- counts: overtaken
-- Code and number are not unique everywhere. A row that another writer has not committed yet is waited for.
SELECT COUNT(*)
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Proposal AS t
    ON t.proposalNumber = s.proposalNumber
    AND t.proposalCode <=> s.proposalCode -- if: proposalCode
WHERE m.action = 'insert' AND m.thing = m.row_id AND t.proposalId <> m.target_id
LOCK IN SHARE MODE;

-- name: contradicted -- if: given(contradicts)
-- What refuse_contradicted has refused: the document, and the path of the value.
SELECT s.document, CONCAT(s.path, '.', s.contradicts) AS path
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
WHERE m.refused = 'value_not_allowed' AND s.refused IS NULL AND s.contradicts IS NOT NULL;

-- name: counts
SELECT
    COUNT(*) AS staged,
    NVL(SUM(m.action = 'insert'), 0) AS inserted,
    NVL(SUM(m.action = 'update'), 0) AS updated,
    NVL(SUM(m.refused IS NOT NULL), 0) AS refused
FROM ispyb_sync.map_proposal AS m
WHERE m.thing = m.row_id;

-- name: conflicting_copies -- if: joined
SELECT COUNT(*) FROM ispyb_sync.stage_proposal AS s WHERE s.conflicting;

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
FROM ispyb_sync.map_proposal AS m
INNER JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE m.refused IS NOT NULL AND m.field IS NOT NULL AND s.refused IS NULL
ORDER BY m.row_id;

-- name: possible_twins -- if: given(proposalNumber)
-- A new proposal whose number differs from a known one by leading zeros only. The known ones are looked through once, and
-- only if there is a new proposal: the LIMIT keeps the server from doing so for each.
SELECT
    s.document,
    COALESCE(NULLIF(CONCAT_WS('-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)) AS proposal,
    s.path,
    CONVERT(s.proposalNumber USING utf8mb4) AS value,
    CONCAT('proposalId ', t.proposalId) AS twin
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
STRAIGHT_JOIN (
    SELECT
        t.proposalId,
        t.proposalCode, -- if: proposalCode
        TRIM(LEADING '0' FROM CONVERT(t.proposalNumber USING utf8mb4)) AS bare
    FROM Proposal AS t
    WHERE t.proposalNumber IS NOT NULL
    LIMIT 9223372036854775807
) AS t ON t.bare = TRIM(LEADING '0' FROM CONVERT(s.proposalNumber USING utf8mb4))
WHERE
    t.proposalCode <=> s.proposalCode AND -- if: proposalCode
    m.action = 'insert' AND m.thing = m.row_id
ORDER BY m.row_id;

-- name: vanished
-- What ISPyB knows by its externalId and the export names neither by that nor by another key. Refused rows are named.
SELECT
    t.proposalId,
    v.row_key,
    COALESCE(NULLIF(v.row_key, ''), HEX(t.externalId)) AS proposal,
    HEX(t.externalId) AS external_id
FROM Proposal AS t
INNER JOIN (
    SELECT
        t.proposalId,
        CONCAT_WS(
            '-',
            CONVERT(t.proposalCode USING utf8mb4), -- if: proposalCode
            CONVERT(t.proposalNumber USING utf8mb4), -- if: proposalNumber
            NULL
        ) AS row_key
    FROM Proposal AS t
) AS v ON v.proposalId = t.proposalId
LEFT JOIN (
    SELECT DISTINCT m.target_id FROM ispyb_sync.map_proposal AS m WHERE m.target_id IS NOT NULL
) AS found ON found.target_id = t.proposalId
LEFT JOIN (
    SELECT DISTINCT s.externalId FROM ispyb_sync.stage_proposal AS s WHERE s.externalId IS NOT NULL
) AS named ON named.externalId = t.externalId
WHERE t.externalId IS NOT NULL AND found.target_id IS NULL AND named.externalId IS NULL
ORDER BY t.proposalId;
