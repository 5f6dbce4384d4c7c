-- session_has_person: who is on a session, and as what.
--
-- target    Session_has_Person
-- stage     stage_session_has_person, map_session_has_person, list_session_has_person, stale_session_has_person
-- after     session, person
-- matches   session + person
-- refuses   parent_refused
-- never     deletes a link unless pruning is asked for

-- pass: create

-- name: create_stage -- as: create_stage
-- name: create_map -- as: create_map
-- name: create_list -- as: create_list
-- name: create_stale -- as: create_stale

-- pass: match

-- name: open_map
-- What hangs on a refused session or person is refused with it. Links are many: what is to be done with each is
-- found at once, while its row is at hand.
INSERT INTO ispyb_sync.map_session_has_person (row_id, thing, session, person, target_id, refused, field, action)
SELECT
    s.row_id,
    s.row_id,
    session.thing,
    person.thing,
    t.personId,
    COALESCE(s.refused, IF(session.refused IS NULL AND person.refused IS NULL, NULL, 'parent_refused')),
    CASE
        WHEN s.refused IS NOT NULL THEN NULL
        WHEN session.refused IS NOT NULL THEN 'session'
        WHEN person.refused IS NOT NULL THEN 'person'
    END,
    CASE
        WHEN s.refused IS NOT NULL OR session.refused IS NOT NULL OR person.refused IS NOT NULL THEN NULL
        WHEN t.personId IS NULL THEN 'insert'
        WHEN
            s.clears <> ''
            OR NOT BINARY t.a_column <=> BINARY NVL(s.a_field, t.a_column) -- for: text
            OR NOT t.a_column <=> NVL(s.a_field, t.a_column) -- for: live
            THEN 'update'
    END
FROM ispyb_sync.stage_session_has_person AS s
STRAIGHT_JOIN ispyb_sync.map_session AS session ON session.row_id = s.session_row
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
LEFT JOIN Session_has_Person AS t ON t.sessionId = session.target_id AND t.personId = person.target_id;

-- name: join_pair -- as: join_pair

-- pass: settle

-- name: unite -- if: joined
-- The copies of a link become one row: per column the last in file order that gives a value. The map has no key on
-- thing, which would cost more than this one scan.
REPLACE INTO ispyb_sync.stage_session_has_person (
    a_field, -- for: live | absent
    row_id, position, document, path, contradicts, unfit, clears, conflicting, session_row, person_row
)
SELECT
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.a_field)), 11), -- for: live | absent
    m.thing,
    MAX(s.position),
    MIN(s.document),
    SUBSTRING(MIN(CONCAT(LPAD(s.row_id, 10, '0'), s.path)), 11),
    MAX(s.contradicts),
    MAX(s.unfit),
    NVL(GROUP_CONCAT(DISTINCT NULLIF(s.clears, '')), ''),
    MAX(s.conflicting)
    OR COUNT(DISTINCT BINARY s.a_field) > 1 -- for: text
    OR COUNT(DISTINCT s.a_field) > 1 -- for: live
    OR FALSE,
    MIN(s.session_row),
    MIN(s.person_row)
FROM ispyb_sync.map_session_has_person AS m
STRAIGHT_JOIN (
    SELECT DISTINCT m.thing FROM ispyb_sync.map_session_has_person AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
) AS several ON several.thing = m.thing
STRAIGHT_JOIN ispyb_sync.stage_session_has_person AS s ON s.row_id = m.row_id
GROUP BY m.thing;

-- name: look_again -- if: joined
-- United copies may differ from ISPyB where the first of them did not.
UPDATE ispyb_sync.map_session_has_person AS m
STRAIGHT_JOIN (
    SELECT DISTINCT m.thing FROM ispyb_sync.map_session_has_person AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
) AS several ON several.thing = m.row_id
SET m.action = 'update'
WHERE m.target_id IS NOT NULL;

-- pass: compare

