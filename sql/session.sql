-- session: beamtime of a proposal on a beamline.
--
-- target    BLSession
-- stage     stage_session, map_session, claim_session
-- after     proposal
-- matches   externalId, then expSessionPk, then visit_number where (proposalId, visit_number) is unique
-- refuses   ambiguous_match, belongs_elsewhere, duplicate_key, key_taken, keys_disagree, parent_refused
-- never     deletes a session, moves it to another proposal, or writes beamLineSetupId

-- pass: create

-- name: create_stage -- as: create_stage
-- name: create_map -- as: create_map
-- name: create_claim -- as: create_claim

-- pass: match

-- name: open_map
-- What hangs on a refused proposal is refused with it. Sessions find their row at once by externalId, which is unique,
-- or by expSessionPk where they give nothing else; where several have it, match_exp_session_pk refuses.
INSERT INTO ispyb_sync.map_session (row_id, thing, proposal, refused, field, target_id, matched_by)
SELECT
    s.row_id,
    s.row_id,
    proposal.thing,
    NVL(s.refused, IF(proposal.refused IS NULL, NULL, 'parent_refused')),
    IF(s.refused IS NULL AND proposal.refused IS NOT NULL, 'proposal', NULL),
    IF(
        s.refused IS NULL AND proposal.refused IS NULL,
        COALESCE(
            IF(COUNT(e.sessionId) = 1, MIN(e.sessionId), NULL), -- if: expSessionPk
            t.sessionId
        ),
        NULL
    ),
    CASE
        WHEN t.sessionId IS NOT NULL THEN 'externalId'
        WHEN COUNT(e.sessionId) = 1 THEN 'expSessionPk' -- if: expSessionPk
    END
FROM ispyb_sync.stage_session AS s
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
LEFT JOIN BLSession AS t ON t.externalId = s.externalId
LEFT JOIN BLSession AS e ON s.externalId IS NULL AND e.expSessionPk = s.expSessionPk -- if: expSessionPk
GROUP BY s.row_id;

-- rounds: begin

-- name: join_external_id -- as: join_key(externalId) -- if: several
-- name: join_exp_session_pk -- as: join_key(expSessionPk) -- if: several
-- The deprecated key of the ESRF.

-- rounds: end
-- rounds: begin

-- name: join_visit_number -- if: several, unique(visit_number) -- finds: joined
-- A mention by visit number joins the session of its proposal that has it. Sessions that give stronger keys, also an
-- expSessionPk that the table has no column for, are different ones, unless all of them give the same one.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN (
    SELECT m.thing, MIN(g.first) AS first
    FROM ispyb_sync.map_session AS m
    INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    INNER JOIN (
        WITH joined AS (
            SELECT
                m.thing,
                MAX(s.externalId) AS externalId,
                IF(MIN(s.expSessionPk) = MAX(s.expSessionPk), MIN(s.expSessionPk), NULL) AS expSessionPk,
                COUNT(s.externalId) + COUNT(s.expSessionPk) > 0 AS is_strong
            FROM (
                SELECT DISTINCT m.thing FROM ispyb_sync.map_session AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
            ) AS several
            STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.thing = several.thing
            STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
            GROUP BY m.thing
        ),
        visits AS (
            SELECT
                m.proposal,
                s.visit_number,
                m.thing,
                IF(joined.thing IS NULL, s.externalId, joined.externalId) AS externalId,
                IF(joined.thing IS NULL, s.expSessionPk, joined.expSessionPk) AS expSessionPk,
                NVL(joined.is_strong, s.externalId IS NOT NULL OR s.expSessionPk IS NOT NULL) AS is_strong
            FROM ispyb_sync.map_session AS m
            INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
            LEFT JOIN joined ON joined.thing = m.thing
            WHERE s.visit_number IS NOT NULL AND m.refused IS NULL
        )
        SELECT v.proposal, v.visit_number, MIN(v.thing) AS first
        FROM visits AS v
        GROUP BY v.proposal, v.visit_number
        HAVING
            MIN(v.thing) < MAX(v.thing)
            AND (
                COUNT(DISTINCT IF(v.is_strong, v.thing, NULL)) < 2
                OR (
                    COUNT(DISTINCT v.expSessionPk) = 1
                    AND COUNT(IF(v.is_strong AND v.expSessionPk IS NULL, v.thing, NULL)) = 0
                    AND COUNT(DISTINCT v.externalId) < 2
                )
            )
    ) AS g ON g.proposal = m.proposal AND g.visit_number = s.visit_number
    WHERE m.refused IS NULL
    GROUP BY m.thing
    HAVING MIN(g.first) < m.thing
) AS g ON g.thing = m.thing
SET m.thing = g.first
WHERE m.refused IS NULL;

