-- undo: takes back what one run wrote, as far as nobody has built on it since.
--
-- target    all eight tables of ISPyB, and every table that refers to them
-- stage     undo, undo_claim, undo_person, undo_proposal
-- after     a run that history knows
-- refuses   changed_since, key_taken, linked_again, not_seen, parent_gone, referenced, row_gone
-- never     deletes a row that the run did not insert, that has changed, or that anything refers to
--
-- Passes named after an entity run children before parents, so that what hangs on a row is decided before the row.
-- Rows that refer to others are found by statements that sync/history/references.py makes from the live foreign keys.

-- pass: create

-- name: create_undo
-- `was` holds the old values of an update, `wrote` the new ones; of a link that was deleted, `wrote` is the whole row.
CREATE TEMPORARY TABLE ispyb_sync.undo (
    entity VARCHAR(32) NOT NULL,
    number INT UNSIGNED NOT NULL,
    target_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
    second_id BIGINT UNSIGNED NULL,
    action ENUM('insert', 'update', 'delete') NOT NULL DEFAULT 'update',
    wrote LONGTEXT NULL,
    was LONGTEXT NULL,
    kept VARCHAR(32) NULL,
    held TEXT NULL,
    PRIMARY KEY (entity, number),
    KEY (entity, target_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- name: create_claim
CREATE TEMPORARY TABLE ispyb_sync.undo_claim (
    entity VARCHAR(32) NOT NULL,
    number INT UNSIGNED NOT NULL,
    field VARCHAR(32) NOT NULL,
    holder BIGINT UNSIGNED NOT NULL,
    giver INT UNSIGNED NULL,
    parked_on INT UNSIGNED NULL,
    PRIMARY KEY (entity, number, field, holder),
    KEY (entity, giver)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- name: create_person
CREATE TEMPORARY TABLE ispyb_sync.undo_person (
    number INT UNSIGNED NOT NULL DEFAULT 0 PRIMARY KEY
) ENGINE = InnoDB
SELECT
    t.login, -- if: person.login
    0 AS number
FROM (SELECT 1) AS nothing
LEFT JOIN Person AS t ON FALSE
WHERE FALSE;

-- name: create_proposal
CREATE TEMPORARY TABLE ispyb_sync.undo_proposal (
    number INT UNSIGNED NOT NULL DEFAULT 0 PRIMARY KEY
) ENGINE = InnoDB
SELECT
    t.proposalCode, -- if: proposal.proposalCode
    t.proposalNumber, -- if: proposal.proposalNumber
    0 AS number
FROM (SELECT 1) AS nothing
LEFT JOIN Proposal AS t ON FALSE
WHERE FALSE;

-- pass: load

-- name: load
-- The fields of an update are pairs, old and new: `was` takes the first of each, `wrote` the second. What an earlier
-- undo of the same run has taken back already is left out.
INSERT INTO ispyb_sync.undo (entity, number, target_id, second_id, action, wrote, was)
SELECT
    c.entity,
    c.number,
    c.target_id,
    c.second_id,
    c.action,
    IF(c.action = 'update', REGEXP_REPLACE(c.fields, '\\[("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+), ("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+)\\]', '\\2'), c.fields),
    IF(c.action = 'update', REGEXP_REPLACE(c.fields, '\\[("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+), ("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+)\\]', '\\1'), NULL)
FROM ispyb_sync.change AS c
LEFT JOIN (
    SELECT
        d.entity,
        d.number
    FROM ispyb_sync.run AS r
    INNER JOIN ispyb_sync.change AS d ON d.run = r.run
    WHERE r.mode = 'undo' AND JSON_VALUE(r.settings, '$.undoes') = @undone
) AS done ON done.entity = c.entity AND done.number = c.number
WHERE c.run = @undone AND done.number IS NULL;

-- pass: lock

-- Who adds a row that refers to one of these waits from here on, or is waited for: nothing comes in between looking and
-- deleting. Only an undo that writes does this.

-- name: lock_laboratory
SELECT COUNT(*)
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Laboratory AS t ON t.laboratoryId = u.target_id
WHERE u.entity = 'laboratory' AND u.action <> 'delete'
FOR UPDATE;

-- name: lock_person
SELECT COUNT(*)
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Person AS t ON t.personId = u.target_id
WHERE u.entity = 'person' AND u.action <> 'delete'
FOR UPDATE;

-- name: lock_proposal
SELECT COUNT(*)
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Proposal AS t ON t.proposalId = u.target_id
WHERE u.entity = 'proposal' AND u.action <> 'delete'
FOR UPDATE;

-- name: lock_proposal_has_person
SELECT COUNT(*)
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN ProposalHasPerson AS t ON t.proposalHasPersonId = u.target_id
WHERE u.entity = 'proposal_has_person' AND u.action <> 'delete'
FOR UPDATE;

-- name: lock_session
SELECT COUNT(*)
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN BLSession AS t ON t.sessionId = u.target_id
WHERE u.entity = 'session' AND u.action <> 'delete'
FOR UPDATE;

-- name: lock_session_has_person
SELECT COUNT(*)
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Session_has_Person AS t ON t.sessionId = u.target_id AND t.personId = u.second_id
WHERE u.entity = 'session_has_person' AND u.action <> 'delete'
FOR UPDATE;

-- name: lock_protein
SELECT COUNT(*)
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Protein AS t ON t.proteinId = u.target_id
WHERE u.entity = 'protein' AND u.action <> 'delete'
FOR UPDATE;

-- name: lock_lab_contact
SELECT COUNT(*)
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN LabContact AS t ON t.labContactId = u.target_id
WHERE u.entity = 'lab_contact' AND u.action <> 'delete'
FOR UPDATE;

-- pass: decide_lab_contact

-- name: keep_changed_lab_contact
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    IF(t.labContactId IS NULL, 'row_gone', 'changed_since'),
    CONCAT_WS(
        ', ',
        IF(NOT JSON_EXISTS(u.wrote, '$.proposalId') OR BINARY CONVERT(t.proposalId USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.proposalId'), NULL, 'proposalId'),
        IF(NOT JSON_EXISTS(u.wrote, '$.personId') OR BINARY CONVERT(t.personId USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.personId'), NULL, 'personId'),
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') OR HEX(t.a_column) <=> JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: bytes
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: float
            OR t.a_column + 0e0 <=> JSON_VALUE(u.wrote, '$.a_field') + 0e0, NULL, 'a_column'), -- for: float
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: date
            OR CONCAT(t.a_column) <=> LEFT(JSON_VALUE(u.wrote, '$.a_field'), 19), NULL, 'a_column'), -- for: date
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: live
            OR BINARY CONVERT(t.a_column USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: live
        IF(t.labContactId IS NULL, 'labContactId', NULL)
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN LabContact AS t ON t.labContactId = u.target_id
WHERE u.entity = 'lab_contact' AND u.action <> 'delete' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- name: keep_orphan_lab_contact
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    'parent_gone',
    CONCAT('personId ', JSON_VALUE(u.was, '$.personId'))
FROM ispyb_sync.undo AS u
LEFT JOIN Person AS parent ON parent.personId = JSON_VALUE(u.was, '$.personId')
WHERE
    u.entity = 'lab_contact'
    AND u.action = 'update'
    AND u.kept IS NULL
    AND JSON_VALUE(u.was, '$.personId') IS NOT NULL
    AND parent.personId IS NULL
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- pass: claim_lab_contact

-- name: claim_person_lab_contact -- if: unique(personId)
INSERT INTO ispyb_sync.undo_claim (entity, number, field, holder, giver)
SELECT u.entity, u.number, 'personId', h.labContactId, giver.number
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN LabContact AS t ON t.labContactId = u.target_id
STRAIGHT_JOIN LabContact AS h ON h.proposalId = t.proposalId AND h.personId = JSON_VALUE(u.was, '$.personId') AND h.labContactId <> u.target_id
LEFT JOIN ispyb_sync.undo AS giver
    ON giver.entity = u.entity
    AND giver.target_id = h.labContactId
    AND giver.kept IS NULL
    AND (giver.action = 'insert' OR JSON_EXISTS(giver.was, '$.personId'))
WHERE u.entity = 'lab_contact' AND u.action = 'update' AND u.kept IS NULL;

-- name: choose_free_person -- if: unique(personId)
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
        parked.proposalId,
        p.personId,
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
SELECT DISTINCT c.entity, c.number, 'key_taken', 'no other person is free to have the card meanwhile'
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

-- pass: decide_protein

-- name: keep_changed_protein
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    IF(t.proteinId IS NULL, 'row_gone', 'changed_since'),
    CONCAT_WS(
        ', ',
        IF(NOT JSON_EXISTS(u.wrote, '$.proposalId') OR BINARY CONVERT(t.proposalId USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.proposalId'), NULL, 'proposalId'),
        IF(NOT JSON_EXISTS(u.wrote, '$.personId') OR BINARY CONVERT(t.personId USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.personId'), NULL, 'personId'),
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') OR HEX(t.a_column) <=> JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: bytes
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: float
            OR t.a_column + 0e0 <=> JSON_VALUE(u.wrote, '$.a_field') + 0e0, NULL, 'a_column'), -- for: float
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: date
            OR CONCAT(t.a_column) <=> LEFT(JSON_VALUE(u.wrote, '$.a_field'), 19), NULL, 'a_column'), -- for: date
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: live
            OR BINARY CONVERT(t.a_column USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: live
        IF(t.proteinId IS NULL, 'proteinId', NULL)
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN Protein AS t ON t.proteinId = u.target_id
WHERE u.entity = 'protein' AND u.action <> 'delete' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- name: keep_orphan_protein
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    'parent_gone',
    CONCAT('personId ', JSON_VALUE(u.was, '$.personId'))
FROM ispyb_sync.undo AS u
LEFT JOIN Person AS parent ON parent.personId = JSON_VALUE(u.was, '$.personId')
WHERE
    u.entity = 'protein'
    AND u.action = 'update'
    AND u.kept IS NULL
    AND JSON_VALUE(u.was, '$.personId') IS NOT NULL
    AND parent.personId IS NULL
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- pass: decide_session_has_person

-- name: keep_changed_session_has_person
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    IF(t.sessionId IS NULL, 'row_gone', 'changed_since'),
    CONCAT_WS(
        ', ',
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') OR HEX(t.a_column) <=> JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: bytes
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: float
            OR t.a_column + 0e0 <=> JSON_VALUE(u.wrote, '$.a_field') + 0e0, NULL, 'a_column'), -- for: float
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: date
            OR CONCAT(t.a_column) <=> LEFT(JSON_VALUE(u.wrote, '$.a_field'), 19), NULL, 'a_column'), -- for: date
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: live
            OR BINARY CONVERT(t.a_column USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: live
        IF(t.sessionId IS NULL, 'sessionId', NULL)
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN Session_has_Person AS t ON t.sessionId = u.target_id AND t.personId = u.second_id
WHERE u.entity = 'session_has_person' AND u.action <> 'delete' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- name: keep_linked_session_has_person
-- Somebody has made the link again.
INSERT INTO ispyb_sync.undo (entity, number, kept)
SELECT DISTINCT
    u.entity,
    u.number,
    'linked_again'
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Session_has_Person AS t ON t.sessionId = u.target_id AND t.personId = u.second_id
WHERE u.entity = 'session_has_person' AND u.action = 'delete' AND u.kept IS NULL
ON DUPLICATE KEY UPDATE kept = VALUES(kept);

-- name: keep_unlinked_session_has_person
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    'parent_gone',
    CONCAT_WS(
        ', ',
        IF(parent.sessionId IS NULL, CONCAT('sessionId ', u.target_id), NULL),
        IF(person.personId IS NULL, CONCAT('personId ', u.second_id), NULL)
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN BLSession AS parent ON parent.sessionId = u.target_id
LEFT JOIN Person AS person ON person.personId = u.second_id
WHERE u.entity = 'session_has_person' AND u.action = 'delete' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- pass: decide_session

-- name: keep_changed_session
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    IF(t.sessionId IS NULL, 'row_gone', 'changed_since'),
    CONCAT_WS(
        ', ',
        IF(NOT JSON_EXISTS(u.wrote, '$.proposalId') OR BINARY CONVERT(t.proposalId USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.proposalId'), NULL, 'proposalId'),
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') OR HEX(t.a_column) <=> JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: bytes
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: float
            OR t.a_column + 0e0 <=> JSON_VALUE(u.wrote, '$.a_field') + 0e0, NULL, 'a_column'), -- for: float
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: date
            OR CONCAT(t.a_column) <=> LEFT(JSON_VALUE(u.wrote, '$.a_field'), 19), NULL, 'a_column'), -- for: date
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: live
            OR BINARY CONVERT(t.a_column USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: live
        IF(t.sessionId IS NULL, 'sessionId', NULL)
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN BLSession AS t ON t.sessionId = u.target_id
WHERE u.entity = 'session' AND u.action <> 'delete' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- pass: claim_session

-- name: claim_external_id_session -- if: unique(externalId)
INSERT INTO ispyb_sync.undo_claim (entity, number, field, holder, giver)
SELECT u.entity, u.number, 'externalId', h.sessionId, giver.number
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN BLSession AS h ON h.externalId = UNHEX(JSON_VALUE(u.was, '$.externalId')) AND h.sessionId <> u.target_id
LEFT JOIN ispyb_sync.undo AS giver
    ON giver.entity = u.entity
    AND giver.target_id = h.sessionId
    AND giver.kept IS NULL
    AND (giver.action = 'insert' OR JSON_EXISTS(giver.was, '$.externalId'))
WHERE u.entity = 'session' AND u.action = 'update' AND u.kept IS NULL;

-- name: claim_visit_number -- if: unique(visit_number)
INSERT INTO ispyb_sync.undo_claim (entity, number, field, holder, giver)
SELECT u.entity, u.number, 'visit_number', h.sessionId, giver.number
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN BLSession AS t ON t.sessionId = u.target_id
STRAIGHT_JOIN BLSession AS h ON h.proposalId = t.proposalId AND h.visit_number = JSON_VALUE(u.was, '$.visit_number') AND h.sessionId <> u.target_id
LEFT JOIN ispyb_sync.undo AS giver
    ON giver.entity = u.entity
    AND giver.target_id = h.sessionId
    AND giver.kept IS NULL
    AND (giver.action = 'insert' OR JSON_EXISTS(giver.was, '$.visit_number'))
WHERE u.entity = 'session' AND u.action = 'update' AND u.kept IS NULL;

-- pass: decide_proposal_has_person

-- name: keep_changed_proposal_has_person
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    IF(t.proposalHasPersonId IS NULL, 'row_gone', 'changed_since'),
    CONCAT_WS(
        ', ',
        IF(NOT JSON_EXISTS(u.wrote, '$.proposalId') OR BINARY CONVERT(t.proposalId USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.proposalId'), NULL, 'proposalId'),
        IF(NOT JSON_EXISTS(u.wrote, '$.personId') OR BINARY CONVERT(t.personId USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.personId'), NULL, 'personId'),
        IF(t.proposalHasPersonId IS NULL, 'proposalHasPersonId', NULL)
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN ProposalHasPerson AS t ON t.proposalHasPersonId = u.target_id
WHERE u.entity = 'proposal_has_person' AND u.action <> 'delete' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- name: keep_linked_proposal_has_person
-- Somebody has made the link again.
INSERT INTO ispyb_sync.undo (entity, number, kept)
SELECT DISTINCT
    u.entity,
    u.number,
    'linked_again'
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN ProposalHasPerson AS t
    ON t.proposalId = JSON_VALUE(u.wrote, '$.proposalId') AND t.personId = JSON_VALUE(u.wrote, '$.personId')
WHERE u.entity = 'proposal_has_person' AND u.action = 'delete' AND u.kept IS NULL
ON DUPLICATE KEY UPDATE kept = VALUES(kept);

-- name: keep_unlinked_proposal_has_person
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    'parent_gone',
    CONCAT_WS(
        ', ',
        IF(parent.proposalId IS NULL, CONCAT('proposalId ', JSON_VALUE(u.wrote, '$.proposalId')), NULL),
        IF(person.personId IS NULL, CONCAT('personId ', JSON_VALUE(u.wrote, '$.personId')), NULL)
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN Proposal AS parent ON parent.proposalId = JSON_VALUE(u.wrote, '$.proposalId')
LEFT JOIN Person AS person ON person.personId = JSON_VALUE(u.wrote, '$.personId')
WHERE u.entity = 'proposal_has_person' AND u.action = 'delete' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- pass: decide_proposal

-- name: keep_changed_proposal
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    IF(t.proposalId IS NULL, 'row_gone', 'changed_since'),
    CONCAT_WS(
        ', ',
        IF(NOT JSON_EXISTS(u.wrote, '$.personId') OR BINARY CONVERT(t.personId USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.personId'), NULL, 'personId'),
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') OR HEX(t.a_column) <=> JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: bytes
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: float
            OR t.a_column + 0e0 <=> JSON_VALUE(u.wrote, '$.a_field') + 0e0, NULL, 'a_column'), -- for: float
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: date
            OR CONCAT(t.a_column) <=> LEFT(JSON_VALUE(u.wrote, '$.a_field'), 19), NULL, 'a_column'), -- for: date
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: live
            OR BINARY CONVERT(t.a_column USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: live
        IF(t.proposalId IS NULL, 'proposalId', NULL)
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN Proposal AS t ON t.proposalId = u.target_id
WHERE u.entity = 'proposal' AND u.action <> 'delete' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- name: keep_orphan_proposal
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    'parent_gone',
    CONCAT('personId ', JSON_VALUE(u.was, '$.personId'))
FROM ispyb_sync.undo AS u
LEFT JOIN Person AS parent ON parent.personId = JSON_VALUE(u.was, '$.personId')
WHERE
    u.entity = 'proposal'
    AND u.action = 'update'
    AND u.kept IS NULL
    AND JSON_VALUE(u.was, '$.personId') IS NOT NULL
    AND parent.personId IS NULL
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- pass: claim_proposal

-- name: claim_external_id_proposal -- if: unique(externalId)
INSERT INTO ispyb_sync.undo_claim (entity, number, field, holder, giver)
SELECT u.entity, u.number, 'externalId', h.proposalId, giver.number
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Proposal AS h ON h.externalId = UNHEX(JSON_VALUE(u.was, '$.externalId')) AND h.proposalId <> u.target_id
LEFT JOIN ispyb_sync.undo AS giver
    ON giver.entity = u.entity
    AND giver.target_id = h.proposalId
    AND giver.kept IS NULL
    AND (giver.action = 'insert' OR JSON_EXISTS(giver.was, '$.externalId'))
WHERE u.entity = 'proposal' AND u.action = 'update' AND u.kept IS NULL;

-- name: old_code_number -- if: unique(proposalNumber)
-- With the character set of the column, so that its index is used.
INSERT INTO ispyb_sync.undo_proposal (number, proposalCode, proposalNumber)
SELECT
    u.number,
    IF(JSON_EXISTS(u.was, '$.proposalCode'), JSON_VALUE(u.was, '$.proposalCode'), CONVERT(t.proposalCode USING utf8mb4)),
    IF(JSON_EXISTS(u.was, '$.proposalNumber'), JSON_VALUE(u.was, '$.proposalNumber'), CONVERT(t.proposalNumber USING utf8mb4))
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Proposal AS t ON t.proposalId = u.target_id
WHERE
    u.entity = 'proposal'
    AND u.action = 'update'
    AND u.kept IS NULL
    AND (JSON_EXISTS(u.was, '$.proposalCode') OR JSON_EXISTS(u.was, '$.proposalNumber'));

-- name: claim_code_number -- if: unique(proposalNumber)
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

-- pass: decide_person

-- name: keep_changed_person
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    IF(t.personId IS NULL, 'row_gone', 'changed_since'),
    CONCAT_WS(
        ', ',
        IF(NOT JSON_EXISTS(u.wrote, '$.laboratoryId') OR BINARY CONVERT(t.laboratoryId USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.laboratoryId'), NULL, 'laboratoryId'),
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') OR HEX(t.a_column) <=> JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: bytes
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: float
            OR t.a_column + 0e0 <=> JSON_VALUE(u.wrote, '$.a_field') + 0e0, NULL, 'a_column'), -- for: float
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: date
            OR CONCAT(t.a_column) <=> LEFT(JSON_VALUE(u.wrote, '$.a_field'), 19), NULL, 'a_column'), -- for: date
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: live
            OR BINARY CONVERT(t.a_column USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: live
        IF(t.personId IS NULL, 'personId', NULL)
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN Person AS t ON t.personId = u.target_id
WHERE u.entity = 'person' AND u.action <> 'delete' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- name: keep_orphan_person
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    'parent_gone',
    CONCAT('laboratoryId ', JSON_VALUE(u.was, '$.laboratoryId'))
FROM ispyb_sync.undo AS u
LEFT JOIN Laboratory AS parent ON parent.laboratoryId = JSON_VALUE(u.was, '$.laboratoryId')
WHERE
    u.entity = 'person'
    AND u.action = 'update'
    AND u.kept IS NULL
    AND JSON_VALUE(u.was, '$.laboratoryId') IS NOT NULL
    AND parent.laboratoryId IS NULL
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- pass: claim_person

-- name: claim_external_id_person -- if: unique(externalId)
INSERT INTO ispyb_sync.undo_claim (entity, number, field, holder, giver)
SELECT u.entity, u.number, 'externalId', h.personId, giver.number
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Person AS h ON h.externalId = UNHEX(JSON_VALUE(u.was, '$.externalId')) AND h.personId <> u.target_id
LEFT JOIN ispyb_sync.undo AS giver
    ON giver.entity = u.entity
    AND giver.target_id = h.personId
    AND giver.kept IS NULL
    AND (giver.action = 'insert' OR JSON_EXISTS(giver.was, '$.externalId'))
WHERE u.entity = 'person' AND u.action = 'update' AND u.kept IS NULL;

-- name: old_login -- if: unique(login)
-- With the character set of the column, so that its index is used.
INSERT INTO ispyb_sync.undo_person (number, login)
SELECT
    u.number,
    JSON_VALUE(u.was, '$.login')
FROM ispyb_sync.undo AS u
WHERE u.entity = 'person' AND u.action = 'update' AND u.kept IS NULL AND JSON_VALUE(u.was, '$.login') IS NOT NULL;

-- name: claim_login -- if: unique(login)
INSERT INTO ispyb_sync.undo_claim (entity, number, field, holder, giver)
SELECT u.entity, u.number, 'login', h.personId, giver.number
FROM ispyb_sync.undo_person AS old
STRAIGHT_JOIN ispyb_sync.undo AS u ON u.entity = 'person' AND u.number = old.number
STRAIGHT_JOIN Person AS h ON h.login = old.login AND h.personId <> u.target_id
LEFT JOIN ispyb_sync.undo AS giver
    ON giver.entity = u.entity
    AND giver.target_id = h.personId
    AND giver.kept IS NULL
    AND (giver.action = 'insert' OR JSON_EXISTS(giver.was, '$.login'))
WHERE u.kept IS NULL;

-- pass: decide_laboratory

-- name: keep_changed_laboratory
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
SELECT
    u.entity,
    u.number,
    IF(t.laboratoryId IS NULL, 'row_gone', 'changed_since'),
    CONCAT_WS(
        ', ',
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') OR HEX(t.a_column) <=> JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: bytes
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: float
            OR t.a_column + 0e0 <=> JSON_VALUE(u.wrote, '$.a_field') + 0e0, NULL, 'a_column'), -- for: float
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: date
            OR CONCAT(t.a_column) <=> LEFT(JSON_VALUE(u.wrote, '$.a_field'), 19), NULL, 'a_column'), -- for: date
        IF(NOT JSON_EXISTS(u.wrote, '$.a_field') -- for: live
            OR BINARY CONVERT(t.a_column USING utf8mb4) <=> BINARY JSON_VALUE(u.wrote, '$.a_field'), NULL, 'a_column'), -- for: live
        IF(t.laboratoryId IS NULL, 'laboratoryId', NULL)
    ) AS held
FROM ispyb_sync.undo AS u
LEFT JOIN Laboratory AS t ON t.laboratoryId = u.target_id
WHERE u.entity = 'laboratory' AND u.action <> 'delete' AND u.kept IS NULL
HAVING held <> ''
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- pass: apply_lab_contact

-- name: delete_lab_contact
DELETE t
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN LabContact AS t ON t.labContactId = u.target_id
WHERE u.entity = 'lab_contact' AND u.action = 'insert' AND u.kept IS NULL;

-- name: park_person_lab_contact -- if: unique(personId)
UPDATE ispyb_sync.undo_claim AS c
STRAIGHT_JOIN ispyb_sync.undo AS u ON u.entity = c.entity AND u.number = c.number
STRAIGHT_JOIN LabContact AS t ON t.labContactId = c.holder
SET t.personId = c.parked_on
WHERE c.entity = 'lab_contact' AND c.field = 'personId' AND u.kept IS NULL AND c.parked_on IS NOT NULL;

-- name: update_lab_contact
UPDATE ispyb_sync.undo AS u
STRAIGHT_JOIN LabContact AS t ON t.labContactId = u.target_id
SET
    t.cardName = IF(JSON_EXISTS(u.was, '$.cardName'), JSON_VALUE(u.was, '$.cardName'), CONVERT(t.cardName USING utf8mb4)), -- if: cardName
    t.personId = IF(JSON_EXISTS(u.was, '$.personId'), JSON_VALUE(u.was, '$.personId'), t.personId)
WHERE u.entity = 'lab_contact' AND u.action = 'update' AND u.kept IS NULL;

-- pass: apply_protein

-- name: delete_protein
DELETE t
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Protein AS t ON t.proteinId = u.target_id
WHERE u.entity = 'protein' AND u.action = 'insert' AND u.kept IS NULL;

-- name: update_protein
UPDATE ispyb_sync.undo AS u
STRAIGHT_JOIN Protein AS t ON t.proteinId = u.target_id
SET
    t.personId = IF(JSON_EXISTS(u.was, '$.personId'), JSON_VALUE(u.was, '$.personId'), t.personId),
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field') + 0e0, t.a_column), -- for: portal, float
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field'), CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field'), t.a_column), -- for: portal, not bytes
    t.externalId = IF(JSON_EXISTS(u.was, '$.externalId'), UNHEX(JSON_VALUE(u.was, '$.externalId')), t.externalId)
WHERE u.entity = 'protein' AND u.action = 'update' AND u.kept IS NULL;

-- pass: apply_session_has_person

-- name: delete_session_has_person
DELETE t
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Session_has_Person AS t ON t.sessionId = u.target_id AND t.personId = u.second_id
WHERE u.entity = 'session_has_person' AND u.action = 'insert' AND u.kept IS NULL;

-- name: update_session_has_person -- if: role | remote
UPDATE ispyb_sync.undo AS u
STRAIGHT_JOIN Session_has_Person AS t ON t.sessionId = u.target_id AND t.personId = u.second_id
SET
    t.role = IF(JSON_EXISTS(u.was, '$.role'), JSON_VALUE(u.was, '$.role'), CONVERT(t.role USING utf8mb4)) -- if: role
    , -- if: role, remote
    t.remote = IF(JSON_EXISTS(u.was, '$.remote'), JSON_VALUE(u.was, '$.remote'), t.remote) -- if: remote
WHERE u.entity = 'session_has_person' AND u.action = 'update' AND u.kept IS NULL;

-- name: insert_session_has_person
INSERT INTO Session_has_Person (
    a_column, -- for: live
    sessionId, personId
)
SELECT
    JSON_VALUE(u.wrote, '$.a_field'), -- for: live
    u.target_id,
    u.second_id
FROM ispyb_sync.undo AS u
WHERE u.entity = 'session_has_person' AND u.action = 'delete' AND u.kept IS NULL
ORDER BY u.number;

-- pass: apply_session

-- name: delete_session
DELETE t
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN BLSession AS t ON t.sessionId = u.target_id
WHERE u.entity = 'session' AND u.action = 'insert' AND u.kept IS NULL;

-- name: park_external_id_session -- if: unique(externalId)
UPDATE ispyb_sync.undo_claim AS c
STRAIGHT_JOIN ispyb_sync.undo AS u ON u.entity = c.entity AND u.number = c.number
STRAIGHT_JOIN BLSession AS t ON t.sessionId = c.holder
SET t.externalId = NULL
WHERE c.entity = 'session' AND c.field = 'externalId' AND u.kept IS NULL;

-- name: park_visit_number -- if: unique(visit_number)
UPDATE ispyb_sync.undo_claim AS c
STRAIGHT_JOIN ispyb_sync.undo AS u ON u.entity = c.entity AND u.number = c.number
STRAIGHT_JOIN BLSession AS t ON t.sessionId = c.holder
SET t.visit_number = NULL
WHERE c.entity = 'session' AND c.field = 'visit_number' AND u.kept IS NULL;

-- name: update_session
-- + 0e0: else a FLOAT that is not updated would become text, and lose its last digits.
UPDATE ispyb_sync.undo AS u
STRAIGHT_JOIN BLSession AS t ON t.sessionId = u.target_id
SET
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field') + 0e0, t.a_column), -- for: portal, float
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field'), CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field'), t.a_column), -- for: portal, not bytes
    t.externalId = IF(JSON_EXISTS(u.was, '$.externalId'), UNHEX(JSON_VALUE(u.was, '$.externalId')), t.externalId)
WHERE u.entity = 'session' AND u.action = 'update' AND u.kept IS NULL;

-- pass: apply_proposal_has_person

-- name: delete_proposal_has_person
DELETE t
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN ProposalHasPerson AS t ON t.proposalHasPersonId = u.target_id
WHERE u.entity = 'proposal_has_person' AND u.action = 'insert' AND u.kept IS NULL;

-- name: insert_proposal_has_person
INSERT INTO ProposalHasPerson (
    proposalHasPersonId,
    proposalId,
    role, -- if: role
    personId
)
SELECT
    u.target_id,
    JSON_VALUE(u.wrote, '$.proposalId'),
    JSON_VALUE(u.wrote, '$.role'), -- if: role
    JSON_VALUE(u.wrote, '$.personId')
FROM ispyb_sync.undo AS u
WHERE u.entity = 'proposal_has_person' AND u.action = 'delete' AND u.kept IS NULL
ORDER BY u.number;

-- pass: apply_proposal

-- name: delete_proposal
DELETE t
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Proposal AS t ON t.proposalId = u.target_id
WHERE u.entity = 'proposal' AND u.action = 'insert' AND u.kept IS NULL;

-- name: park_external_id_proposal -- if: unique(externalId)
UPDATE ispyb_sync.undo_claim AS c
STRAIGHT_JOIN ispyb_sync.undo AS u ON u.entity = c.entity AND u.number = c.number
STRAIGHT_JOIN Proposal AS t ON t.proposalId = c.holder
SET t.externalId = NULL
WHERE c.entity = 'proposal' AND c.field = 'externalId' AND u.kept IS NULL;

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

-- name: update_proposal
UPDATE ispyb_sync.undo AS u
STRAIGHT_JOIN Proposal AS t ON t.proposalId = u.target_id
SET
    t.personId = IF(JSON_EXISTS(u.was, '$.personId'), JSON_VALUE(u.was, '$.personId'), t.personId),
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field') + 0e0, t.a_column), -- for: portal, float
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field'), CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field'), t.a_column), -- for: portal, not bytes
    t.externalId = IF(JSON_EXISTS(u.was, '$.externalId'), UNHEX(JSON_VALUE(u.was, '$.externalId')), t.externalId)
WHERE u.entity = 'proposal' AND u.action = 'update' AND u.kept IS NULL;

-- pass: apply_person

-- name: delete_person
DELETE t
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Person AS t ON t.personId = u.target_id
WHERE u.entity = 'person' AND u.action = 'insert' AND u.kept IS NULL;

-- name: park_external_id_person -- if: unique(externalId)
UPDATE ispyb_sync.undo_claim AS c
STRAIGHT_JOIN ispyb_sync.undo AS u ON u.entity = c.entity AND u.number = c.number
STRAIGHT_JOIN Person AS t ON t.personId = c.holder
SET t.externalId = NULL
WHERE c.entity = 'person' AND c.field = 'externalId' AND u.kept IS NULL;

-- name: park_login -- if: unique(login)
UPDATE ispyb_sync.undo_claim AS c
STRAIGHT_JOIN ispyb_sync.undo AS u ON u.entity = c.entity AND u.number = c.number
STRAIGHT_JOIN Person AS t ON t.personId = c.holder
SET t.login = NULL
WHERE c.entity = 'person' AND c.field = 'login' AND u.kept IS NULL;

-- name: update_person
UPDATE ispyb_sync.undo AS u
STRAIGHT_JOIN Person AS t ON t.personId = u.target_id
SET
    t.laboratoryId = IF(JSON_EXISTS(u.was, '$.laboratoryId'), JSON_VALUE(u.was, '$.laboratoryId'), t.laboratoryId),
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field') + 0e0, t.a_column), -- for: portal, float
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field'), CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field'), t.a_column), -- for: portal, not bytes
    t.externalId = IF(JSON_EXISTS(u.was, '$.externalId'), UNHEX(JSON_VALUE(u.was, '$.externalId')), t.externalId)
WHERE u.entity = 'person' AND u.action = 'update' AND u.kept IS NULL;

-- pass: apply_laboratory

-- name: delete_laboratory
DELETE t
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN Laboratory AS t ON t.laboratoryId = u.target_id
WHERE u.entity = 'laboratory' AND u.action = 'insert' AND u.kept IS NULL;

-- name: update_laboratory
UPDATE ispyb_sync.undo AS u
STRAIGHT_JOIN Laboratory AS t ON t.laboratoryId = u.target_id
SET
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field') + 0e0, t.a_column), -- for: portal, float
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field'), CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
    t.a_column = IF(JSON_EXISTS(u.was, '$.a_field'), JSON_VALUE(u.was, '$.a_field'), t.a_column), -- for: portal, not bytes
    t.externalId = IF(JSON_EXISTS(u.was, '$.externalId'), UNHEX(JSON_VALUE(u.was, '$.externalId')), t.externalId)
WHERE u.entity = 'laboratory' AND u.action = 'update' AND u.kept IS NULL;

-- pass: settle

-- name: keep_taken
-- A claim falls when the holder keeps the value, or when the one who would give it up is kept itself; what is left are
-- swaps and rotations.
INSERT INTO ispyb_sync.undo (entity, number, kept, held)
WITH RECURSIVE fallen AS (
    SELECT c.entity, c.number, c.field, c.holder FROM ispyb_sync.undo_claim AS c WHERE c.giver IS NULL
    UNION
    SELECT c.entity, c.number, c.field, c.holder
    FROM ispyb_sync.undo_claim AS c
    INNER JOIN fallen ON fallen.entity = c.entity AND fallen.number = c.giver
)
SELECT
    fallen.entity,
    fallen.number,
    'key_taken',
    MIN(CONCAT(fallen.field, ' is held by row ', fallen.holder))
FROM fallen
GROUP BY fallen.entity, fallen.number
ON DUPLICATE KEY UPDATE kept = VALUES(kept), held = VALUES(held);

-- name: keep_unseen
-- Whoever cannot see all tables cannot know what refers to a row. Links are leaves.
UPDATE ispyb_sync.undo AS u
SET u.kept = 'not_seen'
WHERE u.action = 'insert' AND u.kept IS NULL AND u.entity NOT IN ('proposal_has_person', 'session_has_person');

-- pass: report

-- name: counts
SELECT
    u.entity,
    COUNT(*) AS staged,
    SUM(u.action = 'delete' AND u.kept IS NULL) AS inserted,
    SUM(u.action = 'update' AND u.kept IS NULL) AS updated,
    SUM(u.kept IS NOT NULL) AS refused,
    SUM(u.action = 'insert' AND u.kept IS NULL) AS deleted
FROM ispyb_sync.undo AS u
GROUP BY u.entity;

-- name: kept
-- Of what has changed since, which later run was the last to change one of these columns; none if it was no run.
SELECT
    u.entity,
    u.kept,
    u.held,
    u.action,
    u.target_id,
    u.second_id,
    c.row_key,
    c.proposal,
    CONCAT(', by run ', MAX(r.run)) AS changed_by
FROM ispyb_sync.undo AS u
INNER JOIN ispyb_sync.change AS c ON c.run = @undone AND c.entity = u.entity AND c.number = u.number
LEFT JOIN (
    ispyb_sync.change AS later
    INNER JOIN ispyb_sync.run AS r ON r.run = later.run AND NOT r.elsewhere
)
    ON u.kept = 'changed_since' AND later.entity = u.entity AND later.target_id = u.target_id
    AND later.second_id <=> u.second_id AND later.run > @undone
    AND JSON_KEYS(later.fields) RLIKE CONCAT('"(', REPLACE(u.held, ', ', '|'), ')"')
WHERE u.kept IS NOT NULL
GROUP BY u.entity, u.number
ORDER BY u.entity, u.number;

-- name: changes
SELECT
    c.entity,
    c.target_id,
    CASE c.action WHEN 'insert' THEN 'delete' WHEN 'delete' THEN 'insert' ELSE 'update' END AS action,
    NULL AS matched_by,
    c.row_key,
    c.proposal,
    IF(c.action = 'update', REGEXP_REPLACE(c.fields, '\\[("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+), ("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+)\\]', '[\\2, \\1]'), c.fields) AS fields
FROM ispyb_sync.undo AS u
INNER JOIN ispyb_sync.change AS c ON c.run = @undone AND c.entity = u.entity AND c.number = u.number
WHERE u.kept IS NULL
ORDER BY u.entity, u.number;

-- pass: history

-- name: record_changes
-- Under the number that the change has in the run that is taken back.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, row_key, proposal, fields)
SELECT
    @run,
    c.entity,
    c.number,
    c.target_id,
    c.second_id,
    CASE c.action WHEN 'insert' THEN 'delete' WHEN 'delete' THEN 'insert' ELSE 'update' END,
    c.row_key,
    c.proposal,
    IF(c.action = 'update', REGEXP_REPLACE(c.fields, '\\[("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+), ("[^"\\\\]*+(?:\\\\.[^"\\\\]*+)*+"|[^],"]*+)\\]', '[\\2, \\1]'), c.fields)
FROM ispyb_sync.undo AS u
INNER JOIN ispyb_sync.change AS c ON c.run = @undone AND c.entity = u.entity AND c.number = u.number
WHERE u.kept IS NULL;

-- name: mark_run
UPDATE ispyb_sync.run AS r
SET r.status = IF(EXISTS (SELECT 1 FROM ispyb_sync.undo AS u WHERE u.kept IS NOT NULL), 'partly_undone', 'undone')
WHERE r.run = @undone;

-- pass: show

-- name: find_undo
-- The undo of a connection that was lost before the server answered.
SELECT r.run FROM ispyb_sync.run AS r WHERE r.mode = 'undo' AND r.started = @started;

-- name: undone_by
SELECT MAX(r.run) FROM ispyb_sync.run AS r WHERE r.mode = 'undo' AND JSON_VALUE(r.settings, '$.undoes') = @undone;

-- name: kept_changes
SELECT COUNT(*) FROM ispyb_sync.change AS c WHERE c.run = @undone;