-- name: forget_changes -- as: forget_changes
-- name: compare
INSERT INTO ispyb_sync.map_session_has_person (row_id, thing, action, changes)
SELECT
    m.row_id,
    m.thing,
    NULL,
    CONCAT('{', NULLIF(CONCAT_WS(
        ', ',
        IF(t.a_column <=> NVL(s.a_field, t.a_column), NULL, -- for: portal, bytes
            CONCAT('"a_field": ', JSON_ARRAY(HEX(t.a_column), HEX(s.a_field)))), -- for: portal, bytes
        IF( -- for: portal, text
            BINARY t.a_column <=> BINARY NVL( -- for: portal, text
                s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column) -- for: portal, text
            ), -- for: portal, text
            NULL, -- for: portal, text
            CONCAT('"a_field": ', JSON_ARRAY( -- for: portal, text
                CONVERT(t.a_column USING utf8mb4), CONVERT(s.a_field USING utf8mb4) -- for: portal, text
            ))), -- for: portal, text
        IF( -- for: portal, float
            t.a_column <=> NVL( -- for: portal, float
                s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column) -- for: portal, float
            ), -- for: portal, float
            NULL, -- for: portal, float
            CONCAT('"a_field": ', JSON_ARRAY(t.a_column + 0e0, s.a_field + 0e0))), -- for: portal, float
        IF(t.a_column <=> NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), NULL, -- for: portal
            CONCAT('"a_field": ', JSON_ARRAY(t.a_column, s.a_field))), -- for: portal
        NULL
    ), ''), '}') AS changes
FROM ispyb_sync.map_session_has_person AS m
STRAIGHT_JOIN ispyb_sync.stage_session_has_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_session AS session ON session.row_id = m.session
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
STRAIGHT_JOIN Session_has_Person AS t ON t.sessionId = session.target_id AND t.personId = person.target_id
WHERE m.action = 'update'
ON DUPLICATE KEY UPDATE action = IF(VALUES(changes) IS NULL, NULL, 'update'), changes = VALUES(changes);

-- pass: prune

-- name: list_empty -- finds: lists
-- A list that is given and empty is staged as a link to nobody.
INSERT INTO ispyb_sync.list_session_has_person (session, target_id)
SELECT DISTINCT
    whole.row_id,
    whole.target_id
FROM ispyb_sync.stage_session_has_person AS s
STRAIGHT_JOIN ispyb_sync.map_session AS part ON part.row_id = s.session_row
STRAIGHT_JOIN ispyb_sync.map_session AS whole ON whole.row_id = part.thing
WHERE s.person_row IS NULL AND part.refused IS NULL AND whole.refused IS NULL AND whole.target_id IS NOT NULL;

-- name: list_named -- as: list_named

-- name: find_stale -- if: lists
INSERT INTO ispyb_sync.stale_session_has_person (target_id, session, person_id, row_key, fields)
SELECT
    t.sessionId,
    l.session,
    t.personId,
    CONCAT(COALESCE(
        CONVERT(who.login USING utf8mb4), -- if: person.login
        HEX(who.externalId),
        CONCAT('personId ', t.personId)
    ), ' on session ', t.sessionId),
    JSON_OBJECT(
        'role', CONVERT(t.role USING utf8mb4) -- if: role
        , -- if: role, remote
        'remote', t.remote -- if: remote
    )
FROM ispyb_sync.list_session_has_person AS l
STRAIGHT_JOIN Session_has_Person AS t ON t.sessionId = l.target_id
LEFT JOIN Person AS who ON who.personId = t.personId
LEFT JOIN (
    SELECT DISTINCT
        l.session,
        person.target_id
    FROM ispyb_sync.map_session_has_person AS m
    STRAIGHT_JOIN ispyb_sync.list_session_has_person AS l ON l.session = m.session
    STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
    WHERE person.target_id IS NOT NULL
) AS named ON named.session = l.session AND named.target_id = t.personId
WHERE NOT l.refused AND named.target_id IS NULL
ORDER BY l.session, t.personId;

-- name: own -- as: own
-- name: doom -- as: doom

-- pass: apply

-- name: update -- if: role | remote -- does: update
UPDATE ispyb_sync.map_session_has_person AS m
STRAIGHT_JOIN ispyb_sync.stage_session_has_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_session AS session ON session.row_id = m.session
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
STRAIGHT_JOIN Session_has_Person AS t ON t.sessionId = session.target_id AND t.personId = person.target_id
SET
    t.role = NVL(s.role, IF(FIND_IN_SET('role', s.clears), NULL, t.role)) -- if: role
    , -- if: role, remote
    t.remote = NVL(s.remote, IF(FIND_IN_SET('remote', s.clears), NULL, t.remote)) -- if: remote
WHERE
    m.row_id BETWEEN %(first_row)s AND %(last_row)s AND -- if: part
    m.action = 'update';

-- name: insert -- does: insert
-- The pair is the key: a link that somebody else made meanwhile is the same link.
INSERT INTO Session_has_Person (
    a_column, -- for: live
    sessionId, personId
)
SELECT
    IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))), -- for: default
    s.a_field, -- for: live
    session.target_id,
    person.target_id
