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
    clears VARCHAR(500) CHARACTER SET ascii NOT NULL DEFAULT '',
    conflicting BOOLEAN NOT NULL DEFAULT FALSE
) ENGINE = InnoDB
SELECT
    t.externalId,
    t.expSessionPk, -- if: expSessionPk
    t.visit_number, -- if: visit_number
    t.startDate,
    t.endDate,
    t.beamLineName,
    t.scheduled,
    t.nbShifts,
    t.beamLineOperator,
    t.sessionTitle, -- if: sessionTitle
    t.structureDeterminations, -- if: structureDeterminations
    t.dewarTransport, -- if: dewarTransport
    t.databackupFrance, -- if: databackupFrance
    t.databackupEurope, -- if: databackupEurope
    t.operatorSiteNumber, -- if: operatorSiteNumber
    t.nbReimbDewars, -- if: nbReimbDewars
    t.projectCode, -- if: projectCode
    t.protectedData, -- if: protectedData
    t.usedFlag, -- if: usedFlag
    t.endDate AS lastUpdate, -- if: lastUpdate
    t.comments
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

-- name: join_external_id -- if: several, given(externalId)
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

-- name: join_exp_session_pk -- if: several, given(expSessionPk)
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

-- name: join_visit_number -- if: several, unique(visit_number)
-- Where the table says that it names a session, the visit number does, within its proposal.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT m.proposal, s.visit_number, MIN(m.thing) AS first
    FROM ispyb_sync.map_session AS m
    INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    WHERE m.proposal IS NOT NULL AND s.visit_number IS NOT NULL AND m.refused IS NULL
    GROUP BY m.proposal, s.visit_number
    HAVING MIN(m.thing) < MAX(m.thing)
) AS g ON g.proposal = m.proposal AND g.visit_number = s.visit_number
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- rounds: end

-- name: refuse_duplicate_key -- if: joined
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
        WHEN 'expSessionPk' THEN s.expSessionPk -- if: expSessionPk
        WHEN 'visit_number' THEN s.visit_number -- if: unique(visit_number)
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
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.externalId)), 11) AS externalId
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
    s.externalId = NVL(s.externalId, u.externalId);

-- name: forget_match -- if: expSessionPk, joined
-- A session found by expSessionPk that gained an externalId from another mention is looked for by that.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
SET m.target_id = NULL, m.matched_by = NULL
WHERE m.matched_by = 'expSessionPk' AND s.externalId IS NOT NULL;

-- name: match_external_id -- if: given(externalId), joined | inserted
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

