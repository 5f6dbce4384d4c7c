-- fingerprint: which documents were applied, and are as they were.
--
-- target    ispyb_sync.fingerprint
-- after     what the documents say is written, in the same transaction
-- never     holds a proposal's name: its label is a hash

-- pass: skip

-- name: all_fingerprints
SELECT f.label, f.fingerprint FROM ispyb_sync.fingerprint AS f;

-- name: fingerprints
SELECT f.label, f.fingerprint FROM ispyb_sync.fingerprint AS f WHERE f.label IN %(labels)s;

-- name: remember
REPLACE INTO ispyb_sync.fingerprint (label, fingerprint)
VALUES (%(label)s, %(fingerprint)s);

-- name: forget_all
-- After an undo no document is as it was applied.
DELETE FROM ispyb_sync.fingerprint;
