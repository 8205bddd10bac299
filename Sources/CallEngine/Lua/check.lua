-- Checks options and arguments against schema.lua and brings them into the form that the host takes. Every message
-- names the verb, the option and what would have been right.

local LONGEST = 7 * 24 * 3600  -- seconds
local type, next, plain = type, next, plain

-- Headers that the server writes itself, with their compact forms (RFC 3261 §20).
local OWN = {
  via = 1, v = 1, from = 1, f = 1, to = 1, t = 1, ["call-id"] = 1, i = 1, cseq = 1, contact = 1, m = 1,
  ["content-length"] = 1, l = 1, ["content-type"] = 1, c = 1, ["max-forwards"] = 1, ["record-route"] = 1, route = 1,
}

-- header_name(name, what): checked; a token of RFC 3261 §25.1 that is not the server's own.
function header_name(name, what, may_be_own)
  if type(name) ~= "string" or not name:find("^[%w%-%.!%%%*_%+`'~]+$") then
    failf("%s: %s is not the name of a header", what, shown(name))
  end
  if not may_be_own and OWN[name:lower()] then failf("%s: the header '%s' is the server's own", what, name) end
  return name
end

-- header_value(value, what): a string without line ends.
function header_value(value, what)
  if math.type(value) == "integer" then value = tostring(value) end
  if type(value) ~= "string" then failf("%s: a header's value is a string, not %s", what, shown(value)) end
  if value:find("[\r\n\0]") then failf("%s: a header's value cannot contain a line end", what) end
  return value
end

-- A type gives the value for the host, or nil and what would have been right.
local types = {}

function types.any(value) return value end

function types.string(value)
  if type(value) ~= "string" then return nil, "a string" end
  return value
end

function types.boolean(value)
  if type(value) ~= "boolean" then return nil, "true or false" end
  return value
end

function types.reliable(value)
  if type(value) == "boolean" or value == "auto" or value == "never" then return value end
  return nil, "\"auto\", true or false"
end

types["function"] = function(value)
  if type(value) ~= "function" then return nil, "a function" end
  return value
end

function types.integer(value)
  value = type(value) == "number" and math.tointeger(value)
  if not value then return nil, "an integer" end
  return value
end

function types.seconds(value)
  if type(value) == "number" and value >= 0 and value <= LONGEST then return value end  -- NaN is neither
  return nil, "a number of seconds"
end

function types.cause(value)
  local number = cause_number(value)
  if not number then
    local hint = type(value) == "string" and did_you_mean(value, cause_numbers) or ""
    return nil, "a Q.850 cause (1 to 127, or a name such as \"USER_BUSY\")" .. hint
  end
  return number
end

local function list(value, single, each)
  if type(value) == "string" then value = { value } end
  if type(value) ~= "table" or #value == 0 then return nil, single end
  local copy = {}
  for key in next, value do
    if math.type(key) ~= "integer" or key < 1 or key > #value then return nil, single end
  end
  for i = 1, #value do
    if not each(value[i]) then return nil, single end
    copy[i] = value[i]
  end
  return copy
end

local function is_text(value) return type(value) == "string" and value ~= "" end

function types.strings(value) return list(value, "a list of strings", is_text) end

function types.files(value) return list(value, "a file or a list of files", is_text) end

local CLASSES = {
  timeout = 1, unreachable = 1, busy = 1, rejected = 1, ["3xx"] = 1, ["4xx"] = 1, ["5xx"] = 1, ["6xx"] = 1,
}
local ANY_STATUS = [[a list of statuses (300 to 699) and of "timeout" "unreachable" "busy" "rejected" "4xx" …]]

function types.statuses(value)
  if math.type(value) == "integer" then value = { value } end
  return list(value, ANY_STATUS, function(v)
    return CLASSES[v] or (math.type(v) == "integer" and v >= 300 and v <= 699)
  end)
end

