-- lab_contact: the cards that label a proposal's shipments.
--
-- target    LabContact
-- stage     stage_lab_contact, map_lab_contact, claim_lab_contact
-- after     proposal, person
-- matches   cardName, then person, both within the proposal
-- refuses   ambiguous_match, duplicate_key, key_taken, parent_refused
-- never     deletes a card (its shipments would go too), renames it, or touches the courier fields of a card that is there

-- pass: create

-- name: create_stage
CREATE TEMPORARY TABLE ispyb_sync.stage_lab_contact (
    row_id INT UNSIGNED NOT NULL DEFAULT 0 PRIMARY KEY,
    position INT UNSIGNED NOT NULL DEFAULT 0,
    document INT UNSIGNED NOT NULL DEFAULT 0,
    path VARCHAR(255) CHARACTER SET ascii NOT NULL DEFAULT '',
    refused VARCHAR(24) CHARACTER SET ascii NULL,
    contradicts VARCHAR(32) CHARACTER SET ascii NULL,
    clears VARCHAR(500) CHARACTER SET ascii NOT NULL DEFAULT '',
    conflicting BOOLEAN NOT NULL DEFAULT FALSE,
    person_row INT UNSIGNED NULL
) ENGINE = InnoDB
SELECT
    t.a_column AS a_field, -- for: live
    CAST(NULL AS CHAR(255)) AS a_field, -- for: absent
    0 AS row_id
FROM (SELECT 1) AS nothing
LEFT JOIN LabContact AS t ON FALSE
WHERE FALSE;

-- name: create_map
CREATE TEMPORARY TABLE ispyb_sync.map_lab_contact (
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
    KEY (thing),
    KEY (target_id, thing)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

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
    s.row_id,
    s.row_id,
    proposal.thing,
    NVL(person.thing, 0),
    COALESCE(s.refused, IF(proposal.refused IS NULL AND person.refused IS NULL, NULL, 'parent_refused')),
    IF(s.refused IS NOT NULL, NULL, IF(proposal.refused IS NOT NULL, 'proposal', IF(person.refused IS NOT NULL, 'person', NULL)))
FROM ispyb_sync.stage_lab_contact AS s
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row;

-- rounds: begin

-- name: join_card_name -- if: several, given(cardName) -- finds: joined
-- Within a proposal, a card name is one card. The joins run in rounds, until a round joins nothing more.
UPDATE ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT m.proposal, s.cardName, MIN(m.thing) AS first
    FROM ispyb_sync.map_lab_contact AS m
    INNER JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
    WHERE m.refused IS NULL
    GROUP BY m.proposal, s.cardName
    HAVING MIN(m.thing) < MAX(m.thing)
) AS g ON g.proposal = m.proposal AND g.cardName = s.cardName
SET m.thing = g.first
WHERE m.thing > g.first AND m.refused IS NULL;

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

-- name: split_duplicates -- if: duplicates
-- Refused together, but counted and reported as the different things they are.
UPDATE ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN (
    SELECT
        m.row_id,
        MIN(m.row_id) OVER (PARTITION BY m.proposal, s.cardName, m.person) AS first
    FROM ispyb_sync.map_lab_contact AS m
    INNER JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
    WHERE m.refused = 'duplicate_key'
) AS g ON g.row_id = m.row_id
SET m.thing = g.first;

-- name: match_card_name -- if: given(cardName) -- again: inserted
INSERT INTO ispyb_sync.map_lab_contact (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.labContactId), NULL),
    'cardName',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'cardName',
    s.cardName,
    IF(COUNT(*) = 1, NULL, CONCAT('labContactId ', MIN(t.labContactId), ' to ', MAX(t.labContactId)))
