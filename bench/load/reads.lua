-- wrk script: GET the paths of a file in turn. arguments: PATHS_FILE [TOKEN]
local paths, headers, n = {}, {}, 0

function init(args)
  for line in io.lines(args[1]) do paths[#paths + 1] = line end
  if args[2] then headers["authorization"] = "Bearer " .. args[2] end
  n = math.random(#paths)
end

function request()
  n = n + 1
  return wrk.format("GET", paths[n % #paths + 1], headers)
end

function done(summary, latency, requests)
  io.write(string.format('{"requests":%d,"seconds":%.6f,"non_2xx":%d,"socket_errors":%d,"p50_us":%d,"p99_us":%d,"p999_us":%d}\n',
    summary.requests, summary.duration / 1e6, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
