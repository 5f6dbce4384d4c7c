-- leave: what a run matches and leaves to ISPyB, so that it is neither written nor refused.
--
-- Stand-ins: an_entity is the entity, a_table and a_primary_key are ISPyB's; a_parent is an entity that its rows refer
-- to, and a_row the column that does so; a_field is the field whose value marks a row that need not be known, or one
-- that is left itself, and a_column its column.

-- pass: leave

-- name: leave_unneeded
-- A session, say, that is cancelled, and that ISPyB does not know.
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.thing
SET m.refused = 'left'
WHERE m.target_id IS NULL AND m.refused IS NULL AND s.a_field = %(mark)s;

-- name: leave_along
-- What hangs on a new row that is left has nothing to hang on.
UPDATE ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.map_a_parent AS parent ON parent.row_id = s.a_row
SET m.refused = 'left', m.field = NULL
WHERE m.refused = 'parent_refused' AND parent.refused = 'left';

-- name: leave_new
-- A new row of an entity that is left is not written.
UPDATE ispyb_sync.map_an_entity AS m
SET m.refused = 'left', m.action = NULL
WHERE m.target_id IS NULL AND m.refused IS NULL;

-- name: leave_known
-- A known one keeps what it has.
UPDATE ispyb_sync.map_an_entity AS m SET m.action = NULL WHERE m.action IS NOT NULL;

-- name: left_references
-- Rows that go on without a new parent that is left.
SELECT s.document, CONCAT(s.path, '.', 'a_parent') AS path
FROM ispyb_sync.map_an_entity AS m
INNER JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
INNER JOIN ispyb_sync.map_a_parent AS parent ON parent.row_id = s.a_row
WHERE parent.refused = 'left';

-- name: left_rows
-- How many new things of an entity are left, how many changes of known ones, and ten of both as examples, each under
-- its first key, a link under that of its person. Before leave_known; known ones count where the entity is left itself.
SELECT
    SUM(m.refused IS NOT NULL) OVER () AS new_ones,
    SUM(m.refused IS NULL) OVER () AS changed,
    s.document,
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)
    ), ''), HEX(d.externalId)) AS proposal,
    s.path,
    COALESCE(
        HEX(s.a_field), -- for: key, bytes
        CONVERT(s.a_field USING utf8mb4), -- for: key
        HEX(who.externalId), -- if: link
        CONVERT(who.login USING utf8mb4), -- if: link
        CONVERT(who.siteId USING utf8mb4), -- if: link
        NULL
    ) AS value
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
LEFT JOIN ispyb_sync.stage_person AS who ON who.row_id = s.person_row -- if: link
WHERE m.thing = m.row_id AND (m.refused = 'left' OR (%(known)s AND m.refused IS NULL AND m.action IS NOT NULL))
ORDER BY m.row_id
LIMIT 10;

-- name: left_values
-- How many values of a field that is left would have been written, and ten of them as examples. As in compare, bytes
-- decide, and a null counts where it would have emptied the column; of a field that only new rows get, these count.
SELECT
    COUNT(*) OVER () AS things,
    s.document,
    COALESCE(NULLIF(CONCAT_WS(
        '-', CONVERT(d.proposalCode USING utf8mb4), CONVERT(d.proposalNumber USING utf8mb4)
    ), ''), HEX(d.externalId)) AS proposal,
    CONCAT(s.path, '.a_field') AS path,
    CONVERT(s.a_field USING utf8mb4) AS value
FROM ispyb_sync.map_an_entity AS m
STRAIGHT_JOIN ispyb_sync.stage_an_entity AS s ON s.row_id = m.row_id
STRAIGHT_JOIN ispyb_sync.stage_proposal AS d ON d.row_id = s.document
LEFT JOIN ispyb_sync.map_session AS one ON one.row_id = m.session -- if: paired
LEFT JOIN ispyb_sync.map_person AS other ON other.row_id = m.person -- if: paired
LEFT JOIN a_table AS t
    ON t.a_primary_key = m.target_id -- if: not paired
    ON t.a_primary_key = one.target_id AND t.personId = other.target_id -- if: paired
WHERE
    m.thing = m.row_id AND m.refused IS NULL
    AND CASE
        WHEN t.a_primary_key IS NULL THEN s.a_field IS NOT NULL
        ELSE %(known)s AND NOT BINARY t.a_column <=> BINARY
            NVL(s.a_field, IF(FIND_IN_SET('a_field', s.clears), NULL, t.a_column))
    END
ORDER BY m.row_id
LIMIT 10;
