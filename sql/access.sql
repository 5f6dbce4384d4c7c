-- access: who may use the endpoint for a proposal of their own.
--
-- target    Proposal, ProposalHasPerson, Person
-- never     writes

-- pass: ask

-- name: is_member -- if: proposalNumber, person.login
-- The login must be the same letter by letter: a column's collation may take two people's logins for one. So it is
-- compared by bytes, in one character set; a login with letters that the column cannot hold is nobody's. A proposal
-- that is named without a code has none; where the table has no codes, the number alone names it.
SELECT COUNT(*) > 0 AS is_member
FROM Proposal AS t
INNER JOIN Person AS p ON BINARY CONVERT(p.login USING utf8mb4) = BINARY CONVERT(%(login)s USING utf8mb4)
LEFT JOIN ProposalHasPerson AS h ON h.proposalId = t.proposalId AND h.personId = p.personId
WHERE
    t.proposalNumber = %(number)s
    AND NVL(t.proposalCode, '') = %(code)s -- if: proposalCode
    AND (t.personId = p.personId OR h.personId IS NOT NULL);
