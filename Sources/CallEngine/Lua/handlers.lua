-- on.invite(fn) and its kin, registered while the script loads, and router.

local match = string.match
local registered = {}  -- name → { fn =, where = }
local timers = {}

local function check_registering(name, fn)
  local what = "on." .. name
  if not is_loading() then failf("%s: handlers are registered while the script loads, not in a call", what) end
  if type(fn) ~= "function" then failf("%s takes a function, not %s", what, shown(fn)) end
end

local function register(name)
  return function(fn)
    check_registering(name, fn)
    local before = registered[name]
    if before then failf("on.%s: already registered at %s", name, before.where) end
    registered[name] = { fn = fn, where = where() or "?" }
  end
end

local handlers = {
  invite = register("invite"), load = register("load"), unload = register("unload"), trunk = register("trunk"),
  refer = register("refer"),
}

function handlers.timer(seconds, fn)
  if type(seconds) ~= "number" or not (seconds > 0 and seconds <= 7 * 24 * 3600) then
    failf("on.timer: its first argument must be a number of seconds, not %s", shown(seconds))
  end
  check_registering("timer", fn)
  timers[#timers + 1] = { fn = fn, seconds = seconds, where = where() or "?" }
end

define("on", setmetatable({}, {
  __name = "on",
  __metatable = "on",
  __index = function(_, name)
    local known = handlers[name]
    if known then return known end
    if schema.later_handlers[name] then failf("on.%s comes with a later release", name) end
    failf("on has no handler '%s'%s", tostring(name), did_you_mean(name, handlers, schema.later_handlers))
  end,
  __newindex = function(_, name)
    failf("on.%s is called, not assigned: on.%s(function(…) … end)", tostring(name), tostring(name))
  end,
}))

local function run(name, argument)
  local handler = registered[name]
  if not handler then error("the script has no on." .. name, 0) end
  handler.fn(argument)
end

entry("invite", function(h, number)
  enter_call(h)
  run("invite", call_object(h, number))
end)

-- What a function said of a transfer, for the host: "go", "pass", "redirect" and where to, or "refuse" with a status.
local function refer_verdict(value)
  if value == nil or value == true then return "go" end
  if value == false then return "refuse", 603 end
  if value == "pass" then return "pass" end
  if type(value) == "string" and value ~= "" and not value:find("[%s%c<>]") then return "redirect", value end
  local status = type(value) == "table" and math.type(value.status) == "integer" and value.status
  if status and status >= 400 and status <= 699 then
    if value.text ~= nil and type(value.text) ~= "string" then fail("on.refer: `text` is a string") end
    return "refuse", status, value.text
  end
  error("on.refer returns nothing, true, false, \"pass\", a number or URI, or { status = 400 to 699 }, not "
    .. shown(value), 0)
end

entry("refer", function(h, of_dial, target)
  enter_call(h)
  local call = call_object(h)
  local fn = of_dial and call_list(h, "refer")[1] or registered.refer.fn
  ask(OP.refer_decided, h, refer_verdict(fn(call, with_parts(target, "refer"))))
end)
entry("load", function(generation) run("load", generation) end)
entry("unload", function(generation) run("unload", generation) end)
entry("trunk", function(name, up)
  local handler = registered.trunk
  if handler then handler.fn(name, up) end
end)
entry("timer", function(index)
  local timer = timers[index]
  if timer then timer.fn() end
end)

local function place(position)
  local file, line = position:match("^(.*):(%d+)$")
  return file or position, math.tointeger(tonumber(line))
end

entry("handlers", function()
  local list = {}
  for name, handler in pairs(registered) do
    local file, line = place(handler.where)
    list[#list + 1] = { name = name, file = file, line = line }
  end
  for index, timer in ipairs(timers) do
    local file, line = place(timer.where)
    list[#list + 1] = { name = "timer", index = index, seconds = timer.seconds, file = file, line = line }
  end
  return list
end)

-- What is wrong with a pattern, or nil: the library says so only when a match comes that far.
local function pattern_problem(pattern)
  local at, open, closed = pattern:sub(1, 1) == "^" and 2 or 1, {}, 0
  while at <= #pattern do
    local c = pattern:sub(at, at)
    if c == "(" then
      if pattern:sub(at + 1, at + 1) == ")" then at = at + 1 else open[#open + 1] = at end
    elseif c == ")" then
      if not table.remove(open) then return "a ')' without its '('" end
      closed = closed + 1
    elseif c == "%" then
      at = at + 1
      local class = pattern:sub(at, at)
      if class == "" then return "it ends with '%'" end
      if class == "b" then at = at + 2 end
      if class == "f" and pattern:sub(at + 1, at + 1) ~= "[" then return "missing '[' after '%f'" end
      if class:find("%d") and tonumber(class) > closed then
        return "it refers to capture %" .. class .. ", which is none"
      end
      if at > #pattern then return "missing arguments to '%b'" end
    elseif c == "[" then
      at = at + (pattern:sub(at + 1, at + 1) == "^" and 2 or 1)
      repeat
        if at > #pattern then return "missing ']'" end
        at = at + (pattern:sub(at, at) == "%" and 2 or 1)
      until pattern:sub(at, at) == "]"
    end
    at = at + 1
  end
  if #open > 0 then return "a '(' without its ')'" end
end

-- router { { "100", fn }, { "^(9%d+)$", fn }, default = fn } → function(call, number). A string of letters, digits and
-- *#+-_@ alone is a number and must be equal; any other is a pattern. The number is the user of the request URI.
define("router", function(rules)
  if type(rules) ~= "table" then failf("router takes a table of rules, not %s", shown(rules)) end
  local exact, patterns = {}, {}
  local default = rules.default
  if default ~= nil and type(default) ~= "function" then
    failf("router: default must be a function, not %s", shown(default))
  end
  for key in next, rules do
    if key ~= "default" and math.type(key) ~= "integer" then
      failf("router: unknown option '%s'%s", tostring(key), did_you_mean(key, { default = 1 }))
    end
  end
  for i = 1, #rules do
    local rule = rules[i]
    local text, fn = nil, nil
    if type(rule) == "table" then text, fn = rule[1], rule[2] end
    if type(text) ~= "string" or type(fn) ~= "function" then
      failf("router: rule %d must be { \"number or pattern\", function }", i)
    end
    if text:find("^[%w*#+_@-]+$") then
      if exact[text] then failf("router: rule %d: %s is there twice", i, shown(text)) end
      exact[text] = fn
    else
      local problem = pattern_problem(text)
      if problem then failf("router: rule %d: %s: %s", i, shown(text), problem) end
      patterns[#patterns + 1] = { text, fn }
    end
  end

  -- What the i-th pattern captured; with nothing the next one is tried.
  local function by_pattern(call, number, i, first, ...)
    if first ~= nil then return patterns[i][2](call, first, ...) end
    i = i + 1
    local rule = patterns[i]
    if rule then return by_pattern(call, number, i, match(number, rule[1])) end
    if default then return default(call, number) end
  end

  return function(call, number)
    if number == nil then number = dialled(call) end
    local fn = exact[number]
    if fn then return fn(call, number) end
    return by_pattern(call, number, 0)
  end
end)
