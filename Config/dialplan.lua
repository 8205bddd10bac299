-- The demo dialplan: one coroutine of this script runs for each call. Change it, then `nightjar reload` (or SIGHUP):
-- calls that run keep the old one, new calls get the new one, and a mistake keeps everything as it was.
-- docs/lua-reference.md has every verb; `nightjar check` finds mistakes before anything runs.

-- Rings every phone of a user for twenty seconds and connects the first that answers. `options` is passed on to dial.
local function ring(call, extension, options)
  options = options or {}
  options.timeout = options.timeout or 20
  local r = call:dial("user/" .. extension, options)
  if r.ok then return end -- they talked, and somebody hung up
  if r.status == 486 then -- busy: answer, play something, end with the true cause
    call:answer()
    call:play "busy.wav"
    return call:hangup { cause = "USER_BUSY" }
  end
  call:reject { from = r } -- what the callee said: status and Reason
end

-- 600: hear yourself. The first seconds of any installation.
local function echo_test(call)
  call:answer()
  call:echo() -- until the caller hangs up
end

-- 71… to 75…: what the caller hears while the phone behind rings, one policy each. 731001 rings 1001 with policy 3.
local ringback = {
  ["1"] = "180", -- 180 without SDP: the caller's own phone makes the tone
  ["2"] = "passthrough", -- what the callee sends: 180 stays 180, 183 with SDP brings its early media
  ["3"] = "tone", -- this server sends the country's ringing tone over RTP until the answer
  ["4"] = "tone_until_media", -- as 3, but the callee's own early media takes over when there is any
  ["5"] = { play = "summer.wav", loop = true, until_media = true }, -- colour ring-back: music in place of the tone
}

local internal = router {
  { "600", echo_test },
  { "^(10[01]%d)$", ring },
  { "^7([1-5])(10[01]%d)$", function(call, policy, extension) ring(call, extension, { ringback = ringback[policy] }) end },

  -- A number for the world: two carriers, the second where the first cannot. Needs the trunks of nightjar.yaml.
  -- { "^9(%d+)$", function(call, number)
  --     local r = call:dial(seq { "trunk/alpha/" .. number, "trunk/beta/" .. number },
  --       { ringback = "passthrough", failover_on = { 408, 500, 502, 503, "timeout", "unreachable" } })
  --     if not r.ok then call:reject { from = r } end
  --   end },

  default = function(call) call:reject { status = 404, cause = "UNALLOCATED_NUMBER" } end,
}

on.invite(function(call)
  -- Only our own users get here with the context "internal"; a trunk's callers come with "public".
  if call.context ~= "internal" then return call:reject { status = 403, cause = "CALL_REJECTED" } end
  return internal(call)
end)
