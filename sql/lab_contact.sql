-- lab_contact: the cards that label a proposal's shipments.
--
-- target    LabContact
-- stage     stage_lab_contact, map_lab_contact, claim_lab_contact
-- after     proposal, person
-- matches   cardName, then person, both within the proposal
-- refuses   ambiguous_match, duplicate_key, key_taken, parent_refused
-- never     deletes a card (its shipments would go too), renames it, or touches the courier fields of one that is there

-- pass: create

-- name: create_stage -- as: create_stage
-- name: create_map -- as: create_map

-- name: create_claim
CREATE TEMPORARY TABLE ispyb_sync.claim_lab_contact (
    row_id INT UNSIGNED NOT NULL,
    field VARCHAR(32) NOT NULL,
    holder_id INT UNSIGNED NOT NULL,
    holder_row INT UNSIGNED NULL,
    value TEXT NULL,
    parked_on INT UNSIGNED NULL,
    PRIMARY KEY (row_id, field, holder_id),
    KEY (holder_row)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- pass: match

-- name: open_map
-- What hangs on a refused proposal or person is refused with it.
INSERT INTO ispyb_sync.map_lab_contact (row_id, thing, proposal, person, refused, field)
SELECT
    s.row_id, s.row_id, proposal.thing,
    NVL(person.thing, 0),
    COALESCE(s.refused, IF(proposal.refused IS NULL AND person.refused IS NULL, NULL, 'parent_refused')),
    CASE
        WHEN s.refused IS NOT NULL THEN NULL
        WHEN proposal.refused IS NOT NULL THEN 'proposal'
        WHEN person.refused IS NOT NULL THEN 'person'
    END
FROM ispyb_sync.stage_lab_contact AS s
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row;

-- rounds: begin

-- name: join_card_name -- as: join_key(cardName, proposal) -- if: several

-- name: join_person -- if: several -- finds: joined
-- A person has one card a proposal.
UPDATE ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT m.proposal, m.person, MIN(m.thing) AS first
    FROM ispyb_sync.map_lab_contact AS m
    INNER JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
    WHERE m.refused IS NULL
    GROUP BY m.proposal, m.person
    HAVING MIN(m.thing) < MAX(m.thing)
) AS g ON g.proposal = m.proposal AND g.person = m.person
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- rounds: end

-- name: refuse_duplicate_key -- if: joined -- finds: duplicates
-- Two cards for one person, or two people on one card.
UPDATE ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN (
    SELECT
        m.thing,
        CASE
            WHEN MIN(s.cardName) < MAX(s.cardName) THEN 'person'
            WHEN MIN(m.person) < MAX(m.person) THEN 'cardName'
        END AS field,
        CONCAT('documents ', GROUP_CONCAT(DISTINCT s.document ORDER BY s.document SEPARATOR ', ')) AS held
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_lab_contact AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_lab_contact AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
    GROUP BY m.thing
    HAVING field IS NOT NULL
) AS g ON g.thing = m.thing
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
SET
    m.refused = 'duplicate_key',
    m.field = g.field,
    m.value = CASE g.field
        WHEN 'cardName' THEN CONVERT(s.cardName USING utf8mb4)
        WHEN 'person' THEN CONVERT(s.cardName USING utf8mb4)
    END,
    m.held = g.held
WHERE m.refused IS NULL;

-- name: split_duplicates -- as: split_duplicates
-- name: match_card_name -- as: match_key(cardName, proposal)

