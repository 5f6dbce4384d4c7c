-- laboratory: the institutes that people belong to.
--
-- target    Laboratory
-- stage     stage_laboratory, map_laboratory, claim_laboratory, candidate_laboratory
-- after     nothing; settled when people are matched
-- matches   externalId, then laboratoryExtPk (laboratoryPk at Diamond), then name + city + country
-- refuses   ambiguous_match, duplicate_key, key_taken
-- never     deletes a laboratory: in py-ispyb's schema that would take people, proposals and data along

-- pass: create

-- name: create_stage -- as: create_stage
-- name: create_map -- as: create_map
-- name: create_claim -- as: create_claim

-- name: create_candidate
-- The rows of ISPyB that a laboratory found by name may be: names are not unique. A person who has one of them
-- keeps it, if it is `kept`.
CREATE TEMPORARY TABLE ispyb_sync.candidate_laboratory (
    row_id INT UNSIGNED NOT NULL,
    laboratoryId INT UNSIGNED NOT NULL,
    kept BOOLEAN NOT NULL DEFAULT TRUE,
    PRIMARY KEY (row_id, laboratoryId)
) ENGINE = InnoDB;

-- pass: match

-- name: open_map
-- Every staged row starts as a thing of its own; what Python could not stage whole is refused from the start.
INSERT INTO ispyb_sync.map_laboratory (row_id, thing, refused)
SELECT s.row_id, s.row_id, s.refused
FROM ispyb_sync.stage_laboratory AS s;

-- rounds: begin

-- name: join_external_id -- as: join_key(externalId) -- if: several
-- name: join_laboratory_ext_pk -- as: join_key(laboratoryExtPk) -- if: several

-- rounds: end

-- name: refuse_duplicate_key -- if: joined -- finds: duplicates
-- Laboratories that are joined and contradict each other: two laboratoryExtPk under one externalId, or the
-- other way round.
UPDATE ispyb_sync.map_laboratory AS m
STRAIGHT_JOIN (
    SELECT
        m.thing,
        CASE
            WHEN MIN(s.externalId) < MAX(s.externalId) THEN 'laboratoryExtPk'
            WHEN MIN(s.laboratoryExtPk) < MAX(s.laboratoryExtPk) THEN 'externalId'
        END AS field,
        CONCAT('documents ', GROUP_CONCAT(DISTINCT s.document ORDER BY s.document SEPARATOR ', ')) AS held
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_laboratory AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_laboratory AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
    GROUP BY m.thing
    HAVING field IS NOT NULL
) AS g ON g.thing = m.thing
STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
SET
    m.refused = 'duplicate_key',
    m.field = g.field,
    m.value = CASE g.field
        WHEN 'externalId' THEN HEX(s.externalId)
        WHEN 'laboratoryExtPk' THEN CONVERT(s.laboratoryExtPk USING utf8mb4)
    END,
    m.held = g.held
WHERE m.refused IS NULL;

-- name: split_duplicates -- if: duplicates
-- Refused together, but counted and reported as the different things they are.
UPDATE ispyb_sync.map_laboratory AS m
STRAIGHT_JOIN (
    SELECT
        m.row_id,
        MIN(m.row_id) OVER (PARTITION BY s.externalId, s.laboratoryExtPk) AS first
    FROM ispyb_sync.map_laboratory AS m
    INNER JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
    WHERE m.refused = 'duplicate_key'
) AS g ON g.row_id = m.row_id
SET m.thing = g.first;

-- name: unite_keys -- if: joined
-- The first row of a thing carries all its keys from here on.
UPDATE ispyb_sync.stage_laboratory AS s
STRAIGHT_JOIN (
    SELECT
        m.thing,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.laboratoryExtPk)), 11) AS laboratoryExtPk,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.externalId)), 11) AS externalId
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_laboratory AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_laboratory AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
    GROUP BY m.thing
) AS u ON u.thing = s.row_id
SET
    s.laboratoryExtPk = NVL(s.laboratoryExtPk, u.laboratoryExtPk),
    s.externalId = NVL(s.externalId, u.externalId);

