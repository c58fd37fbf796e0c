-- wrk script: GET the paths of a file in turn. arguments: PATHS_FILE [TOKEN [START]]
-- TOKEN may be empty; START is the place in the file where it begins.
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "counts.lua")
local paths, headers, n = {}, {}, 0

function init(args)
  for line in io.lines(args[1]) do paths[#paths + 1] = line end
  if args[2] and args[2] ~= "" then headers["authorization"] = "Bearer " .. args[2] end
  n = tonumber(args[3] or 0)
end

function request()
  n = n + 1
  return wrk.format("GET", paths[n % #paths + 1], headers)
end
