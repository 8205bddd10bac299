-- call.headers["X-Foo"], :all(name), :set(name, value), :add(name, value), :remove(name); and call.vars. Reading gives
-- the caller's headers, writing changes what goes on to the b-legs.

local HANDLE = {}
local methods = {}

local function handle(headers, name)
  local h = type(headers) == "table" and rawget(headers, HANDLE)
  if not h then failf("call.headers.%s(…): call it with a colon, call.headers:%s(…)", name, name) end
  return h
end

function methods.all(headers, name)
  local h = handle(headers, "all")
  return host(OP.header_all, h, header_name(name, "call.headers:all", true))
end

function methods.set(headers, name, value)
  local h = handle(headers, "set")
  host(OP.header_set, h, header_name(name, "call.headers:set"), header_value(value, "call.headers:set"))
end

function methods.add(headers, name, value)
  local h = handle(headers, "add")
  host(OP.header_add, h, header_name(name, "call.headers:add"), header_value(value, "call.headers:add"))
end

function methods.remove(headers, name)
  local h = handle(headers, "remove")
  host(OP.header_remove, h, header_name(name, "call.headers:remove"))
end

local headers_type = {
  __name = "headers",
  __metatable = "headers",
  __index = function(headers, name)
    local method = methods[name]
    if method then return method end
    return host(OP.header_get, headers[HANDLE], header_name(name, "call.headers", true))
  end,
  __newindex = function(headers, name, value)
    if value == nil then methods.remove(headers, name) else methods.set(headers, name, value) end
  end,
}

function headers_of(h) return setmetatable({ [HANDLE] = h }, headers_type) end

-- vars_of(h): what the script keeps in the call's record. It is read here and told to the host at each change. A call
-- that a transfer has made has those of the call before.
function vars_of(h)
  local values = host(OP.field, h, "vars") or {}
  return setmetatable({}, {
    __name = "vars",
    __metatable = "vars",
    __index = values,
    __newindex = function(_, key, value)
      variable_name(key, "call.vars")
      variable_value(value, key, "call.vars")
      host(OP.var_set, h, key, value)
      values[key] = value
    end,
    __pairs = function(vars)
      return function(_, key) return next(values, key) end, vars, nil
    end,
  })
end
