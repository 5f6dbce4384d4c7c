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
    clears VARCHAR(500) CHARACTER SET ascii NOT NULL DEFAULT '',
    conflicting BOOLEAN NOT NULL DEFAULT FALSE,
    person_row INT UNSIGNED NULL
) ENGINE = InnoDB
SELECT
    t.externalId,
    t.acronym,
    t.name,
    t.description, -- if: description
    t.hazardGroup, -- if: hazardGroup
    t.containmentLevel, -- if: containmentLevel
    t.safetyLevel,
    t.molecularMass,
    t.sequence, -- if: sequence
    t.isCreatedBySampleSheet, -- if: isCreatedBySampleSheet
    t.proteinType
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
    IF(s.refused IS NULL AND proposal.refused IS NULL AND COUNT(NVL(t.proteinId, a.proteinId)) = 1, MIN(NVL(t.proteinId, a.proteinId)), NULL),
    IF(COUNT(NVL(t.proteinId, a.proteinId)) = 1, IF(s.externalId IS NULL, 'acronym', 'externalId'), NULL)
FROM ispyb_sync.stage_protein AS s
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
LEFT JOIN Protein AS t ON t.proposalId = proposal.target_id AND t.externalId = s.externalId
LEFT JOIN Protein AS a ON s.externalId IS NULL AND a.proposalId = proposal.target_id AND a.acronym = s.acronym
GROUP BY s.row_id;

-- name: join_external_id -- if: several, given(externalId)
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

-- name: owner_of_acronym -- if: several, lacks(externalId)
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

-- name: match_external_id -- if: given(externalId)
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

-- name: match_acronym
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

-- name: recount_acronym -- if: several
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

-- name: probe_same_target -- if: several
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

-- name: join_target -- if: same_target
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
    row_id, position, document, path, clears, conflicting,
    person_row,
    externalId,
    acronym,
    name,
    description, -- if: description
    hazardGroup, -- if: hazardGroup
    containmentLevel, -- if: containmentLevel
    safetyLevel,
    molecularMass,
    sequence, -- if: sequence
    isCreatedBySampleSheet, -- if: isCreatedBySampleSheet
    proteinType
)
SELECT
    m.thing,
    MAX(s.position),
    MIN(s.document),
    SUBSTRING(MIN(CONCAT(LPAD(s.row_id, 10, '0'), s.path)), 11),
    NVL(GROUP_CONCAT(DISTINCT NULLIF(s.clears, '')), ''),
    MAX(s.conflicting)
    OR COUNT(DISTINCT person.thing) > 1
    OR COUNT(DISTINCT BINARY s.externalId) > 1
    OR COUNT(DISTINCT BINARY s.acronym) > 1
    OR COUNT(DISTINCT BINARY s.name) > 1
    OR COUNT(DISTINCT BINARY s.description) > 1 -- if: description
    OR COUNT(DISTINCT s.hazardGroup) > 1 -- if: hazardGroup
    OR COUNT(DISTINCT s.containmentLevel) > 1 -- if: containmentLevel
    OR COUNT(DISTINCT BINARY s.safetyLevel) > 1
    OR COUNT(DISTINCT s.molecularMass) > 1
    OR COUNT(DISTINCT BINARY s.sequence) > 1 -- if: sequence
    OR COUNT(DISTINCT s.isCreatedBySampleSheet) > 1 -- if: isCreatedBySampleSheet
    OR COUNT(DISTINCT BINARY s.proteinType) > 1,
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), person.thing)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.externalId)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.acronym)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.name)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.description)), 11), -- if: description
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.hazardGroup)), 11), -- if: hazardGroup
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.containmentLevel)), 11), -- if: containmentLevel
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.safetyLevel)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.molecularMass + 0e0)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.sequence)), 11), -- if: sequence
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.isCreatedBySampleSheet)), 11), -- if: isCreatedBySampleSheet
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.proteinType)), 11)
FROM (
    SELECT DISTINCT m.thing FROM ispyb_sync.map_protein AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
) AS several
STRAIGHT_JOIN ispyb_sync.map_protein AS m ON m.thing = several.thing
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
GROUP BY m.thing;

