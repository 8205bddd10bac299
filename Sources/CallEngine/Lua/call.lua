-- The call object: verbs by colon, fields fetched when first asked for. An unknown name raises with the nearest one.

local type, rawget, typed, host = type, rawget, typed, host
local HANDLE, NUMBER = {}, {}
local LISTS = { hooks = {}, spawned = {}, refer = {} }  -- private keys of a call's tables
local calls = records  -- h → the call's object; the bridge drops it with the call's group
local verbs = {}       -- filled by verbs.lua and dial.lua
_ENV.verbs = verbs

-- A table from the host whose fields are all known: a misspelt one is an error, not nil.
local part_types = {}
for kind, parts in next, schema.parts do
  part_types[kind] = {
    __name = kind,
    __metatable = kind,
    __index = function(_, name)
      if parts[name] then return nil end
      failf("%s has no field '%s'%s", kind == "result" and "a dial's result" or "a call's " .. kind, tostring(name),
        did_you_mean(name, parts))
    end,
  }
end

function with_parts(value, kind)
  if type(value) ~= "table" then return value end
  return typed(value, part_types[kind])
end

local makers = {
  headers = function(h) return headers_of(h) end,
  vars = function(h) return vars_of(h) end,
}

local function unknown(name)
  local spec = schema.verbs[name]
  if spec and spec.later then failf("call:%s() comes with a later release", name) end
  failf("call has no field or verb '%s'%s", tostring(name), did_you_mean(name, schema.fields, schema.verbs))
end

local call_type = {
  __name = "call",
  __metatable = "call",
  __tostring = function(call) return "call " .. tostring(host(OP.field, rawget(call, HANDLE), "id")) end,
  __index = function(call, name)
    local verb = verbs[name]
    if verb then return verb end
    local kind = schema.fields[name]
    if not kind then unknown(name) end
    local h = call[HANDLE]
    local maker = makers[name]
    local value
    if maker then
      value = maker(h)
    else
      value = host(OP.field, h, name)
      if name == "state" then return value end
      if schema.parts[kind] then value = with_parts(value, kind) end
    end
    if value ~= nil then rawset(call, name, value) end
    return value
  end,
  __newindex = function(_, name)
    failf("call.%s cannot be assigned: keep your own data in a local or in call.vars", tostring(name))
  end,
}

-- call_object(h, number): made when first asked for. `number` is what was dialled, where the host says it.
function call_object(h, number)
  local call = calls[h]
  if not call then
    call = typed({ [HANDLE] = h, [NUMBER] = number }, call_type)
    calls[h] = call
  end
  return call
end

-- call_list(h, "hooks", "spawned" or "refer"): functions that wait to be called.
function call_list(h, kind)
  local call, key = call_object(h), LISTS[kind]
  local list = rawget(call, key)
  if not list then
    list = {}
    rawset(call, key, list)
  end
  return list
end

-- dialled(call): the user part of the Request-URI, "" where there is none.
function dialled(call)
  return type(call) == "table" and rawget(call, NUMBER) or call.ruri.user or ""
end

-- call_handle(call, verb): the handle; a verb that was called with a dot has something else in the place of the call.
function call_handle(call, verb)
  local h = type(call) == "table" and rawget(call, HANDLE)
  if not h then failf("call.%s(…): a verb is called with a colon, call:%s(…)", verb, verb) end
  return h
end