-- name: match_person -- again: inserted
-- A card renamed in ISPyB or in the portal: it keeps the name it has, since shipping labels carry it. Not a card
-- that this run finds by its name and gives to somebody else: claim_person decides about its person.
INSERT INTO ispyb_sync.map_lab_contact (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id, m.thing,
    IF(COUNT(*) = 1, MIN(t.labContactId), NULL),
    'person',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'person',
    s.cardName,
    IF(
        COUNT(*) = 1,
        NULL,
        CONCAT('labContactId ', MIN(t.labContactId), IF(COUNT(*) = 2, ' and ', ', others, and '), MAX(t.labContactId))
    )
FROM ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
STRAIGHT_JOIN LabContact AS t ON t.proposalId = proposal.target_id AND t.personId = person.target_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM ispyb_sync.map_lab_contact AS giver
        WHERE giver.target_id = t.labContactId AND giver.person <> m.person AND giver.refused IS NULL
    )
GROUP BY m.row_id
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    matched_by = VALUES(matched_by),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- pass: settle

-- name: probe_same_target -- as: probe_same_target -- if: several

-- name: refuse_same_target -- if: same_target
-- Two cards of the export that are one card of ISPyB.
UPDATE ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN (
    SELECT m.target_id
    FROM ispyb_sync.map_lab_contact AS m
    WHERE m.thing = m.row_id AND m.target_id IS NOT NULL AND m.refused IS NULL
    GROUP BY m.target_id
    HAVING COUNT(*) > 1
) AS g ON g.target_id = m.target_id
SET m.refused = 'duplicate_key', m.field = m.matched_by, m.held = CONCAT('labContactId ', m.target_id);

-- name: unite -- as: unite
-- name: refuse_missing -- as: refuse_missing
-- name: refuse_contradicted -- as: refuse_contradicted

-- name: claim_person -- finds: claims
-- People to be written who are on another card of the proposal now, and the card of this run, if any, that gives
-- them up.
INSERT INTO ispyb_sync.claim_lab_contact (row_id, field, holder_id, holder_row, value)
SELECT
    m.row_id,
    'person',
    h.labContactId,
    MIN(giver.row_id),
    COALESCE(CONVERT(who.login USING utf8mb4), CONVERT(who.siteId USING utf8mb4), HEX(who.externalId))
FROM ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
LEFT JOIN LabContact AS t ON t.labContactId = m.target_id
STRAIGHT_JOIN ispyb_sync.stage_person AS who ON who.row_id = m.person
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
STRAIGHT_JOIN LabContact AS h ON h.proposalId = proposal.target_id AND h.personId = person.target_id
LEFT JOIN (
    ispyb_sync.map_lab_contact AS giver
    INNER JOIN ispyb_sync.map_person AS given ON given.row_id = giver.person
)
    ON giver.target_id = h.labContactId AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND NOT given.target_id <=> h.personId
WHERE m.thing = m.row_id AND m.refused IS NULL AND NOT h.labContactId <=> m.target_id AND NOT t.personId <=> h.personId
GROUP BY m.row_id, h.labContactId;

-- name: refuse_taken -- as: refuse_taken
-- name: share -- as: share

-- pass: compare

-- name: forget_changes -- as: forget_changes
-- name: decide -- as: decide

