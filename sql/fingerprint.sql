-- fingerprint: which documents were applied, and are as they were.
--
-- target    ispyb_sync.fingerprint
-- stage     digest_laboratory, digest_person, digest_proposal
-- after     what the documents say is written, in the same transaction
-- never     holds a proposal's name: its label is a hash
--
-- A digest is of the rows of ISPyB that a proposal has, in the columns that the portal may own: the proposal, its
-- sessions, proteins and cards, who is on them, and their laboratories; and of how many rows have the same keys, so
-- that one which others add beside them is seen. It is taken before a run matches anything, and
-- after it has written: where both are equal, the run has found nothing to change, and nobody changed anything
-- meanwhile. Then it is remembered, and as long as ISPyB gives the same one, --skip-verified leaves the document out.
-- Each row's hash holds its primary key, so none cancels another one; MD5, since those of a CRC would.

-- pass: create

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
-- Taken twice: 1 before the run, 2 after it.
CREATE TEMPORARY TABLE ispyb_sync.digest_proposal (
    taken TINYINT UNSIGNED NOT NULL,
    proposalId INT UNSIGNED NOT NULL,
    digest BIGINT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (taken, proposalId)
) ENGINE = InnoDB;

-- pass: before

-- name: choose_known
INSERT INTO ispyb_sync.digest_proposal (taken, proposalId)
SELECT DISTINCT 1, f.proposal_id FROM ispyb_sync.fingerprint AS f WHERE f.proposal_id IS NOT NULL;

-- name: verified_fingerprints
-- Documents whose rows are as they were when a run last found nothing to change.
SELECT f.label, f.fingerprint
FROM ispyb_sync.fingerprint AS f
STRAIGHT_JOIN ispyb_sync.digest_proposal AS d ON d.taken = 1 AND d.proposalId = f.proposal_id
WHERE d.digest = f.verified;

-- pass: after

-- name: joined_documents
-- Documents of one proposal, whatever they call it.
SELECT m.row_id FROM ispyb_sync.map_proposal AS m WHERE m.thing <> m.row_id
UNION
SELECT m.thing FROM ispyb_sync.map_proposal AS m WHERE m.thing <> m.row_id;

-- name: choose_staged
INSERT INTO ispyb_sync.digest_proposal (taken, proposalId)
SELECT DISTINCT 2, m.target_id
FROM ispyb_sync.map_proposal AS m
STRAIGHT_JOIN ispyb_sync.digest_proposal AS d ON d.taken = 1 AND d.proposalId = m.target_id
WHERE m.refused IS NULL;

-- name: digests
-- Of each document, the row of its proposal, and the digest where it is as it was before the run.
SELECT
    m.row_id,
    m.target_id,
    IF(a.digest = b.digest, b.digest, NULL)
FROM ispyb_sync.map_proposal AS m
LEFT JOIN ispyb_sync.digest_proposal AS a ON a.taken = 1 AND a.proposalId = m.target_id
LEFT JOIN ispyb_sync.digest_proposal AS b ON b.taken = 2 AND b.proposalId = m.target_id
WHERE m.refused IS NULL AND m.target_id IS NOT NULL;

-- pass: skip

-- name: all_fingerprints
SELECT f.label, f.fingerprint FROM ispyb_sync.fingerprint AS f;

-- name: fingerprints
SELECT f.label, f.fingerprint, f.proposal_id, f.verified FROM ispyb_sync.fingerprint AS f WHERE f.label IN %(labels)s;

-- name: remember
REPLACE INTO ispyb_sync.fingerprint (label, fingerprint, proposal_id, verified)
VALUES (%(label)s, %(fingerprint)s, %(proposal_id)s, %(verified)s);

-- name: forget_all
-- After an undo no document is as it was applied.
DELETE FROM ispyb_sync.fingerprint;