-- name: match_exp_session_pk -- if: given(expSessionPk)
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
) ON giver.target_id = t.sessionId AND home.target_id = t.proposalId AND giver.thing = giver.row_id AND giver.refused IS NULL AND given.expSessionPk <> t.expSessionPk
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused = 'ambiguous_match' AND m.matched_by = 'expSessionPk'
GROUP BY m.row_id
HAVING SUM(giver.row_id IS NULL) < 2
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: refuse_belongs_elsewhere
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
        WHEN 'expSessionPk' THEN s.expSessionPk -- if: expSessionPk
    END,
    CONCAT(
        'sessionId ', t.sessionId, ' of proposal ',
        COALESCE(NULLIF(CONCAT_WS('-', other.proposalCode, other.proposalNumber), ''), other.proposalId)
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
    AND given.expSessionPk <> s.expSessionPk;

-- name: match_visit_number -- if: unique(visit_number)
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

-- name: probe_same_target -- if: several
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

-- name: join_target -- if: same_target
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
    row_id, position, document, path, clears, conflicting,
    externalId,
    expSessionPk, -- if: expSessionPk
    visit_number, -- if: visit_number
    startDate,
    endDate,
    beamLineName,
    scheduled,
    nbShifts,
    beamLineOperator,
    sessionTitle, -- if: sessionTitle
    structureDeterminations, -- if: structureDeterminations
    dewarTransport, -- if: dewarTransport
    databackupFrance, -- if: databackupFrance
    databackupEurope, -- if: databackupEurope
    operatorSiteNumber, -- if: operatorSiteNumber
    nbReimbDewars, -- if: nbReimbDewars
    projectCode, -- if: projectCode
    protectedData, -- if: protectedData
    usedFlag, -- if: usedFlag
    lastUpdate, -- if: lastUpdate
    comments
)
SELECT
    m.thing,
    MAX(s.position),
    MIN(s.document),
    SUBSTRING(MIN(CONCAT(LPAD(s.row_id, 10, '0'), s.path)), 11),
    NVL(GROUP_CONCAT(DISTINCT NULLIF(s.clears, '')), ''),
    COUNT(DISTINCT BINARY s.externalId) > 1
    OR COUNT(DISTINCT s.expSessionPk) > 1 -- if: expSessionPk
    OR COUNT(DISTINCT s.visit_number) > 1 -- if: visit_number
    OR COUNT(DISTINCT s.startDate) > 1
    OR COUNT(DISTINCT s.endDate) > 1
    OR COUNT(DISTINCT BINARY s.beamLineName) > 1
    OR COUNT(DISTINCT s.scheduled) > 1
    OR COUNT(DISTINCT s.nbShifts) > 1
    OR COUNT(DISTINCT BINARY s.beamLineOperator) > 1
    OR COUNT(DISTINCT BINARY s.sessionTitle) > 1 -- if: sessionTitle
    OR COUNT(DISTINCT s.structureDeterminations) > 1 -- if: structureDeterminations
    OR COUNT(DISTINCT s.dewarTransport) > 1 -- if: dewarTransport
    OR COUNT(DISTINCT s.databackupFrance) > 1 -- if: databackupFrance
    OR COUNT(DISTINCT s.databackupEurope) > 1 -- if: databackupEurope
    OR COUNT(DISTINCT BINARY s.operatorSiteNumber) > 1 -- if: operatorSiteNumber
    OR COUNT(DISTINCT s.nbReimbDewars) > 1 -- if: nbReimbDewars
    OR COUNT(DISTINCT BINARY s.projectCode) > 1 -- if: projectCode
    OR COUNT(DISTINCT BINARY s.protectedData) > 1 -- if: protectedData
    OR COUNT(DISTINCT s.usedFlag) > 1 -- if: usedFlag
    OR COUNT(DISTINCT s.lastUpdate) > 1 -- if: lastUpdate
    OR COUNT(DISTINCT BINARY s.comments) > 1,
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.externalId)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.expSessionPk)), 11), -- if: expSessionPk
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.visit_number)), 11), -- if: visit_number
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.startDate)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.endDate)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.beamLineName)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.scheduled)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.nbShifts)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.beamLineOperator)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.sessionTitle)), 11), -- if: sessionTitle
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.structureDeterminations + 0e0)), 11), -- if: structureDeterminations
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.dewarTransport + 0e0)), 11), -- if: dewarTransport
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.databackupFrance + 0e0)), 11), -- if: databackupFrance
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.databackupEurope + 0e0)), 11), -- if: databackupEurope
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.operatorSiteNumber)), 11), -- if: operatorSiteNumber
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.nbReimbDewars)), 11), -- if: nbReimbDewars
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.projectCode)), 11), -- if: projectCode
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.protectedData)), 11), -- if: protectedData
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.usedFlag)), 11), -- if: usedFlag
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.lastUpdate)), 11), -- if: lastUpdate
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.comments)), 11)
FROM (
    SELECT DISTINCT m.thing FROM ispyb_sync.map_session AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
) AS several
STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.thing = several.thing
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
GROUP BY m.thing;

-- name: claim_exp_session_pk -- if: given(expSessionPk)
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
) ON giver.target_id = h.sessionId AND giver.thing = giver.row_id AND giver.refused IS NULL AND given.expSessionPk <> h.expSessionPk
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

-- name: claim_visit_number -- if: unique(visit_number)
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
) ON giver.target_id = h.sessionId AND giver.thing = giver.row_id AND giver.refused IS NULL AND given.visit_number <> h.visit_number
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

