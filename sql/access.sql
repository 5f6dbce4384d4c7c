-- access: who may use the endpoint for a proposal of their own.
--
-- target    Proposal, ProposalHasPerson, Person
-- never     writes

-- pass: ask

-- name: is_member
-- The login must be the same letter by letter: a column's collation may take two people's logins for one. A proposal
-- that is named without a code has none.
SELECT COUNT(*) > 0 AS is_member
FROM Proposal AS t
INNER JOIN Person AS p ON p.login = CONVERT(%(login)s USING utf8mb4)
LEFT JOIN ProposalHasPerson AS h ON h.proposalId = t.proposalId AND h.personId = p.personId
WHERE
    t.proposalNumber = %(number)s
    AND NVL(t.proposalCode, '') = %(code)s
    AND BINARY CONVERT(p.login USING utf8mb4) = BINARY CONVERT(%(login)s USING utf8mb4)
    AND (t.personId = p.personId OR h.personId IS NOT NULL);
