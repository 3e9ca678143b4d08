-- The load on POST /identify. Arguments: the workload, the number of loaded contacts, a unique number of the
-- run, and an API key. Contact n has the email n@example.org and the phone number 1000000000 + n.

local workload, contacts, run, headers

function init(args)
  workload, contacts, run = args[1], tonumber(args[2]), tonumber(args[3])
  headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. args[4] }
  math.randomseed(run)
end

local count = 0

local function email(n) return string.format('"email":"%d@example.org"', n) end
local function phone(n) return string.format('"phoneNumber":"%d"', 1000000000 + n) end
local function new_email() return string.format('"email":"%d.%d@example.com"', run, count) end
local function new_phone() return string.format('"phoneNumber":"7%05d%010d"', run % 100000, count) end
local function any() return math.random(0, contacts - 1) end

local function known() local n = any() return email(n) .. "," .. phone(n) end
local function new() return new_email() .. "," .. new_phone() end

local function mix()
  local drawn = math.random(100)
  if drawn <= 80 then return known() end
  if drawn <= 95 then return email(any()) .. "," .. new_phone() end
  if drawn <= 99 then return new() end
  return email(any()) .. "," .. phone(any())
end

-- Each contact is in one merge at most, as long as there are contacts.
local function merge()
  local n = 2 * count
  return email(n % contacts) .. "," .. phone((n + 1) % contacts)
end

-- After the contacts there are 100,000 more in ten large identities.
local function giants()
  if math.random(2000) > 1 then return mix() end
  return email(contacts + math.random(0, 99999))
end

local bodies = { known = known, new = new, mix = mix, merge = merge, giants = giants }

function request()
  count = count + 1
  return wrk.format("POST", "/identify", headers, "{" .. bodies[workload]() .. "}")
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %f, "errors": %d, "p50": %f, "p99": %f, "p99.9": %f}\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3))
end