-- name: share -- if: joined
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
        IF(t.externalId <=> NVL(s.externalId, t.externalId), NULL, CONCAT('"externalId": ', JSON_ARRAY(HEX(t.externalId), HEX(s.externalId)))),
        IF(t.expSessionPk <=> NVL(s.expSessionPk, t.expSessionPk), NULL, CONCAT('"expSessionPk": ', JSON_ARRAY(t.expSessionPk, s.expSessionPk))), -- if: expSessionPk
        IF(t.visit_number <=> NVL(s.visit_number, IF(FIND_IN_SET('visit_number', s.clears), NULL, t.visit_number)), NULL, CONCAT('"visit_number": ', JSON_ARRAY(t.visit_number, s.visit_number))), -- if: visit_number
        IF(t.startDate <=> NVL(s.startDate, IF(FIND_IN_SET('startDate', s.clears), NULL, t.startDate)), NULL, CONCAT('"startDate": ', JSON_ARRAY(t.startDate, s.startDate))),
        IF(t.endDate <=> NVL(s.endDate, IF(FIND_IN_SET('endDate', s.clears), NULL, t.endDate)), NULL, CONCAT('"endDate": ', JSON_ARRAY(t.endDate, s.endDate))),
        IF(BINARY t.beamLineName <=> BINARY NVL(s.beamLineName, IF(FIND_IN_SET('beamLineName', s.clears), NULL, t.beamLineName)), NULL, CONCAT('"beamLineName": ', JSON_ARRAY(t.beamLineName, s.beamLineName))),
        IF(t.scheduled <=> NVL(s.scheduled, IF(FIND_IN_SET('scheduled', s.clears), NULL, t.scheduled)), NULL, CONCAT('"scheduled": ', JSON_ARRAY(t.scheduled, s.scheduled))),
        IF(t.nbShifts <=> NVL(s.nbShifts, IF(FIND_IN_SET('nbShifts', s.clears), NULL, t.nbShifts)), NULL, CONCAT('"nbShifts": ', JSON_ARRAY(t.nbShifts, s.nbShifts))),
        IF(BINARY t.sessionTitle <=> BINARY NVL(s.sessionTitle, IF(FIND_IN_SET('sessionTitle', s.clears), NULL, t.sessionTitle)), NULL, CONCAT('"sessionTitle": ', JSON_ARRAY(t.sessionTitle, s.sessionTitle))), -- if: sessionTitle
        IF(t.structureDeterminations <=> NVL(s.structureDeterminations, IF(FIND_IN_SET('structureDeterminations', s.clears), NULL, t.structureDeterminations)), NULL, CONCAT('"structureDeterminations": ', JSON_ARRAY(t.structureDeterminations + 0e0, s.structureDeterminations + 0e0))), -- if: structureDeterminations
        IF(t.dewarTransport <=> NVL(s.dewarTransport, IF(FIND_IN_SET('dewarTransport', s.clears), NULL, t.dewarTransport)), NULL, CONCAT('"dewarTransport": ', JSON_ARRAY(t.dewarTransport + 0e0, s.dewarTransport + 0e0))), -- if: dewarTransport
        IF(t.databackupFrance <=> NVL(s.databackupFrance, IF(FIND_IN_SET('databackupFrance', s.clears), NULL, t.databackupFrance)), NULL, CONCAT('"databackupFrance": ', JSON_ARRAY(t.databackupFrance + 0e0, s.databackupFrance + 0e0))), -- if: databackupFrance
        IF(t.databackupEurope <=> NVL(s.databackupEurope, IF(FIND_IN_SET('databackupEurope', s.clears), NULL, t.databackupEurope)), NULL, CONCAT('"databackupEurope": ', JSON_ARRAY(t.databackupEurope + 0e0, s.databackupEurope + 0e0))), -- if: databackupEurope
        IF(BINARY t.operatorSiteNumber <=> BINARY NVL(s.operatorSiteNumber, IF(FIND_IN_SET('operatorSiteNumber', s.clears), NULL, t.operatorSiteNumber)), NULL, CONCAT('"operatorSiteNumber": ', JSON_ARRAY(t.operatorSiteNumber, s.operatorSiteNumber))), -- if: operatorSiteNumber
        IF(t.nbReimbDewars <=> NVL(s.nbReimbDewars, IF(FIND_IN_SET('nbReimbDewars', s.clears), NULL, t.nbReimbDewars)), NULL, CONCAT('"nbReimbDewars": ', JSON_ARRAY(t.nbReimbDewars, s.nbReimbDewars))), -- if: nbReimbDewars
        IF(BINARY t.projectCode <=> BINARY NVL(s.projectCode, IF(FIND_IN_SET('projectCode', s.clears), NULL, t.projectCode)), NULL, CONCAT('"projectCode": ', JSON_ARRAY(t.projectCode, s.projectCode))), -- if: projectCode
        IF(BINARY t.protectedData <=> BINARY NVL(s.protectedData, IF(FIND_IN_SET('protectedData', s.clears), NULL, t.protectedData)), NULL, CONCAT('"protectedData": ', JSON_ARRAY(t.protectedData, s.protectedData))), -- if: protectedData
        IF(BINARY t.beamLineOperator <=> BINARY NVL(s.beamLineOperator, IF(FIND_IN_SET('beamLineOperator', s.clears), NULL, t.beamLineOperator)), NULL, CONCAT('"beamLineOperator": ', JSON_ARRAY(t.beamLineOperator, s.beamLineOperator)))
    ), ''), '}') AS changes
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN BLSession AS t ON t.sessionId = m.target_id
WHERE m.thing = m.row_id AND m.refused IS NULL
HAVING changes IS NOT NULL
ON DUPLICATE KEY UPDATE action = VALUES(action), changes = VALUES(changes);

