-- session: beamtime of a proposal on a beamline.
--
-- target    BLSession
-- stage     stage_session, map_session, claim_session
-- after     proposal
-- matches   externalId, then expSessionPk, then visit_number where (proposalId, visit_number) is unique
-- refuses   ambiguous_match, belongs_elsewhere, duplicate_key, key_taken, keys_disagree, parent_refused
-- never     deletes a session, moves it to another proposal, or writes beamLineSetupId

-- pass: create

-- name: create_stage
CREATE TEMPORARY TABLE ispyb_sync.stage_session (
    row_id INT UNSIGNED NOT NULL DEFAULT 0 PRIMARY KEY,
    position INT UNSIGNED NOT NULL DEFAULT 0,
    document INT UNSIGNED NOT NULL DEFAULT 0,
    path VARCHAR(255) CHARACTER SET ascii NOT NULL DEFAULT '',
    refused VARCHAR(24) CHARACTER SET ascii NULL,
    contradicts VARCHAR(32) CHARACTER SET ascii NULL,
    clears VARCHAR(500) CHARACTER SET ascii NOT NULL DEFAULT '',
    conflicting BOOLEAN NOT NULL DEFAULT FALSE
) ENGINE = InnoDB
SELECT
    CAST(NULL AS DATETIME) AS a_field, -- for: is(lastUpdate)
    t.a_column AS a_field, -- for: live
    CAST(NULL AS CHAR(255)) AS a_field, -- for: absent
    0 AS row_id
FROM (SELECT 1) AS nothing
LEFT JOIN BLSession AS t ON FALSE
WHERE FALSE;

-- name: create_map
CREATE TEMPORARY TABLE ispyb_sync.map_session (
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

-- name: create_claim
CREATE TEMPORARY TABLE ispyb_sync.claim_session (
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
-- What hangs on a refused proposal is refused with it. Sessions find their row at once by externalId, which is unique,
-- or by expSessionPk where they give nothing else; where several have it, match_exp_session_pk refuses.
INSERT INTO ispyb_sync.map_session (row_id, thing, proposal, refused, field, target_id, matched_by)
SELECT
    s.row_id,
    s.row_id,
    proposal.thing,
    NVL(s.refused, IF(proposal.refused IS NULL, NULL, 'parent_refused')),
    IF(s.refused IS NULL AND proposal.refused IS NOT NULL, 'proposal', NULL),
    IF(
        s.refused IS NULL AND proposal.refused IS NULL,
        COALESCE(
            IF(COUNT(e.sessionId) = 1, MIN(e.sessionId), NULL), -- if: expSessionPk
            t.sessionId
        ),
        NULL
    ),
    CASE
        WHEN t.sessionId IS NOT NULL THEN 'externalId'
        WHEN COUNT(e.sessionId) = 1 THEN 'expSessionPk' -- if: expSessionPk
    END
FROM ispyb_sync.stage_session AS s
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
LEFT JOIN BLSession AS t ON t.externalId = s.externalId
LEFT JOIN BLSession AS e ON s.externalId IS NULL AND e.expSessionPk = s.expSessionPk -- if: expSessionPk
GROUP BY s.row_id;

-- rounds: begin

-- name: join_external_id -- if: several, given(externalId) -- finds: joined
-- Mentions that share a key are one session. The joins run in rounds, until a round joins nothing more.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT s.externalId, MIN(m.thing) AS first
    FROM ispyb_sync.map_session AS m
    INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    WHERE s.externalId IS NOT NULL AND m.refused IS NULL
    GROUP BY s.externalId
    HAVING MIN(m.thing) < MAX(m.thing)
) AS g ON g.externalId = s.externalId
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- name: join_exp_session_pk -- if: several, given(expSessionPk) -- finds: joined
-- The deprecated key of the ESRF.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT s.expSessionPk, MIN(m.thing) AS first
    FROM ispyb_sync.map_session AS m
    INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    WHERE s.expSessionPk IS NOT NULL AND m.refused IS NULL
    GROUP BY s.expSessionPk
    HAVING MIN(m.thing) < MAX(m.thing)
) AS g ON g.expSessionPk = s.expSessionPk
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- rounds: end

