-- The purge finds what is old by page ranges; those that no vacuum has summarised yet would all be
-- read.
ALTER INDEX inbox_received_at SET (autosummarize = on);
