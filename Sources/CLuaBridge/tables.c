// table.* loops in C over as many elements as its arguments say, and no hook sees it. A length that no real table has
// comes from __len, from numbers in the arguments, or from a border that # finds far out: all are bounded here, then
// the library's own function runs in the same frame.
#include "internal.h"

static lua_Integer length_of(lua_State *L, const char *name) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (luaL_getmetafield(L, 1, "__len") != LUA_TNIL) nj_raise(L, "table.%s does not take a table with __len", name);
  lua_Unsigned length = lua_rawlen(L, 1);
  if (length > NJ_MAX_LOOP) nj_raise(L, "table.%s: more than %d elements", name, NJ_MAX_LOOP);
  return (lua_Integer)length;
}

static void check_range(lua_State *L, lua_Integer first, lua_Integer last, lua_Integer most, const char *name) {
  if (first > last) return;
  if ((lua_Unsigned)last - (lua_Unsigned)first >= (lua_Unsigned)most) {
    nj_raise(L, "table.%s: more than %I elements", name, most);
  }
  nj_steps(L, last - first);
}

static int insert(lua_State *L) {
  lua_Integer length = length_of(L, "insert");
  if (lua_gettop(L) == 3 && lua_isinteger(L, 2)) nj_steps(L, length - lua_tointeger(L, 2));
  return nj_of(L)->insert(L);
}

static int removed(lua_State *L) {
  lua_Integer length = length_of(L, "remove");
  if (lua_isinteger(L, 2)) nj_steps(L, length - lua_tointeger(L, 2));
  return nj_of(L)->remove(L);
}

static int concat(lua_State *L) {
  lua_Integer length = length_of(L, "concat");
  check_range(L, luaL_optinteger(L, 3, 1), luaL_optinteger(L, 4, length), NJ_MAX_LOOP, "concat");
  return nj_of(L)->concat(L);
}

static int unpack(lua_State *L) {
  lua_Integer last = lua_isnoneornil(L, 3) ? length_of(L, "unpack") : luaL_checkinteger(L, 3);
  check_range(L, luaL_optinteger(L, 2, 1), last, 1 << 16, "unpack");
  return nj_of(L)->unpack(L);
}

static int move(lua_State *L) {
  check_range(L, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3), NJ_MAX_LOOP, "move");
  return nj_of(L)->move(L);
}

static int sort(lua_State *L) {
  lua_Integer length = length_of(L, "sort");
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TFUNCTION);
    // One in C would be called n log n times without a hook.
    if (lua_iscfunction(L, 2)) nj_raise(L, "table.sort: the comparison must be a Lua function");
  }
  nj_steps(L, length * 4);
  return nj_of(L)->sort(L);
}

void nj_open_tables(lua_State *L) {
  nj_vm *vm = nj_of(L);
  lua_getglobal(L, "table");
  vm->insert = nj_replace(L, "insert", insert);
  vm->remove = nj_replace(L, "remove", removed);
  vm->concat = nj_replace(L, "concat", concat);
  vm->unpack = nj_replace(L, "unpack", unpack);
  vm->move = nj_replace(L, "move", move);
  vm->sort = nj_replace(L, "sort", sort);
  lua_pop(L, 1);
}
