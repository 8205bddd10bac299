-- kv, log, trunks, now, uuid, json; and the services of the language that are still to come.

local function check_key(key, what)
  if type(key) ~= "string" or key == "" or #key > 512 then
    failf("%s: a key is a string of 1 to 512 bytes, not %s", what, shown(key))
  end
  return key
end

local kv_options = { { "ttl", "seconds", "how long it is kept", min = 0.001 } }

local function ttl(options, what) return check_options(options, kv_options, what).ttl end

local function check_stored(value, what)
  local kind = type(value)
  if kind == "function" or kind == "thread" or kind == "userdata" then failf("%s: a %s cannot be kept", what, kind) end
  return value
end

local kv = {}

function kv.get(key) return outcome(host(OP.kv_get, check_key(key, "kv.get"))) end

function kv.set(key, value, options)
  if value == nil then fail("kv.set: the value is nil; kv.delete(key) takes a key away") end
  local expires = ttl(options, "kv.set")
  return outcome(host(OP.kv_set, check_key(key, "kv.set"), check_stored(value, "kv.set"), expires))
end

function kv.incr(key, by, options)
  if type(by) == "table" and options == nil then by, options = nil, by end
  if by == nil then by = 1 end
  if type(by) ~= "number" then failf("kv.incr: its second argument must be a number, not %s", shown(by)) end
  local expires = ttl(options, "kv.incr")
  return outcome(host(OP.kv_incr, check_key(key, "kv.incr"), by, expires))
end

function kv.cas(key, expected, new, options)
  local expires = ttl(options, "kv.cas")
  return outcome(host(OP.kv_cas, check_key(key, "kv.cas"), check_stored(expected, "kv.cas"),
    check_stored(new, "kv.cas"), expires))
end

function kv.delete(key) return outcome(host(OP.kv_delete, check_key(key, "kv.delete"))) end

local log = {}

local function log_field(value)
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" then return value end
  return tostring(value)
end

for _, level in ipairs { "debug", "info", "warn", "error" } do
  log[level] = function(text, fields)
    local flat
    if fields ~= nil then
      if type(fields) ~= "table" then
        failf("log.%s: its second argument is a table of fields, not %s", level, shown(fields))
      end
      flat = {}
      for name, value in pairs(fields) do flat[tostring(name)] = log_field(value) end
    end
    host(OP.log, level, tostring(text), flat, where())
  end
end

local trunks = {}

function trunks.get(name)
  if type(name) ~= "string" then failf("trunks.get: a trunk's name is a string, not %s", shown(name)) end
  return (host(OP.trunk_get, name))
end

function trunks.list() return (host(OP.trunk_list)) end

-- A table of functions: what is not in it raises and names the nearest.
local function service(name, functions)
  define(name, setmetatable({}, {
    __name = name,
    __metatable = name,
    __index = function(_, key)
      local known = functions[key]
      if known ~= nil then return known end
      failf("%s has no '%s'%s", name, tostring(key), did_you_mean(key, functions))
    end,
    __newindex = function(_, key) failf("%s.%s cannot be assigned", name, tostring(key)) end,
    __pairs = function(t)
      return function(_, key) return next(functions, key) end, t, nil
    end,
  }))
end

service("kv", kv)
service("log", log)
service("json", json_service)
service("trunks", trunks)
define("now", function() return (host(OP.now)) end)
define("uuid", function() return (host(OP.uuid)) end)

for name in pairs(schema.later_services) do
  define(name, setmetatable({}, {
    __metatable = name,
    __index = function(_, key) failf("%s.%s comes with a later release", name, tostring(key)) end,
    __newindex = function() failf("'%s' is a name of the language and cannot be assigned", name) end,
    __call = function() failf("%s() comes with a later release", name) end,
  }))
end