-- rounds: end

-- name: refuse_same_visit -- if: several, unique(visit_number) -- finds: duplicates
-- Where (proposalId, visit_number) is unique, two sessions cannot have one visit number: those that have not been
-- joined are refused, with all mentions of them. One by this visit number alone may be any of them.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN (
    SELECT
        m.thing,
        MAX(s.visit_number) AS visit_number,
        MAX(s.externalId IS NOT NULL OR s.expSessionPk IS NOT NULL) AS is_strong,
        MIN(g.documents) AS documents
    FROM ispyb_sync.map_session AS m
    INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    INNER JOIN (
        SELECT
            m.proposal,
            s.visit_number,
            CONCAT('documents ', GROUP_CONCAT(DISTINCT s.document ORDER BY s.document SEPARATOR ', ')) AS documents
        FROM ispyb_sync.map_session AS m
        INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
        WHERE s.visit_number IS NOT NULL AND m.refused IS NULL
        GROUP BY m.proposal, s.visit_number
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS g ON g.proposal = m.proposal AND g.visit_number = s.visit_number
    WHERE m.refused IS NULL
    GROUP BY m.thing
) AS g ON g.thing = m.thing
SET
    m.refused = IF(g.is_strong, 'duplicate_key', 'ambiguous_match'),
    m.field = 'visit_number',
    m.value = g.visit_number,
    m.held = IF(g.is_strong, g.documents, NULL)
WHERE m.refused IS NULL;

-- name: refuse_duplicate_key -- if: joined -- finds: duplicates
-- Mentions that are joined and contradict each other, or that two proposals claim.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN (
    SELECT
        m.thing,
        CASE
            WHEN MIN(s.externalId) < MAX(s.externalId) AND COUNT(DISTINCT s.expSessionPk) = 1 -- if: expSessionPk
                THEN 'expSessionPk' -- if: expSessionPk
            WHEN MIN(s.externalId) < MAX(s.externalId) -- if: unique(visit_number)
                AND COUNT(DISTINCT s.visit_number) = 1 -- if: unique(visit_number)
                THEN 'visit_number' -- if: unique(visit_number)
            WHEN MIN(s.externalId) < MAX(s.externalId) THEN 'externalId'
            WHEN MIN(m.proposal) < MAX(m.proposal) AND COUNT(DISTINCT s.externalId) = 0 -- if: expSessionPk
                THEN 'expSessionPk' -- if: expSessionPk
            WHEN MIN(m.proposal) < MAX(m.proposal) THEN 'externalId'
            WHEN MIN(s.expSessionPk) < MAX(s.expSessionPk) THEN 'externalId' -- if: expSessionPk
            WHEN MIN(s.visit_number) < MAX(s.visit_number) THEN 'externalId' -- if: unique(visit_number)
        END AS field,
        CONCAT('documents ', GROUP_CONCAT(DISTINCT s.document ORDER BY s.document SEPARATOR ', ')) AS held
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_session AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    GROUP BY m.thing
    HAVING field IS NOT NULL
) AS g ON g.thing = m.thing
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
SET
    m.refused = 'duplicate_key',
    m.field = g.field,
    m.value = CASE g.field
        WHEN 'externalId' THEN HEX(s.externalId)
        WHEN 'expSessionPk' THEN CONVERT(s.expSessionPk USING utf8mb4)
        WHEN 'visit_number' THEN CONVERT(s.visit_number USING utf8mb4)
    END,
    m.held = g.held
WHERE m.refused IS NULL;

-- name: split_duplicates -- if: duplicates
-- Refused together, but counted and reported as the different things they are.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN (
    SELECT
        m.row_id,
        MIN(m.row_id) OVER (PARTITION BY m.proposal, s.externalId
            , s.expSessionPk -- if: expSessionPk | unique(visit_number)
            , s.visit_number -- if: unique(visit_number)
        ) AS first
    FROM ispyb_sync.map_session AS m
    INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    WHERE m.refused = 'duplicate_key'
) AS g ON g.row_id = m.row_id
SET m.thing = g.first;

-- name: refuse_ambiguous_mention -- if: expSessionPk, duplicates
-- A mention by expSessionPk alone cannot say which of the things that share it is meant.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN (
    SELECT s.expSessionPk
    FROM ispyb_sync.map_session AS m
    INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    WHERE m.refused = 'duplicate_key'
    GROUP BY s.expSessionPk
    HAVING MIN(s.externalId) < MAX(s.externalId)
) AS g ON g.expSessionPk <=> s.expSessionPk
SET m.refused = 'ambiguous_match', m.field = 'expSessionPk', m.value = s.expSessionPk
WHERE m.refused = 'duplicate_key' AND s.externalId IS NULL AND s.expSessionPk IS NOT NULL;

-- name: unite_keys -- if: joined
-- The first row of a thing carries all its keys from here on: by now its copies agree on each.
UPDATE ispyb_sync.stage_session AS s
STRAIGHT_JOIN (
    SELECT
        m.thing,
        MAX(s.expSessionPk) AS expSessionPk, -- if: expSessionPk
        MAX(s.visit_number) AS visit_number, -- if: unique(visit_number)
        MAX(s.externalId) AS externalId,
        NVL(GROUP_CONCAT(DISTINCT NULLIF(s.clears, '')), '') AS clears
    FROM (
        SELECT DISTINCT m.thing FROM ispyb_sync.map_session AS m WHERE m.thing <> m.row_id AND m.refused IS NULL
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.thing = several.thing
    STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    GROUP BY m.thing
) AS u ON u.thing = s.row_id
SET
    s.expSessionPk = NVL(s.expSessionPk, u.expSessionPk), -- if: expSessionPk
    s.visit_number = NVL(s.visit_number, u.visit_number), -- if: unique(visit_number)
    s.externalId = NVL(s.externalId, u.externalId),
    s.clears = u.clears;

-- name: keep_exp_session_pk -- as: keep_key(expSessionPk) -- if: expSessionPk

-- name: forget_match -- if: expSessionPk, joined
-- A session found by expSessionPk that gained an externalId from another mention is looked for by that.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
SET m.target_id = NULL, m.matched_by = NULL
WHERE m.matched_by = 'expSessionPk' AND s.externalId IS NOT NULL;

-- name: match_external_id -- as: match_key(externalId) -- if: joined | inserted
-- name: match_exp_session_pk -- as: match_key(expSessionPk)

-- name: recount_exp_session_pk -- if: several, given(expSessionPk)
-- Of several rows of one expSessionPk, those that get another one in this run do not count; claim_exp_session_pk lets
-- this one fall with them. Only who is found by externalId, under its own proposal, can give one up.
INSERT INTO ispyb_sync.map_session (row_id, thing, target_id, matched_by)
SELECT
    m.row_id,
    m.thing,
    MIN(IF(giver.row_id IS NULL AND NOT NVL(t.externalId <> s.externalId, FALSE), t.sessionId, NULL)),
    'expSessionPk'
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN BLSession AS t ON t.expSessionPk = s.expSessionPk
LEFT JOIN (
    ispyb_sync.map_session AS giver
    INNER JOIN ispyb_sync.stage_session AS given ON given.row_id = giver.row_id
    INNER JOIN ispyb_sync.map_proposal AS home ON home.row_id = giver.proposal
) ON giver.target_id = t.sessionId AND home.target_id = t.proposalId AND giver.thing = giver.row_id
    AND giver.refused IS NULL
    AND NVL(given.expSessionPk <> t.expSessionPk, FIND_IN_SET('expSessionPk', given.clears))
WHERE m.thing = m.row_id AND m.target_id IS NULL AND m.refused = 'ambiguous_match' AND m.matched_by = 'expSessionPk'
GROUP BY m.row_id
HAVING SUM(giver.row_id IS NULL) < 2
ON DUPLICATE KEY UPDATE
    target_id = VALUES(target_id),
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: refuse_belongs_elsewhere -- finds: elsewhere
-- A session does not move: its data were taken under the proposal that ISPyB has. A visit number, looked for after
-- this, finds none elsewhere.
INSERT INTO ispyb_sync.map_session (row_id, thing, refused, field, value, held)
SELECT
    m.row_id,
    m.thing,
    'belongs_elsewhere',
    m.matched_by,
    CASE m.matched_by
        WHEN 'externalId' THEN HEX(s.externalId)
        WHEN 'expSessionPk' THEN CONVERT(s.expSessionPk USING utf8mb4)
    END,
    CONCAT(
        'sessionId ', t.sessionId, ' of proposal ',
        COALESCE(NULLIF(CONCAT_WS(
            '-',
            CONVERT(other.proposalCode USING utf8mb4), -- if: proposal.proposalCode
            CONVERT(other.proposalNumber USING utf8mb4), -- if: proposal.proposalNumber
            NULL
        ), ''), other.proposalId)
    )
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN BLSession AS t ON t.sessionId = m.target_id
STRAIGHT_JOIN Proposal AS other ON other.proposalId = t.proposalId
WHERE m.thing = m.row_id AND m.refused IS NULL AND NOT t.proposalId <=> proposal.target_id
ON DUPLICATE KEY UPDATE
    refused = VALUES(refused),
    field = VALUES(field),
    value = VALUES(value),
    held = VALUES(held);

-- name: forget_given_up -- if: expSessionPk, elsewhere
-- A session that gets another expSessionPk in this run, under its own proposal, is not the one that the old number
-- means elsewhere: claim_exp_session_pk decides, as of every key that is given up.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_session AS giver ON giver.target_id = m.target_id
STRAIGHT_JOIN ispyb_sync.stage_session AS given ON given.row_id = giver.row_id
SET m.target_id = NULL, m.matched_by = NULL, m.refused = NULL, m.field = NULL, m.value = NULL, m.held = NULL
WHERE
    m.refused = 'belongs_elsewhere'
    AND m.matched_by = 'expSessionPk'
    AND giver.thing = giver.row_id
    AND giver.refused IS NULL
    AND NVL(given.expSessionPk <> s.expSessionPk, FIND_IN_SET('expSessionPk', given.clears));

-- name: match_visit_number -- as: match_key(visit_number, proposal) -- if: unique(visit_number)

-- pass: settle

-- name: probe_same_target -- as: probe_same_target -- if: several

-- name: refuse_same_target -- if: same_target
-- Two things of the export that are one row of ISPyB, and disagree about its keys.
UPDATE ispyb_sync.map_session AS m
STRAIGHT_JOIN (
    SELECT m.target_id
    FROM (
        SELECT m.target_id
        FROM ispyb_sync.map_session AS m
        WHERE m.target_id IS NOT NULL
        GROUP BY m.target_id
        HAVING MIN(m.thing) < MAX(m.thing)
    ) AS several
    STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.target_id = several.target_id
    STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
    WHERE m.thing = m.row_id AND m.refused IS NULL
    GROUP BY m.target_id
    HAVING
        MIN(s.externalId) < MAX(s.externalId)
        OR MIN(s.expSessionPk) < MAX(s.expSessionPk) -- if: expSessionPk
        OR MIN(s.visit_number) < MAX(s.visit_number) -- if: unique(visit_number)
) AS g ON g.target_id = m.target_id
SET m.refused = 'duplicate_key', m.field = m.matched_by, m.held = CONCAT('sessionId ', m.target_id)
WHERE m.thing = m.row_id AND m.refused IS NULL;

-- name: join_target -- as: join_target
-- name: unite -- as: unite
-- name: refuse_missing -- as: refuse_missing
-- name: refuse_contradicted -- as: refuse_contradicted
-- name: claim_exp_session_pk -- as: claim_key(expSessionPk)

-- name: claim_visit_number -- if: unique(visit_number) -- finds: claims
INSERT INTO ispyb_sync.claim_session (row_id, field, holder_id, holder_row, value)
SELECT m.row_id, 'visit_number', h.sessionId, MIN(giver.row_id), s.visit_number
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
LEFT JOIN BLSession AS t ON t.sessionId = m.target_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN BLSession AS h ON h.proposalId = proposal.target_id AND h.visit_number = s.visit_number
LEFT JOIN (
    ispyb_sync.map_session AS giver
    INNER JOIN ispyb_sync.stage_session AS given ON given.row_id = giver.row_id
) ON giver.target_id = h.sessionId AND giver.thing = giver.row_id AND giver.refused IS NULL
    AND given.visit_number <> h.visit_number
WHERE
    m.thing = m.row_id
    AND m.refused IS NULL
    AND NOT h.sessionId <=> m.target_id
    AND (t.sessionId IS NULL OR NOT t.visit_number <=> s.visit_number)
GROUP BY m.row_id, h.sessionId;

-- name: refuse_taken -- as: refuse_taken
-- name: share -- as: share

-- pass: compare

-- name: forget_changes -- as: forget_changes
-- name: decide -- as: decide
-- name: compare -- as: compare
-- comments, usedFlag and lastUpdate belong to ISPyB once the session is there.

-- pass: apply

-- name: release_visit_number -- if: unique(visit_number), nullable(visit_number), claims
-- A swap needs a moment in which the old holder has none.
UPDATE ispyb_sync.claim_session AS c
STRAIGHT_JOIN ispyb_sync.map_session AS m ON m.row_id = c.row_id
STRAIGHT_JOIN BLSession AS t ON t.sessionId = c.holder_id
SET t.visit_number = NULL
WHERE c.field = 'visit_number' AND m.refused IS NULL;

-- name: update -- as: update

-- name: insert -- does: insert
-- Where (proposalId, visit_number) is unique, the default of visit_number would collide: none given is NULL.
-- UNIX_TIMESTAMP and back: lastUpdate is a TIMESTAMP, which has no hour that summer time skips and no year 2040.
INSERT INTO BLSession (
    a_column, -- for: live
    proposalId
)
SELECT
    s.a_field, -- for: is(visit_number), unique(visit_number)
    NVL(FROM_UNIXTIME(NULLIF(UNIX_TIMESTAMP(NVL(s.lastUpdate, s.endDate)), 0)), %(now)s), -- for: is(lastUpdate), live
    IF(FIND_IN_SET('a_field', s.clears), s.a_field, NVL(s.a_field, DEFAULT(s.a_field))), -- for: default
    s.a_field, -- for: live
    proposal.target_id
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
WHERE
    m.row_id BETWEEN %(first_row)s AND %(last_row)s AND -- if: part
    m.action = 'insert'
ORDER BY m.row_id;

-- pass: history

-- name: record_changes
-- Of an insert all values, of an update the old and the new ones.
INSERT INTO ispyb_sync.change (run, entity, number, target_id, second_id, action, matched_by, row_key, proposal, fields)
SELECT
    %(run)s,
    'session',
    m.row_id,
    m.target_id,
    NULL,
    m.action,
    IF(m.action = 'update', m.matched_by, NULL),
    COALESCE(
        HEX(s.externalId),
        CONVERT(s.expSessionPk USING utf8mb4), -- if: expSessionPk
        CONVERT(s.visit_number USING utf8mb4)
    ),
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)), ''), HEX(d.externalId)),
    IF(
        m.action = 'insert',
        JSON_OBJECT(
            'proposalId', NVL(proposal.target_id, 'new'),
            'a_field', s.a_field, -- for: is(visit_number), unique(visit_number)
            'a_field', COALESCE( -- for: is(lastUpdate), live
                FROM_UNIXTIME(NULLIF(UNIX_TIMESTAMP(NVL(s.lastUpdate, s.endDate)), 0)), -- for: is(lastUpdate), live
                %(now)s -- for: is(lastUpdate), live
            ), -- for: is(lastUpdate), live
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
FROM ispyb_sync.map_session AS m
INNER JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
INNER JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = s.document
WHERE m.action IS NOT NULL AND m.thing = m.row_id;

-- pass: digest

-- name: digest
-- What the portal may own of each session, and how many have the same expSessionPk; not the columns that ISPyB owns
-- once the session is there.
INSERT INTO ispyb_sync.digest_proposal (proposalId, digest)
SELECT
    d.proposalId,
    BIT_XOR(CONV(LEFT(SHA1(CONCAT_WS(
        ',',
        'session',
        t.sessionId,
        (SELECT COUNT(*) FROM BLSession AS n WHERE n.expSessionPk = t.expSessionPk), -- if: expSessionPk
        QUOTE(CONVERT(t.a_column USING utf8mb4)), -- for: portal, text
        QUOTE(t.a_column), -- for: portal
        ''
    )), 16), 16, 10))
FROM ispyb_sync.digest_proposal AS d
STRAIGHT_JOIN BLSession AS t ON t.proposalId = d.proposalId
GROUP BY d.proposalId
ON DUPLICATE KEY UPDATE digest = digest ^ VALUES(digest);

-- pass: draw

-- name: touch -- as: touch
-- name: touch_external_id -- as: touch_key(externalId)
-- name: touch_exp_session_pk -- as: touch_key(expSessionPk)

-- pass: unsettled

-- name: unsettle -- as: unsettle
-- name: unsettle_crowded_exp_session_pk -- as: unsettle_crowded(expSessionPk)
-- name: unsettled_documents -- as: unsettled_documents

-- pass: report

-- name: unplaced -- as: unplaced
-- name: contradicted -- as: contradicted
-- name: new_unfit -- as: new_unfit
-- name: counts -- as: counts
-- name: conflicting_copies -- as: conflicting_copies
-- name: refusals -- as: refusals
-- name: holders -- as: holders
-- name: shared_keys -- as: shared_keys(visit_number, proposal) -- if: unique(visit_number)
-- name: shared_earlier_keys -- as: shared_keys(expSessionPk) -- if: not unique(visit_number)

-- name: possible_twins -- if: beamLineName, startDate, endDate
-- A new session of a proposal and beamline, at a time at which ISPyB has one that no key names: MXCuBE makes such.
SELECT
    s.document,
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)
    ), ''), HEX(d.externalId)) AS proposal,
    s.path,
    CONCAT_WS(' ', CONVERT(s.beamLineName USING utf8mb4), s.startDate) AS value,
    CONCAT('sessionId ', t.sessionId) AS twin