-- pass: apply

-- name: release_visit_number -- if: unique(visit_number), claims
-- A swap needs a moment in which the old holder has none.
UPDATE ispyb_sync.claim_session AS c
STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.row_id = c.row_id
STRAIGHT_JOIN BLSession AS t ON t.sessionId = c.holder_id
SET t.visit_number = NULL
WHERE c.field = 'visit_number' AND m.refused IS NULL;

-- name: update
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN BLSession AS t ON t.sessionId = m.target_id
SET
    t.externalId = NVL(s.externalId, t.externalId),
    t.expSessionPk = NVL(s.expSessionPk, t.expSessionPk), -- if: expSessionPk
    t.visit_number = NVL(s.visit_number, IF(FIND_IN_SET('visit_number', s.clears), NULL, t.visit_number)), -- if: visit_number
    t.startDate = NVL(s.startDate, IF(FIND_IN_SET('startDate', s.clears), NULL, t.startDate)),
    t.endDate = NVL(s.endDate, IF(FIND_IN_SET('endDate', s.clears), NULL, t.endDate)),
    t.beamLineName = NVL(s.beamLineName, IF(FIND_IN_SET('beamLineName', s.clears), NULL, t.beamLineName)),
    t.scheduled = NVL(s.scheduled, IF(FIND_IN_SET('scheduled', s.clears), NULL, t.scheduled)),
    t.nbShifts = NVL(s.nbShifts, IF(FIND_IN_SET('nbShifts', s.clears), NULL, t.nbShifts)),
    t.sessionTitle = NVL(s.sessionTitle, IF(FIND_IN_SET('sessionTitle', s.clears), NULL, t.sessionTitle)), -- if: sessionTitle
    t.structureDeterminations = NVL(s.structureDeterminations, IF(FIND_IN_SET('structureDeterminations', s.clears), NULL, t.structureDeterminations)), -- if: structureDeterminations
    t.dewarTransport = NVL(s.dewarTransport, IF(FIND_IN_SET('dewarTransport', s.clears), NULL, t.dewarTransport)), -- if: dewarTransport
    t.databackupFrance = NVL(s.databackupFrance, IF(FIND_IN_SET('databackupFrance', s.clears), NULL, t.databackupFrance)), -- if: databackupFrance
    t.databackupEurope = NVL(s.databackupEurope, IF(FIND_IN_SET('databackupEurope', s.clears), NULL, t.databackupEurope)), -- if: databackupEurope
    t.operatorSiteNumber = NVL(s.operatorSiteNumber, IF(FIND_IN_SET('operatorSiteNumber', s.clears), NULL, t.operatorSiteNumber)), -- if: operatorSiteNumber
    t.nbReimbDewars = NVL(s.nbReimbDewars, IF(FIND_IN_SET('nbReimbDewars', s.clears), NULL, t.nbReimbDewars)), -- if: nbReimbDewars
    t.projectCode = NVL(s.projectCode, IF(FIND_IN_SET('projectCode', s.clears), NULL, t.projectCode)), -- if: projectCode
    t.protectedData = NVL(s.protectedData, IF(FIND_IN_SET('protectedData', s.clears), NULL, t.protectedData)), -- if: protectedData
    t.beamLineOperator = NVL(s.beamLineOperator, IF(FIND_IN_SET('beamLineOperator', s.clears), NULL, t.beamLineOperator))
