import CallEngine
import DialplanCheck
import Testing

struct LanguageTests {
  @Test("The language that is checked before is the one that is checked at run time")
  func fromTheSchema() throws {
    let language = try DialplanLoader.language()
    let dial = try #require(language.verbs["dial"])
    #expect(dial.arguments.map(\.type) == ["targets"])
    #expect(dial.options?.first { $0.name == "timeout" }?.minimum == 0.001)
    #expect(dial.options?.first { $0.name == "early_media" }?.values == ["none", "first"])
    #expect(language.verbs["ring"]?.options?.first?.values == ["180", "181", "182"])
    #expect(language.verbs["hold"]?.isLater == true)
    #expect(language.fields["from"] == "address")
    #expect(language.parts["address"]?.contains("user") == true)
    #expect(language.handlers.contains("invite"))
    #expect(language.causes.contains("USER_BUSY"))
    #expect((language.globals["kv"] ?? nil)?.contains("incr") == true)
    #expect((language.globals["string"] ?? nil)?.contains("format") == true)
    #expect(language.globals["router"] == .some(nil))
    #expect(language.globals["io"] == nil)
  }

  @Test("A script of every day has no faults")
  func silence() throws {
    let script = """
      local open = { ["09"] = true }
      local function hours() return open[os.date "%H"] end
      local internal = router {
        { "^(1%d%d%d)$", function(call, extension)
            local r = call:dial("user/" .. extension, { timeout = 20, ringback = { play = "ring.wav", loop = true } })
            if r.ok then return end
            if r.status == 486 and hours() then
              call:answer()
              call:play("busy.wav")
              return call:hangup { cause = "USER_BUSY" }
            end
            call:reject { from = r }
          end },
        default = function(call) call:reject { status = 404, cause = "UNALLOCATED_NUMBER" } end,
      }
      on.load(function(generation) log.info("generation " .. generation, { at = now() }) end)
      on.invite(function(call)
        call.vars.started = now()
        call.headers["X-From"] = call.from.user
        local n <const> = kv.incr("calls:" .. call.source.ip, 1, { ttl = 60 })
        if n > 10 then return call:reject { status = 503 } end
        call:on_hangup(function(hangup, c) log.info("over", { side = hangup.side, id = c.id }) end)
        return internal(call)
      end)
      """
    let faults = DialplanCheck.faults(
      in: ("d.lua", Array(script.utf8)), language: try DialplanLoader.language(),
      surroundings: Surroundings(trunks: []) { _ in true }
    ) { _ in nil }
    #expect(faults == [])
  }
}