-- name: refuse_same_visit -- if: several, unique(visit_number) -- finds: duplicates
-- Where (proposalId, visit_number) is unique, two sessions cannot have one visit number: those that give a stronger key,
-- also an expSessionPk that the table has no column for, are different sessions, unless all of them give the same one.
-- All mentions of them are refused; one by this visit number alone may be any of them.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN (
    WITH disputed AS (
        SELECT m.proposal, s.visit_number
        FROM ispyb_sync.map_session AS m
        INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
        WHERE s.visit_number IS NOT NULL AND m.refused IS NULL
            AND (s.externalId IS NOT NULL OR s.expSessionPk IS NOT NULL)
        GROUP BY m.proposal, s.visit_number
        HAVING
            MIN(m.thing) < MAX(m.thing)
            AND NOT (
                COUNT(DISTINCT s.expSessionPk) = 1
                AND COUNT(DISTINCT IF(s.expSessionPk IS NULL, NULL, m.thing)) = COUNT(DISTINCT m.thing)
                AND COUNT(DISTINCT s.externalId) < 2
            )
    )
    SELECT
        m.thing,
        m.proposal,
        MAX(s.visit_number) AS visit_number,
        MAX(s.externalId IS NOT NULL OR s.expSessionPk IS NOT NULL) AS is_strong,
        d.documents
    FROM disputed AS g
    STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.proposal = g.proposal
    STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id AND s.visit_number = g.visit_number
    STRAIGHT_JOIN (
        SELECT
            m.proposal,
            s.visit_number,
            CONCAT('documents ', GROUP_CONCAT(DISTINCT s.document ORDER BY s.document SEPARATOR ', ')) AS documents
        FROM ispyb_sync.map_session AS m
        INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
        WHERE s.visit_number IS NOT NULL AND m.refused IS NULL
        GROUP BY m.proposal, s.visit_number
    ) AS d ON d.proposal = g.proposal AND d.visit_number = g.visit_number
    WHERE m.refused IS NULL
    GROUP BY m.thing
) AS g ON g.thing = m.thing
SET
    m.refused = IF(g.is_strong, 'duplicate_key', 'ambiguous_match'),
    m.field = 'visit_number',
    m.value = g.visit_number,
    m.held = IF(g.is_strong, g.documents, NULL)
WHERE m.refused IS NULL;