-- name: share -- if: joined
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
        IF(t.externalId <=> NVL(s.externalId, t.externalId), NULL, CONCAT('"externalId": ', JSON_ARRAY(HEX(t.externalId), HEX(s.externalId)))),
        IF(BINARY t.acronym <=> BINARY NVL(s.acronym, t.acronym), NULL, CONCAT('"acronym": ', JSON_ARRAY(t.acronym, s.acronym))),
        IF(BINARY t.name <=> BINARY NVL(s.name, IF(FIND_IN_SET('name', s.clears), NULL, t.name)), NULL, CONCAT('"name": ', JSON_ARRAY(t.name, s.name))),
        IF(BINARY t.description <=> BINARY NVL(s.description, IF(FIND_IN_SET('description', s.clears), NULL, t.description)), NULL, CONCAT('"description": ', JSON_ARRAY(t.description, s.description))), -- if: description
        IF(t.hazardGroup <=> NVL(s.hazardGroup, IF(FIND_IN_SET('hazardGroup', s.clears), NULL, t.hazardGroup)), NULL, CONCAT('"hazardGroup": ', JSON_ARRAY(t.hazardGroup, s.hazardGroup))), -- if: hazardGroup
        IF(t.containmentLevel <=> NVL(s.containmentLevel, IF(FIND_IN_SET('containmentLevel', s.clears), NULL, t.containmentLevel)), NULL, CONCAT('"containmentLevel": ', JSON_ARRAY(t.containmentLevel, s.containmentLevel))), -- if: containmentLevel
        IF(BINARY t.safetyLevel <=> BINARY NVL(s.safetyLevel, IF(FIND_IN_SET('safetyLevel', s.clears), NULL, t.safetyLevel)), NULL, CONCAT('"safetyLevel": ', JSON_ARRAY(t.safetyLevel, s.safetyLevel))),
        IF(t.molecularMass <=> NVL(s.molecularMass, IF(FIND_IN_SET('molecularMass', s.clears), NULL, t.molecularMass)), NULL, CONCAT('"molecularMass": ', JSON_ARRAY(t.molecularMass + 0e0, s.molecularMass + 0e0))),
        IF(BINARY t.sequence <=> BINARY NVL(s.sequence, IF(FIND_IN_SET('sequence', s.clears), NULL, t.sequence)), NULL, CONCAT('"sequence": ', JSON_ARRAY(t.sequence, s.sequence))), -- if: sequence
        IF(BINARY t.proteinType <=> BINARY NVL(s.proteinType, IF(FIND_IN_SET('proteinType', s.clears), NULL, t.proteinType)), NULL, CONCAT('"proteinType": ', JSON_ARRAY(t.proteinType, s.proteinType))),
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

-- name: update
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
    t.externalId = NVL(s.externalId, t.externalId),
    t.acronym = NVL(s.acronym, t.acronym),
    t.name = NVL(s.name, IF(FIND_IN_SET('name', s.clears), NULL, t.name)),
    t.description = NVL(s.description, IF(FIND_IN_SET('description', s.clears), NULL, t.description)), -- if: description
    t.hazardGroup = NVL(s.hazardGroup, IF(FIND_IN_SET('hazardGroup', s.clears), NULL, t.hazardGroup)), -- if: hazardGroup
    t.containmentLevel = NVL(s.containmentLevel, IF(FIND_IN_SET('containmentLevel', s.clears), NULL, t.containmentLevel)), -- if: containmentLevel
    t.safetyLevel = NVL(s.safetyLevel, IF(FIND_IN_SET('safetyLevel', s.clears), NULL, t.safetyLevel)),
    t.molecularMass = NVL(s.molecularMass, IF(FIND_IN_SET('molecularMass', s.clears), NULL, t.molecularMass)),
    t.sequence = NVL(s.sequence, IF(FIND_IN_SET('sequence', s.clears), NULL, t.sequence)), -- if: sequence
    t.proteinType = NVL(s.proteinType, IF(FIND_IN_SET('proteinType', s.clears), NULL, t.proteinType))
WHERE m.action = 'update';

