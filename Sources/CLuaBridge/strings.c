// Library functions outside the tables that need a bound or a guard: string.rep and string.byte, xpcall whose handler
// must not see the end of a call, setmetatable without finalizers (they run with hooks off).
#include <string.h>

#include "internal.h"

static int rep(lua_State *L) {
  size_t length, separator;
  luaL_checklstring(L, 1, &length);
  lua_Integer count = luaL_checkinteger(L, 2);
  luaL_optlstring(L, 3, "", &separator);
  if (count > 0 && length + separator == 0) {  // the library would still loop
    lua_pushliteral(L, "");
    return 1;
  }
  size_t limit = nj_of(L)->limits.call_memory / 2;  // it is built in a buffer and then copied
  if (count > 0 && (lua_Unsigned)count > limit / (length + separator)) {
    return nj_raise(L, "string.rep: the result would be larger than %I bytes, half of a call's memory",
                    (lua_Integer)limit);
  }
  return nj_of(L)->rep(L);
}

static int bytes(lua_State *L) {
  size_t length;
  luaL_checklstring(L, 1, &length);
  lua_Integer first = luaL_optinteger(L, 2, 1), last = luaL_optinteger(L, 3, first);
  if (length > 1 << 16 && first != last) {
    if (first < 0) first += (lua_Integer)length + 1;
    if (last < 0) last += (lua_Integer)length + 1;
    if (last > first && last - first >= 1 << 16) return nj_raise(L, "string.byte: more than %d bytes", 1 << 16);
  }
  return nj_of(L)->byte(L);
}

static int utf8_length(lua_State *L) {
  size_t length;
  luaL_checklstring(L, 1, &length);
  nj_steps(L, (int64_t)length);
  return nj_of(L)->utf8_length(L);
}

static int guarded_handler(lua_State *L) {
  if (nj_ended(nj_of(L))) return 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

static int guarded_xpcall(lua_State *L) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, guarded_handler, 1);
  lua_replace(L, 2);
  return nj_of(L)->xpcall(L);
}

static int set_metatable(lua_State *L) {
  if (lua_type(L, 2) == LUA_TTABLE) {
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, 2) != LUA_TNIL) return nj_raise(L, "__gc is not available: use a <close> variable");
    lua_pop(L, 1);
  }
  return nj_of(L)->setmetatable_(L);
}

/// Puts our function in the place of the library's, in the table on top, and returns that one.
lua_CFunction nj_replace(lua_State *L, const char *name, lua_CFunction ours) {
  lua_getfield(L, -1, name);
  lua_CFunction theirs = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  lua_pushcfunction(L, ours);
  lua_setfield(L, -2, name);
  return theirs;
}

void nj_open_strings(lua_State *L) {
  nj_vm *vm = nj_of(L);
  lua_getglobal(L, "string");
  vm->rep = nj_replace(L, "rep", rep);
  vm->byte = nj_replace(L, "byte", bytes);
  lua_pop(L, 1);
  lua_getglobal(L, "utf8");
  vm->utf8_length = nj_replace(L, "len", utf8_length);
  lua_pop(L, 1);
  lua_pushglobaltable(L);
  vm->xpcall = nj_replace(L, "xpcall", guarded_xpcall);
  vm->setmetatable_ = nj_replace(L, "setmetatable", set_metatable);
  lua_pop(L, 1);
}