-- name: join_visit_number -- if: several, unique(visit_number) -- finds: joined
-- A mention by visit number joins the session of its proposal that has it.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN (
    SELECT m.thing, MIN(g.first) AS first
    FROM ispyb_sync.map_session AS m
    INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    INNER JOIN (
        SELECT m.proposal, s.visit_number, MIN(m.thing) AS first
        FROM ispyb_sync.map_session AS m
        INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
        WHERE s.visit_number IS NOT NULL AND m.refused IS NULL
        GROUP BY m.proposal, s.visit_number
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS g ON g.proposal = m.proposal AND g.visit_number = s.visit_number
    WHERE m.refused IS NULL
    GROUP BY m.thing
    HAVING MIN(g.first) < m.thing
) AS g ON g.thing = m.thing
SET m.thing = g.first
WHERE m.refused IS NULL;


-- name: refuse_duplicate_key -- if: joined -- finds: duplicates
-- Mentions that are joined and contradict each other, or that two proposals claim.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN (
    SELECT
        m.thing,
        CASE
            WHEN MIN(s.externalId) < MAX(s.externalId) AND COUNT(DISTINCT s.expSessionPk) = 1 THEN 'expSessionPk' -- if: expSessionPk
            WHEN MIN(s.externalId) < MAX(s.externalId) AND COUNT(DISTINCT s.visit_number) = 1 THEN 'visit_number' -- if: unique(visit_number)
            WHEN MIN(s.externalId) < MAX(s.externalId) THEN 'externalId'
            WHEN MIN(m.proposal) < MAX(m.proposal) AND COUNT(DISTINCT s.externalId) = 0 THEN 'expSessionPk' -- if: expSessionPk
            WHEN MIN(m.proposal) < MAX(m.proposal) THEN 'externalId'
            WHEN MIN(s.expSessionPk) < MAX(s.expSessionPk) THEN 'externalId' -- if: expSessionPk
            WHEN MIN(s.visit_number) < MAX(s.visit_number) THEN 'externalId' -- if: unique(visit_number)
        END AS field,
        CONCAT('documents ', GROUP_CONCAT(DISTINCT s.document ORDER BY s.document SEPARATOR ', ')) AS held
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_session AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    GROUP BY m.thing
    HAVING field IS NOT NULL
) AS g ON g.thing = m.thing
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
SET
    m.refused = 'duplicate_key',
    m.field = g.field,
    m.value = CASE g.field
        WHEN 'externalId' THEN HEX(s.externalId)
        WHEN 'expSessionPk' THEN CONVERT(s.expSessionPk USING utf8mb4)
        WHEN 'visit_number' THEN CONVERT(s.visit_number USING utf8mb4)
    END,
    m.held = g.held
WHERE m.refused IS NULL;

-- name: split_duplicates -- if: duplicates
-- Refused together, but counted and reported as the different things they are.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN (
    SELECT
        m.row_id,
        MIN(m.row_id) OVER (PARTITION BY m.proposal, s.externalId
            , s.expSessionPk -- if: expSessionPk
            , s.visit_number -- if: unique(visit_number)
        ) AS first
    FROM ispyb_sync.map_session AS m
    INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    WHERE m.refused = 'duplicate_key'
) AS g ON g.row_id = m.row_id
SET m.thing = g.first;

-- name: refuse_ambiguous_mention -- if: expSessionPk, duplicates
-- A mention by expSessionPk alone cannot say which of the things that share it is meant.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT s.expSessionPk
    FROM ispyb_sync.map_session AS m
    INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    WHERE m.refused = 'duplicate_key'
    GROUP BY s.expSessionPk
    HAVING MIN(s.externalId) < MAX(s.externalId)
) AS g ON g.expSessionPk <=> s.expSessionPk
SET m.refused = 'ambiguous_match', m.field = 'expSessionPk', m.value = s.expSessionPk
WHERE m.refused = 'duplicate_key' AND s.externalId IS NULL AND s.expSessionPk IS NOT NULL;

-- name: unite_keys -- if: joined
-- The first row of a thing carries all its keys from here on.
UPDATE ispyb_sync.stage_session AS s
STRAIGHT_JOIN (
    SELECT
        m.thing,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.expSessionPk)), 11) AS expSessionPk, -- if: expSessionPk
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.visit_number)), 11) AS visit_number, -- if: unique(visit_number)
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.externalId)), 11) AS externalId,
        NVL(GROUP_CONCAT(DISTINCT NULLIF(s.clears, '')), '') AS clears
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_session AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    GROUP BY m.thing
) AS u ON u.thing = s.row_id
SET
    s.expSessionPk = NVL(s.expSessionPk, u.expSessionPk), -- if: expSessionPk
    s.visit_number = NVL(s.visit_number, u.visit_number), -- if: unique(visit_number)
    s.externalId = NVL(s.externalId, u.externalId),
    s.clears = u.clears;

-- name: forget_match -- if: expSessionPk, joined
-- A session found by expSessionPk that gained an externalId from another mention is looked for by that.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
SET m.target_id = NULL, m.matched_by = NULL
WHERE m.matched_by = 'expSessionPk' AND s.externalId IS NOT NULL;

-- name: match_external_id -- if: given(externalId), joined | inserted -- again: inserted
INSERT INTO ispyb_sync.map_session (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.sessionId), NULL),
    'externalId',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'externalId',
    HEX(s.externalId),
    IF(COUNT(*) = 1, NULL, CONCAT('sessionId ', MIN(t.sessionId), ' to ', MAX(t.sessionId)))
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN BLSession AS t ON t.externalId = s.externalId
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
GROUP BY m.row_id
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    matched_by = VALUES(matched_by),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: keep_exp_session_pk -- if: given(clears), expSessionPk
-- A null gives an expSessionPk up, but only of a session that is found by externalId, an earlier key.
UPDATE ispyb_sync.stage_session AS s
STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.row_id = s.row_id
STRAIGHT_JOIN ispyb_sync.map_session AS whole ON whole.row_id = m.thing
SET s.clears = TRIM(BOTH ',' FROM REPLACE(CONCAT(',', s.clears, ','), ',expSessionPk,', ','))
WHERE whole.target_id IS NULL;

