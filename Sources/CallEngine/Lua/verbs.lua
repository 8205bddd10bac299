-- The verbs but dial: each checks its options, waits for the host, and passes on what came of it.

local function options_of(verb, options) return check_options(options, schema.verbs[verb].options, "call:" .. verb) end

-- A verb whose only argument is its options.
local function plain(name)
  local op, specs, what = OP[name], schema.verbs[name].options, "call:" .. name
  verbs[name] = function(call, options)
    return outcome(ask(op, call_handle(call, name), check_options(options, specs, what)))
  end
end

plain("ring")
plain("answer")
plain("hangup")
plain("echo")
plain("wait")

function verbs.progress(call, options)
  local h = call_handle(call, "progress")
  local checked = options_of("progress", options)
  if checked.tone and checked.play then fail("call:progress: either `tone` or `play`, not both") end
  if checked.loop and not checked.play then fail("call:progress: `loop` needs `play`") end
  return outcome(ask(OP.progress, h, checked))
end

function verbs.reject(call, options)
  local h = call_handle(call, "reject")
  local checked = options_of("reject", options)
  if checked.contacts then  -- a list, so `checked` is a copy
    checked.status = checked.status or 302
    if checked.status >= 400 then failf("call:reject: `contacts` go with a 3xx status, not %d", checked.status) end
  end
  return outcome(ask(OP.reject, h, checked))
end

function verbs.play(call, files, options)
  local h = call_handle(call, "play")
  local spec = schema.verbs.play
  files = check_value(files, spec.arguments[1], "call:play", "its first argument")
  return outcome(ask(OP.play, h, files, options_of("play", options)))
end

function verbs.tone(call, name, country, options)
  local h = call_handle(call, "tone")
  if type(country) == "table" and options == nil then country, options = nil, country end
  local spec = schema.verbs.tone
  name = check_value(name, spec.arguments[1], "call:tone", "its first argument")
  local checked = options_of("tone", options)
  if country ~= nil then
    local copy = {}
    for key, value in next, checked do copy[key] = value end
    copy.country = check_value(country, spec.arguments[2], "call:tone", "its second argument")
    checked = copy
  end
  return outcome(ask(OP.tone, h, name, checked))
end

function verbs.refer(call, target, options)
  local h = call_handle(call, "refer")
  target = check_value(target, schema.verbs.refer.arguments[1], "call:refer", "its first argument")
  if target == "" or target:find("[%s%c<>]") then failf("call:refer: %s is no address", shown(target)) end
  local result, problem = outcome(ask(OP.refer, h, target, options_of("refer", options)))
  if result == nil then return nil, problem end
  return with_parts(result, "result")
end

function verbs.on_hangup(call, fn)
  local h = call_handle(call, "on_hangup")
  check_value(fn, schema.verbs.on_hangup.arguments[1], "call:on_hangup", "its argument")
  local index = host(OP.on_hangup, h)
  if type(index) == "table" then
    fn(error_value(index), call)  -- the call is over: at once
  else
    call_list(h, "hooks")[index] = fn
  end
end

entry("hangup_hook", function(h, index, info)
  local hooks = call_list(h, "hooks")
  local fn = hooks[index]
  if not fn then return end
  hooks[index] = nil
  enter_call(h)
  fn(error_value(info), call_object(h))
end)
