-- The object that on.message and on.subscribe get, and the services message and mwi.

local HANDLE, LINES, VALUES = {}, {}, {}

-- req.headers["X-Name"]: the first; req.headers:all("X-Name"): all, as a list.
local function all_headers(headers, name)
  local lines = type(headers) == "table" and rawget(headers, LINES)
  if not lines then fail("req.headers.all(…): call it with a colon, req.headers:all(…)") end
  local found, wanted = {}, header_name(name, "req.headers:all", true):lower()
  for _, line in ipairs(lines) do
    if line[1]:lower() == wanted then found[#found + 1] = line[2] end
  end
  return found
end

local headers_type = {
  __name = "headers",
  __metatable = "headers",
  __index = function(headers, name)
    if name == "all" then return all_headers end
    return all_headers(headers, header_name(name, "req.headers", true))[1]
  end,
  __newindex = function(_, name) failf("req.headers[%s] cannot be assigned", shown(name)) end,
}

local verbs = {}

local function handle(req, verb)
  local h = type(req) == "table" and rawget(req, HANDLE)
  if not h then failf("req.%s(…): a verb is called with a colon, req:%s(…)", verb, verb) end
  return h
end

local function check_target(to, what)
  if to:find("^user/.") or to:find("^trunk/[^/]+/.") or to:find("^sips?:.") then return end
  failf("%s: %s is not a target: \"user/NAME\", \"trunk/NAME/NUMBER\" or \"sip:…\"", what, shown(to))
end

local function decide(kind, verb, op)
  local specs = schema.requests[kind].verbs[verb]
  return function(req, options)
    local h = handle(req, verb)
    local checked = check_options(options, specs.options, "req:" .. verb)
    if checked.to then check_target(checked.to, "req:" .. verb) end
    return outcome(ask(op, h, checked))
  end
end

local request_types = {}
for kind, spec in next, schema.requests do
  local known = {
    accept = decide(kind, "accept", OP.request_accept), reject = decide(kind, "reject", OP.request_reject),
  }
  if spec.verbs.deliver then known.deliver = decide(kind, "deliver", OP.request_deliver) end
  verbs[kind] = known
  request_types[kind] = {
    __name = "request",
    __metatable = "request",
    __index = function(req, name)
      if known[name] then return known[name] end
      if spec.fields[name] then return rawget(req, VALUES)[name] end
      failf("a %s has no field or verb '%s'%s", kind, tostring(name), did_you_mean(name, spec.fields, spec.verbs))
    end,
    __newindex = function(_, name) failf("req.%s cannot be assigned", tostring(name)) end,
  }
end

-- request_object(fields, kind): what the host says, with names that are checked.
function request_object(fields, kind)
  local values = {}
  for name in next, schema.requests[kind].fields do
    local value = fields[name]
    if name == "headers" then
      value = setmetatable({ [LINES] = fields.headers }, headers_type)
    elseif name == "source" then
      value = with_parts(value, "source")
    elseif type(value) == "table" then
      value = with_parts(value, "address")
    end
    values[name] = value
  end
  return setmetatable({ [HANDLE] = fields.handle, [VALUES] = values }, request_types[kind])
end

-- message.send { to =, from =, body =, content_type =, headers = } → { ok, status, stored }
local function send(options)
  local checked = check_options(options, schema.message_send, "message.send")
  if not checked.to then fail("message.send: `to` is missing: \"user/NAME\", \"trunk/NAME/NUMBER\" or \"sip:…\"") end
  check_target(checked.to, "message.send")
  return outcome(ask(OP.message_send, checked))
end

service("message", { send = send })

local function user_name(user, what)
  if type(user) ~= "string" or user == "" then failf("%s: a user is a name, not %s", what, shown(user)) end
  return user
end

service("mwi", {
  set = function(user, counts)
    user_name(user, "mwi.set")
    if counts == nil then fail("mwi.set(user, { new = …, old = … })") end
    return outcome(host(OP.mwi_set, user, check_options(counts, schema.mwi, "mwi.set")))
  end,
  get = function(user) return (host(OP.mwi_get, user_name(user, "mwi.get"))) end,
})