-- name: match_exp_session_pk -- if: given(expSessionPk) -- again: inserted
INSERT INTO ispyb_sync.map_session (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.sessionId), NULL),
    'expSessionPk',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'expSessionPk',
    s.expSessionPk,
    IF(COUNT(*) = 1, NULL, CONCAT('sessionId ', MIN(t.sessionId), ' to ', MAX(t.sessionId)))
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN BLSession AS t ON t.expSessionPk = s.expSessionPk
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

-- name: recount_exp_session_pk -- if: several, given(expSessionPk)
-- Of several rows of one expSessionPk, those that get another one in this run do not count; claim_exp_session_pk lets
-- this one fall with them. Only who is found by externalId, under its own proposal, can give one up.
INSERT INTO ispyb_sync.map_session (row_id, thing, target_id, matched_by)
SELECT
    m.row_id,
    m.thing,
    MIN(IF(giver.row_id IS NULL AND NOT NVL(t.externalId <> s.externalId, FALSE), t.sessionId, NULL)),
    'expSessionPk'
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN BLSession AS t ON t.expSessionPk = s.expSessionPk
LEFT JOIN (
    ispyb_sync.map_session AS giver
    INNER JOIN ispyb_sync.stage_session AS given ON given.row_id = giver.row_id
    INNER JOIN ispyb_sync.map_proposal AS home ON home.row_id = giver.proposal
) ON giver.target_id = t.sessionId AND home.target_id = t.proposalId AND giver.thing = giver.row_id
    AND giver.refused IS NULL
    AND NVL(given.expSessionPk <> t.expSessionPk, FIND_IN_SET('expSessionPk', given.clears))
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused = 'ambiguous_match' AND m.matched_by = 'expSessionPk'
GROUP BY m.row_id
HAVING SUM(giver.row_id IS NULL) < 2
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: refuse_belongs_elsewhere -- finds: elsewhere
-- A session does not move: its data were taken under the proposal that ISPyB has. A visit number, looked for after this,
-- finds none elsewhere.
INSERT INTO ispyb_sync.map_session (row_id, thing, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    'belongs_elsewhere',
    m.matched_by,
    CASE m.matched_by
        WHEN 'externalId' THEN HEX(s.externalId)
        WHEN 'expSessionPk' THEN CONVERT(s.expSessionPk USING utf8mb4)
    END,
    CONCAT(
        'sessionId ', t.sessionId, ' of proposal ',
        COALESCE(NULLIF(CONCAT_WS(
            '-',
            CONVERT(other.proposalCode USING utf8mb4), -- if: proposal.proposalCode
            CONVERT(other.proposalNumber USING utf8mb4), -- if: proposal.proposalNumber
            NULL
        ), ''), other.proposalId)
    )
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN BLSession AS t ON t.sessionId = m.target_id
STRAIGHT_JOIN Proposal AS other ON other.proposalId = t.proposalId
WHERE m.thing = m.row_id AND m.refused IS NULL AND NOT t.proposalId <=> proposal.target_id
ON DUPLICATE KEY UPDATE
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: forget_given_up -- if: expSessionPk, elsewhere
-- A session that gets another expSessionPk in this run, under its own proposal, is not the one that the old number means
-- elsewhere: claim_exp_session_pk decides, as of every key that is given up.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_session AS giver ON giver.target_id = m.target_id
STRAIGHT_JOIN ispyb_sync.stage_session AS given ON given.row_id = giver.row_id
SET m.target_id = NULL, m.matched_by = NULL, m.refused = NULL, m.field = NULL, m.value = NULL, m.held = NULL
WHERE
    m.refused = 'belongs_elsewhere'
    AND m.matched_by = 'expSessionPk'
    AND giver.thing = giver.row_id
    AND giver.refused IS NULL
    AND NVL(given.expSessionPk <> s.expSessionPk, FIND_IN_SET('expSessionPk', given.clears));

-- name: match_visit_number -- if: unique(visit_number) -- again: inserted
INSERT INTO ispyb_sync.map_session (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.sessionId), NULL),
    'visit_number',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'visit_number',
    s.visit_number,
    IF(COUNT(*) = 1, NULL, CONCAT('sessionId ', MIN(t.sessionId), ' to ', MAX(t.sessionId)))
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN BLSession AS t ON t.proposalId = proposal.target_id AND t.visit_number = s.visit_number
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
GROUP BY m.row_id
HAVING COUNT(*) > 1 OR NVL(SUM(
    NVL(t.expSessionPk <> s.expSessionPk, FALSE) OR -- if: expSessionPk
    t.externalId <> s.externalId
), 0) = 0
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    matched_by = VALUES(matched_by),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- pass: settle

