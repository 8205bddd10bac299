// Lua values to flat bytes and back. Tables go by raw access, so nothing here runs a script; a table that contains
// itself, one too deep and a value that cannot leave Lua are errors that say where in the arguments they are.
#include <stdio.h>
#include <string.h>

#include "internal.h"

typedef struct {
  nj_vm *vm;
  const char *what;     // "argument" or "result"
  int position;         // of the top-level value
  int depth;
  const void *path[NJ_MAX_DEPTH];  // the tables that the current one is inside of
} encoder;

static void append(lua_State *L, encoder *e, const void *bytes, size_t length) {
  if (e->vm->out.length + length > NJ_MAX_FLAT) {
    nj_raise(L, "%s %d is too large: more than %d bytes", e->what, e->position, NJ_MAX_FLAT);
  }
  if (!nj_append(e->vm, &e->vm->out, bytes, length)) nj_raise(L, "not enough memory");
}

static void tag(lua_State *L, encoder *e, uint8_t tag) { append(L, e, &tag, 1); }

static void count(lua_State *L, encoder *e, uint8_t kind, uint32_t count) {
  uint8_t bytes[5] = {kind};
  memcpy(bytes + 1, &count, 4);
  append(L, e, bytes, 5);
}

static void encode(lua_State *L, encoder *e, int index);

/// How many entries, and whether they are exactly 1…n.
static uint32_t measure(lua_State *L, int index, bool *is_array) {
  lua_Unsigned border = lua_rawlen(L, index);
  uint32_t entries = 0;
  *is_array = true;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    entries++;
    lua_pop(L, 1);
    if (*is_array) {
      lua_Integer key = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
      if (key < 1 || (lua_Unsigned)key > border) *is_array = false;
    }
  }
  if (entries != border) *is_array = false;
  return entries;
}

static void encode_table(lua_State *L, encoder *e, int index) {
  const void *identity = lua_topointer(L, index);
  for (int i = 0; i < e->depth; i++) {
    if (e->path[i] == identity) nj_raise(L, "%s %d: a table contains itself", e->what, e->position);
  }
  if (e->depth >= NJ_MAX_DEPTH) {
    nj_raise(L, "%s %d: tables nest deeper than %d", e->what, e->position, NJ_MAX_DEPTH);
  }
  luaL_checkstack(L, 6, "too many nested tables");
  e->path[e->depth++] = identity;
  bool is_array = false;
  uint32_t entries = 0;
  if (lua_rawlen(L, index) > 0) {
    entries = measure(L, index, &is_array);
    nj_steps(L, entries);
  }
  if (is_array) {
    count(L, e, NJ_ARRAY, entries);
    for (uint32_t i = 1; i <= entries; i++) {
      lua_rawgeti(L, index, i);
      encode(L, e, lua_gettop(L));
      lua_pop(L, 1);
    }
  } else {
    size_t place = e->vm->out.length;
    count(L, e, NJ_TABLE, 0);
    entries = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
      int value = lua_gettop(L);
      encode(L, e, value - 1);
      encode(L, e, value);
      lua_pop(L, 1);
      entries++;
    }
    nj_steps(L, entries);
    if (entries == 0) e->vm->out.bytes[place] = NJ_ARRAY;  // what is empty is a list as well
    memcpy(e->vm->out.bytes + place + 1, &entries, 4);
  }
  e->depth--;
}

static void encode(lua_State *L, encoder *e, int index) {
  switch (lua_type(L, index)) {
    case LUA_TNIL: tag(L, e, NJ_NIL); break;
    case LUA_TBOOLEAN: tag(L, e, lua_toboolean(L, index) ? NJ_TRUE : NJ_FALSE); break;
    case LUA_TNUMBER: {
      uint8_t bytes[9];
      if (lua_isinteger(L, index)) {
        int64_t integer = lua_tointeger(L, index);
        bytes[0] = NJ_INTEGER;
        memcpy(bytes + 1, &integer, 8);
      } else {
        double number = lua_tonumber(L, index);
        bytes[0] = NJ_NUMBER;
        memcpy(bytes + 1, &number, 8);
      }
      append(L, e, bytes, 9);
      break;
    }
    case LUA_TSTRING: {
      size_t length;
      const char *string = lua_tolstring(L, index, &length);  // a string already: no conversion, no memory
      if (length > NJ_MAX_FLAT) {
        nj_raise(L, "%s %d is too large: more than %d bytes", e->what, e->position, NJ_MAX_FLAT);
      }
      count(L, e, NJ_STRING, (uint32_t)length);
      append(L, e, string, length);
      break;
    }
    case LUA_TTABLE: encode_table(L, e, index); break;
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, index) == NULL) {  // json.null
        tag(L, e, NJ_NIL);
        break;
      }
      // fall through
    default:
      nj_raise(L, "%s %d%s is a %s, which cannot leave the script", e->what, e->position,
               e->depth ? " contains what" : "", luaL_typename(L, index));
  }
}

