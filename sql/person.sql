-- person: people named anywhere in a document.
--
-- target    Person
-- stage     stage_person, map_person, claim_person
-- after     laboratory
-- matches   externalId, then login, then siteId
-- refuses   ambiguous_match, duplicate_key, key_taken, keys_disagree
-- never     deletes a person, or writes personUUID, passwd, cache or a NULL over a key

-- pass: create

-- name: create_stage -- as: create_stage
-- name: create_map -- as: create_map
-- name: create_claim -- as: create_claim

-- pass: match

-- name: open_map -- as: open_map

-- rounds: begin

-- name: join_external_id -- as: join_key(externalId) -- if: several
-- name: join_login -- as: join_key(login) -- if: several
-- {login} in one place and {login, externalId} in another are one person.

-- name: join_site_id -- as: join_key(siteId) -- if: several
-- The deprecated key counts only where the document gives it.

-- rounds: end

-- name: refuse_duplicate_key -- if: joined -- finds: duplicates
-- Mentions that are joined and contradict each other: two logins under one externalId, or the other way round.
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN (
    SELECT
        m.thing,
        CASE
            WHEN MIN(s.externalId) < MAX(s.externalId) AND COUNT(DISTINCT s.login) = 1 THEN 'login'
            WHEN MIN(s.externalId) < MAX(s.externalId) AND COUNT(DISTINCT s.siteId) = 1 THEN 'siteId'
            WHEN MIN(s.externalId) < MAX(s.externalId) THEN 'externalId'
            WHEN MIN(s.login) < MAX(s.login) AND COUNT(DISTINCT s.externalId) = 1 THEN 'externalId'
            WHEN MIN(s.login) < MAX(s.login) AND COUNT(DISTINCT s.siteId) = 1 THEN 'siteId'
            WHEN MIN(s.login) < MAX(s.login) THEN 'login'
            WHEN MIN(s.siteId) < MAX(s.siteId) AND COUNT(DISTINCT s.externalId) = 1 THEN 'externalId'
            WHEN MIN(s.siteId) < MAX(s.siteId) THEN 'login'
        END AS field,
        CONCAT('documents ', GROUP_CONCAT(DISTINCT s.document ORDER BY s.document SEPARATOR ', ')) AS held
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_person AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_person AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
    GROUP BY m.thing
    HAVING field IS NOT NULL
) AS g ON g.thing = m.thing
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
SET
    m.refused = 'duplicate_key',
    m.field = g.field,
    m.value = CASE g.field
        WHEN 'externalId' THEN HEX(s.externalId)
        WHEN 'login' THEN CONVERT(s.login USING utf8mb4)
        WHEN 'siteId' THEN CONVERT(s.siteId USING utf8mb4)
    END,
    m.held = g.held
WHERE m.refused IS NULL;

-- name: split_duplicates -- as: split_duplicates

-- name: refuse_ambiguous_mention -- if: duplicates
-- A mention by login alone cannot say which of the things that share it is meant.
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT s.login
    FROM ispyb_sync.map_person AS m
    INNER JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
    WHERE m.refused = 'duplicate_key'
    GROUP BY s.login
    HAVING MIN(s.externalId) < MAX(s.externalId)
) AS g ON g.login <=> s.login
SET m.refused = 'ambiguous_match', m.field = 'login', m.value = s.login
WHERE m.refused = 'duplicate_key' AND s.externalId IS NULL AND s.login IS NOT NULL;

-- name: unite_keys -- as: unite_keys
-- name: keep_login -- as: keep_key(login)
-- name: keep_site_id -- as: keep_key(siteId)
-- name: match_external_id -- as: match_key(externalId) -- if: joined | inserted
-- name: match_login -- as: match_key(login)
-- People typed in by hand have a login and no externalId yet. A login that carries a different externalId is
-- somebody else, unless that person gives the login up in this run: claim_login decides.

-- name: match_site_id -- as: match_key(siteId)
-- name: recount_login -- as: recount_key(login)
-- Behind match_site_id: whoever gains an externalId by that may give a login up.

-- name: match_freed_site_id -- as: match_key(siteId) -- if: recounted
-- name: recount_site_id -- as: recount_key(siteId)

-- name: match_emptied -- if: several, login, given(clears), given(siteId)
-- A row of this siteId has another login, which somebody else in this run empties without giving one: the row is found
-- as the next run would find it, and both are one.
INSERT INTO ispyb_sync.map_person (row_id, thing, target_id, matched_by)
SELECT m.row_id, m.thing, MIN(t.personId), 'siteId'
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Person AS t ON t.siteId = s.siteId
STRAIGHT_JOIN (
    SELECT giver.target_id
    FROM ispyb_sync.map_person AS giver
    STRAIGHT_JOIN ispyb_sync.stage_person AS given ON given.row_id = giver.row_id
    WHERE giver.thing = giver.row_id AND giver.target_id IS NOT NULL AND giver.refused IS NULL
    GROUP BY giver.target_id
    HAVING
        MAX(FIND_IN_SET('login', given.clears)) > 0
        AND MAX(FIND_IN_SET('siteId', given.clears)) = 0
        AND COUNT(given.login) + COUNT(given.siteId) = 0
) AS emptied ON emptied.target_id = t.personId
WHERE
    m.thing = m.row_id
    AND m.target_id IS NULL
    AND m.refused IS NULL
    AND NOT NVL(t.externalId <> s.externalId, FALSE)
