-- A second index over `state = 'active'`: asked for the open reservations of a buyer, the planner took
-- this one when it made its plan on an empty table, and then read every reservation that had ended
-- since the last vacuum, hundreds of pages an order. What only the sweep asks for keeps it out.
DROP INDEX reservations_to_check;
CREATE INDEX reservations_to_check ON reservations (check_at)
  WHERE state = 'active' AND check_at IS NOT NULL;
