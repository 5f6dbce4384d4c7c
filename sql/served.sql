-- served: which ISPyB the tool's schema serves. What history holds of another one must not be gone by here.
--
-- target    ispyb_sync.served, which has one row; ispyb_sync.run
-- after     the last migration
-- refuses   a tool schema that serves another ISPyB, or whose runs name another one
-- never     changes ISPyB
--
-- A server is called host:port; all nodes of a Galera cluster are one server, called by the cluster's UUID. Names of
-- schemas are compared as the server does: lower_case_table_names. A run that does not say its schema is one of the
-- ISPyB that is served: so old a release did not write it down.

-- pass: look

-- name: look
-- Each command asks this first, together with the revision: one way there and back. Whether there is a cluster is asked
-- only where the name of the host is another one: looking through the server's status takes longer than all else here.
SELECT
    found.revision,
    CONCAT(found.schema_name, ' on ', found.server) AS served,
    CONCAT(DATABASE(), ' on ', found.this) AS this,
    NVL(
        found.server = found.this
        AND IF(
            @@lower_case_table_names = 0,
            found.schema_name = DATABASE(),
            LOWER(found.schema_name) = LOWER(DATABASE())
        ),
        FALSE
    ) AS same
FROM (
    SELECT
        s.server,
        s.schema_name,
        (SELECT MAX(v.version_num) FROM ispyb_sync.alembic_version AS v) AS revision,
        IF(
            s.server = CONCAT(@@hostname, ':', @@port),
            s.server,
            NVL(
                (
                    SELECT CONCAT('cluster ', NULLIF(g.VARIABLE_VALUE, ''))
                    FROM information_schema.GLOBAL_STATUS AS g
                    WHERE g.VARIABLE_NAME = 'wsrep_cluster_state_uuid'
                ),
                CONCAT(@@hostname, ':', @@port)
            )
        ) AS this
    FROM (SELECT 1) AS nothing
    LEFT JOIN ispyb_sync.served AS s ON s.number = 1
) AS found;

-- name: foreign_run
-- Whose a run is that does not count here.
SELECT NVL(JSON_VALUE(r.settings, '$.schema'), 'another ISPyB') AS ispyb
FROM ispyb_sync.run AS r
WHERE r.run = %(run)s AND r.elsewhere;

-- pass: guard

-- name: see_server
-- Asked once, before what follows.
SET @server = CONVERT(
    NVL(
        (
            SELECT CONCAT('cluster ', NULLIF(g.VARIABLE_VALUE, ''))
            FROM information_schema.GLOBAL_STATUS AS g
            WHERE g.VARIABLE_NAME = 'wsrep_cluster_state_uuid'
        ),
        CONCAT(@@hostname, ':', @@port)
    ) USING utf8mb4
) COLLATE utf8mb4_bin;

-- name: another_ispyb
SELECT CONCAT(s.schema_name, ' on ', s.server) AS found
FROM ispyb_sync.served AS s
WHERE
    s.server <> @server
    OR IF(@@lower_case_table_names = 0, s.schema_name <> DATABASE(), LOWER(s.schema_name) <> LOWER(DATABASE()));

-- name: runs_of_others
-- Where no release has written down yet whom the schema serves, its runs tell.
SELECT CONCAT(JSON_VALUE(r.settings, '$.schema'), ', in ', COUNT(*), ' runs of history') AS found
FROM ispyb_sync.run AS r
WHERE
    IF(
        @@lower_case_table_names = 0,
        JSON_VALUE(r.settings, '$.schema') <> DATABASE(),
        LOWER(JSON_VALUE(r.settings, '$.schema')) <> LOWER(DATABASE())
    )
GROUP BY JSON_VALUE(r.settings, '$.schema');

-- pass: serve

-- name: see_another
SET @another = NOT EXISTS (
    SELECT 1
    FROM ispyb_sync.served AS s
    WHERE
        s.server = @server
        AND IF(@@lower_case_table_names = 0, s.schema_name = DATABASE(), LOWER(s.schema_name) = LOWER(DATABASE()))
);

-- name: see_apart
-- The runs that counted for the ISPyB that was served count for this one: whoever takes it over says that it is the
-- same. Only their names tell runs apart where two ISPyBs shared the schema: where that was never written down, or this
-- one was served before and the one served until now is still there beside it.
SET @apart = (
    SELECT
        @another
        AND IF(
            s.number IS NULL,
            past.names > 1,
            past.ours
            AND IF(@@lower_case_table_names = 0, s.schema_name <> DATABASE(), LOWER(s.schema_name) <> LOWER(DATABASE()))
            AND EXISTS (
                SELECT 1
                FROM information_schema.TABLES AS t
                WHERE t.TABLE_SCHEMA = s.schema_name AND t.TABLE_NAME = 'Proposal'
            )
        )
    FROM (
        SELECT
            COUNT(DISTINCT IF(@@lower_case_table_names = 0, n.name, LOWER(n.name))) AS names,
            NVL(MAX(IF(
                @@lower_case_table_names = 0, n.name = DATABASE(), LOWER(n.name) = LOWER(DATABASE())
            )), FALSE) AS ours
        FROM (SELECT JSON_VALUE(r.settings, '$.schema') AS name FROM ispyb_sync.run AS r) AS n
    ) AS past
    LEFT JOIN ispyb_sync.served AS s ON s.number = 1
);

-- name: tell_runs_apart
UPDATE ispyb_sync.run AS r
SET
    r.elsewhere = NOT NVL(
        IF(
            @@lower_case_table_names = 0,
            JSON_VALUE(r.settings, '$.schema') = DATABASE(),
            LOWER(JSON_VALUE(r.settings, '$.schema')) = LOWER(DATABASE())
        ),
        TRUE
    )
WHERE @apart;

-- name: forget_links
-- Ids alone do not say whose they are.
DELETE FROM ispyb_sync.made_link WHERE @apart;

-- name: forget_documents
-- None was applied to this ISPyB, as far as is known.
DELETE FROM ispyb_sync.fingerprint WHERE @another;

-- name: write_down
-- Last: until then, all of this may be done again.
REPLACE INTO ispyb_sync.served (number, server, schema_name, account, since)
SELECT
    1,
    @server,
    DATABASE(),
    CURRENT_USER(),
    UTC_TIMESTAMP(6)
FROM (SELECT 1) AS nothing
WHERE @another;

-- pass: told

-- name: runs_by_ispyb
SELECT
    r.elsewhere,
    NVL(JSON_VALUE(r.settings, '$.schema'), '') AS ispyb,
    COUNT(*) AS runs
FROM ispyb_sync.run AS r
GROUP BY r.elsewhere, ispyb
ORDER BY r.elsewhere, ispyb;
