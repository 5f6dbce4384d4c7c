-- proposal_has_person: who is on a proposal.
--
-- target    ProposalHasPerson
-- stage     stage_proposal_has_person, map_proposal_has_person, list_proposal_has_person, stale_proposal_has_person
-- after     proposal, person
-- matches   proposal + person
-- refuses   parent_refused
-- never     touches the role, deletes a link unless pruning is asked for, or ever the proposer's

-- pass: create

-- name: create_stage -- as: create_stage
-- name: create_map -- as: create_map
-- name: create_list -- as: create_list
-- name: create_stale -- as: create_stale

-- pass: match

-- name: open_map
-- What hangs on a refused proposal or person is refused with it. The pair is not unique in the table.
INSERT INTO ispyb_sync.map_proposal_has_person (row_id, thing, proposal, person, target_id, refused, field, action)
SELECT
    s.row_id, s.row_id, proposal.thing, person.thing,
    MIN(t.proposalHasPersonId),
    COALESCE(s.refused, IF(proposal.refused IS NULL AND person.refused IS NULL, NULL, 'parent_refused')),
    CASE
        WHEN s.refused IS NOT NULL THEN NULL
        WHEN proposal.refused IS NOT NULL THEN 'proposal'
        WHEN person.refused IS NOT NULL THEN 'person'
    END,
    IF(
        s.refused IS NULL AND proposal.refused IS NULL AND person.refused IS NULL
        AND MIN(t.proposalHasPersonId) IS NULL, 'insert', NULL
    )
FROM ispyb_sync.stage_proposal_has_person AS s
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
LEFT JOIN ProposalHasPerson AS t ON t.proposalId = proposal.target_id AND t.personId = person.target_id
GROUP BY s.row_id;

-- name: join_pair -- as: join_pair

-- pass: prune

-- name: list_empty -- finds: lists
-- A list that is given and empty is staged as a link to nobody.
INSERT INTO ispyb_sync.list_proposal_has_person (proposal, target_id)
SELECT DISTINCT
    whole.row_id,
    whole.target_id
FROM ispyb_sync.stage_proposal_has_person AS s
STRAIGHT_JOIN ispyb_sync.map_proposal AS part ON part.row_id = s.document
STRAIGHT_JOIN ispyb_sync.map_proposal AS whole ON whole.row_id = part.thing
WHERE s.person_row IS NULL AND part.refused IS NULL AND whole.refused IS NULL AND whole.target_id IS NOT NULL;

-- name: list_named -- as: list_named

-- name: find_stale -- if: lists
-- The proposer stays, as the proposal names that person itself: the one after this run, who may be new.
INSERT INTO ispyb_sync.stale_proposal_has_person (target_id, proposal, person_id, row_key, fields)
SELECT
    t.proposalHasPersonId, l.proposal, t.personId,
    COALESCE(
        CONVERT(who.login USING utf8mb4), -- if: person.login
        HEX(who.externalId),
        CONCAT('personId ', t.personId)
    ),
    JSON_OBJECT(
        'proposalId', t.proposalId,
        'role', CONVERT(t.role USING utf8mb4), -- if: role
        'personId', t.personId
    )
FROM ispyb_sync.list_proposal_has_person AS l
STRAIGHT_JOIN ispyb_sync.stage_proposal AS s ON s.row_id = l.proposal
STRAIGHT_JOIN Proposal AS p ON p.proposalId = l.target_id
STRAIGHT_JOIN ProposalHasPerson AS t ON t.proposalId = l.target_id
LEFT JOIN ispyb_sync.map_person AS proposer ON proposer.row_id = s.person_row
LEFT JOIN Person AS who ON who.personId = t.personId
LEFT JOIN (
    SELECT DISTINCT
        l.proposal,
        person.target_id
    FROM ispyb_sync.map_proposal_has_person AS m
    STRAIGHT_JOIN ispyb_sync.list_proposal_has_person AS l ON l.proposal = m.proposal
    STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
    WHERE person.target_id IS NOT NULL
) AS named ON named.proposal = l.proposal AND named.target_id = t.personId
WHERE
    NOT l.refused
    AND named.target_id IS NULL
    AND NOT t.personId <=> IF(proposer.row_id IS NULL OR proposer.refused IS NOT NULL, p.personId, proposer.target_id)
ORDER BY s.document, t.proposalHasPersonId;

-- name: own -- as: own
-- name: doom -- as: doom

-- pass: apply

-- name: insert -- does: insert
INSERT INTO ProposalHasPerson (proposalId, personId)
SELECT
    proposal.target_id,
    person.target_id
FROM ispyb_sync.map_proposal_has_person AS m
STRAIGHT_JOIN ispyb_sync.stage_proposal_has_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
WHERE
    m.row_id BETWEEN %(first_row)s AND %(last_row)s AND -- if: part
    m.action = 'insert'
ORDER BY m.row_id;

-- name: prune -- as: prune

-- pass: history

-- name: record_changes
-- The id of a new link is found by its pair; in a plan it has none.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    %(run)s,
    'proposal_has_person',
    m.row_id,
    (
        SELECT MIN(t.proposalHasPersonId)
        FROM ProposalHasPerson AS t
        WHERE t.proposalId = proposal.target_id AND t.personId = person.target_id
    ),
    NULL,
    m.action,
    NULL,
    COALESCE(CONVERT(who.login USING utf8mb4), CONVERT(who.siteId USING utf8mb4), HEX(who.externalId)),
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    JSON_OBJECT('proposalId', NVL(proposal.target_id, 'new'), 'personId', NVL(person.target_id, 'new'))
FROM ispyb_sync.map_proposal_has_person AS m
INNER JOIN ispyb_sync.stage_proposal_has_person AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.stage_person AS who ON who.row_id = m.person
INNER JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
INNER JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- name: record_pruned -- as: record_pruned

-- pass: digest

-- name: digest -- as: digest

-- pass: confirm

-- name: unsettle -- as: unsettle
-- name: unsettle_lists -- as: unsettle_lists

-- pass: unsettled

-- name: unsettle_along -- as: unsettle_along -- if: along
-- name: unsettled_documents -- as: unsettled_documents

-- pass: report

-- name: rivals -- again: inserted -- counts: overtaken
-- The pair is not unique. Of what this run has added itself nobody else knows yet. A link that another writer has not
-- committed yet is waited for.
SELECT COUNT(*) - COUNT(DISTINCT m.row_id)
FROM ispyb_sync.map_proposal_has_person AS m
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
STRAIGHT_JOIN ProposalHasPerson AS t ON t.proposalId = proposal.target_id AND t.personId = person.target_id
WHERE m.action = 'insert' AND NOT proposal.action <=> 'insert' AND NOT person.action <=> 'insert'
LOCK IN SHARE MODE;

-- name: counts -- as: counts
-- name: refusals -- as: refusals
-- name: deleted -- as: deleted
-- name: stale_links -- as: stale_links
-- name: stale_people -- as: stale_people
-- name: kept_lists -- as: kept_lists

-- name: all_links
-- What the limit of a run is a share of.
SELECT COUNT(*)
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ProposalHasPerson AS t ON t.proposalId = m.target_id
WHERE m.thing = m.row_id AND m.target_id IS NOT NULL AND m.refused IS NULL;

-- name: losers -- as: losers

-- pass: undo_apply

-- name: link_again
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
