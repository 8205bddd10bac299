// What is told of a step that failed: its kind, a message that begins with the author's file:line, and a traceback.
#include <stdio.h>
#include <string.h>

#include "internal.h"

/// Deeper than any dialplan: what fills its memory with this many frames calls itself without end.
#define RUNAWAY_DEPTH 4000

void nj_failed(nj_step *out, int32_t kind, const char *message) {
  out->status = NJ_FAILED;
  out->failure = kind;
  out->bytes = (const uint8_t *)message;
  out->length = strlen(message);
  out->trace = NULL;
  out->trace_length = 0;
}

/// Copies the message; with `where` noted and not yet in it, in front of it.
void nj_fail_with(nj_vm *vm, nj_step *out, int32_t kind, const char *message, size_t length) {
  vm->text.length = 0;
  bool done = true;
  if (vm->where[0]) done = nj_append(vm, &vm->text, vm->where, strlen(vm->where)) && nj_append(vm, &vm->text, ": ", 2);
  done = done && nj_append(vm, &vm->text, message, length);
  nj_failed(out, kind, "not enough memory");
  if (done) {
    out->bytes = vm->text.bytes;
    out->length = vm->text.length;
  }
  out->trace = vm->trace.bytes;
  out->trace_length = vm->trace.length;
}

void nj_take_trace(lua_State *L, lua_State *thread) {
  nj_vm *vm = nj_of(L);
  vm->trace.length = 0;
  const void *error = thread != L && lua_gettop(thread) > 0 ? lua_topointer(thread, -1) : NULL;
  luaL_traceback(L, thread, NULL, 0);
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  if (error && error == vm->inner_error) {
    if (!nj_append(vm, &vm->trace, vm->inner.bytes, vm->inner.length)) vm->trace.length = 0;
  }
  if (!nj_append(vm, &vm->trace, text, length)) vm->trace.length = 0;
  lua_pop(L, 1);
}

/// The stack of a coroutine whose error, on top of L, coroutine.wrap passes on: kept in case nobody catches it.
void nj_take_inner_trace(lua_State *L, lua_State *thread) {
  nj_vm *vm = nj_of(L);
  const void *error = lua_topointer(L, -1);
  if (!error) return;
  if (error != vm->inner_error) vm->inner.length = 0;
  vm->inner_error = error;
  vm->lifted = true;
  luaL_traceback(L, thread, NULL, 0);
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  if (vm->inner.length < 1 << 16 && !(nj_append(vm, &vm->inner, text, length) && nj_append(vm, &vm->inner, "\n", 1))) {
    vm->inner.length = 0;
  }
  lua_pop(L, 1);
  vm->lifted = false;
}

/// For what runs on the main coroutine: its stack is gone when the protected call returns.
int nj_trace_handler(lua_State *L) {
  nj_vm *vm = nj_of(L);
  if (vm->trace.length == 0) {
    bool lifted = vm->lifted;
    vm->lifted = true;
    nj_take_trace(L, L);
    vm->lifted = lifted;
  }
  lua_settop(L, 1);
  return 1;
}

/// Leaves the text of the error value at the top of L on top of it. A value of the author's own may run his __tostring.
static const char *error_text(lua_State *L, size_t *length) {
  if (lua_type(L, -1) == LUA_TTABLE && luaL_getmetafield(L, -1, "__tostring") == LUA_TNIL) {
    lua_pushliteral(L, "message");
    lua_rawget(L, -2);
    if (lua_type(L, -1) == LUA_TSTRING) return lua_tolstring(L, -1, length);
    lua_pop(L, 1);
    lua_pushfstring(L, "the error is a table without a message");
    return lua_tolstring(L, -1, length);
  } else if (lua_type(L, -1) == LUA_TFUNCTION) {
    lua_pop(L, 1);  // the __tostring that was found
  }
  return luaL_tolstring(L, -1, length);
}

/// A library function that was refused a buffer says so with an ordinary error.
bool nj_is_starvation(const nj_vm *vm, lua_State *L) {
  static const char text[] = "not enough memory";
  if (!vm->starved || lua_type(L, -1) != LUA_TSTRING) return false;
  size_t length;
  const char *message = lua_tolstring(L, -1, &length);
  return length >= sizeof text - 1 && strcmp(message + length - (sizeof text - 1), text) == 0;
}

/// Fills `out` from a coroutine that has ended with `status`, or whose group has.
void nj_describe(lua_State *L, lua_State *thread, int status, nj_step *out) {
  nj_vm *vm = nj_of(L);
  uint8_t breach = vm->groups[vm->group].breach;
  vm->lifted = true;
  if (!vm->noted) nj_take_trace(L, thread);
  if (breach || status == LUA_ERRMEM || nj_is_starvation(vm, thread)) {
    if (!vm->noted) nj_where(thread, vm->where, sizeof vm->where);
    vm->noted = true;
    lua_Debug record;
    const char *text = nj_breach_text(vm, breach ? breach : BREACH_MEMORY);
    if (breach != BREACH_CPU && lua_getstack(thread, RUNAWAY_DEPTH, &record)) {
      text = "script limit: functions call each other without end (stack overflow)";
    }
    nj_fail_with(vm, out, breach == BREACH_CPU ? NJ_CPU : NJ_MEMORY, text, strlen(text));
    vm->lifted = false;
    return;
  }
  vm->where[0] = 0;
  luaL_checkstack(L, 4, NULL);
  lua_pushnil(L);
  lua_xmove(thread, L, lua_gettop(thread) > 0 ? 1 : 0);
  if (lua_type(L, -1) != LUA_TSTRING) vm->lifted = false;
  size_t length;
  const char *text = error_text(L, &length);
  nj_fail_with(vm, out, NJ_RUNTIME, text, length);
  vm->lifted = false;
}

/// Runs `body(request)` on the main coroutine. False: it raised, and `out` says what.
bool nj_protected(nj_vm *vm, lua_CFunction body, void *request, nj_step *out) {
  lua_State *L = vm->main;
  vm->running = L;
  vm->lifted = vm->refused = vm->starved = vm->chain = false;
  vm->trace.length = vm->inner.length = 0;
  vm->inner_error = NULL;
  vm->level = NULL;
  lua_pushcfunction(L, nj_trace_handler);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, request);
  int status = lua_pcall(L, 1, 0, 1);
  vm->running = NULL;
  vm->lifted = vm->closing = false;
  if (status != LUA_OK) {
    uint8_t breach = vm->groups[vm->group].breach;
    bool memory = breach || status == LUA_ERRMEM || nj_is_starvation(vm, L);
    int32_t kind = breach == BREACH_CPU ? NJ_CPU : memory ? NJ_MEMORY : NJ_RUNTIME;
    size_t length = 0;
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
    if (breach) {
      text = nj_breach_text(vm, breach);
      length = strlen(text);
    } else {
      vm->where[0] = 0;
    }
    if (!text) {
      text = "the error is not a string";
      length = strlen(text);
    }
    nj_fail_with(vm, out, kind, text, length);
  }
  lua_settop(L, 0);
  return status == LUA_OK;
}
