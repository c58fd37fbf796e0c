-- wrk script: searches for the words of a file, each time spelt as never before: signs that divide words are no part of
-- one, so the statement is the same, but the page is in no cache. arguments: WORDS_FILE RUN
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "counts.lua")
local words, run, n = {}, 0, 0
local SIGNS = {[0] = ".", "-", "_", "~"}

function init(args)
  for line in io.lines(args[1]) do words[#words + 1] = line end
  run = tonumber(args[2])
end

local function signs(number)
  local text = ""
  repeat
    text = text .. SIGNS[number % 4]
    number = math.floor(number / 4)
  until number == 0
  return text
end

function request()
  n = n + 1
  return wrk.format("GET", "/api/v1/products?limit=20&q=" .. words[n % #words + 1] .. signs(n) .. "%20" .. signs(run))
end
