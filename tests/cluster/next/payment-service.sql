-- What no release may do while the one before it reads the column.
ALTER TABLE payments RENAME COLUMN decline_reason TO refused_because;