WHERE m.action = 'update';

-- name: insert
-- Where (proposalId, visit_number) is unique, the default of visit_number would collide: none given is NULL.
-- UNIX_TIMESTAMP and back: lastUpdate is a TIMESTAMP, which has no hour that summer time skips and no year 2040.
INSERT INTO BLSession (
    proposalId,
    externalId,
    expSessionPk, -- if: expSessionPk
    visit_number, -- if: visit_number
    startDate,
    endDate,
    beamLineName,
    scheduled,
    nbShifts,
    beamLineOperator,
    sessionTitle, -- if: sessionTitle
    structureDeterminations, -- if: structureDeterminations
    dewarTransport, -- if: dewarTransport
    databackupFrance, -- if: databackupFrance
    databackupEurope, -- if: databackupEurope
    operatorSiteNumber, -- if: operatorSiteNumber
    nbReimbDewars, -- if: nbReimbDewars
    projectCode, -- if: projectCode
    protectedData, -- if: protectedData
    usedFlag, -- if: usedFlag
    lastUpdate, -- if: lastUpdate
    comments
)
SELECT
    proposal.target_id,
    s.externalId,
    s.expSessionPk, -- if: expSessionPk
    IF(FIND_IN_SET('visit_number', s.clears), s.visit_number, NVL(s.visit_number, DEFAULT(s.visit_number))), -- if: visit_number, not unique(visit_number)
    s.visit_number, -- if: unique(visit_number)
    s.startDate,
    s.endDate,
    s.beamLineName,
    s.scheduled,
    s.nbShifts,
    s.beamLineOperator,
    s.sessionTitle, -- if: sessionTitle
    s.structureDeterminations, -- if: structureDeterminations
    s.dewarTransport, -- if: dewarTransport
    s.databackupFrance, -- if: databackupFrance
    s.databackupEurope, -- if: databackupEurope
    s.operatorSiteNumber, -- if: operatorSiteNumber
    s.nbReimbDewars, -- if: nbReimbDewars
    s.projectCode, -- if: projectCode
    s.protectedData, -- if: protectedData
    s.usedFlag, -- if: usedFlag
    COALESCE(FROM_UNIXTIME(NULLIF(UNIX_TIMESTAMP(NVL(s.lastUpdate, s.endDate)), 0)), @now), -- if: lastUpdate
    s.comments
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
WHERE m.action = 'insert'
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
        s.expSessionPk, -- if: expSessionPk
        s.visit_number
    ),
    COALESCE(NULLIF(CONCAT_WS('-', d.proposalCode, d.proposalNumber), ''), HEX(d.externalId)),
    IF(
        m.action = 'insert',
        JSON_OBJECT(
            'proposalId', NVL(proposal.target_id, 'new'),
            'externalId', HEX(s.externalId),
            'expSessionPk', s.expSessionPk, -- if: expSessionPk
            'visit_number', IF(FIND_IN_SET('visit_number', s.clears), s.visit_number, NVL(s.visit_number, DEFAULT(s.visit_number))), -- if: visit_number, not unique(visit_number)
            'visit_number', s.visit_number, -- if: unique(visit_number)
            'startDate', s.startDate,
            'endDate', s.endDate,
            'beamLineName', s.beamLineName,
            'scheduled', s.scheduled,
            'nbShifts', s.nbShifts,
            'beamLineOperator', s.beamLineOperator,
            'sessionTitle', s.sessionTitle, -- if: sessionTitle
            'structureDeterminations', s.structureDeterminations + 0e0, -- if: structureDeterminations
            'dewarTransport', s.dewarTransport + 0e0, -- if: dewarTransport
            'databackupFrance', s.databackupFrance + 0e0, -- if: databackupFrance
            'databackupEurope', s.databackupEurope + 0e0, -- if: databackupEurope
            'operatorSiteNumber', s.operatorSiteNumber, -- if: operatorSiteNumber
            'nbReimbDewars', s.nbReimbDewars, -- if: nbReimbDewars
            'projectCode', s.projectCode, -- if: projectCode
            'protectedData', s.protectedData, -- if: protectedData
            'usedFlag', s.usedFlag, -- if: usedFlag
            'lastUpdate', COALESCE(FROM_UNIXTIME(NULLIF(UNIX_TIMESTAMP(NVL(s.lastUpdate, s.endDate)), 0)), @now), -- if: lastUpdate
            'comments', s.comments
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
        QUOTE(t.externalId),
        QUOTE(t.expSessionPk), -- if: expSessionPk
        QUOTE(t.visit_number), -- if: visit_number
        QUOTE(t.startDate),
        QUOTE(t.endDate),
        QUOTE(t.beamLineName),
        QUOTE(t.scheduled),
        QUOTE(t.nbShifts),
        QUOTE(t.sessionTitle), -- if: sessionTitle
        QUOTE(t.structureDeterminations), -- if: structureDeterminations
        QUOTE(t.dewarTransport), -- if: dewarTransport
        QUOTE(t.databackupFrance), -- if: databackupFrance
        QUOTE(t.databackupEurope), -- if: databackupEurope
        QUOTE(t.operatorSiteNumber), -- if: operatorSiteNumber
        QUOTE(t.nbReimbDewars), -- if: nbReimbDewars
        QUOTE(t.projectCode), -- if: projectCode
        QUOTE(t.protectedData), -- if: protectedData
        QUOTE(t.beamLineOperator)
    )), 16), 16, 10))
