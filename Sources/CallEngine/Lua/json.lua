-- json.encode(value) → text, json.decode(text) → value or nil, error; json.null stands for null in both (RFC 8259).
-- What cannot be encoded is a programming error and raises; text that is no JSON is an outcome.

local DEEPEST, LONGEST = 64, 4 * 1024 * 1024
local byte, char, find, sub, format = string.byte, string.char, string.find, string.sub, string.format
local concat = table.concat
local NULL = json_null

local ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
}
for c = 0, 31 do
  ESCAPES[char(c)] = ESCAPES[char(c)] or format("\\u%04x", c)
end
ESCAPES["\127"] = "\\u007f"

local function quoted(text)
  if not utf8.len(text) then fail("json.encode: a string is not UTF-8") end
  return '"' .. text:gsub('[%c"\\]', ESCAPES) .. '"'
end

local encode_value

local function encode_table(value, parts, depth, path)
  if depth > DEEPEST then failf("json.encode: tables nest deeper than %d", DEEPEST) end
  if path[value] then fail("json.encode: a table contains itself") end
  path[value] = true
  local length, entries = #value, 0
  for _ in next, value do entries = entries + 1 end
  if entries == length and (length > 0 or getmetatable(value) == "json array") then
    parts[#parts + 1] = "["
    for i = 1, length do
      if i > 1 then parts[#parts + 1] = "," end
      encode_value(rawget(value, i), parts, depth, path)
    end
    parts[#parts + 1] = "]"
  else
    local keys = {}
    for key in next, value do
      if type(key) ~= "string" then
        failf("json.encode: a table has both a list and names, or a key that is a %s", type(key))
      end
      keys[#keys + 1] = key
    end
    table.sort(keys)
    parts[#parts + 1] = "{"
    for i, key in ipairs(keys) do
      parts[#parts + 1] = (i > 1 and "," or "") .. quoted(key) .. ":"
      encode_value(rawget(value, key), parts, depth, path)
    end
    parts[#parts + 1] = "}"
  end
  path[value] = nil
end

encode_value = function(value, parts, depth, path)
  local kind = type(value)
  if kind == "string" then
    parts[#parts + 1] = quoted(value)
  elseif kind == "number" then
    if math.type(value) == "integer" then
      parts[#parts + 1] = format("%d", value)
    elseif value ~= value or value == math.huge or value == -math.huge then
      failf("json.encode: %s is no number of JSON", tostring(value))
    else
      local text = format("%.14g", value)
      parts[#parts + 1] = tonumber(text) == value and text or format("%.17g", value)
    end
  elseif kind == "boolean" then
    parts[#parts + 1] = value and "true" or "false"
  elseif value == nil or value == NULL then
    parts[#parts + 1] = "null"
  elseif kind == "table" then
    encode_table(value, parts, depth + 1, path)
  else
    failf("json.encode: a %s cannot be encoded", kind)
  end
end

local function encode(value)
  local parts = {}
  encode_value(value, parts, 0, {})
  return concat(parts)
end

-- Decoding raises a private value inside and gives nil, error outside.
local MARK = {}

local function stop(text, at, problem)
  local _, lines = sub(text, 1, at - 1):gsub("\n", "")
  error({ MARK, format("line %d, byte %d: %s", lines + 1, at, problem) }, 0)
end

local function skip(text, at) return (find(text, "[^ \t\r\n]", at)) or #text + 1 end

local UNESCAPED = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function hex(text, at)
  local digits = text:match("^%x%x%x%x", at)
  if not digits then stop(text, at, "\\u needs four hexadecimal digits") end
  return tonumber(digits, 16)
end

local function decode_string(text, at)
  local parts, start = nil, at + 1
  at = start
  while true do
    local stop_at = find(text, '[%c"\\]', at)
    if not stop_at then stop(text, start - 1, "a string without an end") end
    local c = sub(text, stop_at, stop_at)
    if c == '"' then
      local tail = sub(text, start, stop_at - 1)
      if parts then
        parts[#parts + 1] = tail
        tail = concat(parts)
      end
      return tail, stop_at + 1
    elseif c == "\\" then
      parts = parts or {}
      parts[#parts + 1] = sub(text, start, stop_at - 1)
      local escape = sub(text, stop_at + 1, stop_at + 1)
      if escape == "u" then
        local code = hex(text, stop_at + 2)
        at = stop_at + 6
        if code >= 0xD800 and code < 0xDC00 then
          if sub(text, at, at + 1) ~= "\\u" then stop(text, stop_at, "half of a surrogate pair") end
          local low = hex(text, at + 2)
          if low < 0xDC00 or low > 0xDFFF then stop(text, at, "half of a surrogate pair") end
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
          at = at + 6
        elseif code >= 0xDC00 and code <= 0xDFFF then
          stop(text, stop_at, "half of a surrogate pair")
        end
        parts[#parts + 1] = utf8.char(code)
      else
        local plain = UNESCAPED[escape]
        if not plain then stop(text, stop_at, "an unknown escape") end
        parts[#parts + 1] = plain
        at = stop_at + 2
      end
      start = at
    elseif c == "\127" then
      at = stop_at + 1
    else
      stop(text, stop_at, "a control character in a string")
    end
  end
end

local function decode_number(text, at)
  local digits = text:match("^-?%d+", at)
  if not digits or find(digits, "^-?0%d") then stop(text, at, "no number") end
  local stop_at = at + #digits
  local fraction = text:match("^%.%d+", stop_at) or ""
  stop_at = stop_at + #fraction
  local exponent = text:match("^[eE][+-]?%d+", stop_at) or ""
  stop_at = stop_at + #exponent
  if find(text, "^[%w.]", stop_at) then stop(text, at, "no number") end
  return tonumber(digits .. fraction .. exponent), stop_at
end

local decode_value

local function decode_list(text, at, depth)
  local list, n = {}, 0
  at = skip(text, at + 1)
  if byte(text, at) == 93 then return list, at + 1 end
  while true do
    n = n + 1
    list[n], at = decode_value(text, at, depth)
    at = skip(text, at)
    local c = byte(text, at)
    if c == 93 then return list, at + 1 end
    if c ~= 44 then stop(text, at, "',' or ']' expected") end
    at = skip(text, at + 1)
  end
end

local function decode_object(text, at, depth)
  local object = {}
  at = skip(text, at + 1)
  if byte(text, at) == 125 then return object, at + 1 end
  while true do
    if byte(text, at) ~= 34 then stop(text, at, "a name in quotes expected") end
    local key
    key, at = decode_string(text, at)
    at = skip(text, at)
    if byte(text, at) ~= 58 then stop(text, at, "':' expected") end
    object[key], at = decode_value(text, skip(text, at + 1), depth)
    at = skip(text, at)
    local c = byte(text, at)
    if c == 125 then return object, at + 1 end
    if c ~= 44 then stop(text, at, "',' or '}' expected") end
    at = skip(text, at + 1)
  end
end

local LITERALS = { { "true", true }, { "false", false }, { "null", NULL } }

decode_value = function(text, at, depth)
  if depth > DEEPEST then stop(text, at, "nested too deep") end
  local c = byte(text, at)
  if c == 34 then return decode_string(text, at) end
  if c == 123 then return decode_object(text, at, depth + 1) end
  if c == 91 then return decode_list(text, at, depth + 1) end
  if c and (c == 45 or c >= 48 and c <= 57) then return decode_number(text, at) end
  for _, literal in ipairs(LITERALS) do
    local stop_at = at + #literal[1]
    if sub(text, at, stop_at - 1) == literal[1] and not find(text, "^%w", stop_at) then return literal[2], stop_at end
  end
  stop(text, at, c and "a value expected" or "the text ends too early")
end

local function decode_all(text)
  local value, at = decode_value(text, skip(text, 1), 0)
  at = skip(text, at)
  if at <= #text then stop(text, at, "more text behind the value") end
  return value
end

local function decode(text)
  if type(text) ~= "string" then failf("json.decode takes a string, not %s", shown(text)) end
  if #text > LONGEST then return nil, error_value { kind = "json", message = "the text is too long" } end
  local good, value = pcall(decode_all, text)
  if good then return value end
  if type(value) == "table" and value[1] == MARK then
    return nil, error_value { kind = "json", message = "json: " .. value[2] }
  end
  error(value, 0)
end

json_service = {
  encode = encode,
  decode = decode,
  null = NULL,
  -- array(list): a table that is encoded as a list even when it is empty.
  array = function(list) return setmetatable(list or {}, { __metatable = "json array" }) end,
}