GROUP BY m.row_id
HAVING COUNT(*) = 1
ON DUPLICATE KEY UPDATE target_id = VALUES(target_id), matched_by = VALUES(matched_by);

-- pass: settle

-- name: probe_same_target -- as: probe_same_target -- if: several
-- name: refuse_same_target -- as: refuse_same_target
-- name: join_target -- as: join_target
-- name: unite -- as: unite
-- name: refuse_missing -- as: refuse_missing
-- name: refuse_contradicted -- as: refuse_contradicted
-- name: claim_login -- as: claim_key(login)
-- name: claim_site_id -- as: claim_key(siteId)
-- name: refuse_taken -- as: refuse_taken
-- name: share -- as: share

-- pass: compare

-- name: forget_changes -- as: forget_changes
-- name: decide -- as: decide

-- name: compare
-- Bytes decide, not the collation: a changed accent is a change. A laboratory that is new has no id yet.
-- Of several laboratories of one name, a person keeps the one it has.
INSERT INTO ispyb_sync.map_person (row_id, thing, action, changes)
SELECT
    m.row_id,
    m.thing,
    'update',
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
        IF(
            t.laboratoryId <=> CASE
                WHEN own.laboratoryId IS NOT NULL OR laboratory.refused IS NOT NULL THEN t.laboratoryId
                WHEN laboratory.row_id IS NOT NULL THEN NVL(laboratory.target_id, 0)
                WHEN FIND_IN_SET('laboratory', s.clears) THEN NULL
                ELSE t.laboratoryId
            END,
            NULL,
            CONCAT('"laboratoryId": ', IF(
                laboratory.row_id IS NOT NULL AND laboratory.target_id IS NULL,
                JSON_ARRAY(t.laboratoryId, 'new'),
                JSON_ARRAY(t.laboratoryId, laboratory.target_id)
            ))
        )
    ), ''), '}') AS changes
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Person AS t ON t.personId = m.target_id
LEFT JOIN ispyb_sync.map_laboratory AS laboratory ON laboratory.row_id = s.laboratory_row
LEFT JOIN ispyb_sync.candidate_laboratory AS own
    ON own.row_id = laboratory.thing AND own.laboratoryId = t.laboratoryId AND own.kept
WHERE m.thing = m.row_id AND m.refused IS NULL
HAVING changes IS NOT NULL
ON DUPLICATE KEY UPDATE action = VALUES(action), changes = VALUES(changes);

-- pass: apply

-- name: release_login -- if: claims, nullable(login)
-- Where logins are unique, a swap needs a moment in which the old holder has none.
UPDATE ispyb_sync.claim_person AS c
STRAIGHT_JOIN ispyb_sync.map_person AS m ON m.row_id = c.row_id
STRAIGHT_JOIN Person AS t ON t.personId = c.holder_id
SET t.login = NULL
WHERE c.field = 'login' AND m.refused IS NULL;

-- name: update -- does: update
UPDATE ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Person AS t ON t.personId = m.target_id
LEFT JOIN ispyb_sync.map_laboratory AS laboratory ON laboratory.row_id = s.laboratory_row
LEFT JOIN ispyb_sync.candidate_laboratory AS own
    ON own.row_id = laboratory.thing AND own.laboratoryId = t.laboratoryId AND own.kept
SET
    t.laboratoryId = CASE
        WHEN own.laboratoryId IS NOT NULL OR laboratory.refused IS NOT NULL THEN t.laboratoryId
        WHEN laboratory.row_id IS NOT NULL THEN laboratory.target_id
        WHEN FIND_IN_SET('laboratory', s.clears) THEN NULL
        ELSE t.laboratoryId
    END,
    t.a_column = NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column)), -- for: portal, not bytes
    t.externalId = NVL(s.externalId, t.externalId)
WHERE
    m.row_id BETWEEN %(first_row)s AND %(last_row)s AND -- if: part
    m.action = 'update';

-- name: insert -- as: insert

-- pass: history

