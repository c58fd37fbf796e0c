-- wrk script: POST /api/v1/orders, each with a key of its own.
-- arguments: TOKENS_FILE VARIANTS_FILE RUN. All buyers (one a line) take turns, so that the limit of ten
-- open orders a buyer is not what is measured; so do the variants.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "counts.lua")
local counter, thread_id = 0, 0
local tokens, variants = {}, {}
local threads = 0

function setup(thread)
  thread:set("thread_id", threads)
  threads = threads + 1
end

local function lines_of(path)
  local list = {}
  for line in io.lines(path) do list[#list + 1] = line end
  return list
end

function init(args)
  tokens, variants = lines_of(args[1]), lines_of(args[2])
  run = args[3]
end

function request()
  counter = counter + 1
  local n = counter + thread_id * 1000003  -- a prime: threads do not walk in step
  local body = string.format(
    '{"lines":[{"variant_id":"%s","quantity":1},{"variant_id":"%s","quantity":2}],"currency":"EUR",' ..
    '"shipping_address":{"name":"A","line1":"B 1","city":"Berlin","postal_code":"10115","country":"DE"},' ..
    '"payment_method":{"token":"tok_ok"}}',
    variants[n % #variants + 1], variants[(n * 7 + 3) % #variants + 1])
  return wrk.format("POST", "/api/v1/orders", {
    ["authorization"] = "Bearer " .. tokens[n % #tokens + 1],
    ["content-type"] = "application/json",
    ["idempotency-key"] = run .. "-" .. n,
  }, body)
end