-- name: compare
INSERT INTO ispyb_sync.map_lab_contact (row_id, thing, action, changes)
SELECT
    m.row_id, m.thing,
    'update',
    CONCAT('{', NULLIF(CONCAT_WS(
        ', ',
        IF( -- if: cardName
            t.cardName IS NOT NULL, -- if: cardName
            NULL, -- if: cardName
            CONCAT('"cardName": ', JSON_ARRAY(NULL, CONVERT(s.cardName USING utf8mb4))) -- if: cardName
        ), -- if: cardName
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
FROM ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
STRAIGHT_JOIN LabContact AS t ON t.labContactId = m.target_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
WHERE m.thing = m.row_id AND m.refused IS NULL
HAVING changes IS NOT NULL
ON DUPLICATE KEY UPDATE action = VALUES(action), changes = VALUES(changes);

-- pass: apply

-- name: choose_free_person -- if: claims
-- A swap needs a moment in which the old holder has somebody else, as the column cannot be NULL: for each holder
-- another person who has no card in the proposal, and gets none in this run. The thousand newest are enough to find
-- them.
INSERT INTO ispyb_sync.claim_lab_contact (row_id, field, holder_id, parked_on)
SELECT c.row_id, c.field, c.holder_id, free.personId
FROM (
    SELECT
        c.row_id, c.field, c.holder_id, h.proposalId,
        ROW_NUMBER() OVER (PARTITION BY h.proposalId ORDER BY c.holder_id) AS place
    FROM ispyb_sync.claim_lab_contact AS c
    STRAIGHT_JOIN ispyb_sync.map_lab_contact AS m ON m.row_id = c.row_id
    STRAIGHT_JOIN LabContact AS h ON h.labContactId = c.holder_id
    WHERE m.refused IS NULL
) AS c
STRAIGHT_JOIN (
    SELECT
        parked.proposalId, p.personId,
        ROW_NUMBER() OVER (PARTITION BY parked.proposalId ORDER BY p.personId) AS place
    FROM (
        SELECT DISTINCT h.proposalId
        FROM ispyb_sync.claim_lab_contact AS c
        STRAIGHT_JOIN LabContact AS h ON h.labContactId = c.holder_id
    ) AS parked
    CROSS JOIN (SELECT t.personId FROM Person AS t ORDER BY t.personId DESC LIMIT 1000) AS p
    LEFT JOIN LabContact AS has ON has.proposalId = parked.proposalId AND has.personId = p.personId
    LEFT JOIN (
        SELECT proposal.target_id AS proposalId, person.target_id AS personId
        FROM ispyb_sync.map_lab_contact AS m
        STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
        STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
        WHERE m.refused IS NULL
    ) AS gets ON gets.proposalId = parked.proposalId AND gets.personId = p.personId
    WHERE has.labContactId IS NULL AND gets.personId IS NULL
) AS free ON free.proposalId = c.proposalId AND free.place = c.place
ON DUPLICATE KEY UPDATE parked_on = VALUES(parked_on);

-- name: release_person -- if: claims
UPDATE ispyb_sync.claim_lab_contact AS c
STRAIGHT_JOIN LabContact AS t ON t.labContactId = c.holder_id
SET t.personId = c.parked_on
WHERE c.parked_on IS NOT NULL;

-- name: update -- does: update
-- A card keeps its name; one that has none, as some sites allow, receives it.
UPDATE ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
STRAIGHT_JOIN LabContact AS t ON t.labContactId = m.target_id
SET
    t.cardName = NVL(t.cardName, s.cardName), -- if: cardName
    t.personId = person.target_id
WHERE
    m.row_id BETWEEN %(first_row)s AND %(last_row)s AND -- if: part
    m.action = 'update';

-- name: insert -- does: insert
INSERT INTO LabContact (
    a_column, -- for: live
    proposalId, personId
)
SELECT
    IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))), -- for: default
    s.a_field, -- for: live
    proposal.target_id,
    person.target_id
FROM ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
WHERE
    m.row_id BETWEEN %(first_row)s AND %(last_row)s AND -- if: part
    m.action = 'insert'
ORDER BY m.row_id;

-- pass: history

-- name: record_changes
-- Of an insert all values, of an update the old and the new ones. Where compare said "new", the person has its id by
-- now; in a plan it has none.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    %(run)s,
    'lab_contact',
    m.row_id, m.target_id,
    NULL,
    m.action,
    IF(m.action = 'update', m.matched_by, NULL),
    s.cardName,
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    CASE
        WHEN m.action = 'insert' THEN JSON_OBJECT(
            'a_field', CONVERT(IF(FIND_IN_SET('a_field', s.clears), s.a_field, -- for: default, text
                NVL(s.a_field, DEFAULT(s.a_field))) USING utf8mb4), -- for: default, text
            'a_field', IF(FIND_IN_SET('a_field', s.clears), s.a_field, -- for: default, float
                NVL(s.a_field, DEFAULT(s.a_field))) + 0e0, -- for: default, float
            'a_field', IF(FIND_IN_SET('a_field', s.clears), s.a_field, -- for: default, not bytes
                NVL(s.a_field, DEFAULT(s.a_field))), -- for: default, not bytes
            'a_field', CONVERT(s.a_field USING utf8mb4), -- for: text
            'a_field', s.a_field + 0e0, -- for: float
            'a_field', s.a_field, -- for: live, not bytes
            'proposalId', NVL(proposal.target_id, 'new'),
            'personId', NVL(person.target_id, 'new')
        )
        WHEN person.action = 'insert' AND person.target_id IS NOT NULL
            THEN REGEXP_REPLACE(m.changes, '("personId": \\[[^,]*, )"new"', CONCAT('\\1', person.target_id))
        ELSE m.changes
    END