FROM ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN LabContact AS t ON t.proposalId = proposal.target_id AND t.cardName = s.cardName
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
GROUP BY m.row_id
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    matched_by = VALUES(matched_by),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: match_person -- again: inserted
-- A card renamed in ISPyB or in the portal: it keeps the name it has, since shipping labels carry it. Not a card
-- that this run finds by its name and gives to somebody else: claim_person decides about its person.
INSERT INTO ispyb_sync.map_lab_contact (row_id, thing, target_id, matched_by, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    IF(COUNT(*) = 1, MIN(t.labContactId), NULL),
    'person',
    IF(COUNT(*) = 1, NULL, 'ambiguous_match'),
    'person',
    s.cardName,
    IF(COUNT(*) = 1, NULL, CONCAT('labContactId ', MIN(t.labContactId), ' to ', MAX(t.labContactId)))
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

-- name: probe_same_target -- if: several -- finds: same_target
-- Whether several things found one row.
SELECT m.target_id
FROM ispyb_sync.map_lab_contact AS m
WHERE m.target_id IS NOT NULL
GROUP BY m.target_id
HAVING MIN(m.thing) < MAX(m.thing)
LIMIT 1;

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

-- name: unite -- if: joined
-- The copies of a thing become one row: per column the last in file order that gives a value. The position in
-- front of the value makes MAX() choose it.
REPLACE INTO ispyb_sync.stage_lab_contact (
    a_field, -- for: live | absent
    row_id, position, document, path, contradicts, clears, conflicting, person_row
)
SELECT
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.a_field + 0e0)), 11), -- for: float
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.a_field)), 11), -- for: live | absent
    m.thing,
    MAX(s.position),
    MIN(s.document),
    SUBSTRING(MIN(CONCAT(LPAD(s.row_id, 10, '0'), s.path)), 11),
    MAX(s.contradicts),
    NVL(GROUP_CONCAT(DISTINCT NULLIF(s.clears, '')), ''),
    MAX(s.conflicting)
    OR COUNT(DISTINCT BINARY s.a_field) > 1 -- for: text | bytes
    OR COUNT(DISTINCT s.a_field) > 1 -- for: live | absent
    OR COUNT(DISTINCT person.thing) > 1,
    SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), person.thing)), 11)
FROM (
    SELECT DISTINCT m.thing FROM ispyb_sync.map_lab_contact AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
) AS several
STRAIGHT_JOIN ispyb_sync.map_lab_contact AS m ON m.thing = several.thing
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
GROUP BY m.thing;

-- name: refuse_missing -- if: any(required)
-- A new row without a value that the table demands; the words are the server's.
INSERT INTO ispyb_sync.map_lab_contact (row_id, thing, refused, field, held)
SELECT
    m.row_id,
    m.thing,
    'refused_by_database',
    CASE
        WHEN s.a_field IS NULL THEN 'a_field' -- for: required
        WHEN FALSE THEN NULL
    END AS missing,
    CASE
        WHEN s.a_field IS NULL THEN 'Column ''a_column'' cannot be null' -- for: required
        WHEN FALSE THEN NULL
    END
FROM ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
HAVING missing IS NOT NULL
ON DUPLICATE KEY UPDATE refused = VALUES(refused), field = VALUES(field), held = VALUES(held);

-- name: refuse_contradicted -- if: given(contradicts)
-- A value that does not fit is left out; but a new row would get the column's default, which says something else.
INSERT INTO ispyb_sync.map_lab_contact (row_id, thing, refused)
SELECT m.row_id, m.thing, 'value_not_allowed'
FROM ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL AND (
    s.contradicts = 'a_field' AND s.a_field IS NULL OR -- for: default
    FALSE
)
ON DUPLICATE KEY UPDATE refused = VALUES(refused);

-- name: claim_person -- finds: claims
-- People to be written who are on another card of the proposal now, and the card of this run, if any, that gives
-- them up.
INSERT INTO ispyb_sync.claim_lab_contact (row_id, field, holder_id, holder_row, value)
SELECT m.row_id, 'person', h.labContactId, MIN(giver.row_id), COALESCE(CONVERT(who.login USING utf8mb4), CONVERT(who.siteId USING utf8mb4), HEX(who.externalId))
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
) ON giver.target_id = h.labContactId AND giver.thing = giver.row_id AND giver.refused IS NULL AND NOT given.target_id <=> h.personId
WHERE m.thing = m.row_id AND m.refused IS NULL AND NOT h.labContactId <=> m.target_id AND NOT t.personId <=> h.personId
GROUP BY m.row_id, h.labContactId;

