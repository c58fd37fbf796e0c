-- A list and not a reference: every booking locked the same two rows of ledger_accounts, and so all
-- replicas met there.
ALTER TABLE ledger_entries
  DROP CONSTRAINT ledger_entries_account_fkey,
  ADD CONSTRAINT ledger_entries_account_known CHECK (account IN
    ('provider_cash', 'captured_payments', 'refunded_payments', 'settled_by_hand', 'unexplained'));

-- Nothing looks an attempt up by its payment: an open one is found by its order.
DROP INDEX attempts_of_payment;