FROM ispyb_sync.digest_proposal AS d
STRAIGHT_JOIN BLSession AS t ON t.proposalId = d.proposalId
WHERE d.taken = @taken
GROUP BY d.proposalId
ON DUPLICATE KEY UPDATE digest = digest ^ VALUES(digest);

-- pass: report

-- name: unplaced
-- An inserted row that is not found again was changed by somebody else in between: the run starts anew.
SELECT COUNT(*) FROM ispyb_sync.map_session AS m WHERE m.action = 'insert' AND (m.target_id IS NULL OR m.refused IS NOT NULL);

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
    COALESCE(NULLIF(CONCAT_WS('-', d.proposalCode, d.proposalNumber), ''), HEX(d.externalId)) AS proposal,
    s.path
FROM ispyb_sync.map_session AS m
INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE m.refused IS NOT NULL AND m.field IS NOT NULL AND s.refused IS NULL
ORDER BY m.row_id;

-- name: vanished
-- What ISPyB knows by its externalId and the export names neither by that nor by another key. Refused rows are named.
SELECT
    t.sessionId,
    CONCAT_WS(' ', t.beamLineName, t.startDate) AS row_key,
    COALESCE(NULLIF(CONCAT_WS('-', proposal.proposalCode, proposal.proposalNumber), ''), HEX(proposal.externalId)) AS proposal,
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
