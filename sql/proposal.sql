-- proposal: one per document.
--
-- target    Proposal
-- stage     stage_proposal, map_proposal, claim_proposal
-- after     person
-- matches   externalId, then proposalCode + proposalNumber
-- refuses   ambiguous_match, duplicate_key, key_taken, keys_disagree, no_proposer
-- never     deletes a proposal, or writes a NULL over its key or its proposer

-- pass: create

-- name: create_stage -- as: create_stage
-- name: create_map -- as: create_map
-- name: create_claim -- as: create_claim

-- pass: match

-- name: open_map -- as: open_map

-- rounds: begin

-- name: join_external_id -- as: join_key(externalId)

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
            WHEN
                COUNT(DISTINCT s.proposalNumber) > 1
                OR COUNT(DISTINCT s.proposalCode) > 1
                OR COUNT(DISTINCT IF(s.proposalNumber IS NULL, NULL, NVL(s.proposalCode, ''))) > 1
                THEN 'externalId'
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
        WHEN 'proposalNumber'
            THEN CONCAT_WS('-', CONVERT(s.proposalCode USING utf8mb4), CONVERT(s.proposalNumber USING utf8mb4))
    END,
    m.held = g.held
WHERE m.refused IS NULL;

-- name: split_duplicates -- as: split_duplicates

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
SET
    m.refused = 'ambiguous_match',
    m.field = 'proposalNumber',
    m.value = CONCAT_WS('-', CONVERT(s.proposalCode USING utf8mb4), CONVERT(s.proposalNumber USING utf8mb4))
WHERE m.refused = 'duplicate_key' AND s.externalId IS NULL AND s.proposalNumber IS NOT NULL;

-- name: unite_keys -- as: unite_keys
-- name: match_external_id -- as: match_key(externalId) -- if: joined | inserted

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
    IF(
        COUNT(*) = 1,
        NULL,
        CONCAT('proposalId ', MIN(t.proposalId), IF(COUNT(*) = 2, ' and ', ', others, and '), MAX(t.proposalId))
    )
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

-- name: probe_same_target -- as: probe_same_target

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
        MIN(s.externalId) < MAX(s.externalId)
        OR MIN(s.proposalNumber) < MAX(s.proposalNumber)
        OR MIN(s.proposalCode) < MAX(s.proposalCode)
        OR MAX(s.proposalCode) IS NOT NULL AND SUM(m.matched_by = 'proposalNumber' AND s.proposalCode IS NULL) > 0
        OR COUNT(DISTINCT IF(s.proposalNumber IS NULL, NULL, NVL(s.proposalCode, ''))) > 1
) AS g ON g.target_id = m.target_id
SET m.refused = 'duplicate_key', m.field = m.matched_by, m.held = CONCAT('proposalId ', m.target_id)
WHERE m.thing = m.row_id AND m.refused IS NULL;

-- name: join_target -- as: join_target
-- name: unite -- as: unite
-- name: refuse_missing -- as: refuse_missing
-- name: refuse_contradicted -- as: refuse_contradicted

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
        OR EXISTS (
            SELECT 1
            FROM ispyb_sync.map_proposal AS part
            WHERE part.thing = m.row_id AND part.matched_by = 'proposalNumber'
        )
    )
GROUP BY m.row_id, h.proposalId;

-- name: refuse_taken -- as: refuse_taken

