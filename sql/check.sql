-- check: rows that one key names together, so that a document giving this key alone is refused.
--
-- target    all tables that have keys
-- stage     none
-- after     nothing; `ispyb-sync check` runs these, `ispyb-sync migrate` those that a UNIQUE index depends on
-- matches   each group of rows by one key, as the column's own collation compares
-- refuses   nothing
-- never     writes
--
-- Each query returns the shared value, how many rows have it, and the first ten of their ids.

-- name: duplicate_person_external_id -- if: externalId
SELECT
    HEX(externalId) AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(personId ORDER BY personId SEPARATOR ', ' LIMIT 10) AS ids
FROM Person
WHERE externalId IS NOT NULL
GROUP BY externalId
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(personId);

-- name: duplicate_proposal_external_id -- if: externalId
SELECT
    HEX(externalId) AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(proposalId ORDER BY proposalId SEPARATOR ', ' LIMIT 10) AS ids
FROM Proposal
WHERE externalId IS NOT NULL
GROUP BY externalId
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(proposalId);

-- name: duplicate_session_external_id -- if: externalId
SELECT
    HEX(externalId) AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(sessionId ORDER BY sessionId SEPARATOR ', ' LIMIT 10) AS ids
FROM BLSession
WHERE externalId IS NOT NULL
GROUP BY externalId
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(sessionId);

-- name: duplicate_laboratory_external_id -- if: externalId
SELECT
    HEX(externalId) AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(laboratoryId ORDER BY laboratoryId SEPARATOR ', ' LIMIT 10) AS ids
FROM Laboratory
WHERE externalId IS NOT NULL
GROUP BY externalId
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(laboratoryId);

-- name: duplicate_laboratory_ext_pk -- if: laboratoryExtPk
SELECT
    laboratoryExtPk AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(laboratoryId ORDER BY laboratoryId SEPARATOR ', ' LIMIT 10) AS ids
FROM Laboratory
WHERE laboratoryExtPk IS NOT NULL
GROUP BY laboratoryExtPk
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(laboratoryId);

-- name: duplicate_laboratory_pk -- if: laboratoryPk
-- The same key where the column has its other name.
SELECT
    laboratoryPk AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(laboratoryId ORDER BY laboratoryId SEPARATOR ', ' LIMIT 10) AS ids
FROM Laboratory
WHERE laboratoryPk IS NOT NULL
GROUP BY laboratoryPk
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(laboratoryId);

-- name: duplicate_laboratory_name -- if: name
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

-- name: duplicate_person_login -- if: login
SELECT
    MIN(login) AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(personId ORDER BY personId SEPARATOR ', ' LIMIT 10) AS ids
FROM Person
WHERE login IS NOT NULL
GROUP BY login
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(personId);

-- name: duplicate_person_site_id -- if: siteId
SELECT
    siteId AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(personId ORDER BY personId SEPARATOR ', ' LIMIT 10) AS ids
FROM Person
WHERE siteId IS NOT NULL
GROUP BY siteId
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(personId);

-- name: duplicate_proposal_number -- if: proposalNumber
-- A missing code equals a missing code.
SELECT
    CONCAT_WS(
        '-',
        CONVERT(MIN(proposalCode) USING utf8mb4), -- if: proposalCode
        CONVERT(MIN(proposalNumber) USING utf8mb4)
    ) AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(proposalId ORDER BY proposalId SEPARATOR ', ' LIMIT 10) AS ids
FROM Proposal
WHERE proposalNumber IS NOT NULL
GROUP BY
    proposalCode, -- if: proposalCode
    proposalNumber
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(proposalId);

-- name: duplicate_session_exp_session_pk -- if: expSessionPk
SELECT
    expSessionPk AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(sessionId ORDER BY sessionId SEPARATOR ', ' LIMIT 10) AS ids
FROM BLSession
WHERE expSessionPk IS NOT NULL
GROUP BY expSessionPk
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(sessionId);

-- name: duplicate_protein_external_id -- if: externalId
-- Clones of a protein share it, in different proposals; within one proposal it should name one row.
SELECT
    CONCAT(HEX(externalId), ' in proposal ', proposalId) AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(proteinId ORDER BY proteinId SEPARATOR ', ' LIMIT 10) AS ids
FROM Protein
WHERE externalId IS NOT NULL
GROUP BY proposalId, externalId
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(proteinId);

-- name: duplicate_protein_acronym -- if: acronym
SELECT
    CONCAT(CONVERT(MIN(acronym) USING utf8mb4), ' in proposal ', proposalId) AS value,
    COUNT(*) AS row_count,
    GROUP_CONCAT(proteinId ORDER BY proteinId SEPARATOR ', ' LIMIT 10) AS ids
FROM Protein
WHERE acronym IS NOT NULL
GROUP BY proposalId, acronym
HAVING COUNT(*) > 1
ORDER BY row_count DESC, MIN(proteinId);
