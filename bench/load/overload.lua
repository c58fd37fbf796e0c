-- wrk script: orders.lua, every answer counted by its status, and how long each accepted order took.
-- With GAP_MS a request begins every so many milliseconds, at random as strangers come (exponential gaps), however fast
-- or slow answers are while a connection is free; 0: each connection asks again at once. wrk tells no request's own
-- time to a script, so the request carries when it was sent in its X-Request-Id, which the answer repeats.
-- arguments: TOKENS_FILE VARIANTS_FILE RUN GAP_MS SEED
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "orders.lua")
local ffi = require("ffi")
ffi.cdef [[ typedef struct { long seconds, nanoseconds; } stoa_time; int clock_gettime(int clock, stoa_time *now); ]]
local MONOTONIC = 1
local LATE_MS = 100
local clock = ffi.new("stoa_time")
local setup_orders, init_orders, request_order = setup, init, request
local threads_made = {}

local function now_ms()
  ffi.C.clock_gettime(MONOTONIC, clock)
  return tonumber(clock.seconds) * 1000 + tonumber(clock.nanoseconds) / 1e6
end

function setup(thread)
  setup_orders(thread)
  threads_made[#threads_made + 1] = thread
end

function init(args)
  init_orders(args)
  gap_ms = tonumber(args[4])
  math.randomseed(tonumber(args[5]))
  by_status, accepted_ms, without_retry_after, without_id = {}, {}, 0, 0
end

-- What was late is made up for, but no more than LATE_MS of it.
function delay()
  if gap_ms == 0 then return 0 end
  local now = now_ms()
  next_ms = math.max(next_ms or now, now - LATE_MS) - gap_ms * math.log(1 - math.random())
  return math.max(0, math.floor(next_ms - now + 0.5))
end

function request()
  return (request_order():gsub("\r\n", string.format("\r\nx-request-id: sent-%.0f\r\n", now_ms() * 1000), 1))
end

function response(status, headers)
  by_status[status] = (by_status[status] or 0) + 1
  local retry_after, sent = false, nil
  for name, value in pairs(headers) do
    name = name:lower()
    if name == "retry-after" then retry_after = true end
    if name == "x-request-id" then sent = tonumber(value:match("^sent%-(%d+)$")) end
  end
  if (status == 429 or status == 503) and not retry_after then without_retry_after = without_retry_after + 1 end
  if not sent then
    without_id = without_id + 1
  elseif status == 201 then
    accepted_ms[#accepted_ms + 1] = string.format("%.1f", now_ms() - sent / 1000)
  end
end

function done(summary)
  local threads = {}
  for _, thread in ipairs(threads_made) do
    local parts = {}
    for code, count in pairs(thread:get("by_status")) do parts[#parts + 1] = string.format('"%d":%d', code, count) end
    threads[#threads + 1] = string.format('{"by_status":{%s},"without_retry_after":%d,"without_id":%d,"accepted_ms":[%s]}',
      table.concat(parts, ","), thread:get("without_retry_after"), thread:get("without_id"),
      table.concat(thread:get("accepted_ms"), ","))
  end
  io.write(string.format('{"requests":%d,"seconds":%.6f,"socket_errors":%d,"threads":[%s]}\n',
    summary.requests, summary.duration / 1e6,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout, table.concat(threads, ",")))
end
