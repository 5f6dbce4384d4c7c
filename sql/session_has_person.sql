-- session_has_person: who is on a session, and as what.
--
-- target    Session_has_Person
-- stage     stage_session_has_person, map_session_has_person
-- after     session, person
-- matches   session + person
-- refuses   parent_refused
-- never     deletes a link unless pruning is asked for

-- pass: create

-- name: create_stage
CREATE TEMPORARY TABLE ispyb_sync.stage_session_has_person (
    row_id INT UNSIGNED NOT NULL DEFAULT 0 PRIMARY KEY,
    position INT UNSIGNED NOT NULL DEFAULT 0,
    document INT UNSIGNED NOT NULL DEFAULT 0,
    path VARCHAR(255) CHARACTER SET ascii NOT NULL DEFAULT '',
    refused VARCHAR(24) CHARACTER SET ascii NULL,
    clears VARCHAR(500) CHARACTER SET ascii NOT NULL DEFAULT '',
    conflicting BOOLEAN NOT NULL DEFAULT FALSE,
    session_row INT UNSIGNED NULL,
    person_row INT UNSIGNED NULL
) ENGINE = InnoDB
SELECT
    t.role,
    t.remote
FROM (SELECT 1) AS nothing
LEFT JOIN Session_has_Person AS t ON FALSE
WHERE FALSE;

-- name: create_map
CREATE TEMPORARY TABLE ispyb_sync.map_session_has_person (
    row_id INT UNSIGNED NOT NULL PRIMARY KEY,
    thing INT UNSIGNED NOT NULL,
    session INT UNSIGNED NOT NULL DEFAULT 0,
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
-- What hangs on a refused session or person is refused with it.
INSERT INTO ispyb_sync.map_session_has_person (row_id, thing, session, person, target_id, refused, field)
SELECT
    s.row_id,
    s.row_id,
    session.thing,
    person.thing,
    t.personId,
    IF(session.refused IS NULL AND person.refused IS NULL, NULL, 'parent_refused'),
    IF(session.refused IS NOT NULL, 'session', IF(person.refused IS NOT NULL, 'person', NULL))
FROM ispyb_sync.stage_session_has_person AS s
STRAIGHT_JOIN ispyb_sync.map_session AS session ON session.row_id = s.session_row
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
LEFT JOIN Session_has_Person AS t ON t.sessionId = session.target_id AND t.personId = person.target_id;

-- name: join_pair
-- The same person named twice is one link.
UPDATE ispyb_sync.map_session_has_person AS m
STRAIGHT_JOIN (
    SELECT m.session, m.person, MIN(m.row_id) AS first
    FROM ispyb_sync.map_session_has_person AS m
    WHERE m.refused IS NULL
    GROUP BY m.session, m.person
    HAVING COUNT(*) > 1
) AS g ON g.session = m.session AND g.person = m.person
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

-- pass: settle

-- name: unite
-- The copies of a link become one row: per column the last in file order that gives a value.
REPLACE INTO ispyb_sync.stage_session_has_person (
    row_id, position, document, path, clears, conflicting, session_row, person_row,
    role, remote
)
SELECT
    m.thing,
    MAX(s.position),
    MIN(s.document),
    SUBSTRING(MIN(CONCAT(LPAD(s.row_id, 10, '0'), s.path)), 11),
    NVL(GROUP_CONCAT(DISTINCT NULLIF(s.clears, '')), ''),
    COUNT(DISTINCT s.role) > 1 OR COUNT(DISTINCT s.remote) > 1,
    MIN(s.session_row),
    MIN(s.person_row),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.role)), 11),
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.remote)), 11)
FROM (
    SELECT DISTINCT m.thing FROM ispyb_sync.map_session_has_person AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
) AS several
STRAIGHT_JOIN ispyb_sync.map_session_has_person AS m ON m.thing = several.thing
STRAIGHT_JOIN ispyb_sync.stage_session_has_person AS s ON s.row_id = m.row_id
GROUP BY m.thing;

-- pass: compare

-- name: decide
UPDATE ispyb_sync.map_session_has_person AS m
SET m.action = 'insert'
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL;