FROM ispyb_sync.map_session AS m
STRAIGHT_JOIN ispyb_sync.stage_session AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
STRAIGHT_JOIN ispyb_sync.map_proposal AS proposal ON proposal.row_id = m.proposal
STRAIGHT_JOIN BLSession AS t
    ON t.proposalId = proposal.target_id
    AND t.beamLineName = s.beamLineName
    AND t.startDate < s.endDate
    AND t.endDate > s.startDate
LEFT JOIN ispyb_sync.map_session AS found ON found.target_id = t.sessionId
WHERE
    m.action = 'insert'
    AND m.thing = m.row_id
    AND t.externalId IS NULL
    AND t.expSessionPk IS NULL -- if: expSessionPk
    AND t.visit_number IS NULL -- if: unique(visit_number)
    AND found.row_id IS NULL
ORDER BY m.row_id;

-- name: vanished
-- What ISPyB knows by its externalId and the export names neither by that nor by another key. Refused rows are named.
SELECT
    t.sessionId,
    CONCAT_WS(
        ' ',
        CONVERT(t.beamLineName USING utf8mb4), -- if: beamLineName
        t.startDate, -- if: startDate
        NULL
    ) AS row_key,
    COALESCE(NULLIF(CONCAT_WS(
        '-',
        CONVERT(proposal.proposalCode USING utf8mb4), -- if: proposal.proposalCode
        CONVERT(proposal.proposalNumber USING utf8mb4), -- if: proposal.proposalNumber
        NULL
    ), ''), HEX(proposal.externalId)) AS proposal,
    HEX(t.externalId) AS external_id