FROM ispyb_sync.map_session_has_person AS m
STRAIGHT_JOIN ispyb_sync.stage_session_has_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_session AS session ON session.row_id = m.session
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
WHERE
    m.row_id BETWEEN %(first_row)s AND %(last_row)s AND -- if: part
    m.action = 'insert'
ORDER BY m.row_id
ON DUPLICATE KEY UPDATE
    a_column = VALUES(a_column), -- for: live
    personId = VALUES(personId);

-- name: prune -- as: prune

-- pass: history

-- name: record_changes
-- A session that a plan would make has no id: it is named by its visit number, or by its dates.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    %(run)s,
    'session_has_person',
    m.row_id,
    session.target_id,
    person.target_id,
    m.action,
    NULL,
    CONCAT(
        COALESCE(CONVERT(who.login USING utf8mb4), CONVERT(who.siteId USING utf8mb4), HEX(who.externalId)),
        ' on ',
        IF(session.target_id IS NULL, CONCAT_WS(' ', NULLIF(CONCAT_WS(
            '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)
        ), ''), COALESCE(
            CONCAT('visit ', visit.visit_number), CONCAT(DATE(visit.startDate), ' to ', DATE(visit.endDate)),
            CONCAT('from ', DATE(visit.startDate)), 'new session'
        )), CONCAT('session ', session.target_id))
    ),
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    IF(
        m.action = 'insert',
        JSON_OBJECT(
            'role', CONVERT(NVL(s.role, DEFAULT(s.role)) USING utf8mb4) -- if: default(role)
            'role', CONVERT(s.role USING utf8mb4) -- if: role, not default(role)
            , -- if: role, remote
            'remote', IF( -- if: default(remote)
                FIND_IN_SET('remote', s.clears), s.remote, NVL(s.remote, DEFAULT(s.remote)) -- if: default(remote)
            ) -- if: default(remote)
            'remote', s.remote -- if: remote, not default(remote)
        ),
        m.changes
    )
FROM ispyb_sync.map_session_has_person AS m
INNER JOIN ispyb_sync.stage_session_has_person AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.stage_person AS who ON who.row_id = m.person
INNER JOIN ispyb_sync.map_session AS session ON session.row_id = m.session
INNER JOIN ispyb_sync.stage_session AS visit ON visit.row_id = m.session
INNER JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- name: record_pruned -- as: record_pruned

-- pass: digest

-- name: digest
-- Who is on each session, with all that the portal may own of them.
INSERT INTO ispyb_sync.digest_proposal (proposalId, digest)
SELECT
    d.proposalId,
    BIT_XOR(CONV(LEFT(SHA1(CONCAT_WS(
        ',',
        'session_has_person',
        t.sessionId,
        t.personId,
        NVL(person.digest, 0),
        QUOTE(CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
        QUOTE(t.a_column), -- for: portal
        ''
    )), 16), 16, 10))
FROM ispyb_sync.digest_proposal AS d
STRAIGHT_JOIN BLSession AS session ON session.proposalId = d.proposalId
STRAIGHT_JOIN Session_has_Person AS t ON t.sessionId = session.sessionId
LEFT JOIN ispyb_sync.digest_person AS person ON person.personId = t.personId
GROUP BY d.proposalId
ON DUPLICATE KEY UPDATE digest = digest ^ VALUES(digest);

-- pass: confirm

-- name: unsettle -- as: unsettle
-- name: unsettle_lists -- as: unsettle_lists

-- pass: unsettled

-- name: unsettle_along -- as: unsettle_along -- if: along
-- name: unsettled_documents -- as: unsettled_documents

-- pass: report

-- name: new_unfit -- as: new_unfit
-- name: counts -- as: counts
-- name: conflicting_copies -- as: conflicting_copies
-- name: refusals -- as: refusals
-- name: deleted -- as: deleted
-- name: stale_links -- as: stale_links
-- name: stale_people -- as: stale_people
-- name: kept_lists -- as: kept_lists

-- name: all_links
-- What the limit of a run is a share of: all sessions of the proposals, also those that the export leaves out.
SELECT COUNT(*)
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN BLSession AS b ON b.proposalId = m.target_id
STRAIGHT_JOIN Session_has_Person AS t ON t.sessionId = b.sessionId
WHERE m.thing = m.row_id AND m.target_id IS NOT NULL AND m.refused IS NULL;

-- name: losers -- as: losers

-- pass: undo_apply

-- name: link_again
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
