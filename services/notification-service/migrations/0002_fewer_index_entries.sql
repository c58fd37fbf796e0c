-- Each state a mail passes writes into the indexes of its row again. The message id is made of the
-- primary key and needs none of its own; old contents are looked for among mails that have ended.
ALTER TABLE deliveries DROP CONSTRAINT deliveries_message_id_key;
DROP INDEX deliveries_with_content;
CREATE INDEX deliveries_with_content ON deliveries (created_at)
  WHERE content IS NOT NULL AND status <> 'pending';

-- A row that is looked for by its id must not be looked for among all that were due since the last
-- vacuum: only who asks by due_at may use this index.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE status = 'pending' AND due_at IS NOT NULL;