-- name: owner_of_name -- if: several, lacks(externalId), lacks(laboratoryExtPk), name -- finds: joined
-- A mention by name alone means the laboratory of that name with the lowest external key; where the export has
-- none with a key, the mentions of one name are one laboratory. A missing city equals a missing city.
UPDATE ispyb_sync.map_laboratory AS m
STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT DISTINCT
        s.name, s.city, s.country,
        FIRST_VALUE(m.thing) OVER (
            PARTITION BY s.name, s.city, s.country
            ORDER BY
                whole.externalId IS NULL,
                whole.externalId,
                whole.laboratoryExtPk IS NULL,
                whole.laboratoryExtPk,
                m.thing
        ) AS owner
    FROM ispyb_sync.map_laboratory AS m
    INNER JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
    INNER JOIN ispyb_sync.stage_laboratory AS whole ON whole.row_id = m.thing
    WHERE s.name IS NOT NULL AND m.refused IS NULL
) AS g ON g.name = s.name AND g.city <=> s.city AND g.country <=> s.country
SET m.thing = g.owner
WHERE
    m.thing = m.row_id
    AND m.thing <> g.owner
    AND m.refused IS NULL
    AND s.laboratoryExtPk IS NULL
    AND s.externalId IS NULL;

-- name: unite_name -- if: joined
-- Of names that differ under one external key the last one counts: it is the one to find a row by.
UPDATE ispyb_sync.stage_laboratory AS s
STRAIGHT_JOIN (
    SELECT
        m.thing,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.name)), 11) AS name,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.city)), 11) AS city,
        SUBSTRING(MAX(CONCAT(LPAD(s.position, 10, '0'), s.country)), 11) AS country,
        COUNT(DISTINCT BINARY s.name) > 1
        OR COUNT(DISTINCT BINARY s.city) > 1
        OR COUNT(DISTINCT BINARY s.country) > 1 AS conflicting
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_laboratory AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_laboratory AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
    GROUP BY m.thing
) AS u ON u.thing = s.row_id
SET s.name = u.name, s.city = u.city, s.country = u.country, s.conflicting = u.conflicting;

-- name: match_external_id -- as: match_key(externalId)
-- name: match_laboratory_ext_pk -- as: match_common_key(laboratoryExtPk)
-- A row with a different externalId is another laboratory.

-- name: owner_of_completed_name -- if: several, lacks(externalId), lacks(laboratoryExtPk), name -- finds: joined
-- The same where the mentions of one laboratory give its name only together, or in part, and their row the rest: it
-- may get this name only now, and the next run would find it by that. Two that found one row by different keys are one,
-- if they agree.
INSERT INTO ispyb_sync.map_laboratory (row_id, thing)
SELECT m.row_id, g.owner
FROM ispyb_sync.map_laboratory AS m
STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.stage_laboratory AS whole ON whole.row_id = m.thing
STRAIGHT_JOIN (
    SELECT DISTINCT
        n.name, n.city, n.country,
        FIRST_VALUE(n.row_id) OVER (
            PARTITION BY n.name, n.city, n.country
            ORDER BY
                n.externalId IS NULL,
                n.externalId,
                n.laboratoryExtPk IS NULL,
                n.laboratoryExtPk,
                n.row_id
        ) AS owner
    FROM (
        SELECT
            m.row_id, s.externalId, s.laboratoryExtPk,
            NVL(MAX(s.name) OVER one_row, t.name) AS name,
            NVL(MAX(s.city) OVER one_row, t.city) AS city, -- if: city
            s.city, -- if: not city
            NVL(MAX(s.country) OVER one_row, t.country) AS country, -- if: country
            s.country, -- if: not country
            NVL(
                MIN(s.name) OVER one_row < MAX(s.name) OVER one_row
                OR MIN(s.city) OVER one_row < MAX(s.city) OVER one_row
                OR MIN(s.country) OVER one_row < MAX(s.country) OVER one_row,
                FALSE
            ) AS disagree
        FROM ispyb_sync.map_laboratory AS m
        STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
        LEFT JOIN Laboratory AS t ON t.laboratoryId = m.target_id
        WHERE
            m.thing = m.row_id
            AND m.refused IS NULL
            AND NOT (
                s.externalId IS NULL
                AND s.laboratoryExtPk IS NULL
            )
        WINDOW one_row AS (PARTITION BY m.target_id, IF(m.target_id IS NULL, m.row_id, 0))
    ) AS n
    WHERE n.name IS NOT NULL AND NOT n.disagree
) AS g ON g.name = s.name AND g.city <=> s.city AND g.country <=> s.country
WHERE
    m.refused IS NULL
    AND s.laboratoryExtPk IS NULL
    AND whole.laboratoryExtPk IS NULL
    AND s.externalId IS NULL
    AND whole.externalId IS NULL