-- name: probe_same_target -- if: several -- finds: same_target
-- Whether several things found one row.
SELECT m.target_id
FROM ispyb_sync.map_session AS m
WHERE m.target_id IS NOT NULL
GROUP BY m.target_id
HAVING MIN(m.thing) < MAX(m.thing)
LIMIT 1;

-- name: refuse_same_target -- if: same_target
-- Two things of the export that are one row of ISPyB, and disagree about its keys.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN (
    SELECT m.target_id
    FROM (
        SELECT m.target_id
        FROM ispyb_sync.map_session AS m
        WHERE m.target_id IS NOT NULL
        GROUP BY m.target_id
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.target_id = several.target_id
    STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    WHERE m.thing = m.row_id AND m.refused IS NULL
    GROUP BY m.target_id
    HAVING
        COUNT(*) > 1
        AND (
            MIN(s.externalId) < MAX(s.externalId)
            OR MIN(s.expSessionPk) < MAX(s.expSessionPk) -- if: expSessionPk
            OR MIN(s.visit_number) < MAX(s.visit_number) -- if: unique(visit_number)
        )
) AS g ON g.target_id = m.target_id
SET m.refused = 'duplicate_key', m.field = m.matched_by, m.held = CONCAT('sessionId ', m.target_id)
WHERE m.thing = m.row_id AND m.refused IS NULL;

-- name: join_target -- if: same_target -- finds: joined
-- Two things of the export that turn out to be one row, and agree, are one.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.map_session AS t ON t.row_id = m.thing
STRAIGHT_JOIN (
    SELECT m.target_id, MIN(IF(m.refused IS NULL AND m.thing = m.row_id, m.row_id, NULL)) AS first
    FROM (
        SELECT m.target_id
        FROM ispyb_sync.map_session AS m
        WHERE m.target_id IS NOT NULL
        GROUP BY m.target_id
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.target_id = several.target_id
    GROUP BY m.target_id
) AS g ON g.target_id = t.target_id
SET m.thing = g.first
WHERE t.refused IS NULL AND m.refused IS NULL AND g.first IS NOT NULL;

-- name: unite -- if: joined
-- The copies of a thing become one row: per column the last in file order that gives a value. The position in
-- front of the value makes MAX() choose it.
REPLACE INTO ispyb_sync.stage_session (
    a_field, -- for: live | absent
    row_id, position, document, path, contradicts, clears, conflicting
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
    OR FALSE
FROM (
    SELECT DISTINCT m.thing FROM ispyb_sync.map_session AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
) AS several
STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.thing = several.thing
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
GROUP BY m.thing;

-- name: refuse_missing -- if: any(required)
-- A new row without a value that the table demands; the words are the server's.
INSERT INTO ispyb_sync.map_session (row_id, thing, refused, field, held)
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
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
HAVING missing IS NOT NULL
ON DUPLICATE KEY UPDATE refused = VALUES(refused), field = VALUES(field), held = VALUES(held);

-- name: refuse_contradicted -- if: given(contradicts)
-- A value that does not fit is left out; but a new row would get the column's default, which says something else.
INSERT INTO ispyb_sync.map_session (row_id, thing, refused)
SELECT m.row_id, m.thing, 'value_not_allowed'
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL AND (
    s.contradicts = 'a_field' AND s.a_field IS NULL OR -- for: default
    FALSE
)
ON DUPLICATE KEY UPDATE refused = VALUES(refused);

-- name: claim_exp_session_pk -- if: given(expSessionPk) -- finds: claims
-- Keys to be written, or found in several rows, that another row of ISPyB holds now; and the thing of this run, if any,
-- that gives it up.
INSERT INTO ispyb_sync.claim_session (row_id, field, holder_id, holder_row, value)
SELECT m.row_id, 'expSessionPk', h.sessionId, MIN(giver.row_id), s.expSessionPk
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
LEFT JOIN BLSession AS t ON t.sessionId = m.target_id
STRAIGHT_JOIN BLSession AS h ON h.expSessionPk = s.expSessionPk
LEFT JOIN (
    ispyb_sync.map_session AS giver
    INNER JOIN ispyb_sync.stage_session AS given ON given.row_id = giver.row_id
) ON giver.target_id = h.sessionId AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND NVL(given.expSessionPk <> h.expSessionPk, FIND_IN_SET('expSessionPk', given.clears))
WHERE
    m.thing = m.row_id
    AND m.refused IS NULL
    AND NOT h.sessionId <=> m.target_id
    AND (
        t.sessionId IS NULL
        OR NOT t.expSessionPk <=> s.expSessionPk
        OR EXISTS (SELECT 1 FROM ispyb_sync.map_session AS part WHERE part.thing = m.row_id AND part.matched_by = 'expSessionPk')
    )
GROUP BY m.row_id, h.sessionId;

-- name: claim_visit_number -- if: unique(visit_number) -- finds: claims
INSERT INTO ispyb_sync.claim_session (row_id, field, holder_id, holder_row, value)
SELECT m.row_id, 'visit_number', h.sessionId, MIN(giver.row_id), s.visit_number
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
LEFT JOIN BLSession AS t ON t.sessionId = m.target_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN BLSession AS h ON h.proposalId = proposal.target_id AND h.visit_number = s.visit_number
LEFT JOIN (
    ispyb_sync.map_session AS giver
    INNER JOIN ispyb_sync.stage_session AS given ON given.row_id = giver.row_id
) ON giver.target_id = h.sessionId AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND given.visit_number <> h.visit_number
WHERE m.thing = m.row_id AND m.refused IS NULL AND NOT h.sessionId <=> m.target_id AND (t.sessionId IS NULL OR NOT t.visit_number <=> s.visit_number)
GROUP BY m.row_id, h.sessionId;

-- name: refuse_taken -- if: claims
-- A claim falls when nobody in this run gives the value up, or when the one who would falls itself; what is
-- left are swaps and rotations, in which everyone gets what it asks for.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN (
    WITH RECURSIVE fallen AS (
        SELECT c.row_id, c.field, 0 AS drawn_along FROM ispyb_sync.claim_session AS c WHERE c.holder_row IS NULL
        UNION
        SELECT c.row_id, c.field, 1
        FROM ispyb_sync.claim_session AS c INNER JOIN fallen ON fallen.row_id = c.holder_row
    )
    SELECT fallen.row_id, SUBSTRING(MIN(CONCAT(fallen.drawn_along, fallen.field)), 2) AS field
    FROM fallen
    GROUP BY fallen.row_id
) AS f ON f.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.claim_session AS c ON c.row_id = m.row_id AND c.field = f.field
SET
    m.refused = CASE
        WHEN m.target_id IS NULL THEN 'keys_disagree'
        WHEN m.matched_by = c.field THEN 'ambiguous_match'
        ELSE 'key_taken'
    END,
    m.field = c.field,
    m.value = c.value,
    m.held = CONCAT('sessionId ', CONCAT_WS(' and ', IF(m.matched_by = c.field, m.target_id, NULL), c.holder_id));

-- name: share -- if: joined -- again: inserted
-- The other rows of a thing share what was found for it: children may name any of them.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.map_session AS t ON t.row_id = m.thing
SET m.target_id = t.target_id, m.refused = NVL(m.refused, t.refused), m.action = t.action
WHERE m.thing <> m.row_id;

-- pass: compare

-- name: decide
UPDATE ispyb_sync.map_session AS m
SET m.action = 'insert'
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL;

-- name: compare
-- comments, usedFlag and lastUpdate belong to ISPyB once the session is there.
INSERT INTO ispyb_sync.map_session (row_id, thing, action, changes)
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
        NULL
    ), ''), '}') AS changes
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN BLSession AS t ON t.sessionId = m.target_id
WHERE m.thing = m.row_id AND m.refused IS NULL
HAVING changes IS NOT NULL
ON DUPLICATE KEY UPDATE action = VALUES(action), changes = VALUES(changes);