-- A list of {name, value}, sorted by name: the order of a Lua table is none.
function types.headers(value, what)
  if type(value) ~= "table" then return nil, "a table of headers" end
  local lines, names = {}, {}
  local function add(name, content)
    lines[#lines + 1] = { header_name(name, what), header_value(content, what) }
  end
  for name, content in next, value do
    if type(name) ~= "number" then
      names[#names + 1] = header_name(name, what)
    elseif type(content) ~= "table" then
      return nil, "a table { [name] = value } or a list of { name, value }"
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local content = value[name]
    if type(content) == "table" then
      for i = 1, #content do add(name, content[i]) end
    else
      add(name, content)
    end
  end
  for i = 1, #value do add(value[i][1], value[i][2]) end
  return lines
end

local ADDRESS = { user = 1, host = 1, display = 1 }

function types.address(value, what)
  if type(value) == "string" and value ~= "" and not value:find("[\r\n\0]") then return value end
  if type(value) ~= "table" then return nil, "a number, a URI or a table of user, host and display" end
  local copy = {}
  for key, part in next, value do
    if ADDRESS[key] then copy[key] = header_value(part, what) end
  end
  if not copy.user then return nil, "a table with at least `user`" end
  return copy
end

function types.vars(value, what)
  if type(value) ~= "table" then return nil, "a table" end
  local copy = {}
  for key, content in next, value do copy[variable_name(key, what)] = variable_value(content, key, what) end
  return copy
end

function types.result(value)
  if type(value) ~= "table" or rawget(value, "ok") == nil then return nil, "the result of a dial" end
  return {
    status = rawget(value, "status"), cause = rawget(value, "cause"), reason = rawget(value, "reason"),
    by = rawget(value, "by"),
  }
end

function types.refer(value)
  if value == "pass" or type(value) == "function" then return value end
  return nil, "\"pass\" or a function"
end

local RINGBACK = { ["180"] = 1, passthrough = 1, tone = 1, tone_until_media = 1 }
local RINGBACK_TABLE = { play = 1, loop = 1, until_media = 1 }
local ANY_RINGBACK = '"180", "passthrough", "tone", "tone_until_media" or { play = …, loop = …, until_media = … }'

function types.ringback(value, what)
  if value == 180 then return "180" end
  if type(value) == "string" then
    if RINGBACK[value] then return value end
    return nil, ANY_RINGBACK .. did_you_mean(value, RINGBACK)
  elseif type(value) ~= "table" then
    return nil, ANY_RINGBACK
  end
  for key in next, value do
    if not RINGBACK_TABLE[key] then
      failf("%s: unknown option '%s' of ringback%s", what, tostring(key), did_you_mean(key, RINGBACK_TABLE))
    end
  end
  local files, problem = types.files(value.play)
  if not files then return nil, "a table whose `play` is " .. problem end
  for _, key in ipairs { "loop", "until_media" } do
    if value[key] ~= nil and type(value[key]) ~= "boolean" then
      return nil, "a table whose `" .. key .. "` is true or false"
    end
  end
  return { play = files, loop = value.loop or false, until_media = value.until_media or false }
end

function variable_name(key, what)
  if type(key) ~= "string" or key == "" then failf("%s: a variable's name is a string, not %s", what, shown(key)) end
  return key
end

function variable_value(value, key, what)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" and kind ~= "nil" then
    failf("%s: variable '%s' must be a string, a number or a boolean, not a %s", what, tostring(key), kind)
  end
  return value
end

local function any_of(values)
  local parts = {}
  for i, value in ipairs(values) do parts[i] = shown(value) end
  local last = table.remove(parts)
  return #parts == 0 and last or table.concat(parts, ", ") .. " or " .. last
end

-- check_value(value, spec, what, label): `spec` is a row of the schema.
function check_value(value, spec, what, label)
  local checked, wanted = types[spec[2]](value, what)
  if checked == nil then failf("%s: %s must be %s, not %s", what, label, wanted, shown(value)) end
  if spec.values then
    for _, allowed in ipairs(spec.values) do
      if allowed == checked then return checked end
    end
    failf("%s: %s must be %s, not %s", what, label, any_of(spec.values), shown(value))
  end
  if spec.min and checked < spec.min or spec.max and checked > spec.max then
    if spec.max then failf("%s: %s must be from %s to %s, not %s", what, label, spec.min, spec.max, shown(value)) end
    failf("%s: %s must be more than 0, not %s", what, label, shown(value))
  end
  return checked
end

local function set_of(values)
  local set = {}
  for _, value in ipairs(values) do set[value] = true end
  return set
end

-- A plain option goes to the host as the script wrote it. This gives the rule by which `plain` of the bridge knows one,
-- or nil where a type has none; what is not plain is checked in full.
local PLAIN_TYPES = { boolean = 1, string = 4 }  -- LUA_TBOOLEAN, LUA_TSTRING

local function plain_rule(spec)
  local kind = spec[2]
  if spec.later then return nil end
  if spec.values then return set_of(spec.values) end
  if kind == "ringback" then return RINGBACK end
  if kind == "seconds" then return { spec.min or 0, LONGEST, false } end
  if kind == "integer" then return { spec.min or math.mininteger, spec.max or math.maxinteger, true } end
  if kind == "cause" then return { 1, 127, true } end
  return PLAIN_TYPES[kind]
end

local indexes, plain_rules = {}, {}

local function by_name(specs)
  local index = indexes[specs]
  if not index then
    local rules = {}
    index = {}
    for _, spec in ipairs(specs) do
      index[spec[1]] = spec
      rules[spec[1]] = plain_rule(spec)
    end
    indexes[specs], plain_rules[specs] = index, rules
  end
  return index, plain_rules[specs]
end

local NONE = {}

-- check_options(options, specs, what, skip): a table with only known, checked options: `options` itself where it is
-- that already, so nobody writes into it. `skip`: positions that are not options, as the target in
-- { "user/1001", timeout = 5 }.
function check_options(options, specs, what, skip)
  if options == nil then return NONE end
  if type(options) ~= "table" then failf("%s takes a table of options, not %s", what, shown(options)) end
  local index, rules = by_name(specs)
  if plain(options, rules) then return options end
  local checked = {}
  for key, value in next, options do
    local spec = index[key]
    if spec then
      if spec.later then failf("%s: option '%s' comes with a later release", what, key) end
      checked[key] = check_value(value, spec, what, "option '" .. key .. "'")
    elseif math.type(key) == "integer" then
      if not skip then failf("%s takes named options, not a list", what) end
    else
      failf("%s: unknown option '%s'%s", what, tostring(key), did_you_mean(key, index))
    end
  end
  return checked
end
