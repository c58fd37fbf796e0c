-- Replaced refresh tokens are forgotten after a week, so that a client in a refresh loop cannot make
-- its session's history grow for a month.
CREATE INDEX refresh_tokens_replaced ON refresh_tokens (replaced_at) WHERE replaced_at IS NOT NULL;
