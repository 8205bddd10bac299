-- What a script can reach. The first prelude: it takes the bridge's internals, makes the environment of the script and
-- returns the environment of the preludes behind it, which see more: host, ask, fail, where, entry, define, OP.
local N = ...
local G = _G
local fail, host, where, chunk, read, OP = N.fail, N.host, N.where, N.chunk, N.read, N.OP
local type, tostring, rawset, rawget, next, select = type, tostring, rawset, rawget, next, select
local find, gsub, format, concat = string.find, string.gsub, string.format, table.concat
local loading = true

setmetatable(OP, { __index = function(_, name) error(format("no operation is named '%s'", tostring(name)), 2) end })

-- Tables that a script may add to while it loads and only read in a call. A stand-in is always empty, so that every
-- assignment comes by __newindex.
local real_of = {}

local function guarded(real, refuse)
  local stand_in = {}
  real_of[stand_in] = { real = real, refuse = refuse }
  return setmetatable(stand_in, {
    __index = real,
    __newindex = function(_, key, value)
      refuse(key)
      rawset(real, key, value)
    end,
    __pairs = function(t)
      return function(_, key) return next(real, key) end, t, nil
    end,
    __metatable = "protected",
  })
end

function G.rawset(t, key, value)
  local known = real_of[t]
  if not known then return rawset(t, key, value) end
  known.refuse(key)
  rawset(known.real, key, value)
  return t
end

function G.rawget(t, key)
  local known = real_of[t]
  return rawget(known and known.real or t, key)
end

-- What is not there: io, debug, package, dofile, loadfile, warn, string.dump, and of os all but the clock.
G.dofile, G.loadfile, G.warn = nil, nil, nil
G.string.dump = nil
getmetatable("").__metatable = "protected"

local os_time, os_date, os_clock = os.time, os.date, os.clock
local floor = math.floor
G.os = {
  -- The host's clock where it has one, so that a simulated call sees simulated time.
  time = function(t)
    if t == nil and rawget(OP, "now") then return floor(host(OP.now)) end
    return os_time(t)
  end,
  date = function(form, time)
    return os_date(form or "%c", time or G.os.time())
  end,
  clock = os_clock,
}

local count = collectgarbage
function G.collectgarbage(what)
  if what ~= "count" then fail("collectgarbage: only 'count' is available") end
  return count("count")
end

function G.print(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
  if rawget(OP, "log") then host(OP.log, "info", concat(parts, "\t"), nil, where()) end
end

-- The script's globals.
local builtin = {}
local environment = guarded(G, function(key)
  if builtin[key] then
    fail(format("'%s' is a name of the language and cannot be assigned", tostring(key)))
  elseif not loading then
    fail(format("global '%s' cannot be assigned in a call: once the script is loaded its globals are read-only (use a "
      .. "local, or kv for what calls share)", tostring(key)))
  end
end)
G._G = environment

local LONGEST_SOURCE = 1024 * 1024

local function pieces(reader)
  local parts, size = {}, 0
  while true do
    local piece = reader()
    if piece == nil or piece == "" then return concat(parts) end
    if type(piece) ~= "string" then return nil, "reader function must return a string" end
    size = size + #piece
    if size > LONGEST_SOURCE then return nil, "the source is too long" end
    parts[#parts + 1] = piece
  end
end

function G.load(source, name, mode, ...)
  local env = environment
  if select("#", ...) > 0 then env = (...) end
  if type(source) == "function" then
    local message
    source, message = pieces(source)
    if not source then return nil, message end
    name = name or "=(load)"
  elseif type(source) ~= "string" then
    fail("load: the source must be a string or a function")
  end
  if #source > LONGEST_SOURCE then return nil, "the source is too long" end
  if mode and not find(mode, "t", 1, true) then
    return nil, format("attempt to load a text chunk (mode is '%s')", mode)
  end
  return chunk(source, name or source, env)
end

-- Modules: files of the script's folder, read while the script loads.
local modules, on_the_way = {}, {}

local function module_path(name)
  if type(name) ~= "string" then fail("require: a module's name is a string") end
  local path = gsub(name, "%.", "/")
  if find(name, "..", 1, true) or find(path, "^/") then
    fail(format("require '%s': a module is named from the script's folder downwards", name))
  end
  if not find(path, "^[%w_%-/]+$") or find(path, "//", 1, true) or find(path, "/$") then
    fail(format("require '%s': that is not the name of a module", name))
  end
  return path
end

function G.require(name)
  local path = module_path(name)
  local module = modules[path]
  if module ~= nil then return module end
  if not loading then fail(format("require '%s': modules are loaded with the script, not in a call", name)) end
  for i = 1, #on_the_way do
    if on_the_way[i] == path then
      fail(format("module '%s' requires itself: %s", name, concat(on_the_way, " → ", i) .. " → " .. path))
    end
  end
  local file = path .. ".lua"
  local source = read(file)
  if not source then
    file = path .. "/init.lua"
    source = read(file)
  end
  if not source then
    fail(format("module '%s' not found: no %s.lua and no %s/init.lua inside the script's folder", name, path, path))
  end
  local body, message = chunk(source, "@" .. file, environment)
  if not body then error(message, 0) end
  on_the_way[#on_the_way + 1] = path
  module = body(name, file)
  on_the_way[#on_the_way] = nil
  if module == nil then module = true end
  modules[path] = module
  return module
end

-- The preludes see the library as it is now: a script that changes string.format changes its own only.
local prelude = {}
for name, value in next, G do
  if type(value) == "table" and value ~= environment then
    local copy = {}
    for key, member in next, value do copy[key] = member end
    value = copy
  end
  prelude[name] = value
end
for name, value in next, N do prelude[name] = value end
prelude.rawset, prelude.rawget = rawset, rawget

function prelude.entry(name, body)
  if N.entries[name] then error(format("entry '%s' is registered twice", name), 2) end
  N.entries[name] = body
end

function prelude.is_loading() return loading end

-- define(name, value): a global of the script that it cannot replace.
function prelude.define(name, value)
  builtin[name] = true
  rawset(G, name, value)
end

for _, library in next, { "string", "table", "math", "utf8", "coroutine", "os" } do
  G[library] = guarded(G[library], function(key)
    if not loading then fail(format("%s.%s cannot be assigned in a call", library, tostring(key))) end
  end)
end
for name in next, G do builtin[name] = true end

N.environment = environment
function N.freeze() loading = false end

return setmetatable(prelude, {
  __index = function(_, name) error(format("prelude: '%s' is not defined", tostring(name)), 2) end,
})
