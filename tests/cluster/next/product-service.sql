-- The same, by a column that may be NULL.
ALTER TABLE reservations ADD COLUMN reserved_by text;
CREATE INDEX reservations_by_reserver ON reservations (reserved_by) WHERE reserved_by IS NOT NULL;