-- name: refuse_taken -- if: claims
-- A claim falls when nobody in this run gives the value up, or when the one who would falls itself; what is
-- left are swaps and rotations, in which everyone gets what it asks for.
UPDATE ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN (
    WITH RECURSIVE fallen AS (
        SELECT c.row_id, c.field, 0 AS drawn_along FROM ispyb_sync.claim_lab_contact AS c WHERE c.holder_row IS NULL
        UNION
        SELECT c.row_id, c.field, 1
        FROM ispyb_sync.claim_lab_contact AS c INNER JOIN fallen ON fallen.row_id = c.holder_row
    )
    SELECT fallen.row_id, SUBSTRING(MIN(CONCAT(fallen.drawn_along, fallen.field)), 2) AS field
    FROM fallen
    GROUP BY fallen.row_id
) AS f ON f.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.claim_lab_contact AS c ON c.row_id = m.row_id AND c.field = f.field
SET
    m.refused = 'key_taken',
    m.field = c.field,
    m.value = c.value,
    m.held = CONCAT('labContactId ', c.holder_id);

-- name: share -- if: joined -- again: inserted
-- The other rows of a thing share what was found for it: children may name any of them.
UPDATE ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN ispyb_sync.map_lab_contact AS t ON t.row_id = m.thing
SET m.target_id = t.target_id, m.refused = NVL(m.refused, t.refused), m.action = t.action
WHERE m.thing <> m.row_id;

-- pass: compare

-- name: decide
UPDATE ispyb_sync.map_lab_contact AS m
SET m.action = 'insert'
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL;

-- name: compare
INSERT INTO ispyb_sync.map_lab_contact (row_id, thing, action, changes)
SELECT
    m.row_id,
    m.thing,
    'update',
    CONCAT('{', NULLIF(CONCAT_WS(
        ', ',
        IF(t.cardName IS NOT NULL, NULL, CONCAT('"cardName": ', JSON_ARRAY(NULL, CONVERT(s.cardName USING utf8mb4)))), -- if: cardName
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
-- A swap needs a moment in which the old holder has somebody else, as the column cannot be NULL: for each holder another
-- person who has no card in the proposal, and gets none in this run. The thousand newest are enough to find them.
INSERT INTO ispyb_sync.claim_lab_contact (row_id, field, holder_id, parked_on)
SELECT c.row_id, c.field, c.holder_id, free.personId
FROM (
    SELECT
        c.row_id,
        c.field,
        c.holder_id,
        h.proposalId,
        ROW_NUMBER() OVER (PARTITION BY h.proposalId ORDER BY c.holder_id) AS place
    FROM ispyb_sync.claim_lab_contact AS c
    STRAIGHT_JOIN ispyb_sync.map_lab_contact AS m ON m.row_id = c.row_id
    STRAIGHT_JOIN LabContact AS h ON h.labContactId = c.holder_id
    WHERE m.refused IS NULL
) AS c
STRAIGHT_JOIN (
    SELECT
        parked.proposalId,
        p.personId,
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
    m.row_id BETWEEN @first_row AND @last_row AND -- if: part
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
    m.row_id BETWEEN @first_row AND @last_row AND -- if: part
    m.action = 'insert'
ORDER BY m.row_id;

-- pass: history

-- name: record_changes
-- Of an insert all values, of an update the old and the new ones. Where compare said "new", the person has its id by
-- now; in a plan it has none.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    @run,
    'lab_contact',
    m.row_id,
    m.target_id,
    NULL,
    m.action,
    IF(m.action = 'update', m.matched_by, NULL),
    s.cardName,
    COALESCE(NULLIF(CONCAT_WS('-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    CASE
        WHEN m.action = 'insert' THEN JSON_OBJECT(
            'a_field', CONVERT(IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))) USING utf8mb4), -- for: default, text
            'a_field', IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))) + 0e0, -- for: default, float
            'a_field', IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))), -- for: default, not bytes
            'a_field', CONVERT(s.a_field USING utf8mb4), -- for: text
            'a_field', s.a_field + 0e0, -- for: float
            'a_field', s.a_field, -- for: live, not bytes
            'proposalId', NVL(proposal.target_id, 'new'),
            'personId', NVL(person.target_id, 'new')
        )
        WHEN person.action = 'insert' AND person.target_id IS NOT NULL THEN REGEXP_REPLACE(m.changes, '("personId": \\[[^,]*, )"new"', CONCAT('\\1', person.target_id))
        ELSE m.changes
    END