ON DUPLICATE KEY UPDATE thing = VALUES(thing);

-- name: find_candidates -- if: name -- finds: candidates -- again: inserted
-- Only rows whose external keys are empty or the same may be meant: of two laboratories of one name, the one with
-- another key is another laboratory. After the insert a new one is looked for among the new rows alone: a row that was
-- there may have got its name meanwhile.
INSERT INTO ispyb_sync.candidate_laboratory (row_id, laboratoryId)
SELECT m.row_id, t.laboratoryId
FROM ispyb_sync.map_laboratory AS m
STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Laboratory AS t
    ON t.name = s.name
    AND t.city <=> s.city -- if: city
    AND t.country <=> s.country -- if: country
WHERE
    m.thing = m.row_id
    AND m.target_id IS NULL
    AND m.refused IS NULL
    AND (m.action IS NULL OR t.laboratoryId >= LAST_INSERT_ID())
    AND (t.externalId IS NULL OR s.externalId IS NULL)
    AND (t.laboratoryExtPk IS NULL OR s.laboratoryExtPk IS NULL) -- if: laboratoryExtPk
    AND (t.laboratoryPk IS NULL OR s.laboratoryExtPk IS NULL) -- if: laboratoryPk
ON DUPLICATE KEY UPDATE laboratoryId = VALUES(laboratoryId);

-- name: match_name -- if: name -- again: inserted
-- Only of things that have no row yet: after the insert, what is settled stays.
INSERT INTO ispyb_sync.map_laboratory (row_id, thing, target_id, matched_by)
SELECT c.row_id, c.row_id, MIN(c.laboratoryId), 'name'
FROM ispyb_sync.candidate_laboratory AS c
STRAIGHT_JOIN ispyb_sync.map_laboratory AS m ON m.row_id = c.row_id
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused IS NULL
GROUP BY c.row_id
ON DUPLICATE KEY UPDATE target_id = VALUES(target_id), matched_by = VALUES(matched_by);

-- pass: settle

-- name: prefer_own -- if: name
-- Of several rows of one name, each person keeps the one it has, and anybody else gets the lowest id. The mention
-- means a row of its own only if everybody who makes it, and is not moved elsewhere by a later one, has one.
INSERT INTO ispyb_sync.map_laboratory (row_id, thing, target_id)
SELECT named.thing, named.thing, MIN(c.laboratoryId)
FROM (
    SELECT c.row_id FROM ispyb_sync.candidate_laboratory AS c GROUP BY c.row_id HAVING COUNT(*) > 1
) AS several
STRAIGHT_JOIN ispyb_sync.map_laboratory AS named ON named.thing = several.row_id
STRAIGHT_JOIN ispyb_sync.stage_person AS s ON s.laboratory_row = named.row_id
STRAIGHT_JOIN ispyb_sync.map_person AS mention ON mention.row_id = s.row_id AND mention.refused IS NULL
STRAIGHT_JOIN ispyb_sync.map_person AS person ON person.row_id = mention.thing AND person.refused IS NULL
LEFT JOIN Person AS t ON t.personId = person.target_id
LEFT JOIN ispyb_sync.candidate_laboratory AS c ON c.row_id = named.thing AND c.laboratoryId = t.laboratoryId
WHERE NOT EXISTS (
    SELECT 1
    FROM ispyb_sync.map_person AS later
    INNER JOIN ispyb_sync.stage_person AS elsewhere ON elsewhere.row_id = later.row_id
    INNER JOIN ispyb_sync.map_laboratory AS other ON other.row_id = elsewhere.laboratory_row
    WHERE
        later.thing = mention.thing
        AND later.refused IS NULL
        AND elsewhere.position > s.position
        AND other.thing <> named.thing
)
GROUP BY named.thing
HAVING SUM(c.laboratoryId IS NULL) = 0
ON DUPLICATE KEY UPDATE target_id = VALUES(target_id);

