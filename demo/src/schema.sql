CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY, name TEXT NOT NULL, stock INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS ledger (item TEXT NOT NULL, entry TEXT NOT NULL, cents INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, rotated TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS filled (once INTEGER PRIMARY KEY);

INSERT INTO users SELECT * FROM (VALUES
  ('alice', 'Alice', 'administrator'), ('bob', 'Bob', 'member'), ('carol', 'Carol', 'member'))
  WHERE NOT EXISTS (SELECT 1 FROM filled);
INSERT INTO items SELECT * FROM (VALUES
  ('1', 'Portcullis winch', 3), ('2', 'Chain, forged', 40), ('3', 'Gate bar, oak', 12), ('4', 'Chain, spare link', 200))
  WHERE NOT EXISTS (SELECT 1 FROM filled);
INSERT INTO ledger SELECT * FROM (VALUES
  ('1', 'bought from the smith', -125000), ('1', 'sold to the castle', 180000), ('2', 'bought from the smith', -40000))
  WHERE NOT EXISTS (SELECT 1 FROM filled);
INSERT INTO keys SELECT * FROM (VALUES
  ('payment-provider', '2026-09-01'), ('mail-relay', '2026-10-12'))
  WHERE NOT EXISTS (SELECT 1 FROM filled);
INSERT OR IGNORE INTO filled VALUES (1);