-- pass: apply

-- name: release_visit_number -- if: unique(visit_number), nullable(visit_number), claims
-- A swap needs a moment in which the old holder has none.
UPDATE ispyb_sync.claim_session AS c
STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.row_id = c.row_id
STRAIGHT_JOIN BLSession AS t ON t.sessionId = c.holder_id
SET t.visit_number = NULL
WHERE c.field = 'visit_number' AND m.refused IS NULL;

-- name: update -- does: update
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN BLSession AS t ON t.sessionId = m.target_id
SET
    t.a_column = NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), -- for: portal, not bytes
    t.externalId = NVL(s.externalId, t.externalId)
WHERE
    m.row_id BETWEEN @first_row AND @last_row AND -- if: part
    m.action = 'update';

-- name: insert -- does: insert
-- Where (proposalId, visit_number) is unique, the default of visit_number would collide: none given is NULL.
-- UNIX_TIMESTAMP and back: lastUpdate is a TIMESTAMP, which has no hour that summer time skips and no year 2040.
INSERT INTO BLSession (
    a_column, -- for: live
    proposalId
)
SELECT
    s.a_field, -- for: is(visit_number), unique(visit_number)
    COALESCE(FROM_UNIXTIME(NULLIF(UNIX_TIMESTAMP(NVL(s.lastUpdate, s.endDate)), 0)), @now), -- for: is(lastUpdate), live
    IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))), -- for: default
    s.a_field, -- for: live
    proposal.target_id
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
WHERE
    m.row_id BETWEEN @first_row AND @last_row AND -- if: part
    m.action = 'insert'
