-- Outcomes and programming errors. An operation that fails gives nil and an error value: a table with `kind` and
-- `message`. A programming error raises at the author's line (`fail` finds it) and names the nearest known name.

local failure = {
  __name = "error",
  __tostring = function(e) return e.message end,
  __metatable = "error",
}

local function phrase(e)
  if e.kind == "hangup" then
    local side = e.side and " by the " .. e.side or ""
    return "the call has been hung up" .. (e.side == "system" and " by the server" or side)
  end
  return e.kind and tostring(e.kind) .. " error" or "it failed"
end

-- error_value(fields): gives a table from the host its metatable and, where it has none, a message.
function error_value(e)
  if type(e) ~= "table" then e = { kind = "system", message = tostring(e) } end
  if not e.message then e.message = phrase(e) end
  return setmetatable(e, failure)
end

-- outcome(ask(…)): what a verb returns.
function outcome(value, problem, ...)
  if value == nil and problem ~= nil then return nil, error_value(problem) end
  return value, problem, ...
end

-- The distance of two names: letters added, lost, changed or two changed about.
local function distance(a, b, most)
  if #a >= 3 and #b >= 3 and (a:sub(1, #b) == b or b:sub(1, #a) == a) then return 1 end
  if math.abs(#a - #b) > most then return most + 1 end
  local before, row = {}, {}
  for j = 0, #b do row[j] = j end
  local twice
  for i = 1, #a do
    twice, before, row = before, row, {}
    row[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j) and 0 or 1
      local least = math.min(before[j] + 1, row[j - 1] + 1, before[j - 1] + same)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        least = math.min(least, twice[j - 2] + 1)
      end
      row[j] = least
    end
  end
  return row[#b]
end

-- nearest(name, known, …): the key of the tables `known` that `name` may have been meant to be, or nil.
function nearest(name, ...)
  if type(name) ~= "string" or #name > 40 then return nil end
  local wanted, most = name:lower(), math.max(1, #name // 3)
  local best, best_distance = nil, most + 1
  for _, known in ipairs { ... } do
    for key in next, known do
      if type(key) == "string" then
        local d = distance(wanted, key:lower(), most)
        if d < best_distance or d == best_distance and best and key < best then best, best_distance = key, d end
      end
    end
  end
  return best
end

-- did_you_mean(name, known, …): " (did you mean 'x'?)" or "".
function did_you_mean(name, ...)
  local found = nearest(name, ...)
  return found and (" (did you mean '%s'?)"):format(found) or ""
end

-- shown(value): a value in a message, short and on one line.
function shown(value)
  local kind = type(value)
  if kind == "string" then
    local text = #value > 40 and value:sub(1, 40) .. "…" or value
    return (("%q"):format(text):gsub("\\\n", "\\n"))
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  return "a " .. kind
end

function failf(form, ...) fail(form:format(...)) end
