-- Beside attempts_one_open an index of the same condition: a plan made on an empty table may look for
-- an order's open attempt here, through all that have ended. Only who asks by due_at may use it.
DROP INDEX attempts_due;
CREATE INDEX attempts_due ON attempts (due_at)
  WHERE status IN ('started', 'unknown') AND due_at IS NOT NULL;