-- name: probe_same_target -- as: probe_same_target -- if: several

-- name: refuse_same_target -- if: same_target
-- Two things of the export that are one row of ISPyB, and disagree about its keys. What one does not give contradicts
-- nothing; but a row found by a name alone must keep that name, or the next run would not find it: without a city is
-- a name of its own.
UPDATE ispyb_sync.map_laboratory AS m
STRAIGHT_JOIN (
    SELECT m.target_id
    FROM (
        SELECT m.target_id
        FROM ispyb_sync.map_laboratory AS m
        WHERE m.target_id IS NOT NULL
        GROUP BY m.target_id
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_laboratory AS m ON m.target_id = several.target_id
    STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
    WHERE m.thing = m.row_id AND m.refused IS NULL
    GROUP BY m.target_id
    HAVING
        MIN(s.externalId) < MAX(s.externalId)
        OR MIN(s.name) < MAX(s.name) OR MIN(s.city) < MAX(s.city) OR MIN(s.country) < MAX(s.country)
        OR MIN(s.laboratoryExtPk) < MAX(s.laboratoryExtPk)
        OR MAX(s.city) IS NOT NULL AND SUM(
            s.city IS NULL AND m.matched_by = 'name' AND s.externalId IS NULL
            AND s.laboratoryExtPk IS NULL
        ) > 0
        OR MAX(s.country) IS NOT NULL AND SUM(
            s.country IS NULL AND m.matched_by = 'name' AND s.externalId IS NULL
            AND s.laboratoryExtPk IS NULL
        ) > 0
) AS g ON g.target_id = m.target_id
SET m.refused = 'duplicate_key', m.field = m.matched_by, m.held = CONCAT('laboratoryId ', m.target_id)
WHERE m.thing = m.row_id AND m.refused IS NULL;

-- name: join_target -- as: join_target
-- name: unite -- as: unite

-- rounds: begin

-- name: refuse_disputed_row -- if: several -- finds: disputed
-- What is refused since its key finds several rows, or a row that another one finds as well, the next run must find as
-- this one did: of a row that it may mean nobody changes a key. In rounds: who is refused by this may mean rows too.
INSERT INTO ispyb_sync.map_laboratory (row_id, thing, refused, field, held)
SELECT m.row_id, m.thing, 'duplicate_key', m.matched_by, CONCAT('laboratoryId ', m.target_id)
FROM (
    WITH disputed AS (
        SELECT
            s.laboratoryExtPk, s.name, s.city,
            s.country
        FROM ispyb_sync.map_laboratory AS m
        STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
        WHERE m.thing = m.row_id AND m.matched_by IS NOT NULL AND m.refused IN ('ambiguous_match', 'duplicate_key')
    )
    SELECT h.laboratoryId -- if: name
    FROM disputed -- if: name
    STRAIGHT_JOIN Laboratory AS h ON h.name = disputed.name -- if: name
        AND h.city <=> disputed.city -- if: name, city
        AND h.country <=> disputed.country -- if: name, country
    UNION -- if: name
    SELECT h.laboratoryId -- if: laboratoryExtPk | laboratoryPk
    FROM disputed -- if: laboratoryExtPk | laboratoryPk
    STRAIGHT_JOIN Laboratory AS h ON h.laboratoryExtPk = disputed.laboratoryExtPk -- if: laboratoryExtPk
    STRAIGHT_JOIN Laboratory AS h ON h.laboratoryPk = disputed.laboratoryExtPk -- if: laboratoryPk
    UNION -- if: laboratoryExtPk | laboratoryPk
    SELECT NULL
) AS g
STRAIGHT_JOIN ispyb_sync.map_laboratory AS m ON m.target_id = g.laboratoryId
STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Laboratory AS t ON t.laboratoryId = m.target_id
WHERE m.thing = m.row_id AND m.refused IS NULL AND NOT (
    NVL(s.externalId, t.externalId) <=> t.externalId
    AND NVL(s.laboratoryExtPk, t.laboratoryExtPk) <=> t.laboratoryExtPk -- if: laboratoryExtPk
    AND NVL(s.laboratoryExtPk, t.laboratoryPk) <=> t.laboratoryPk -- if: laboratoryPk
    AND NVL(s.name, t.name) <=> t.name -- if: name
    AND NVL(s.city, t.city) <=> t.city -- if: city
    AND NVL(s.country, t.country) <=> t.country -- if: country
)
ON DUPLICATE KEY UPDATE refused = VALUES(refused), field = VALUES(field), held = VALUES(held);

-- name: refuse_disputed_name -- if: several, name -- finds: disputed
-- Nor does another row get its name.
INSERT INTO ispyb_sync.map_laboratory (row_id, thing, refused, field, held)
SELECT m.row_id, m.thing, 'duplicate_key', 'name', CONCAT('laboratoryId ', m.target_id)
FROM (
    SELECT DISTINCT s.name, s.city, s.country
    FROM ispyb_sync.map_laboratory AS m
    STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
    WHERE
        m.thing = m.row_id
        AND m.matched_by IS NOT NULL
        AND m.refused IN ('ambiguous_match', 'duplicate_key')
        AND s.name IS NOT NULL
) AS g
STRAIGHT_JOIN ispyb_sync.map_laboratory AS m
STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
STRAIGHT_JOIN Laboratory AS t ON t.laboratoryId = m.target_id
WHERE m.thing = m.row_id AND m.refused IS NULL
    AND g.name = NVL(s.name, t.name)
    AND g.city <=> NVL(s.city, t.city) -- if: city
    AND g.country <=> NVL(s.country, t.country) -- if: country
    AND NOT (
        g.city <=> t.city AND -- if: city
        g.country <=> t.country AND -- if: country
        g.name <=> t.name
    )
ON DUPLICATE KEY UPDATE refused = VALUES(refused), field = VALUES(field), held = VALUES(held);

-- rounds: end

-- name: refuse_missing -- as: refuse_missing
-- name: refuse_contradicted -- as: refuse_contradicted
-- name: claim_laboratory_ext_pk -- if: given(laboratoryExtPk) -- finds: claims
-- Keys to be written that another row of ISPyB holds now, and the thing of this run, if any, that gives it up.
INSERT INTO ispyb_sync.claim_laboratory (row_id, field, holder_id, holder_row, value)
SELECT m.row_id, 'laboratoryExtPk', h.laboratoryId, MIN(giver.row_id), s.laboratoryExtPk
FROM ispyb_sync.map_laboratory AS m
STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
LEFT JOIN Laboratory AS t ON t.laboratoryId = m.target_id
STRAIGHT_JOIN Laboratory AS h
    ON h.laboratoryExtPk = s.laboratoryExtPk -- if: laboratoryExtPk
    ON h.laboratoryPk = s.laboratoryExtPk -- if: laboratoryPk
LEFT JOIN (
    ispyb_sync.map_laboratory AS giver
    INNER JOIN ispyb_sync.stage_laboratory AS given ON given.row_id = giver.row_id
) ON giver.target_id = h.laboratoryId AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND given.laboratoryExtPk <> h.laboratoryExtPk -- if: laboratoryExtPk
    AND given.laboratoryExtPk <> h.laboratoryPk -- if: laboratoryPk
WHERE m.thing = m.row_id AND m.refused IS NULL AND NOT h.laboratoryId <=> m.target_id
    AND t.laboratoryId IS NOT NULL AND NOT t.laboratoryExtPk <=> s.laboratoryExtPk -- if: laboratoryExtPk
    AND t.laboratoryId IS NOT NULL AND NOT t.laboratoryPk <=> s.laboratoryExtPk -- if: laboratoryPk
GROUP BY m.row_id, h.laboratoryId;

-- name: refuse_taken -- as: refuse_taken

-- name: release_candidates -- if: candidates
-- Nobody keeps a row that gets another name in this run, or one beside the row that receives an external key: the
-- next run would not find it.
UPDATE ispyb_sync.candidate_laboratory AS c
STRAIGHT_JOIN ispyb_sync.map_laboratory AS m ON m.row_id = c.row_id
STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = c.row_id
LEFT JOIN (
    ispyb_sync.map_laboratory AS other
    INNER JOIN ispyb_sync.stage_laboratory AS renamed ON renamed.row_id = other.row_id
) ON other.target_id = c.laboratoryId AND other.thing = other.row_id AND other.refused IS NULL AND NOT (
    NVL(renamed.name, s.name) <=> s.name
    AND NVL(renamed.city, s.city) <=> s.city
    AND NVL(renamed.country, s.country) <=> s.country
)
SET c.kept = FALSE
WHERE
    renamed.row_id IS NOT NULL
    OR (
        c.laboratoryId <> m.target_id
        AND NOT (
            s.externalId IS NULL
            AND s.laboratoryExtPk IS NULL
        )
    );

-- name: share -- as: share

-- name: keep_spelling
-- Found by a name alone, a laboratory has nothing to change but address and url: no name, however the portal spells
-- it, and no organization.
UPDATE ispyb_sync.map_laboratory AS m
STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
SET
    s.name = NULL,
    s.city = NULL,
    s.country = NULL,
    s.organization = NULL,
    s.clears = TRIM(BOTH ',' FROM REPLACE(CONCAT(',', s.clears, ','), ',organization,', ','))
WHERE
    m.matched_by = 'name'
    AND m.target_id IS NOT NULL
    AND m.refused IS NULL
    AND s.laboratoryExtPk IS NULL
    AND s.externalId IS NULL;

-- pass: compare

-- name: forget_changes -- as: forget_changes
-- name: decide -- as: decide
-- name: compare -- as: compare

-- pass: apply

-- name: update -- as: update
-- name: insert -- as: insert

-- pass: history

-- name: record_changes
-- Of an insert all values, of an update the old and the new ones.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    %(run)s,
    'laboratory',
    m.row_id, m.target_id,
    NULL,
    m.action,
    IF(m.action = 'update', m.matched_by, NULL),
    s.name,
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    IF(
        m.action = 'insert',
        JSON_OBJECT(
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
        ),
        m.changes
    )
FROM ispyb_sync.map_laboratory AS m
INNER JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- pass: digest

-- name: digest_rows
-- What the portal may own of each laboratory, and how many have the same keys, in eight bytes.
REPLACE INTO ispyb_sync.digest_laboratory (laboratoryId, digest)
SELECT
    t.laboratoryId,
    CONV(LEFT(SHA1(CONCAT_WS(
        ',',
        t.laboratoryId,
        (SELECT COUNT(*) FROM Laboratory AS n WHERE n.externalId = t.externalId),
        (SELECT COUNT(*) FROM Laboratory AS n WHERE n.laboratoryExtPk = t.laboratoryExtPk), -- if: laboratoryExtPk
        (SELECT COUNT(*) FROM Laboratory AS n WHERE n.laboratoryPk = t.laboratoryPk), -- if: laboratoryPk
        (SELECT COUNT(*) FROM Laboratory AS n WHERE n.name = t.name -- if: name
            AND n.city <=> t.city -- if: name, city
            AND n.country <=> t.country -- if: name, country
        ), -- if: name
        QUOTE(CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
        QUOTE(t.a_column), -- for: portal
        ''
    )), 16), 16, 10)
FROM Laboratory AS t
WHERE
    t.laboratoryId IN ( -- if: few
        SELECT p.laboratoryId -- if: few
        FROM ispyb_sync.chosen_person AS c -- if: few
        STRAIGHT_JOIN Person AS p ON p.personId = c.personId -- if: few
    ) AND -- if: few
    TRUE;

-- pass: draw

-- name: touch -- as: touch
-- name: touch_external_id -- as: touch_key(externalId)
-- name: touch_laboratory_ext_pk -- as: touch_key(laboratoryExtPk)
-- name: touch_name -- if: name
-- Of the name of a laboratory that is changed or new, or is named by it alone and has external keys here.
INSERT INTO ispyb_sync.touched_laboratory (id)
SELECT t.laboratoryId
FROM ispyb_sync.map_laboratory AS m
STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_laboratory AS whole ON whole.row_id = m.thing
STRAIGHT_JOIN Laboratory AS t
    ON t.name = s.name
    AND t.city <=> s.city -- if: city
    AND t.country <=> s.country -- if: country
WHERE
    whole.action IS NOT NULL
    OR whole.refused IS NOT NULL
    OR m.refused IS NOT NULL
    OR s.externalId IS NULL AND s.laboratoryExtPk IS NULL AND NOT t.laboratoryId <=> whole.target_id
ON DUPLICATE KEY UPDATE id = VALUES(id);

-- name: touch_candidates -- if: candidates
-- Of several of one name, what other documents say of them decides which one is meant.
INSERT INTO ispyb_sync.touched_laboratory (id)
SELECT c.laboratoryId
FROM (
    SELECT c.row_id FROM ispyb_sync.candidate_laboratory AS c GROUP BY c.row_id HAVING COUNT(*) > 1
) AS several
STRAIGHT_JOIN ispyb_sync.candidate_laboratory AS c ON c.row_id = several.row_id
ON DUPLICATE KEY UPDATE id = VALUES(id);

-- pass: confirm

-- name: unsettle_spoilt -- as: unsettle_spoilt
-- name: unsettle -- as: unsettle
-- name: unsettle_crowded_laboratory_ext_pk -- as: unsettle_crowded(laboratoryExtPk)
-- name: unsettle_crowded_name -- if: name
INSERT INTO ispyb_sync.map_laboratory (row_id, thing, unsettled)
SELECT m.row_id, m.thing, TRUE
FROM ispyb_sync.map_laboratory AS m
STRAIGHT_JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_laboratory AS whole ON whole.row_id = m.thing
STRAIGHT_JOIN Laboratory AS t
    ON t.name = s.name
    AND t.city <=> s.city -- if: city
    AND t.country <=> s.country -- if: country
WHERE s.externalId IS NULL AND s.laboratoryExtPk IS NULL AND NOT t.laboratoryId <=> whole.target_id
ON DUPLICATE KEY UPDATE unsettled = TRUE;

-- name: unsettle_candidates -- if: candidates
UPDATE ispyb_sync.map_laboratory AS m
STRAIGHT_JOIN (
    SELECT c.row_id FROM ispyb_sync.candidate_laboratory AS c GROUP BY c.row_id HAVING COUNT(*) > 1
) AS several ON several.row_id = m.thing
SET m.unsettled = TRUE;

-- pass: report

-- name: unplaced -- as: unplaced
-- name: contradicted -- as: contradicted
-- name: new_unfit -- as: new_unfit
-- name: counts -- as: counts
-- name: conflicting_copies -- as: conflicting_copies

-- name: several_of_one_name
-- How many, and ten of them as examples, each with the row that is used.
SELECT COUNT(*) OVER () AS things, s.document, COALESCE(NULLIF(CONCAT_WS(
    '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)
), ''), HEX(d.externalId)) AS proposal, s.path, CONCAT('laboratoryId ', m.target_id) AS value
FROM (
    SELECT c.row_id
    FROM ispyb_sync.candidate_laboratory AS c
    GROUP BY c.row_id
    HAVING COUNT(*) > 1
) AS several
INNER JOIN ispyb_sync.map_laboratory AS m ON m.row_id = several.row_id
INNER JOIN ispyb_sync.stage_laboratory AS s ON s.row_id = several.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
ORDER BY s.row_id
LIMIT 10;

-- name: refusals -- as: refusals
-- name: holders -- as: holders
-- name: shared_keys -- as: shared_keys(laboratoryExtPk)
-- A name is none that two laboratories could not share.

-- pass: check

-- name: duplicate_external_id -- as: duplicate_key(externalId) -- if: externalId
-- name: duplicate_ext_pk -- as: duplicate_key(laboratoryExtPk) -- if: laboratoryExtPk
-- name: duplicate_pk -- as: duplicate_key(laboratoryExtPk) -- if: laboratoryPk
-- The same key where the column has its other name.

-- name: duplicate_name -- if: name -- stops: nothing
-- A missing city or country equals a missing one.
SELECT
    CONCAT_WS(
        ', ',
        CONVERT(MIN(name) USING utf8mb4),
        CONVERT(MIN(city) USING utf8mb4), -- if: city
        CONVERT(MIN(country) USING utf8mb4), -- if: country
        NULL
    ) AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(laboratoryId ORDER BY laboratoryId SEPARATOR ', ' LIMIT 10) AS ids
FROM Laboratory
WHERE name IS NOT NULL
GROUP BY
    city, -- if: city
    country, -- if: country
    name
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(laboratoryId);
