// coroutine.* for scripts. A task is a coroutine itself, so when one that the script made waits for the host, or has
// had its turn, everything between it and the host must yield too, and be resumed through again. `pending` tells such
// a yield from one that the script meant.
#include "internal.h"

static lua_State *thread_argument(lua_State *L) {
  lua_State *thread = lua_tothread(L, 1);
  luaL_argexpected(L, thread, 1, "coroutine");
  return thread;
}

static void refuse_foreign(lua_State *L, lua_State *thread) {
  if (nj_is_root(thread)) nj_raise(L, "a call's own coroutine belongs to the server");
  if (nj_is_passing(thread)) nj_raise(L, "the coroutine waits for the server");
}

enum { RESUMED_FAILED = -1 };

/// Back in L with the results of `thread` pushed, or RESUMED_FAILED and the error value.
static int run(lua_State *L, lua_State *thread, int arguments, lua_KContext context, lua_KFunction again) {
  nj_vm *vm = nj_of(L);
  bool chain = vm->chain;
  int results = 0;
  vm->chain = chain && lua_isyieldable(L);
  vm->running = thread;
  vm->pending = PENDING_NONE;
  if (lua_gethookcount(thread) != NJ_HOOK_COUNT) nj_hook_every(thread, NJ_HOOK_COUNT);
  nj_level level = {L, vm->level};
  vm->level = &level;
  int status = lua_resume(thread, L, arguments, &results);
  vm->level = level.outer;
  vm->running = L;
  vm->chain = chain;
  if (nj_ended(vm)) {
    if (!vm->noted) nj_where(thread, vm->where, sizeof vm->where);
    return nj_stop(L);
  }
  if (status == LUA_YIELD && vm->pending != PENDING_NONE) {
    nj_set_passing(thread, true);
    return lua_yieldk(L, 0, context, again);
  }
  if (status == LUA_OK || status == LUA_YIELD) {
    if (!lua_checkstack(L, results + 1)) {
      lua_pop(thread, results);
      lua_pushliteral(L, "too many results to resume");
      return RESUMED_FAILED;
    }
    lua_xmove(thread, L, results);
    return results;
  }
  lua_xmove(thread, L, 1);
  return RESUMED_FAILED;
}

/// Moves the arguments on top of L over and runs. `context` is L's top below them, so that a later continuation
/// finds the host's answers above it.
static int enter(lua_State *L, lua_State *thread, int arguments, lua_KFunction again) {
  nj_steps(L, 50);  // a coroutine counts its instructions from zero
  refuse_foreign(L, thread);
  if (!lua_checkstack(thread, arguments + 1)) {
    lua_pushliteral(L, "too many arguments to resume");
    return RESUMED_FAILED;
  }
  if (lua_status(thread) == LUA_OK && lua_gettop(thread) == 0) {
    lua_pushliteral(L, "cannot resume dead coroutine");
    return RESUMED_FAILED;
  }
  lua_xmove(L, thread, arguments);
  return run(L, thread, arguments, lua_gettop(L), again);
}

static int again(lua_State *L, lua_State *thread, lua_KContext base, lua_KFunction next) {
  int arguments = lua_gettop(L) - (int)base;
  nj_set_passing(thread, false);
  if (!lua_checkstack(thread, arguments + 1)) {
    lua_pushliteral(L, "too many results");
    return RESUMED_FAILED;
  }
  lua_xmove(L, thread, arguments);
  return run(L, thread, arguments, base, next);
}

static int finish_resume(lua_State *L, int results) {
  int moved = results < 0 ? 1 : results;
  lua_pushboolean(L, results >= 0);
  lua_insert(L, -(moved + 1));
  return moved + 1;
}

static int resume_again(lua_State *L, int status, lua_KContext base) {
  (void)status;
  return finish_resume(L, again(L, lua_tothread(L, 1), base, resume_again));
}

static int resume(lua_State *L) {
  lua_State *thread = thread_argument(L);
  return finish_resume(L, enter(L, thread, lua_gettop(L) - 1, resume_again));
}

static void reset(lua_State *L, lua_State *thread);

static int finish_wrap(lua_State *L, lua_State *thread, int results) {
  if (results >= 0) return results;
  int status = lua_status(thread);
  if (status != LUA_OK && status != LUA_YIELD) {
    nj_take_inner_trace(L, thread);
    lua_pop(L, 1);
    reset(L, thread);  // a <close> handler may replace the error
  }
  return lua_error(L);
}

static int wrapped_again(lua_State *L, int status, lua_KContext base) {
  (void)status;
  lua_State *thread = lua_tothread(L, lua_upvalueindex(1));
  return finish_wrap(L, thread, again(L, thread, base, wrapped_again));
}

static int wrapped(lua_State *L) {
  lua_State *thread = lua_tothread(L, lua_upvalueindex(1));
  return finish_wrap(L, thread, enter(L, thread, lua_gettop(L), wrapped_again));
}

/// Closes a coroutine that ended by an error; its error value comes to L.
static void reset(lua_State *L, lua_State *thread) {
  nj_vm *vm = nj_of(L);
  bool chain = vm->chain, closing = vm->closing;
  vm->chain = false;
  vm->closing = true;
  vm->running = thread;
  nj_level level = {L, vm->level};
  vm->level = &level;
  int status = lua_resetthread(thread);
  vm->level = level.outer;
  vm->running = L;
  vm->chain = chain;
  vm->closing = closing;
  if (nj_ended(vm)) nj_stop(L);
  if (status != LUA_OK) lua_xmove(thread, L, 1);
}

static int create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *thread = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, thread, 1);
  return 1;
}

static int wrap(lua_State *L) {
  create(L);
  lua_pushcclosure(L, wrapped, 1);
  return 1;
}

static int yield(lua_State *L) {
  if (nj_is_root(L)) {
    return nj_raise(L, "coroutine.yield outside a coroutine: a call waits with a verb, such as call:wait or sleep");
  }
  return lua_yield(L, lua_gettop(L));
}

static const char *status_of(lua_State *L, lua_State *thread) {
  if (L == thread) return "running";
  switch (lua_status(thread)) {
    case LUA_YIELD: return nj_is_root(thread) || nj_is_passing(thread) ? "normal" : "suspended";
    case LUA_OK: {
      lua_Debug record;
      if (lua_getstack(thread, 0, &record)) return "normal";
      return lua_gettop(thread) == 0 ? "dead" : "suspended";
    }
    default: return "dead";
  }
}

static int status(lua_State *L) {
  lua_pushstring(L, status_of(L, thread_argument(L)));
  return 1;
}

static int close(lua_State *L) {
  lua_State *thread = thread_argument(L);
  refuse_foreign(L, thread);
  const char *status = status_of(L, thread);
  if (status[0] != 's' && status[0] != 'd') return nj_raise(L, "cannot close a %s coroutine", status);
  int before = lua_gettop(L);
  reset(L, thread);
  if (lua_gettop(L) == before) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

static int running(lua_State *L) {
  lua_pushthread(L);
  lua_pushboolean(L, nj_is_root(L) || L == nj_of(L)->main);
  return 2;
}

static int isyieldable(lua_State *L) {
  lua_pushboolean(L, !nj_is_root(L) && lua_isyieldable(L));
  return 1;
}

void nj_open_coroutines(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"create", create}, {"resume", resume},   {"wrap", wrap},   {"yield", yield},
      {"status", status}, {"running", running}, {"close", close}, {"isyieldable", isyieldable},
      {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setglobal(L, "coroutine");
}
