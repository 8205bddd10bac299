-- The language as a table of plain values, for `nightjar check` and editors: from the schema that the checks at run time
-- use, and from the globals as they stand once every prelude has run.

local function option(spec)
  local values
  if spec.values then
    values = {}
    for i, value in ipairs(spec.values) do values[i] = tostring(value) end
  end
  return {
    name = spec[1], type = spec[2], doc = spec[3], values = values, min = spec.min, max = spec.max,
    later = spec.later or false, optional = spec.optional or false,
  }
end

local function option_list(specs)
  local list = {}
  for i, spec in ipairs(specs) do list[i] = option(spec) end
  return list
end

local function names(t)
  local list = {}
  for name in pairs(t) do
    if type(name) == "string" then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

entry("language", function()
  local verbs, parts, groups, globals = {}, {}, {}, {}
  for name, verb in pairs(schema.verbs) do
    verbs[name] = {
      later = verb.later or false, doc = verb.doc, returns = verb.returns,
      options = verb.options and option_list(verb.options), arguments = option_list(verb.arguments or {}),
    }
  end
  for name, fields in pairs(schema.parts) do parts[name] = names(fields) end
  for _, name in ipairs { "seq", "hunt" } do
    if schema[name] then groups[name] = option_list(schema[name]) end
  end
  for name, value in pairs(_G) do
    local is_table = type(value) == "table" and value ~= _G
    globals[name] = { table = is_table, members = is_table and names(value) or nil }
  end
  return {
    verbs = verbs, fields = schema.fields, parts = parts, target = option_list(schema.target), groups = groups,
    handlers = names(schema.handlers), later_handlers = names(schema.later_handlers),
    later_globals = names(schema.later_services), globals = globals, causes = names(cause_numbers),
  }
end)