-- name: choose_proposer
-- A new proposal needs a proposer: when the first of its list was refused, the first who was not. Those without one are
-- few: they are found first, and then looked up once for each link.
UPDATE ispyb_sync.stage_proposal AS s
STRAIGHT_JOIN (
    SELECT without.row_id, MIN(l.row_id) AS first
    FROM ispyb_sync.stage_proposal_has_person AS l
    STRAIGHT_JOIN (
        SELECT part.row_id AS document, whole.row_id
        FROM ispyb_sync.map_proposal AS whole
        STRAIGHT_JOIN ispyb_sync.stage_proposal AS united ON united.row_id = whole.row_id
        STRAIGHT_JOIN ispyb_sync.map_proposal AS part ON part.thing = whole.row_id
        LEFT JOIN ispyb_sync.map_person AS proposer ON proposer.row_id = united.person_row
        WHERE
            whole.target_id IS NULL
            AND whole.thing = whole.row_id
            AND (proposer.row_id IS NULL OR proposer.refused IS NOT NULL)
        LIMIT 9223372036854775807
    ) AS without ON without.document = l.document
    STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = l.person_row
    WHERE person.refused IS NULL
    GROUP BY without.row_id
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
-- A forgotten code would make a second proposal: ISPyB has this number with a code, and not without. A row that gets
-- another number in this run does not count.
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
LEFT JOIN (
    ispyb_sync.map_proposal AS giver
    INNER JOIN ispyb_sync.stage_proposal AS given ON given.row_id = giver.row_id
) ON giver.target_id = t.proposalId AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND given.proposalNumber <> t.proposalNumber
WHERE
    m.thing = m.row_id
    AND m.target_id IS NULL
    AND m.refused IS NULL
    AND s.proposalCode IS NULL
    AND giver.row_id IS NULL
GROUP BY m.row_id
HAVING SUM(t.proposalCode IS NULL) = 0
ON DUPLICATE KEY UPDATE refused = VALUES(refused), field = VALUES(field), value = VALUES(value), held = VALUES(held);

-- name: share -- as: share

-- pass: compare

-- name: forget_changes -- as: forget_changes
-- name: decide -- as: decide
-- name: compare -- as: compare
-- The first person of the list is the proposer; one who was refused leaves the proposer as it is.

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

-- name: update -- as: update
-- name: insert -- as: insert

-- pass: history

-- name: record_changes
-- Of an insert all values, of an update the old and the new ones. Where compare said "new", the person has its id by
-- now; in a plan it has none.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    %(run)s,
    'proposal',
    m.row_id,
    m.target_id,
    NULL,
    m.action,
    IF(m.action = 'update', m.matched_by, NULL),
    CONCAT_WS('-', CONVERT(s.proposalCode USING utf8mb4), CONVERT(s.proposalNumber USING utf8mb4)),
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    CASE
        WHEN m.action = 'insert' THEN JSON_OBJECT(
            'personId', NVL(person.target_id, 'new'),
            'a_field', CONVERT(IF(FIND_IN_SET('a_field', s.clears), s.a_field, -- for: default, text
                NVL(s.a_field, DEFAULT(s.a_field))) USING utf8mb4), -- for: default, text
            'a_field', IF(FIND_IN_SET('a_field', s.clears), s.a_field, -- for: default, float
                NVL(s.a_field, DEFAULT(s.a_field))) + 0e0, -- for: default, float
            'a_field', IF(FIND_IN_SET('a_field', s.clears), s.a_field, -- for: default, not bytes
                NVL(s.a_field, DEFAULT(s.a_field))), -- for: default, not bytes
            'a_field', CONVERT(s.a_field USING utf8mb4), -- for: text
            'a_field', s.a_field + 0e0, -- for: float
            'a_field', s.a_field, -- for: live, not bytes
            'externalId', HEX(s.externalId)
        )
        WHEN person.action = 'insert' AND person.target_id IS NOT NULL
            THEN REGEXP_REPLACE(m.changes, '("personId": \\[[^,]*, )"new"', CONCAT('\\1', person.target_id))
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
INSERT INTO ispyb_sync.digest_proposal (proposalId, digest)
SELECT
    d.proposalId,
    BIT_XOR(CONV(LEFT(SHA1(CONCAT_WS(
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
GROUP BY d.proposalId
ON DUPLICATE KEY UPDATE digest = digest ^ VALUES(digest);

-- pass: draw

-- name: touch -- as: touch
-- name: touch_external_id -- as: touch_key(externalId)
-- name: touch_code_number -- if: given(proposalNumber)
INSERT INTO ispyb_sync.touched_proposal (id)
SELECT t.proposalId
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Proposal AS t
    ON t.proposalNumber = s.proposalNumber
    AND t.proposalCode <=> s.proposalCode -- if: proposalCode
WHERE NOT t.proposalId <=> m.target_id
ON DUPLICATE KEY UPDATE id = VALUES(id);

-- pass: confirm

-- name: unsettle -- as: unsettle

-- name: unsettle_crowded_code_number -- if: given(proposalNumber)
INSERT INTO ispyb_sync.map_proposal (row_id, thing, unsettled)
SELECT m.row_id, m.thing, TRUE
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Proposal AS t
    ON t.proposalNumber = s.proposalNumber
    AND t.proposalCode <=> s.proposalCode -- if: proposalCode
WHERE NOT t.proposalId <=> m.target_id
ON DUPLICATE KEY UPDATE unsettled = TRUE;

-- pass: unsettled

-- name: unsettle_along -- as: unsettle_along -- if: along
-- name: unsettled_documents -- as: unsettled_documents

-- pass: report

-- name: unplaced -- as: unplaced

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

-- name: contradicted -- as: contradicted
-- name: new_unfit -- as: new_unfit
-- name: counts -- as: counts
-- name: conflicting_copies -- as: conflicting_copies
-- name: refusals -- as: refusals
-- name: holders -- as: holders

-- name: shared_keys -- if: duplicates | same_target
-- Of rows that contradict each other: each key with the first row that has the same, and its value.
SELECT m.row_id, s.document, IF(m.held LIKE 'proposalId %', m.target_id, NULL) AS target_id, JSON_OBJECT(
    'externalId', JSON_ARRAY(MIN(m.row_id) OVER (PARTITION BY s.externalId), HEX(s.externalId)),
    'proposalNumber', JSON_ARRAY(
        MIN(m.row_id) OVER (PARTITION BY s.proposalCode, s.proposalNumber),
        IF(s.proposalNumber IS NULL, NULL, CONCAT_WS(
            '-', CONVERT(s.proposalCode USING utf8mb4), CONVERT(s.proposalNumber USING utf8mb4)
        ))
    )
) AS shared
FROM ispyb_sync.map_proposal AS m
INNER JOIN ispyb_sync.stage_proposal AS s ON s.row_id = m.row_id
WHERE m.field IS NOT NULL AND s.refused IS NULL
    AND (m.refused = 'duplicate_key' OR (m.refused = 'ambiguous_match' AND m.held IS NULL))
ORDER BY m.row_id;

-- name: possible_twins -- if: given(proposalNumber)
-- A new proposal whose number differs from a known one by leading zeros only: one of that very number gives it up.
-- The known ones are looked through once, and only if there is a new proposal: the LIMIT keeps the server from doing so
-- for each.
SELECT
    s.document,
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)
    ), ''), HEX(d.externalId)) AS proposal,
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
        t.proposalNumber,
        TRIM(LEADING '0' FROM CONVERT(t.proposalNumber USING utf8mb4)) AS bare
    FROM Proposal AS t
    LIMIT 9223372036854775807
) AS t ON t.bare = TRIM(LEADING '0' FROM CONVERT(s.proposalNumber USING utf8mb4))
WHERE
    t.proposalCode <=> s.proposalCode AND -- if: proposalCode
    t.proposalNumber <> s.proposalNumber AND m.action = 'insert' AND m.thing = m.row_id
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

-- pass: check

-- name: duplicate_external_id -- as: duplicate_key(externalId) -- if: externalId -- stops: migrate

-- name: duplicate_number -- if: proposalNumber -- stops: mention
-- A missing code equals a missing code.
SELECT
    CONCAT_WS(
        '-',
        CONVERT(MIN(proposalCode) USING utf8mb4), -- if: proposalCode
        CONVERT(MIN(proposalNumber) USING utf8mb4)
    ) AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(proposalId ORDER BY proposalId SEPARATOR ', ' LIMIT 10) AS ids
FROM Proposal
WHERE proposalNumber IS NOT NULL
GROUP BY
    proposalCode, -- if: proposalCode
    proposalNumber
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(proposalId);

-- pass: undo_create

-- name: create_old_code_number
CREATE TEMPORARY TABLE ispyb_sync.undo_proposal (
    number INT UNSIGNED NOT NULL DEFAULT 0 PRIMARY KEY
) ENGINE = InnoDB
SELECT
    t.proposalCode, -- if: proposalCode
    t.proposalNumber, -- if: proposalNumber
    0 AS number
FROM (SELECT 1) AS nothing
LEFT JOIN Proposal AS t ON FALSE
WHERE FALSE;

-- pass: undo_claim

-- name: old_code_number -- if: unique(proposalNumber)
-- With the character set of the column, so that its index is used.
INSERT INTO ispyb_sync.undo_proposal (number, proposalCode, proposalNumber)
SELECT
    u.number,
    IF(
        JSON_EXISTS(u.was, '$.proposalCode'),
        JSON_VALUE(u.was, '$.proposalCode'),
        CONVERT(t.proposalCode USING utf8mb4)
    ),
    IF(
        JSON_EXISTS(u.was, '$.proposalNumber'),
        JSON_VALUE(u.was, '$.proposalNumber'),
        CONVERT(t.proposalNumber USING utf8mb4)
    )
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Proposal AS t ON t.proposalId = u.target_id
WHERE
    u.entity = 'proposal'
    AND u.action = 'update'
    AND u.kept IS NULL
    AND (JSON_EXISTS(u.was, '$.proposalCode') OR JSON_EXISTS(u.was, '$.proposalNumber'));

-- name: claim_old_code_number -- if: unique(proposalNumber)
INSERT INTO ispyb_sync.undo_claim (entity, number, field, holder, giver)
SELECT u.entity, u.number, 'proposalNumber', h.proposalId, giver.number
FROM ispyb_sync.undo_proposal AS old
STRAIGHT_JOIN ispyb_sync.undo AS u ON u.entity = 'proposal' AND u.number = old.number
STRAIGHT_JOIN Proposal AS h
    ON h.proposalCode = old.proposalCode
    AND h.proposalNumber = old.proposalNumber
    AND h.proposalId <> u.target_id
LEFT JOIN ispyb_sync.undo AS giver
    ON giver.entity = u.entity
    AND giver.target_id = h.proposalId
    AND giver.kept IS NULL
    AND (
        giver.action = 'insert'
        OR JSON_EXISTS(giver.was, '$.proposalCode')
        OR JSON_EXISTS(giver.was, '$.proposalNumber')
    )
WHERE u.kept IS NULL;

-- pass: undo_apply

-- name: park_code_number -- if: unique(proposalNumber)
-- What is taken away for a moment is what returns: the number, or else the code.
UPDATE ispyb_sync.undo_claim AS c
STRAIGHT_JOIN ispyb_sync.undo AS u ON u.entity = c.entity AND u.number = c.number
STRAIGHT_JOIN ispyb_sync.undo AS giver ON giver.entity = c.entity AND giver.number = c.giver
STRAIGHT_JOIN Proposal AS t ON t.proposalId = c.holder
SET
    t.proposalCode = IF(JSON_EXISTS(giver.was, '$.proposalNumber'), t.proposalCode, NULL),
    t.proposalNumber = IF(JSON_EXISTS(giver.was, '$.proposalNumber'), NULL, t.proposalNumber)
WHERE c.entity = 'proposal' AND c.field = 'proposalNumber' AND u.kept IS NULL;
