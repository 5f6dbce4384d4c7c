-- fingerprint: which documents were applied, and are as they were, with the rows that they speak of.
--
-- target    ispyb_sync.fingerprint
-- stage     left_out, chosen_person, digest_laboratory, digest_person, digest_proposal
-- after     reading; and what the documents say is written, in the same transaction
-- never     holds a proposal's name: its label is a hash
--
-- A digest is of the rows of ISPyB that a proposal has, in the columns that the portal may own: the proposal, its
-- sessions, proteins and cards, who is on them, and their laboratories; and of how many rows have the same keys, so
-- that one which others add beside them is seen. A run takes it after it has written, and then compares once more: a
-- document that finds nothing to change, no key of a second row, and nothing that depends on another document is
-- remembered with its digest. As long as document and rows give the same ones, the document is left out.
-- Each row's hash holds its primary key, so none cancels another one: a change stays unseen once in 2^64. It is the
-- first half of a SHA1, which takes half the time of MD5. Two CRCs are no quicker: each builds the text anew.

-- pass: create

-- name: create_left_out
CREATE TEMPORARY TABLE ispyb_sync.left_out (
    label BINARY(16) NOT NULL PRIMARY KEY,
    proposal_id INT UNSIGNED NOT NULL,
    KEY (proposal_id)
) ENGINE = InnoDB;

-- name: create_chosen_person
CREATE TEMPORARY TABLE ispyb_sync.chosen_person (
    personId INT UNSIGNED NOT NULL PRIMARY KEY
) ENGINE = InnoDB;

-- name: create_digest_laboratory
CREATE TEMPORARY TABLE ispyb_sync.digest_laboratory (
    laboratoryId INT UNSIGNED NOT NULL PRIMARY KEY,
    digest BIGINT UNSIGNED NOT NULL
) ENGINE = InnoDB;

-- name: create_digest_person
CREATE TEMPORARY TABLE ispyb_sync.digest_person (
    personId INT UNSIGNED NOT NULL PRIMARY KEY,
    digest BIGINT UNSIGNED NOT NULL
) ENGINE = InnoDB;

-- name: create_digest_proposal
CREATE TEMPORARY TABLE ispyb_sync.digest_proposal (
    proposalId INT UNSIGNED NOT NULL PRIMARY KEY,
    digest BIGINT UNSIGNED NOT NULL DEFAULT 0
) ENGINE = InnoDB;

-- pass: empty

-- name: empty_chosen_person
DELETE FROM ispyb_sync.chosen_person;

-- name: empty_digest_laboratory
DELETE FROM ispyb_sync.digest_laboratory;

-- name: empty_digest_person
DELETE FROM ispyb_sync.digest_person;

-- name: empty_digest_proposal
DELETE FROM ispyb_sync.digest_proposal;

-- pass: choose

-- name: leave_out
INSERT INTO ispyb_sync.left_out (label, proposal_id) VALUES (%(label)s, %(proposal_id)s);

-- name: take_out
-- To be examined after all.
DELETE FROM ispyb_sync.left_out WHERE label IN %(labels)s;

-- name: choose_left_out
INSERT INTO ispyb_sync.digest_proposal (proposalId)
SELECT DISTINCT o.proposal_id FROM ispyb_sync.left_out AS o;

-- name: choose_staged
-- Where everything is examined, most proposals have their digest already, and only a few are asked for.
INSERT INTO ispyb_sync.digest_proposal (proposalId)
SELECT DISTINCT m.target_id
FROM ispyb_sync.map_proposal AS m
WHERE
    m.refused IS NULL AND m.target_id IS NOT NULL
    AND FIND_IN_SET(m.row_id, %(documents)s); -- if: few

-- name: choose_people -- if: few
-- Everybody whom the rows of a few proposals name. Of many proposals, the digests of all people are taken.
INSERT INTO ispyb_sync.chosen_person (personId)
SELECT t.personId -- each: of_document, person
FROM ispyb_sync.digest_proposal AS d -- each: of_document, person
STRAIGHT_JOIN a_table AS t ON t.proposalId = d.proposalId -- each: of_document, person
WHERE t.personId IS NOT NULL -- each: of_document, person
UNION -- each: of_document, person
SELECT t.personId -- each: of_part, person
FROM ispyb_sync.digest_proposal AS d -- each: of_part, person
STRAIGHT_JOIN an_owner_table AS an_owner ON an_owner.proposalId = d.proposalId -- each: of_part, person
STRAIGHT_JOIN a_table AS t ON t.an_owner_id = an_owner.an_owner_id -- each: of_part, person
WHERE t.personId IS NOT NULL -- each: of_part, person
UNION -- each: of_part, person
SELECT t.personId
FROM ispyb_sync.digest_proposal AS d
STRAIGHT_JOIN Proposal AS t ON t.proposalId = d.proposalId
WHERE t.personId IS NOT NULL;