ORDER BY m.row_id;

-- pass: history

-- name: record_changes
-- Of an insert all values, of an update the old and the new ones.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    @run,
    'session',
    m.row_id,
    m.target_id,
    NULL,
    m.action,
    IF(m.action = 'update', m.matched_by, NULL),
    COALESCE(
        HEX(s.externalId),
        CONVERT(s.expSessionPk USING utf8mb4), -- if: expSessionPk
        CONVERT(s.visit_number USING utf8mb4)
    ),
    COALESCE(NULLIF(CONCAT_WS('-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    IF(
        m.action = 'insert',
        JSON_OBJECT(
            'proposalId', NVL(proposal.target_id, 'new'),
            'a_field', s.a_field, -- for: is(visit_number), unique(visit_number)
            'a_field', COALESCE(FROM_UNIXTIME(NULLIF(UNIX_TIMESTAMP(NVL(s.lastUpdate, s.endDate)), 0)), @now), -- for: is(lastUpdate), live
            'a_field', CONVERT(IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))) USING utf8mb4), -- for: default, text
            'a_field', IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))) + 0e0, -- for: default, float
            'a_field', IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))), -- for: default, not bytes
            'a_field', CONVERT(s.a_field USING utf8mb4), -- for: text
            'a_field', s.a_field + 0e0, -- for: float
            'a_field', s.a_field, -- for: live, not bytes
            'externalId', HEX(s.externalId)
        ),
        m.changes
    )
FROM ispyb_sync.map_session AS m
INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- pass: digest

