-- Tasks of a call: sleep, spawn, and which call a task works for.

local spawned = {}  -- those that belong to no call
local last = 0

-- Where the spawned functions of a call wait for the host to start them.
local function waiting(h)
  return h and call_list(h, "spawned") or spawned
end

-- The tag of a task is its call's handle plus one; zero: no call.
local tag = tag

function enter_call(h) tag(h + 1) end

function current_call()
  local tagged = tag()
  if tagged and tagged > 0 then return tagged - 1 end
end

define("sleep", function(seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= 7 * 24 * 3600) then
    failf("sleep takes a number of seconds, not %s", shown(seconds))
  end
  return outcome(ask(OP.sleep, seconds))
end)

define("spawn", function(fn, options)
  if type(fn) ~= "function" then failf("spawn takes a function, not %s", shown(fn)) end
  if options ~= nil then
    check_options(options, schema.spawn, "spawn")
  end
  if is_loading() then fail("spawn cannot be used while the script loads") end
  local h = current_call()
  last = last + 1
  local index, owner = last, waiting(h)
  owner[index] = fn
  local good, problem = host(OP.spawn, h, index)
  if good == nil then
    owner[index] = nil
    return nil, error_value(problem)
  end
  return true
end)

entry("spawned", function(h, index)
  local owner = waiting(h)
  local fn = owner[index]
  if not fn then return end
  owner[index] = nil
  if h then
    enter_call(h)
    fn(call_object(h))
  else
    fn()
  end
end)