-- name: record_changes
-- Of an insert all values, of an update the old and the new ones. Where compare said "new", the laboratory has its id
-- by now; in a plan it has none.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    %(run)s,
    'person',
    m.row_id,
    m.target_id,
    NULL,
    m.action,
    IF(m.action = 'update', m.matched_by, NULL),
    COALESCE(CONVERT(s.login USING utf8mb4), CONVERT(s.siteId USING utf8mb4), HEX(s.externalId)),
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    CASE
        WHEN m.action = 'insert' THEN JSON_OBJECT(
            'laboratoryId', IF(
                laboratory.refused IS NULL,
                NVL(laboratory.target_id, IF(laboratory.row_id IS NULL, NULL, 'new')),
                NULL
            ),
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
        WHEN laboratory.action = 'insert' AND laboratory.target_id IS NOT NULL
            THEN REGEXP_REPLACE(m.changes, '("laboratoryId": \\[[^,]*, )"new"', CONCAT('\\1', laboratory.target_id))
        ELSE m.changes
    END
FROM ispyb_sync.map_person AS m
INNER JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
LEFT JOIN ispyb_sync.map_laboratory AS laboratory ON laboratory.row_id = s.laboratory_row
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- pass: digest

-- name: digest_rows
-- What the portal may own of each person, the laboratory included, and how many have the same keys.
REPLACE INTO ispyb_sync.digest_person (personId, digest)
SELECT
    t.personId,
    CONV(LEFT(SHA1(CONCAT_WS(
        ',',
        t.personId,
        NVL(laboratory.digest, 0),
        (SELECT COUNT(*) FROM Person AS n WHERE n.login = t.login), -- if: login
        (SELECT COUNT(*) FROM Person AS n WHERE n.siteId = t.siteId), -- if: siteId
        QUOTE(CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
        QUOTE(t.a_column), -- for: portal
        QUOTE(t.laboratoryId)
    )), 16), 16, 10)
FROM Person AS t
INNER JOIN ispyb_sync.chosen_person AS c ON c.personId = t.personId -- if: few
LEFT JOIN ispyb_sync.digest_laboratory AS laboratory ON laboratory.laboratoryId = t.laboratoryId;

-- pass: draw

-- name: touch -- as: touch
-- name: touch_external_id -- as: touch_key(externalId)
-- name: touch_login -- as: touch_key(login)
-- name: touch_site_id -- as: touch_key(siteId)

-- name: touch_people_of_laboratories
INSERT INTO ispyb_sync.touched_person (id)
SELECT t.personId
FROM ispyb_sync.touched_laboratory AS x
STRAIGHT_JOIN Person AS t ON t.laboratoryId = x.id
ON DUPLICATE KEY UPDATE id = VALUES(id);

-- pass: confirm

-- name: unsettle_spoilt -- as: unsettle_spoilt
-- name: unsettle -- as: unsettle
-- name: unsettle_crowded_login -- as: unsettle_crowded(login)
-- name: unsettle_crowded_site_id -- as: unsettle_crowded(siteId)
-- name: unsettle_along -- as: unsettle_along

-- name: probe_unsettled -- finds: unsettled
SELECT m.row_id FROM ispyb_sync.map_person AS m WHERE m.unsettled LIMIT 1;

-- pass: report

-- name: unplaced -- as: unplaced

-- name: rivals -- if: login -- again: inserted -- counts: overtaken
-- A login is not unique everywhere. A row that another writer has not committed yet is waited for.
SELECT COUNT(*)
FROM ispyb_sync.map_person AS m
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Person AS t ON t.login = s.login
WHERE m.action = 'insert' AND m.thing = m.row_id AND t.personId <> m.target_id
LOCK IN SHARE MODE;

-- name: contradicted -- as: contradicted
-- name: new_unfit -- as: new_unfit
-- name: counts -- as: counts
-- name: conflicting_copies -- as: conflicting_copies
-- name: refusals -- as: refusals
-- name: shared_keys -- as: shared_keys(siteId)
-- name: holders -- as: holders
-- name: field_refusals -- as: field_refusals

-- pass: check

-- name: duplicate_external_id -- as: duplicate_key(externalId) -- if: externalId -- stops: migrate
-- name: duplicate_login -- as: duplicate_key(login) -- if: login
-- name: duplicate_site_id -- as: duplicate_key(siteId) -- if: siteId

-- pass: undo_create

-- name: create_old_login
CREATE TEMPORARY TABLE ispyb_sync.undo_person (
    number INT UNSIGNED NOT NULL DEFAULT 0 PRIMARY KEY
) ENGINE = InnoDB
SELECT
    t.login, -- if: login
    0 AS number
FROM (SELECT 1) AS nothing
LEFT JOIN Person AS t ON FALSE
WHERE FALSE;

-- pass: undo_claim

-- name: old_login -- if: unique(login)
-- With the character set of the column, so that its index is used.
INSERT INTO ispyb_sync.undo_person (number, login)
SELECT u.number, JSON_VALUE(u.was, '$.login')
FROM ispyb_sync.undo AS u
WHERE u.entity = 'person' AND u.action = 'update' AND u.kept IS NULL AND JSON_VALUE(u.was, '$.login') IS NOT NULL;

-- name: claim_old_login -- if: unique(login)
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

-- pass: undo_apply

-- name: park_login -- as: park_key(login)