FROM BLSession AS t
INNER JOIN Proposal AS proposal ON proposal.proposalId = t.proposalId
LEFT JOIN (
    SELECT DISTINCT m.target_id FROM ispyb_sync.map_session AS m WHERE m.target_id IS NOT NULL
) AS found ON found.target_id = t.sessionId
LEFT JOIN (
    SELECT DISTINCT s.externalId FROM ispyb_sync.stage_session AS s WHERE s.externalId IS NOT NULL
) AS named ON named.externalId = t.externalId
WHERE t.externalId IS NOT NULL AND found.target_id IS NULL AND named.externalId IS NULL
ORDER BY t.proposalId, t.sessionId;

-- pass: check

-- name: duplicate_external_id -- as: duplicate_key(externalId) -- if: externalId -- stops: migrate
-- name: duplicate_exp_session_pk -- as: duplicate_key(expSessionPk) -- if: expSessionPk

-- pass: undo_claim

-- name: claim_old_visit_number -- if: unique(visit_number)
INSERT INTO ispyb_sync.undo_claim (entity, number, field, holder, giver)
SELECT u.entity, u.number, 'visit_number', h.sessionId, giver.number
FROM ispyb_sync.undo AS u
STRAIGHT_JOIN BLSession AS t ON t.sessionId = u.target_id
STRAIGHT_JOIN BLSession AS h
    ON h.proposalId = t.proposalId
    AND h.visit_number = JSON_VALUE(u.was, '$.visit_number')
    AND h.sessionId <> u.target_id
LEFT JOIN ispyb_sync.undo AS giver
    ON giver.entity = u.entity
    AND giver.target_id = h.sessionId
    AND giver.kept IS NULL
    AND (giver.action = 'insert' OR JSON_EXISTS(giver.was, '$.visit_number'))
WHERE u.entity = 'session' AND u.action = 'update' AND u.kept IS NULL;

-- pass: undo_apply

-- name: park_visit_number -- as: park_key(visit_number)