-- name: compare
INSERT INTO ispyb_sync.map_session_has_person (row_id, thing, action, changes)
SELECT
    m.row_id,
    m.thing,
    'update',
    CONCAT('{', NULLIF(CONCAT_WS(
        ', ',
        IF(BINARY t.role <=> BINARY NVL(s.role, IF(FIND_IN_SET('role', s.clears), NULL, t.role)), NULL, CONCAT('"role": ', JSON_ARRAY(t.role, s.role))),
        IF(t.remote <=> NVL(s.remote, IF(FIND_IN_SET('remote', s.clears), NULL, t.remote)), NULL, CONCAT('"remote": ', JSON_ARRAY(t.remote, s.remote)))
    ), ''), '}') AS changes
FROM ispyb_sync.map_session_has_person AS m
STRAIGHT_JOIN ispyb_sync.stage_session_has_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_session AS session ON session.row_id = m.session
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
STRAIGHT_JOIN Session_has_Person AS t ON t.sessionId = session.target_id AND t.personId = person.target_id
WHERE m.thing = m.row_id AND m.refused IS NULL
HAVING changes IS NOT NULL
ON DUPLICATE KEY UPDATE action = VALUES(action), changes = VALUES(changes);

-- pass: apply

-- name: update
UPDATE ispyb_sync.map_session_has_person AS m
STRAIGHT_JOIN ispyb_sync.stage_session_has_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_session AS session ON session.row_id = m.session
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
STRAIGHT_JOIN Session_has_Person AS t ON t.sessionId = session.target_id AND t.personId = person.target_id
SET
    t.role = NVL(s.role, IF(FIND_IN_SET('role', s.clears), NULL, t.role)),
    t.remote = NVL(s.remote, IF(FIND_IN_SET('remote', s.clears), NULL, t.remote))
WHERE m.action = 'update';

-- name: insert
-- The pair is the key: a link that somebody else made meanwhile is the same link.
INSERT INTO Session_has_Person (sessionId, personId, role, remote)
SELECT
    session.target_id,
    person.target_id,
    s.role,
    NVL(s.remote, DEFAULT(s.remote))
FROM ispyb_sync.map_session_has_person AS m
STRAIGHT_JOIN ispyb_sync.stage_session_has_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_session AS session ON session.row_id = m.session
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
WHERE m.action = 'insert'
ORDER BY m.row_id
ON DUPLICATE KEY UPDATE role = VALUES(role), remote = VALUES(remote);

-- pass: history

-- name: record_changes
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    @run,
    'session_has_person',
    m.row_id,
    session.target_id,
    person.target_id,
    m.action,
    NULL,
    CONCAT(COALESCE(who.login, who.siteId, HEX(who.externalId)), ' on session ', NVL(session.target_id, 'new')),
    COALESCE(NULLIF(CONCAT_WS('-', d.proposalCode, d.proposalNumber), ''), HEX(d.externalId)),
    IF(m.action = 'insert', JSON_OBJECT('role', s.role, 'remote', NVL(s.remote, DEFAULT(s.remote))), m.changes)
FROM ispyb_sync.map_session_has_person AS m
INNER JOIN ispyb_sync.stage_session_has_person AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.stage_person AS who ON who.row_id = m.person
INNER JOIN ispyb_sync.map_session AS session ON session.row_id = m.session
INNER JOIN ispyb_sync.map_person AS person ON person.row_id = m.person
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- pass: report

-- name: unplaced
-- An inserted row that is not found again was changed by somebody else in between: the run starts anew.
SELECT COUNT(*) FROM ispyb_sync.map_session_has_person AS m WHERE m.action = 'insert' AND (m.target_id IS NULL OR m.refused IS NOT NULL);

-- name: counts
SELECT
    COUNT(*) AS staged,
    NVL(SUM(m.action = 'insert'), 0) AS inserted,
    NVL(SUM(m.action = 'update'), 0) AS updated,
    NVL(SUM(m.refused IS NOT NULL), 0) AS refused
FROM ispyb_sync.map_session_has_person AS m
WHERE m.thing = m.row_id;

-- name: conflicting_copies
SELECT COUNT(*) FROM ispyb_sync.stage_session_has_person AS s WHERE s.conflicting;

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
FROM ispyb_sync.map_session_has_person AS m
INNER JOIN ispyb_sync.stage_session_has_person AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE m.refused IS NOT NULL AND m.field IS NOT NULL AND s.refused IS NULL
ORDER BY m.row_id;
