/** The statements of the tables that every index has. */
export const STATEMENTS = {
  actorByDid: 'SELECT * FROM ix_actor WHERE did = ?',
  actorById: 'SELECT * FROM ix_actor WHERE id = ?',
  addActor: 'INSERT INTO ix_actor (did) VALUES (?)',
  clearHandle: 'UPDATE ix_actor SET handle = NULL WHERE handle = ? AND id <> ?',
  setHandle: 'UPDATE ix_actor SET handle = ? WHERE id = ?',
  putActor:
    'UPDATE ix_actor SET rev = ?, sync = ?, active = ?, status = ?, handleDue = ?, sweep = ?, sweepAt = ?, parked = ?, attempts = ?, dueAt = ? WHERE id = ?',
  dueFetch: 'SELECT * FROM ix_actor WHERE sync IN (1, 2) AND dueAt <= ? ORDER BY dueAt LIMIT ?',
  dueSweep: 'SELECT * FROM ix_actor WHERE sweep <> 0 ORDER BY id LIMIT ?',
  dueHandle:
    'SELECT * FROM ix_actor WHERE handleDue <> 0 AND handleDue <= ? ORDER BY handleDue LIMIT ?',
  requeue: 'UPDATE ix_actor SET sync = ?, dueAt = 0 WHERE sync = ?',
  deleteLink: 'DELETE FROM ix_link WHERE target = ? AND path = ? AND repo = ? AND rkey = ?',
  putLink: 'INSERT OR REPLACE INTO ix_link VALUES (?, ?, ?, ?)',
  putCounter:
    'INSERT INTO ix_counter VALUES (?, ?, ?) ON CONFLICT (target, counter) DO UPDATE SET n = n + excluded.n',
  putNotification: 'INSERT OR REPLACE INTO ix_notification VALUES (?, ?, ?, ?, ?, ?, ?)',
  deleteNotification:
    'DELETE FROM ix_notification WHERE recipient = ? AND sortAt = ? AND repo = ? AND nsid = ? AND rkey = ? AND reason = ?',
  countDead: 'SELECT count(*) AS n FROM ix_dead',
  deadKeys: 'SELECT rkey, cid FROM ix_dead WHERE repo = ? AND nsid = ?',
  putDead:
    'INSERT OR REPLACE INTO ix_dead (repo, nsid, rkey, cid, reason, at, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)',
  deleteDead: 'DELETE FROM ix_dead WHERE repo = ? AND nsid = ? AND rkey = ?',
  unfilled: 'SELECT nsid FROM ix_collection WHERE setAside = 2 ORDER BY nsid',
  recall: 'SELECT value FROM ix_meta WHERE key = ?',
  setAside: 'SELECT nsid FROM ix_collection WHERE setAside = 1 ORDER BY nsid',
  endSetAside: 'UPDATE ix_collection SET setAside = 0 WHERE nsid = ?',
  dueGates: 'SELECT nsid, repo, rkey FROM ix_gate_due ORDER BY nsid, repo, rkey LIMIT ?',
  gateDone: 'DELETE FROM ix_gate_due WHERE nsid = ? AND repo = ? AND rkey = ?',
  gateDue: 'INSERT OR IGNORE INTO ix_gate_due VALUES (?, ?, ?)',
  triggerGates:
    'INSERT OR IGNORE INTO ix_gate_due SELECT nsid, repo, rkey FROM ix_gate WHERE dependency = ?',
  forgetGate: 'DELETE FROM ix_gate WHERE nsid = ? AND repo = ? AND rkey = ?',
  addGate: 'INSERT OR IGNORE INTO ix_gate VALUES (?, ?, ?, ?)',
  hasLink: 'SELECT 1 AS one FROM ix_link WHERE target = ? AND path = ? AND repo = ? LIMIT 1',
  park: 'INSERT INTO ix_parked (repo, event) VALUES (?, ?)',
  parked: 'SELECT event FROM ix_parked WHERE repo = ? ORDER BY id',
  unpark: 'DELETE FROM ix_parked WHERE repo = ?',
  setCursor: 'INSERT OR REPLACE INTO ix_source VALUES (?, ?, ?)',
  remember: 'INSERT OR REPLACE INTO ix_meta VALUES (?, ?)',
  label: 'SELECT * FROM ix_label WHERE target = ? AND src = ? AND val = ? AND cid = ?',
  putLabel: 'INSERT OR REPLACE INTO ix_label VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
} as const