FROM ispyb_sync.map_lab_contact AS m
INNER JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- pass: digest

-- name: digest -- as: digest

-- pass: confirm

-- name: unsettle -- as: unsettle

-- name: unsettle_kept_card_name -- if: cardName
-- Found by its person: the warning comes each time.
UPDATE ispyb_sync.map_lab_contact AS m
SET m.unsettled = TRUE
WHERE m.matched_by = 'person';

-- pass: unsettled

-- name: unsettle_along -- as: unsettle_along -- if: along
-- name: unsettled_documents -- as: unsettled_documents

-- pass: report

-- name: unplaced -- as: unplaced
-- name: contradicted -- as: contradicted
-- name: new_unfit -- as: new_unfit
-- name: counts -- as: counts
-- name: conflicting_copies -- as: conflicting_copies

-- name: kept_card_name -- if: cardName
-- How many, and ten of them as examples, under the name that the portal gives.
-- A card that changes had no name, and receives it.
SELECT COUNT(*) OVER () AS things, s.document, COALESCE(NULLIF(CONCAT_WS(
    '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)
), ''), HEX(d.externalId)) AS proposal, s.path, CONVERT(s.cardName USING utf8mb4) AS value
FROM ispyb_sync.map_lab_contact AS m
INNER JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE m.thing = m.row_id AND m.refused IS NULL AND m.matched_by = 'person' AND m.action IS NULL
ORDER BY m.row_id
LIMIT 10;

-- name: refusals -- as: refusals
-- name: holders -- as: holders

-- name: shared_keys -- if: duplicates | same_target
-- Of rows that contradict each other: each key with the first row that has the same, and its value.
-- Both count within their proposal.
SELECT m.row_id, s.document, IF(m.held LIKE 'labContactId %', m.target_id, NULL) AS target_id, JSON_OBJECT(
    'cardName', JSON_ARRAY(MIN(m.row_id) OVER (PARTITION BY m.proposal, s.cardName), CONVERT(s.cardName USING utf8mb4)),
    'person', JSON_ARRAY(
        MIN(m.row_id) OVER (PARTITION BY m.proposal, m.person),
        COALESCE(CONVERT(who.login USING utf8mb4), CONVERT(who.siteId USING utf8mb4), HEX(who.externalId))
    )
) AS shared
FROM ispyb_sync.map_lab_contact AS m
INNER JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_person AS who ON who.row_id = m.person
WHERE m.field IS NOT NULL AND s.refused IS NULL
    AND (m.refused = 'duplicate_key' OR (m.refused = 'ambiguous_match' AND m.held IS NULL))
ORDER BY m.row_id;

-- pass: undo_claim

-- name: claim_old_person -- if: unique(personId)
INSERT INTO ispyb_sync.undo_claim (entity, number, field, holder, giver)
SELECT u.entity, u.number, 'personId', h.labContactId, giver.number
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN LabContact AS t ON t.labContactId = u.target_id
STRAIGHT_JOIN LabContact AS h
    ON h.proposalId = t.proposalId
    AND h.personId = JSON_VALUE(u.was, '$.personId')
    AND h.labContactId <> u.target_id
