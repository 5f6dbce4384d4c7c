-- leave: what a run matches and leaves to ISPyB, so that it is neither written nor refused.
--
-- Stand-ins: an_entity is the entity, a_parent one that its rows refer to, and a_row the column that does so; a_field
-- is the field whose value marks a row that need not be known.

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

-- name: count_left
SELECT COUNT(*) FROM ispyb_sync.map_an_entity AS m WHERE m.thing = m.row_id AND m.refused = 'left';
