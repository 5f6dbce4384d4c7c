-- lease: one run at a time where several servers write to one database, as in a Galera cluster.
--
-- target    ispyb_sync.lease, which has one row
-- after     GET_LOCK, which holds on one server only
-- never     waits for a run that was killed, longer than its lease
--
-- Each statement is a transaction of its own, but `confirm`, which belongs to what the run writes.

-- pass: lease

-- name: take
-- Whoever finds the lease run out takes it. So does the next run on the same server: it has that server's lock.
-- The columns are set in this order, each from those that still are as they were; `until` is asked by all.
INSERT INTO ispyb_sync.lease (number, holder, account, node, since, until)
VALUES (
    1, %(holder)s, CURRENT_USER(), CONCAT(@@hostname, ':', @@port), UTC_TIMESTAMP(6),
    UTC_TIMESTAMP(6) + INTERVAL %(seconds)s SECOND
)
ON DUPLICATE KEY UPDATE
    holder = IF(until <= UTC_TIMESTAMP(6) OR node = VALUES (node), VALUES (holder), holder),
    account = IF(holder = VALUES (holder), VALUES (account), account),
    node = IF(holder = VALUES (holder), VALUES (node), node),
    since = IF(holder = VALUES (holder), VALUES (since), since),
    until = IF(holder = VALUES (holder), VALUES (until), until);

-- name: show
-- As it is now, whatever this transaction saw before; a transaction that has the row locked is waited for.
SELECT l.holder, l.account, l.node, l.since
FROM ispyb_sync.lease AS l
WHERE l.number = 1
LOCK IN SHARE MODE;

-- name: renew
UPDATE ispyb_sync.lease
SET until = UTC_TIMESTAMP(6) + INTERVAL %(seconds)s SECOND
WHERE number = 1 AND holder = %(holder)s;

-- name: confirm
-- In the run's own transaction, which so cannot be committed together with one that took the lease meanwhile.
UPDATE ispyb_sync.lease SET run = %(run)s WHERE number = 1 AND holder = %(holder)s;

-- name: release
UPDATE ispyb_sync.lease SET until = UTC_TIMESTAMP(6) WHERE number = 1 AND holder = %(holder)s;
