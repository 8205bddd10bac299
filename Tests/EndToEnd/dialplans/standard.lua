-- The script of most end-to-end tests: users by number, an echo test, everything else refused.
local function ring(call, extension)
  local r = call:dial("user/" .. extension, { timeout = 20, ringback = "180" })
  if not r.ok then call:reject { from = r } end
end

on.invite(router {
  { "600", function(call)
      call:answer()
      call:echo()
    end },
  { "^(10%d%d)$", ring },
  default = function(call) call:reject { status = 404, cause = "UNALLOCATED_NUMBER" } end,
})
