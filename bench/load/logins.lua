-- wrk script: POST /api/v1/auth/login, the accounts of a file in turn. arguments: EMAILS_FILE PASSWORD
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "counts.lua")
local emails, password, n = {}, "", 0

function init(args)
  for line in io.lines(args[1]) do emails[#emails + 1] = line end
  password = args[2]
end

function request()
  n = n + 1
  return wrk.format("POST", "/api/v1/auth/login", {["content-type"] = "application/json"},
    string.format('{"email":"%s","password":"%s"}', emails[n % #emails + 1], password))
end
