-- proposal_has_person: who is on a proposal.
--
-- target    ProposalHasPerson
-- stage     stage_proposal_has_person, map_proposal_has_person
-- after     proposal, person
-- matches   proposal + person
-- refuses   parent_refused
-- never     touches the role, or deletes a link unless pruning is asked for

-- pass: create

-- name: create_stage
CREATE TEMPORARY TABLE ispyb_sync.stage_proposal_has_person (
    row_id INT UNSIGNED NOT NULL DEFAULT 0 PRIMARY KEY,
    position INT UNSIGNED NOT NULL DEFAULT 0,
    document INT UNSIGNED NOT NULL DEFAULT 0,
    path VARCHAR(255) CHARACTER SET ascii NOT NULL DEFAULT '',
    refused VARCHAR(24) CHARACTER SET ascii NULL,
    clears VARCHAR(500) CHARACTER SET ascii NOT NULL DEFAULT '',
    conflicting BOOLEAN NOT NULL DEFAULT FALSE,
    person_row INT UNSIGNED NULL
) ENGINE = InnoDB;

-- name: create_map
CREATE TEMPORARY TABLE ispyb_sync.map_proposal_has_person (
    row_id INT UNSIGNED NOT NULL PRIMARY KEY,
    thing INT UNSIGNED NOT NULL,
    proposal INT UNSIGNED NOT NULL DEFAULT 0,
    person INT UNSIGNED NOT NULL DEFAULT 0,
    target_id INT UNSIGNED NULL,
    matched_by VARCHAR(32) NULL,
    action ENUM('insert', 'update') NULL,
    refused VARCHAR(24) NULL,
    field VARCHAR(32) NULL,
    value TEXT NULL,
    held TEXT NULL,
    changes LONGTEXT NULL,
    KEY (thing)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- pass: match

-- name: open_map
-- What hangs on a refused proposal or person is refused with it. The pair is not unique in the table.
INSERT INTO ispyb_sync.map_proposal_has_person (row_id, thing, proposal, person, target_id, refused, field)
SELECT
    s.row_id,
    s.row_id,
    proposal.thing,
    person.thing,
    MIN(t.proposalHasPersonId),
    IF(proposal.refused IS NULL AND person.refused IS NULL, NULL, 'parent_refused'),
    IF(proposal.refused IS NOT NULL, 'proposal', IF(person.refused IS NOT NULL, 'person', NULL))
FROM ispyb_sync.stage_proposal_has_person AS s
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
LEFT JOIN ProposalHasPerson AS t ON t.proposalId = proposal.target_id AND t.personId = person.target_id
GROUP BY s.row_id;

-- name: join_pair
-- The same person named twice is one link.
UPDATE ispyb_sync.map_proposal_has_person AS m
STRAIGHT_JOIN (
    SELECT m.proposal, m.person, MIN(m.row_id) AS first
    FROM ispyb_sync.map_proposal_has_person AS m
    WHERE m.refused IS NULL
    GROUP BY m.proposal, m.person
    HAVING COUNT(*) > 1
) AS g ON g.proposal = m.proposal AND g.person = m.person
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- pass: compare

-- name: decide
UPDATE ispyb_sync.map_proposal_has_person AS m
SET m.action = 'insert'
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL;

-- pass: apply

-- name: insert
INSERT INTO ProposalHasPerson (proposalId, personId)
SELECT
    proposal.target_id,
    person.target_id
FROM ispyb_sync.map_proposal_has_person AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal_has_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
WHERE m.action = 'insert'
ORDER BY m.row_id;

-- pass: history

-- name: match_pair
-- After the insert, for the history.
INSERT INTO ispyb_sync.map_proposal_has_person (row_id, thing, target_id)
SELECT m.row_id, m.thing, MIN(t.proposalHasPersonId)
FROM ispyb_sync.map_proposal_has_person AS m
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
STRAIGHT_JOIN ProposalHasPerson AS t ON t.proposalId = proposal.target_id AND t.personId = person.target_id
WHERE m.action = 'insert'
GROUP BY m.row_id
ON DUPLICATE KEY UPDATE target_id = VALUES(target_id);

-- name: record_changes
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    @run,
    'proposal_has_person',
    m.row_id,
    m.target_id,
    NULL,
    m.action,
    NULL,
    COALESCE(who.login, who.siteId, HEX(who.externalId)),
    COALESCE(NULLIF(CONCAT_WS('-', d.proposalCode, d.proposalNumber), ''), HEX(d.externalId)),
    JSON_OBJECT('proposalId', NVL(proposal.target_id, 'new'), 'personId', NVL(person.target_id, 'new'))
FROM ispyb_sync.map_proposal_has_person AS m
INNER JOIN ispyb_sync.stage_proposal_has_person AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.stage_person AS who ON who.row_id = m.person
INNER JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
INNER JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- pass: report

-- name: unplaced
-- An inserted row that is not found again was changed by somebody else in between: the run starts anew.
SELECT COUNT(*) FROM ispyb_sync.map_proposal_has_person AS m WHERE m.action = 'insert' AND (m.target_id IS NULL OR m.refused IS NOT NULL);

-- name: counts
SELECT
    COUNT(*) AS staged,
    NVL(SUM(m.action = 'insert'), 0) AS inserted,
    NVL(SUM(m.action = 'update'), 0) AS updated,
    NVL(SUM(m.refused IS NOT NULL), 0) AS refused
FROM ispyb_sync.map_proposal_has_person AS m
WHERE m.thing = m.row_id;

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
FROM ispyb_sync.map_proposal_has_person AS m
INNER JOIN ispyb_sync.stage_proposal_has_person AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE m.refused IS NOT NULL AND m.field IS NOT NULL AND s.refused IS NULL
ORDER BY m.row_id;