-- name: digest
-- What the portal may own of each session, and how many have the same expSessionPk; not the columns that ISPyB owns once
-- the session is there.
INSERT INTO ispyb_sync.digest_proposal (taken, proposalId, digest)
SELECT
    d.taken,
    d.proposalId,
    BIT_XOR(CONV(LEFT(MD5(CONCAT_WS(
        ',',
        'session',
        t.sessionId,
        (SELECT COUNT(*) FROM BLSession AS n WHERE n.expSessionPk = t.expSessionPk), -- if: expSessionPk
        QUOTE(CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
        QUOTE(t.a_column), -- for: portal
        ''
    )), 16), 16, 10))
FROM ispyb_sync.digest_proposal AS d
STRAIGHT_JOIN BLSession AS t ON t.proposalId = d.proposalId
WHERE d.taken = @taken
GROUP BY d.proposalId
ON DUPLICATE KEY UPDATE digest = digest ^ VALUES(digest);

-- pass: report

-- name: unplaced -- again: inserted -- counts: overtaken
-- An inserted row that is not found again was changed by somebody else in between: the run starts anew.
SELECT COUNT(*) FROM ispyb_sync.map_session AS m WHERE m.action = 'insert' AND (m.target_id IS NULL OR m.refused IS NOT NULL);

-- name: contradicted -- if: given(contradicts)
-- What refuse_contradicted has refused: the document, and the path of the value.
SELECT s.document, CONCAT(s.path, '.', s.contradicts) AS path
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
WHERE m.refused = 'value_not_allowed' AND s.refused IS NULL AND s.contradicts IS NOT NULL;

-- name: counts
SELECT
    COUNT(*) AS staged,
    NVL(SUM(m.action = 'insert'), 0) AS inserted,
    NVL(SUM(m.action = 'update'), 0) AS updated,
    NVL(SUM(m.refused IS NOT NULL), 0) AS refused
FROM ispyb_sync.map_session AS m
WHERE m.thing = m.row_id;

-- name: conflicting_copies -- if: joined
SELECT COUNT(*) FROM ispyb_sync.stage_session AS s WHERE s.conflicting;

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
FROM ispyb_sync.map_session AS m
INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE m.refused IS NOT NULL AND m.field IS NOT NULL AND s.refused IS NULL
ORDER BY m.row_id;

-- name: possible_twins -- if: beamLineName, startDate, endDate
-- A new session of a proposal and beamline, at a time at which ISPyB has one that no key names: MXCuBE makes such.
SELECT
    s.document,
    COALESCE(NULLIF(CONCAT_WS('-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)) AS proposal,
    s.path,
    CONCAT_WS(' ', CONVERT(s.beamLineName USING utf8mb4), s.startDate) AS value,
    CONCAT('sessionId ', t.sessionId) AS twin
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN BLSession AS t
    ON t.proposalId = proposal.target_id
    AND t.beamLineName = s.beamLineName
    AND t.startDate < s.endDate
    AND t.endDate > s.startDate
LEFT JOIN ispyb_sync.map_session AS found ON found.target_id = t.sessionId
WHERE
    m.action = 'insert'
    AND m.thing = m.row_id
    AND t.externalId IS NULL
    AND t.expSessionPk IS NULL -- if: expSessionPk
    AND t.visit_number IS NULL -- if: unique(visit_number)
    AND found.row_id IS NULL
ORDER BY m.row_id;

-- name: vanished
-- What ISPyB knows by its externalId and the export names neither by that nor by another key. Refused rows are named.
SELECT
    t.sessionId,
    CONCAT_WS(
        ' ',
        CONVERT(t.beamLineName USING utf8mb4), -- if: beamLineName
        t.startDate, -- if: startDate
        NULL
    ) AS row_key,
    COALESCE(NULLIF(CONCAT_WS(
        '-',
        CONVERT(proposal.proposalCode USING utf8mb4), -- if: proposal.proposalCode
        CONVERT(proposal.proposalNumber USING utf8mb4), -- if: proposal.proposalNumber
        NULL
    ), ''), HEX(proposal.externalId)) AS proposal,
    HEX(t.externalId) AS external_id
FROM BLSession AS t
INNER JOIN Proposal AS proposal ON proposal.proposalId = t.proposalId
LEFT JOIN (
    SELECT DISTINCT m.target_id FROM ispyb_sync.map_session AS m WHERE m.target_id IS NOT NULL
) AS found ON found.target_id = t.sessionId
LEFT JOIN (
    SELECT DISTINCT s.externalId FROM ispyb_sync.stage_session AS s WHERE s.externalId IS NOT NULL
) AS named ON named.externalId = t.externalId
WHERE t.externalId IS NOT NULL AND found.target_id IS NULL AND named.externalId IS NULL
ORDER BY t.proposalId, t.sessionId;