FROM ispyb_sync.map_lab_contact AS m
INNER JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
LEFT JOIN ispyb_sync.map_person AS person ON person.row_id = s.person_row
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- pass: digest

-- name: digest
-- Whose each card is; the rest of it belongs to ISPyB.
INSERT INTO ispyb_sync.digest_proposal (taken, proposalId, digest)
SELECT
    d.taken,
    d.proposalId,
    BIT_XOR(CONV(LEFT(MD5(CONCAT_WS(
        ',',
        'lab_contact',
        t.labContactId,
        NVL(person.digest, 0),
        QUOTE(CONVERT(t.cardName USING utf8mb4)), -- if: cardName
        QUOTE(t.personId)
    )), 16), 16, 10))
FROM ispyb_sync.digest_proposal AS d
STRAIGHT_JOIN LabContact AS t ON t.proposalId = d.proposalId
LEFT JOIN ispyb_sync.digest_person AS person ON person.personId = t.personId
WHERE d.taken = @taken
GROUP BY d.proposalId
ON DUPLICATE KEY UPDATE digest = digest ^ VALUES(digest);

-- pass: report

-- name: unplaced -- again: inserted -- counts: overtaken
-- An inserted row that is not found again was changed by somebody else in between: the run starts anew.
SELECT COUNT(*) FROM ispyb_sync.map_lab_contact AS m WHERE m.action = 'insert' AND (m.target_id IS NULL OR m.refused IS NOT NULL);

-- name: contradicted -- if: given(contradicts)
-- What refuse_contradicted has refused: the document, and the path of the value.
SELECT s.document, CONCAT(s.path, '.', s.contradicts) AS path
FROM ispyb_sync.map_lab_contact AS m
STRAIGHT_JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
WHERE m.refused = 'value_not_allowed' AND s.refused IS NULL AND s.contradicts IS NOT NULL;

-- name: counts
SELECT
    COUNT(*) AS staged,
    NVL(SUM(m.action = 'insert'), 0) AS inserted,
    NVL(SUM(m.action = 'update'), 0) AS updated,
    NVL(SUM(m.refused IS NOT NULL), 0) AS refused
FROM ispyb_sync.map_lab_contact AS m
WHERE m.thing = m.row_id;

-- name: conflicting_copies -- if: joined
SELECT COUNT(*) FROM ispyb_sync.stage_lab_contact AS s WHERE s.conflicting;

-- name: kept_card_name -- if: cardName
SELECT COUNT(*)
FROM ispyb_sync.map_lab_contact AS m
WHERE m.thing = m.row_id AND m.refused IS NULL AND m.matched_by = 'person' AND (m.action IS NULL OR m.action = 'update' AND m.changes NOT LIKE '%"cardName"%');

-- name: refusals
-- Rows that Python refused are already reported, with the value that did not fit.
SELECT
    m.refused,
    m.field,
    m.value,
    m.held,
    s.document,
    COALESCE(NULLIF(CONCAT_WS('-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)) AS proposal,
    s.path
FROM ispyb_sync.map_lab_contact AS m
INNER JOIN ispyb_sync.stage_lab_contact AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE m.refused IS NOT NULL AND m.field IS NOT NULL AND s.refused IS NULL
ORDER BY m.row_id;