-- name: insert
INSERT INTO Protein (
    proposalId,
    personId,
    externalId,
    acronym,
    name,
    description, -- if: description
    hazardGroup, -- if: hazardGroup
    containmentLevel, -- if: containmentLevel
    safetyLevel,
    molecularMass,
    sequence, -- if: sequence
    isCreatedBySampleSheet, -- if: isCreatedBySampleSheet
    proteinType
)
SELECT
    proposal.target_id,
    IF(person.refused IS NULL, person.target_id, NULL),
    s.externalId,
    s.acronym,
    s.name,
    s.description, -- if: description
    NVL(s.hazardGroup, DEFAULT(s.hazardGroup)), -- if: hazardGroup
    NVL(s.containmentLevel, DEFAULT(s.containmentLevel)), -- if: containmentLevel
    s.safetyLevel,
    s.molecularMass,
    s.sequence, -- if: sequence
    NVL(s.isCreatedBySampleSheet, DEFAULT(s.isCreatedBySampleSheet)), -- if: isCreatedBySampleSheet
    s.proteinType
FROM ispyb_sync.map_protein AS m
STRAIGHT_JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
WHERE m.action = 'insert'
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
    NVL(s.acronym, HEX(s.externalId)),
    COALESCE(NULLIF(CONCAT_WS('-', d.proposalCode, d.proposalNumber), ''), HEX(d.externalId)),
    CASE
        WHEN m.action = 'insert' THEN JSON_OBJECT(
            'proposalId', NVL(proposal.target_id, 'new'),
            'personId', IF(person.refused IS NULL, NVL(person.target_id, IF(person.row_id IS NULL, NULL, 'new')), NULL),
            'externalId', HEX(s.externalId),
            'acronym', s.acronym,
            'name', s.name,
            'description', s.description, -- if: description
            'hazardGroup', NVL(s.hazardGroup, DEFAULT(s.hazardGroup)), -- if: hazardGroup
            'containmentLevel', NVL(s.containmentLevel, DEFAULT(s.containmentLevel)), -- if: containmentLevel
            'safetyLevel', s.safetyLevel,
            'molecularMass', s.molecularMass + 0e0,
            'sequence', s.sequence, -- if: sequence
            'isCreatedBySampleSheet', NVL(s.isCreatedBySampleSheet, DEFAULT(s.isCreatedBySampleSheet)), -- if: isCreatedBySampleSheet
            'proteinType', s.proteinType
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
        QUOTE(t.personId),
        QUOTE(t.externalId),
        QUOTE(t.acronym),
        QUOTE(t.name),
        QUOTE(t.description), -- if: description
        QUOTE(t.hazardGroup), -- if: hazardGroup
        QUOTE(t.containmentLevel), -- if: containmentLevel
        QUOTE(t.safetyLevel),
        QUOTE(t.molecularMass),
        QUOTE(t.sequence), -- if: sequence
        QUOTE(t.proteinType)
    )), 16), 16, 10))
FROM ispyb_sync.digest_proposal AS d
STRAIGHT_JOIN Protein AS t ON t.proposalId = d.proposalId
LEFT JOIN ispyb_sync.digest_person AS person ON person.personId = t.personId
WHERE d.taken = @taken
GROUP BY d.proposalId
ON DUPLICATE KEY UPDATE digest = digest ^ VALUES(digest);

-- pass: report

-- name: unplaced
-- An inserted row that is not found again was changed by somebody else in between: the run starts anew.
SELECT COUNT(*) FROM ispyb_sync.map_protein AS m WHERE m.action = 'insert' AND (m.target_id IS NULL OR m.refused IS NOT NULL);

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
    COALESCE(NULLIF(CONCAT_WS('-', d.proposalCode, d.proposalNumber), ''), HEX(d.externalId)) AS proposal,
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
    COALESCE(NULLIF(CONCAT_WS('-', d.proposalCode, d.proposalNumber), ''), HEX(d.externalId)) AS proposal,
    CONCAT(s.path, '.person') AS path
FROM ispyb_sync.map_protein AS m
INNER JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
WHERE m.thing = m.row_id AND m.refused IS NULL AND person.refused IS NOT NULL
ORDER BY m.row_id;
