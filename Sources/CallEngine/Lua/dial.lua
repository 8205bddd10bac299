-- call:dial. Targets as people write them become a tree that the host walks: a string, {kind="target", target=, …},
-- {kind="parallel", list=}, {kind="seq", list=, failover_on=} or {kind="hunt", list=, weights=, strategy=, failover_on=}.

local type, sub, ask, DIAL = type, string.sub, ask, OP.dial
local call_handle, check_options, with_parts = call_handle, check_options, with_parts
local DEEPEST, MOST = 8, 64
local PREFIXES = { user = 1, trunk = 1, sip = 1, sips = 1 }
local seq_type = { __name = "seq", __metatable = "seq" }

local hunt_type = { __name = "hunt", __metatable = "hunt" }

-- seq{…} and hunt{…}: a list that says what it is.
local function listing(name, metatable)
  return function(list)
    if type(list) ~= "table" then failf("%s takes a list of targets, not %s", name, shown(list)) end
    local copy = {}
    for key, value in next, list do copy[key] = value end
    return setmetatable({ list = copy }, metatable)
  end
end

define("seq", listing("seq", seq_type))
define("hunt", listing("hunt", hunt_type))

local function text_target(text)
  if sub(text, 1, 5) == "user/" or sub(text, 1, 4) == "sip:" then return text end
  local prefix = text:match("^(%a+)[/:]")
  local rest = prefix and text:sub(#prefix + 2)
  local slash = prefix and text:sub(#prefix + 1, #prefix + 1) == "/"
  if prefix == "user" and slash or (prefix == "sip" or prefix == "sips") and not slash then return text end
  if prefix == "trunk" and slash then
    if rest:find("/", 1, true) then return text end
    failf("call:dial: %s names no number: \"trunk/NAME/NUMBER\"", shown(text))
  end
  failf("call:dial: %s is not a target: \"user/NAME\", \"trunk/NAME/NUMBER\" or \"sip:…\"%s", shown(text),
    prefix and not PREFIXES[prefix] and did_you_mean(prefix, PREFIXES) or "")
end

local tree

local function branch(list, kind, depth, count)
  local nodes = {}
  for i = 1, #list do nodes[i] = tree(list[i], depth + 1, count) end
  if #nodes == 0 then failf("call:dial: %s without a target", kind == "parallel" and "a list" or "a " .. kind) end
  if #nodes == 1 and kind == "parallel" then return nodes[1] end
  return { kind = kind, list = nodes }
end

local function has_names(t)
  for key in next, t do
    if math.type(key) ~= "integer" then return true end
  end
  return false
end

-- A member of a hunt and its weight: { "trunk/alpha/100", weight = 3, timeout = 20 }, or { seq{…}, weight = 2 }.
local function weighed(member)
  if type(member) ~= "table" or getmetatable(member) then return member, 1 end
  local weight = rawget(member, "weight")
  if weight == nil then return member, 1 end
  if math.type(weight) ~= "integer" or weight < 0 or weight > 1000000 then
    failf("call:dial: hunt: weight is an integer from 0 to 1000000, not %s", shown(weight))
  end
  local rest = {}
  for key, value in next, member do
    if key ~= "weight" then rest[key] = value end
  end
  if #rest == 1 and not has_names(rest) then return rest[1], weight end
  return rest, weight
end

local function hunt_node(list, depth, count)
  local members, weights = {}, {}
  for i = 1, #list do members[i], weights[i] = weighed(list[i]) end
  local node = branch(members, "hunt", depth, count)
  for key, value in next, check_options(list, schema.hunt, "hunt", true) do node[key] = value end
  if not node.strategy then fail('hunt: strategy is "weighted", "round_robin" or "least_calls", and there is none') end
  node.weights = weights
  return node
end

tree = function(targets, depth, count)
  if depth > DEEPEST then failf("call:dial: targets nest deeper than %d", DEEPEST) end
  if type(targets) == "string" then
    count[1] = count[1] + 1
    if count[1] > MOST then failf("call:dial: more than %d targets", MOST) end
    return text_target(targets)
  end
  if type(targets) ~= "table" then
    failf("call:dial: a target is a string, a table, seq{…} or hunt{…}, not %s", shown(targets))
  end
  if getmetatable(targets) == "seq" then
    local node = branch(targets.list, "seq", depth, count)
    for key, value in next, check_options(targets.list, schema.seq, "seq", true) do node[key] = value end
    return node
  end
  if getmetatable(targets) == "hunt" then return hunt_node(targets.list, depth, count) end
  if getmetatable(targets) == "call" then fail("call:dial: a call is no target") end
  if not has_names(targets) then return branch(targets, "parallel", depth, count) end
  -- { "user/1001", timeout = 5 }: one target with options of its own
  if #targets ~= 1 or type(targets[1]) ~= "string" then
    local first
    for key in next, targets do
      if type(key) ~= "number" then first = key end
    end
    failf("call:dial: option '%s' stands in a list of targets; it belongs to one target, { \"user/1001\", %s = … }, or to "
      .. "dial's own options", tostring(first), tostring(first))
  end
  local node = { kind = "target", target = tree(targets[1], depth, count) }
  for key, value in next, check_options(targets, schema.target, "call:dial: target", true) do node[key] = value end
  return node
end

local dial_options = schema.verbs.dial.options

function verbs.dial(call, targets, options)
  local h = call_handle(call, "dial")
  if targets == nil then fail("call:dial: no target (nil)") end
  local node = type(targets) == "string" and text_target(targets) or tree(targets, 1, { 0 })
  local checked = check_options(options, dial_options, "call:dial")
  if type(checked.on_refer) == "function" then  -- not plain, so `checked` is a copy
    call_list(h, "refer")[1] = checked.on_refer
    checked.on_refer = "ask"
  end
  local result, problem = ask(DIAL, h, node, checked)
  if type(result) ~= "table" then
    problem = error_value(problem)
    result = {
      ok = false, status = problem.status or 500, cause = problem.cause, reason = problem.message, attempts = {},
      by = problem.kind == "hangup" and problem.side == "caller" and "caller" or "system",
    }
  end
  if result.ok == nil then result.ok = false end
  return with_parts(result, "result")
end