-- pass: read

-- name: differing
-- Documents whose rows are not as they were when a run last took them.
SELECT o.label
FROM ispyb_sync.left_out AS o
LEFT JOIN ispyb_sync.fingerprint AS f ON f.label = o.label
LEFT JOIN ispyb_sync.digest_proposal AS d ON d.proposalId = o.proposal_id
WHERE NOT d.digest <=> f.verified;

-- name: digests
SELECT m.row_id, m.target_id, d.digest
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.digest_proposal AS d ON d.proposalId = m.target_id
WHERE m.refused IS NULL;

-- name: joined_documents
-- Documents of one proposal, whatever they call it.
SELECT m.row_id FROM ispyb_sync.map_proposal AS m WHERE m.thing <> m.row_id
UNION
SELECT m.thing FROM ispyb_sync.map_proposal AS m WHERE m.thing <> m.row_id;

-- name: left_out_links
-- How many links the proposals of documents have that are left out: a share of all links may be deleted.
SELECT
    ( -- each: link, of_document
        SELECT COUNT(*) -- each: link, of_document
        FROM ispyb_sync.left_out AS o -- each: link, of_document
        STRAIGHT_JOIN a_table AS t ON t.proposalId = o.proposal_id -- each: link, of_document
    ) + -- each: link, of_document
    ( -- each: link, of_part
        SELECT COUNT(*) -- each: link, of_part
        FROM ispyb_sync.left_out AS o -- each: link, of_part
        STRAIGHT_JOIN an_owner_table AS an_owner ON an_owner.proposalId = o.proposal_id -- each: link, of_part
        STRAIGHT_JOIN a_table AS t ON t.an_owner_id = an_owner.an_owner_id -- each: link, of_part
    ) + -- each: link, of_part
    0 AS links;

-- pass: draw_create

-- name: create_touched -- each: named_anywhere
CREATE TEMPORARY TABLE ispyb_sync.touched_an_entity (id INT UNSIGNED NOT NULL PRIMARY KEY) ENGINE = InnoDB;

-- pass: draw

-- name: drawn
-- Documents that were left out, and speak of a row that an examined one changes, claims or contradicts.
SELECT DISTINCT o.label
FROM (
    SELECT x.id AS proposalId FROM ispyb_sync.touched_proposal AS x
    UNION -- each: of_document, named_anywhere
    SELECT t.proposalId -- each: of_document, named_anywhere
    FROM ispyb_sync.touched_an_entity AS x -- each: of_document, named_anywhere
    STRAIGHT_JOIN a_table AS t ON t.a_primary_key = x.id -- each: of_document, named_anywhere
    UNION
    SELECT t.proposalId
    FROM ispyb_sync.touched_person AS x
    STRAIGHT_JOIN Proposal AS t ON t.personId = x.id
    UNION -- each: of_document, person
    SELECT t.proposalId -- each: of_document, person
    FROM ispyb_sync.touched_person AS x -- each: of_document, person
    STRAIGHT_JOIN a_table AS t ON t.personId = x.id -- each: of_document, person
    UNION -- each: of_part, person
    SELECT an_owner.proposalId -- each: of_part, person
    FROM ispyb_sync.touched_person AS x -- each: of_part, person
    STRAIGHT_JOIN a_table AS t ON t.personId = x.id -- each: of_part, person
    STRAIGHT_JOIN an_owner_table AS an_owner ON an_owner.an_owner_id = t.an_owner_id -- each: of_part, person
) AS p
STRAIGHT_JOIN ispyb_sync.left_out AS o ON o.proposal_id = p.proposalId;

-- pass: keep

-- name: all_verified
SELECT f.label, f.fingerprint, f.proposal_id, f.verified, f.warnings
FROM ispyb_sync.fingerprint AS f
WHERE f.verified IS NOT NULL;

-- name: fingerprints
SELECT f.label, f.fingerprint, f.proposal_id, f.verified, f.warnings
FROM ispyb_sync.fingerprint AS f
WHERE f.label IN %(labels)s;

-- name: remember
REPLACE INTO ispyb_sync.fingerprint (label, fingerprint, proposal_id, verified, warnings)
VALUES (%(label)s, %(fingerprint)s, %(proposal_id)s, %(verified)s, %(warnings)s);
