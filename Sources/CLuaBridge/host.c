// What the preludes call: host() for an answer at once, ask() for a wait, fail() and where() for the author's line.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static bool position(lua_State *L, char *text, size_t room) {
  lua_Debug record;
  for (int level = 0; lua_getstack(L, level, &record); level++) {
    lua_getinfo(L, "Sl", &record);
    if (record.currentline > 0 && strncmp(record.source, NJ_PRELUDE_PREFIX, sizeof NJ_PRELUDE_PREFIX - 1) != 0) {
      snprintf(text, room, "%s:%d", record.short_src, record.currentline);
      return true;
    }
  }
  return false;
}

/// The position of the innermost frame that is the author's: neither C nor a prelude. Does not allocate.
bool nj_where(lua_State *L, char *text, size_t room) {
  if (position(L, text, room)) return true;
  for (nj_level *level = nj_of(L)->level; level; level = level->outer) {
    if (position(level->thread, text, room)) return true;
  }
  text[0] = 0;
  return false;
}

static void prepend_where(lua_State *L) {
  char where[200];
  if (!nj_where(L, where, sizeof where)) return;
  lua_pushfstring(L, "%s: ", where);
  lua_insert(L, -2);
  lua_concat(L, 2);
}

int nj_raise(lua_State *L, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  prepend_where(L);
  return lua_error(L);
}

static int fail(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  prepend_where(L);
  return lua_error(L);
}

static int where(lua_State *L) {
  char text[200];
  if (nj_where(L, text, sizeof text)) lua_pushstring(L, text);
  else lua_pushnil(L);
  return 1;
}

static const char *op_name(const nj_vm *vm, lua_Integer op) {
  return op >= 0 && op < vm->op_count ? vm->op_names[op] : "this operation";
}

static int32_t check_op(lua_State *L) {
  nj_vm *vm = nj_of(L);
  lua_Integer op = luaL_checkinteger(L, 1);
  if (op < 0 || op >= vm->op_count) luaL_error(L, "no operation has the number %I", op);
  return (int32_t)op;
}

/// host(op, …): a system call. Nothing of Lua is pending while the host runs, and the cap is off; what the answer
/// costs is charged when it is there.
static int host(lua_State *L) {
  nj_vm *vm = nj_of(L);
  int32_t op = check_op(L);
  nj_encode(L, 2, lua_gettop(L) - 1, "argument");
  nj_reply reply = {NULL, 0, false};
  uint32_t generation = vm->task == NJ_NO_TASK ? 0 : vm->tasks[vm->task].generation;
  vm->lifted = true;
  vm->host(vm->context, op, vm->task, generation, vm->groups[vm->group].id, vm->out.bytes, vm->out.length, &reply);
  lua_settop(L, 0);
  if (reply.raise) {
    lua_pushlstring(L, (const char *)reply.bytes, reply.length);
    prepend_where(L);
    vm->lifted = false;
    return lua_error(L);
  }
  int results = nj_decode(L, reply.bytes, reply.length);
  vm->lifted = false;
  nj_check_caps(vm);
  return results;
}

static int cannot_wait(lua_State *L, int32_t op) {
  nj_vm *vm = nj_of(L);
  const char *name = op_name(vm, op);
  if (vm->loading) return nj_raise(L, "'%s' cannot wait while the script is loaded", name);
  if (vm->closing) return nj_raise(L, "'%s' cannot wait in __close", name);
  lua_Debug record;
  for (int level = 1; lua_getstack(L, level, &record); level++) {
    lua_getinfo(L, "Sn", &record);
    if (!record.name) continue;
    if (strcmp(record.namewhat, "metamethod") == 0) {
      return nj_raise(L, "'%s' cannot wait in __%s", name, record.name);
    }
    if (record.what[0] == 'C' && strcmp(record.name, "pcall") != 0 && strcmp(record.name, "xpcall") != 0) {
      return nj_raise(L, "'%s' cannot wait in a function that '%s' calls", name, record.name);
    }
  }
  return nj_raise(L, "'%s' cannot wait in a function that the library calls", name);
}

static bool has_close_frame(lua_State *L) {
  lua_Debug record;
  for (int level = 1; lua_getstack(L, level, &record); level++) {
    lua_getinfo(L, "n", &record);
    if (record.name && strcmp(record.name, "close") == 0 && strcmp(record.namewhat, "metamethod") == 0) return true;
  }
  return false;
}

/// Lua could wait in a __close that a block's end calls, not in one that an error or the end of the call runs: so that
/// a script does not work only on its good days, none may.
static bool in_close(lua_State *L) {
  if (has_close_frame(L)) return true;
  for (nj_level *level = nj_of(L)->level; level; level = level->outer) {
    if (has_close_frame(level->thread)) return true;
  }
  return false;
}

/// ask(op, …): waits for the host. Its results are what the host answers, later.
static int ask(lua_State *L) {
  nj_vm *vm = nj_of(L);
  int32_t op = check_op(L);
  if (!vm->chain || !lua_isyieldable(L)) return cannot_wait(L, op);
  if (vm->closes && in_close(L)) return nj_raise(L, "'%s' cannot wait in __close", op_name(vm, op));
  nj_encode(L, 2, lua_gettop(L) - 1, "argument");
  if (nj_ended(vm)) return nj_stop(L);
  vm->pending = PENDING_ASK;
  vm->op = op;
  return lua_yield(L, 0);
}

/// tag() reads, tag(integer) sets the running task's register; zero at its start, nothing while the script loads.
static int tag(lua_State *L) {
  nj_vm *vm = nj_of(L);
  if (vm->task == NJ_NO_TASK) return 0;
  nj_task *task = &vm->tasks[vm->task];
  if (lua_gettop(L) > 0) task->tag = luaL_checkinteger(L, 1);
  lua_pushinteger(L, task->tag);
  return 1;
}

/// memory_limit(): bytes that one value may reach, for messages and checks of the preludes.
static int memory_limit(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)nj_of(L)->limits.call_memory);
  return 1;
}

/// typed(table, metatable): setmetatable without its checks; the table.
static int typed(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

/// Whether a rule (on top) lets the value below it pass: a type; a range { least, most, whole }; a set of values.
static bool is_plain(lua_State *L, int rule, int value) {
  if (lua_type(L, rule) == LUA_TNUMBER) return lua_type(L, value) == lua_tointeger(L, rule);
  if (lua_type(L, rule) != LUA_TTABLE) return false;
  if (lua_type(L, value) == LUA_TNUMBER && lua_rawgeti(L, rule, 1) == LUA_TNUMBER) {
    lua_rawgeti(L, rule, 2);
    lua_rawgeti(L, rule, 3);
    if (lua_toboolean(L, -1) && !lua_isinteger(L, value)) return false;
    return lua_compare(L, rule + 1, value, LUA_OPLE) && lua_compare(L, value, rule + 2, LUA_OPLE);
  }
  lua_pushvalue(L, value);
  lua_rawget(L, rule);
  return lua_toboolean(L, -1);
}

/// plain(options, rules): whether each option has a rule by its name and keeps to it.
static int plain(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lua_pushvalue(L, 3);
    lua_rawget(L, 2);
    if (!is_plain(L, 5, 4)) return 0;
    lua_settop(L, 3);
  }
  lua_pushboolean(L, true);
  return 1;
}

void nj_open_host(lua_State *L) {
  static const luaL_Reg functions[] = {{"host", host},   {"ask", ask}, {"fail", fail},
                                       {"where", where}, {"tag", tag}, {"memory_limit", memory_limit},
                                       {"typed", typed}, {"plain", plain},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "json_null");  // not nil in a table, nil for the host
}