LEFT JOIN ispyb_sync.undo AS giver
    ON giver.entity = u.entity
    AND giver.target_id = h.labContactId
    AND giver.kept IS NULL
    AND (giver.action = 'insert' OR JSON_EXISTS(giver.was, '$.personId'))
WHERE u.entity = 'lab_contact' AND u.action = 'update' AND u.kept IS NULL;

-- name: choose_free_holder -- if: unique(personId)
-- Cards that swap their people back need a moment in which the holder has somebody else, as the column cannot be NULL:
-- for each holder another person who has no card in the proposal, and gets none back. The thousand newest are enough.
INSERT INTO ispyb_sync.undo_claim (entity, number, field, holder, parked_on)
SELECT c.entity, c.number, c.field, c.holder, free.personId
FROM (
    SELECT c.*, h.proposalId, ROW_NUMBER() OVER (PARTITION BY h.proposalId ORDER BY c.holder) AS place
    FROM ispyb_sync.undo_claim AS c
    STRAIGHT_JOIN LabContact AS h ON h.labContactId = c.holder
    WHERE c.entity = 'lab_contact' AND c.giver IS NOT NULL
) AS c
STRAIGHT_JOIN (
    SELECT
        parked.proposalId, p.personId,
        ROW_NUMBER() OVER (PARTITION BY parked.proposalId ORDER BY p.personId) AS place
    FROM (
        SELECT DISTINCT h.proposalId
        FROM ispyb_sync.undo_claim AS c
        STRAIGHT_JOIN LabContact AS h ON h.labContactId = c.holder
        WHERE c.entity = 'lab_contact' AND c.giver IS NOT NULL
    ) AS parked
    CROSS JOIN (SELECT t.personId FROM Person AS t ORDER BY t.personId DESC LIMIT 1000) AS p
    LEFT JOIN LabContact AS has ON has.proposalId = parked.proposalId AND has.personId = p.personId
    LEFT JOIN (
        SELECT t.proposalId, CAST(JSON_VALUE(u.was, '$.personId') AS UNSIGNED) AS personId
        FROM ispyb_sync.undo AS u
        STRAIGHT_JOIN LabContact AS t ON t.labContactId = u.target_id
        WHERE u.entity = 'lab_contact' AND u.action = 'update' AND u.kept IS NULL
    ) AS gets ON gets.proposalId = parked.proposalId AND gets.personId = p.personId
    WHERE has.labContactId IS NULL AND gets.personId IS NULL
) AS free ON free.proposalId = c.proposalId AND free.place = c.place
ON DUPLICATE KEY UPDATE parked_on = VALUES(parked_on);

-- name: keep_without_free_person -- if: unique(personId)
-- Where ISPyB has too few people for that, all who would swap in the proposal keep what they have.
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT c.entity, c.number, 'key_taken', 'no other person is free to have the card meanwhile'
FROM ispyb_sync.undo_claim AS c
STRAIGHT_JOIN LabContact AS t ON t.labContactId = c.holder
STRAIGHT_JOIN (
    SELECT DISTINCT h.proposalId
    FROM ispyb_sync.undo_claim AS c
    STRAIGHT_JOIN LabContact AS h ON h.labContactId = c.holder
    WHERE c.entity = 'lab_contact' AND c.giver IS NOT NULL AND c.parked_on IS NULL
) AS few ON few.proposalId = t.proposalId
WHERE c.entity = 'lab_contact'
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- pass: undo_apply

-- name: park_holder -- if: unique(personId)
UPDATE ispyb_sync.undo_claim AS c
STRAIGHT_JOIN ispyb_sync.undo AS u ON u.entity = c.entity AND u.number = c.number
STRAIGHT_JOIN LabContact AS t ON t.labContactId = c.holder
SET t.personId = c.parked_on
WHERE c.entity = 'lab_contact' AND c.field = 'personId' AND u.kept IS NULL AND c.parked_on IS NOT NULL;
