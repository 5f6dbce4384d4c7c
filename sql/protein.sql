-- protein: what a proposal may put into the beam.
--
-- target    Protein
-- stage     stage_protein, map_protein
-- after     proposal, person
-- matches   externalId, then acronym, both within the proposal
-- refuses   ambiguous_match, duplicate_key, parent_refused
-- never     deletes a protein, or writes modId

-- pass: create

-- name: create_stage -- as: create_stage
-- name: create_map -- as: create_map

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
    IF(
        s.refused IS NULL AND proposal.refused IS NULL
        AND COUNT(NVL(e.proteinId, a.proteinId)) = 1, MIN(NVL(e.proteinId, a.proteinId)), -- if: acronym
        AND COUNT(e.proteinId) = 1, MIN(e.proteinId), -- if: not acronym
        NULL
    ),
    CASE
        WHEN COUNT(e.proteinId) = 1 THEN 'externalId'
        WHEN COUNT(a.proteinId) = 1 THEN 'acronym' -- if: acronym
    END
FROM ispyb_sync.stage_protein AS s
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
LEFT JOIN Protein AS e ON e.proposalId = proposal.target_id AND e.externalId = s.externalId
LEFT JOIN Protein AS a -- if: acronym
    ON s.externalId IS NULL AND a.proposalId = proposal.target_id AND a.acronym = s.acronym -- if: acronym
GROUP BY s.row_id;

-- name: join_external_id -- as: join_key(externalId, proposal) -- if: several
-- Clones in other proposals share it too.

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

-- name: match_external_id -- as: match_key(externalId, proposal)
-- name: match_acronym -- as: match_common_key(acronym, proposal)
-- A row of that acronym with a different externalId is another protein: acronyms are not unique.

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
)
    ON giver.target_id = t.proteinId AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND given.acronym <> t.acronym
WHERE
    m.thing = m.row_id
    AND m.target_id IS NULL
    AND m.refused = 'ambiguous_match'
    AND m.matched_by = 'acronym'
    AND (t.externalId IS NULL OR s.externalId IS NULL)
GROUP BY m.row_id
HAVING SUM(giver.row_id IS NULL) < 2
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- pass: settle

-- name: probe_same_target -- as: probe_same_target -- if: several
-- name: refuse_same_target -- as: refuse_same_target
-- name: join_target -- as: join_target
-- name: unite -- as: unite
-- name: refuse_missing -- as: refuse_missing
-- name: refuse_contradicted -- as: refuse_contradicted
-- name: share -- as: share

-- pass: compare

-- name: forget_changes -- as: forget_changes
-- name: decide -- as: decide
-- name: compare -- as: compare

-- pass: apply

-- name: update -- as: update
-- name: insert -- as: insert

-- pass: history

-- name: record_changes
-- Of an insert all values, of an update the old and the new ones. Where compare said "new", the person has its id by
-- now; in a plan it has none.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    %(run)s,
    'protein',
    m.row_id,
    m.target_id,
    NULL,
    m.action,
    IF(m.action = 'update', m.matched_by, NULL),
    NVL(CONVERT(s.acronym USING utf8mb4), HEX(s.externalId)),
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    CASE
        WHEN m.action = 'insert' THEN JSON_OBJECT(
            'proposalId', NVL(proposal.target_id, 'new'),
            'personId', IF(person.refused IS NULL, NVL(person.target_id, IF(person.row_id IS NULL, NULL, 'new')), NULL),
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
FROM ispyb_sync.map_protein AS m
INNER JOIN ispyb_sync.stage_protein AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- pass: digest

-- name: digest -- as: digest

-- pass: unsettled

-- name: unsettle -- as: unsettle
-- name: unsettle_along -- as: unsettle_along -- if: along
-- name: unsettled_documents -- as: unsettled_documents

-- pass: report

-- name: unplaced -- as: unplaced
-- name: contradicted -- as: contradicted
-- name: new_unfit -- as: new_unfit
-- name: counts -- as: counts
-- name: conflicting_copies -- as: conflicting_copies
-- name: refusals -- as: refusals
-- name: shared_keys -- as: shared_keys(acronym, proposal)
-- name: field_refusals -- as: field_refusals

-- pass: check

-- name: duplicate_external_id -- as: duplicate_key(externalId, proposal) -- if: externalId
-- Clones of a protein share it, in different proposals; within one proposal it should name one row.

-- name: duplicate_acronym -- as: duplicate_key(acronym, proposal) -- if: acronym
