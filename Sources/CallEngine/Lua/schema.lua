-- The one table of what a script can say. Checks at run time, `nightjar check` and the editors' stub are made from it.
--
-- An option: { name, type, doc, …} with values = (allowed ones), min, max, later = true (named in the language, not
-- built yet), default (told, not applied: the host applies it). A type is a function of check.lua.

local cause = { "cause", "cause", "Q.850 cause, a number or a name" }
local text = { "text", "string", "the reason phrase" }
local headers = { "headers", "headers", "headers to add: { [\"X-Name\"] = \"value\" }" }

schema = {
  verbs = {
    ring = {
      doc = "180 without SDP: the phone makes its own ringing tone", returns = "true | nil, error",
      options = {
        { "status", "integer", "180, 181 or 182", values = { 180, 181, 182 }, default = 180 },
        { "reliable", "reliable", "\"auto\": 100rel where the caller can; true: or fail; false: only where he insists",
          default = "auto" },
      },
    },
    progress = {
      doc = "183 with SDP, and a tone or a file over RTP before the answer", returns = "true | nil, error",
      options = {
        { "tone", "string", "the tone", values = { "ringing", "busy", "congestion" } },
        { "country", "string", "whose tones, such as \"us\"" },
        { "play", "files", "a file or a list of files" },
        { "loop", "boolean", "again and again", default = false },
        { "status", "integer", "the provisional status", min = 180, max = 199, default = 183 },
      },
    },
    answer = {
      doc = "200 with SDP", returns = "true | nil, error",
      options = { { "codecs", "strings", "codec names, the preferred first" }, headers },
    },
    dial = {
      doc = "rings one or more b-legs, bridges the first that answers, returns when all is over", returns = "result",
      arguments = { { "targets", "targets", "a target, a list of them (parallel) or seq{…}" } },
      options = {
        { "timeout", "seconds", "how long all this may ring", min = 0.001 },
        { "ringback", "ringback", "what the caller hears meanwhile" },
        { "tone", "string", "whose ringing tone, such as \"us\"" },
        { "failover_on", "statuses", "what makes seq go on to its next target" },
        { "stop_on", "statuses", "what ends seq at once" },
        { "max_duration", "seconds", "the longest talk", min = 0.001 },
        { "rtp_timeout", "seconds", "end a talk without RTP after this; 0: never" },
        { "bridge", "boolean", "connect the caller with who answers", later = true },
        { "no_progress_after", "seconds", "180 to the caller when nobody has said anything until then" },
        headers,
        { "early_media", "string", "whose early media several legs may pass on", values = { "none", "first" } },
        { "after_bridge", "string", "when the callee hangs up", values = { "hangup", "continue" }, default = "hangup" },
        { "redirects", "integer", "how many contacts of 3xx responses are followed", min = 0, max = 10, default = 0 },
        { "redirect_to", "string", "where they may lead", values = { "users", "anywhere" }, default = "users" },
        { "media", "string", "where RTP goes", later = true },
        { "record", "string", "record the talk", later = true },
        { "on_leg", "function", "called for each leg", later = true },
        { "on_progress", "function", "called for each provisional response", later = true },
        { "on_answer", "function", "called when a leg answers", later = true },
        { "on_refer", "refer", "\"pass\", or fn(call, target): what becomes of a phone's REFER" },
      },
    },
    reject = {
      doc = "a final response; 3xx with contacts redirects", returns = "true | nil, error",
      options = {
        { "status", "integer", "the status", min = 300, max = 699 }, cause,
        { "from", "result", "the result of a dial, whose status and cause go on" }, text, headers,
        { "contacts", "strings", "where a redirected caller shall go: URIs" },
      },
    },
    hangup = {
      doc = "before the answer a final response, after it BYE", returns = "true | nil, error",
      options = { cause, { "status", "integer", "the status before the answer", min = 300, max = 699 }, text, headers },
    },
    play = {
      doc = "plays to the caller", returns = "how it ended | nil, error",
      arguments = { { "files", "files", "a file or a list of files" } },
      options = {
        { "loop", "boolean", "again and again", default = false },
        { "barge", "boolean", "a digit ends it", later = true },
      },
    },
    tone = {
      doc = "a tone to the caller, until the hang-up or for `duration`", returns = "how it ended | nil, error",
      arguments = {
        { "name", "string", "ringing, busy or congestion", values = { "ringing", "busy", "congestion" } },
        { "country", "string", "whose tones", optional = true },
      },
      options = { { "duration", "seconds", "how long", min = 0.001 }, { "country", "string", "whose tones" } },
    },
    echo = {
      doc = "the caller hears himself, until the hang-up or for `duration`", returns = "how it ended | nil, error",
      options = { { "duration", "seconds", "how long", min = 0.001 } },
    },
    wait = {
      doc = "waits for the hang-up or a timer", returns = "\"timer\" | nil, error",
      options = {
        { "timer", "seconds", "how long at most" },
        { "dtmf", "boolean", "until a digit", later = true },
        { "leg", "any", "until that leg ends", later = true },
      },
    },
    on_hangup = {
      doc = "fn(hangup, call) runs when cause and side are final; the last registered first", returns = "nothing",
      arguments = { { "fn", "function", "what to run" } },
    },
    gather = { later = true, doc = "collects digits" },
    record = { later = true, doc = "records the caller" },
    send_dtmf = { later = true, doc = "sends digits" },
    stats = { later = true, doc = "the media's counters" },
    refer = {
      doc = "asks the caller's phone to call somebody else (REFER)", returns = "result | nil, error",
      arguments = { { "target", "string", "a number, \"user/NAME\" or a URI" } },
      options = { { "timeout", "seconds", "how long to wait for the outcome", min = 0.001, default = 60 }, headers },
    },
    hold = { later = true, doc = "holds the caller" },
    unhold = { later = true, doc = "takes the caller back" },
    park = { later = true, doc = "parks the caller" },
    join = { later = true, doc = "joins a conference" },
    on_dtmf = { later = true, doc = "fn(digit) runs for each digit" },
  },

  -- One target of a dial: { "user/1001", timeout = 20 }.
  target = {
    { "headers", "headers", "headers to add" },
    { "remove", "strings", "names of headers to take away" },
    { "from", "address", "who calls" },
    { "pai", "address", "the P-Asserted-Identity" },
    { "privacy", "string", "the Privacy header" },
    { "codecs", "strings", "codec names to offer, the preferred first" },
    { "timeout", "seconds", "how long this one may ring", min = 0.001 },
    { "delay", "seconds", "ring it so much later" },
    { "vars", "vars", "kept in the record of the leg", later = true },
    { "confirm", "function", "asked before the bridge", later = true },
  },
  seq = {
    { "failover_on", "statuses", "what makes it go on to the next target" },
    { "stop_on", "statuses", "what ends it at once" },
  },
  hunt = {
    {
      "strategy", "string", "whose turn it is", values = { "weighted", "round_robin", "least_calls" },
    },
    { "failover_on", "statuses", "what makes it go on to the next target" },
    { "stop_on", "statuses", "what ends it at once" },
  },

  spawn = { { "detached", "boolean", "outlives the call", later = true } },

  fields = {
    id = "string", context = "string", generation = "integer", state = "string", from = "address", to = "address",
    ruri = "address", contact = "address", source = "source", sdp = "sdp", headers = "headers", vars = "vars",
    transferred_by = "string",
  },
  parts = {
    address = { user = 1, host = 1, port = 1, display = 1, params = 1, uri = 1 },
    source = { ip = 1, port = 1, transport = 1, user = 1, trunk = 1 },
    sdp = { codecs = 1 },
    refer = { user = 1, host = 1, port = 1, display = 1, uri = 1, by = 1, attended = 1 },
    result = {
      ok = 1, leg = 1, answered_by = 1, status = 1, cause = 1, cause_name = 1, reason = 1, by = 1, setup_ms = 1,
      ring_ms = 1, duration = 1, ended_by = 1, attempts = 1, contacts = 1,
    },
  },

  handlers = {
    invite = "fn(call): a new call", load = "fn(generation): the script is in force",
    refer = "fn(call, target): a phone asks for a transfer",
    unload = "fn(generation): the script is retired", timer = "(seconds, fn): again and again",
    trunk = "fn(name, up): a trunk went down or came up",
  },
  later_handlers = { register = 1, message = 1, options = 1, subscribe = 1, record = 1 },
  later_services = {
    http = 1, sql = 1, registrar = 1, route = 1, users = 1, originate = 1, all = 1, race = 1, metrics = 1,
    base64 = 1, hmac = 1,
  },
}
