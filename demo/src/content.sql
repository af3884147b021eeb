DELETE FROM users;
DELETE FROM items;
DELETE FROM ledger;
DELETE FROM keys;
INSERT INTO users VALUES
  ('alice', 'Alice', 'administrator'), ('bob', 'Bob', 'member'), ('carol', 'Carol', 'member');
INSERT INTO items VALUES
  ('1', 'Portcullis winch', 3), ('2', 'Chain, forged', 40), ('3', 'Gate bar, oak', 12), ('4', 'Chain, spare link', 200);
INSERT INTO ledger VALUES
  ('1', 'bought from the smith', -125000), ('1', 'sold to the castle', 180000), ('2', 'bought from the smith', -40000);
INSERT INTO keys VALUES ('payment-provider', '2026-09-01'), ('mail-relay', '2026-10-12');
INSERT OR IGNORE INTO filled VALUES (1);