/// Writes `count` values from stack index `first` on into the machine's out buffer. Raises at the script's line.
void nj_encode(lua_State *L, int first, int count, const char *what) {
  encoder e;
  e.vm = nj_of(L);
  e.what = what;
  e.depth = 0;
  e.vm->out.length = 0;
  for (int i = 0; i < count; i++) {
    e.position = i + 1;
    encode(L, &e, first + i);
  }
}

typedef struct {
  const uint8_t *at, *end;
  int depth;
  int names;  // where on the stack the strings of nj_names are
} decoder;

static void take(lua_State *L, decoder *d, void *into, size_t length) {
  if ((size_t)(d->end - d->at) < length) luaL_error(L, "flat values end too early");
  memcpy(into, d->at, length);
  d->at += length;
}

static void decode(lua_State *L, decoder *d);

static void decode_table(lua_State *L, decoder *d, uint8_t kind) {
  uint32_t entries;
  take(L, d, &entries, 4);
  if ((size_t)(d->end - d->at) < entries) luaL_error(L, "flat values end too early");
  if (++d->depth > NJ_MAX_DEPTH) luaL_error(L, "the host's tables nest deeper than %d", NJ_MAX_DEPTH);
  luaL_checkstack(L, 6, "too many nested tables");
  lua_createtable(L, kind == NJ_ARRAY ? (int)entries : 0, kind == NJ_TABLE ? (int)entries : 0);
  for (uint32_t i = 1; i <= entries; i++) {
    if (kind == NJ_ARRAY) {
      decode(L, d);
      lua_rawseti(L, -2, i);
      continue;
    }
    uint8_t key = d->at < d->end ? *d->at : NJ_NIL;
    decode(L, d);
    if (key == NJ_NIL || (key == NJ_NUMBER && lua_tonumber(L, -1) != lua_tonumber(L, -1))) {
      luaL_error(L, "the host's table has a key that cannot be one");
    }
    decode(L, d);
    lua_rawset(L, -3);
  }
  d->depth--;
}

static void decode(lua_State *L, decoder *d) {
  uint8_t kind;
  take(L, d, &kind, 1);
  switch (kind) {
    case NJ_NIL: lua_pushnil(L); break;
    case NJ_FALSE: lua_pushboolean(L, 0); break;
    case NJ_TRUE: lua_pushboolean(L, 1); break;
    case NJ_INTEGER: {
      int64_t integer;
      take(L, d, &integer, 8);
      lua_pushinteger(L, integer);
      break;
    }
    case NJ_NUMBER: {
      double number;
      take(L, d, &number, 8);
      lua_pushnumber(L, number);
      break;
    }
    case NJ_STRING: {
      uint32_t length;
      take(L, d, &length, 4);
      if ((size_t)(d->end - d->at) < length) luaL_error(L, "flat values end too early");
      lua_pushlstring(L, (const char *)d->at, length);
      d->at += length;
      break;
    }
    case NJ_NAME: {
      uint8_t name;
      take(L, d, &name, 1);
      if (lua_rawgeti(L, d->names, (lua_Integer)name + 1) != LUA_TSTRING) luaL_error(L, "no name %d is known", name);
      break;
    }
    case NJ_ARRAY:
    case NJ_TABLE: decode_table(L, d, kind); break;
    default: luaL_error(L, "flat values have an unknown tag %d", kind);
  }
}

/// Pushes the values and returns how many they are.
int nj_decode(lua_State *L, const uint8_t *bytes, size_t length) {
  if (length == 0) return 0;
  luaL_checkstack(L, 3, "too many values");
  lua_rawgeti(L, LUA_REGISTRYINDEX, nj_of(L)->names);
  decoder d = {bytes, bytes + length, 0, lua_gettop(L)};
  int pushed = 0;
  while (d.at < d.end) {
    luaL_checkstack(L, 2, "too many values");
    decode(L, &d);
    pushed++;
  }
  lua_remove(L, d.names);
  return pushed;
}
