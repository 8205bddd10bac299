// Source text to functions: load() for scripts, files for require, and plain calls in place of tail calls.
//
// `return call:reject { status = 403 }` is a tail call: the author's frame is gone before reject can say in which line
// its option is wrong, and most verbs of a dialplan stand behind a `return`. So a compiled chunk is dumped, its
// OP_TAILCALLs become OP_CALLs (the compiler puts an OP_RETURN behind each, as a C function needs it too), and what is
// loaded is that. The format is checked against a chunk of our own first; where it differs the chunk stays as it is.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum { OPCODE_TBC = 55, OPCODE_CALL = 68, OPCODE_TAILCALL = 69, OPCODE_RETURN = 70, HEADER = 31 };

typedef struct {
  uint8_t *at, *end;
  bool good, closes;
  int changed;
} dump;

static bool has(dump *d, size_t length) {
  if (d->good && (size_t)(d->end - d->at) >= length) return true;
  d->good = false;
  return false;
}

static void skip(dump *d, size_t length) {
  if (has(d, length)) d->at += length;
}

static uint8_t byte(dump *d) { return has(d, 1) ? *d->at++ : 0; }

/// Seven bits a byte, the most significant first; the last byte has its high bit set.
static size_t number(dump *d) {
  size_t value = 0;
  for (int i = 0; i < 10 && has(d, 1); i++) {
    uint8_t b = byte(d);
    value = value << 7 | (b & 0x7f);
    if (b & 0x80) return value;
  }
  d->good = false;
  return 0;
}

static void skip_string(dump *d) {
  size_t size = number(d);
  if (size > 1) skip(d, size - 1);
}

static void rewrite_code(dump *d) {
  size_t count = number(d);
  if (count > (size_t)(d->end - d->at) / 4) d->good = false;
  for (size_t i = 0; i < count && d->good; i++) {
    uint32_t instruction, next;
    memcpy(&instruction, d->at, 4);
    if ((instruction & 0x7f) == OPCODE_TBC) d->closes = true;
    if ((instruction & 0x7f) == OPCODE_TAILCALL) {
      if (i + 1 == count) {
        d->good = false;
        return;
      }
      memcpy(&next, d->at + 4, 4);
      // A and "all results" of the return behind it must be the call's.
      if ((next & 0x7f) != OPCODE_RETURN || (next >> 7 & 0xff) != (instruction >> 7 & 0xff) || (next >> 16 & 0xff)) {
        d->good = false;
        return;
      }
      instruction = OPCODE_CALL | (instruction & 0x00ff7f80);  // A and B stay; k and C (all results) are zero
      memcpy(d->at, &instruction, 4);
      d->changed++;
    }
    d->at += 4;
  }
}

static void rewrite_function(dump *d, int depth) {
  if (depth > 200) d->good = false;
  skip_string(d);  // source
  number(d);
  number(d);
  skip(d, 3);  // parameters, vararg, stack size
  rewrite_code(d);
  size_t constants = d->good ? number(d) : 0;
  for (size_t i = 0; i < constants && d->good; i++) {
    switch (byte(d)) {
      case 0x00: case 0x01: case 0x11: break;     // nil, false, true
      case 0x03: case 0x13: skip(d, 8); break;    // integer, float
      case 0x04: case 0x14: skip_string(d); break;
      default: d->good = false;
    }
  }
  skip(d, number(d) * 3);  // upvalues
  size_t functions = d->good ? number(d) : 0;
  for (size_t i = 0; i < functions && d->good; i++) rewrite_function(d, depth + 1);
  skip(d, number(d));  // line info
  size_t lines = d->good ? number(d) : 0;
  for (size_t i = 0; i < lines && d->good; i++) {
    number(d);
    number(d);
  }
  size_t locals = d->good ? number(d) : 0;
  for (size_t i = 0; i < locals && d->good; i++) {
    skip_string(d);
    number(d);
    number(d);
  }
  size_t names = d->good ? number(d) : 0;
  for (size_t i = 0; i < names && d->good; i++) skip_string(d);
}

static bool rewrite(nj_vm *vm, uint8_t *bytes, size_t length, int *changed) {
  if (length <= HEADER + 1 || memcmp(bytes, "\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08", 15) != 0) {
    vm->closes = true;
    return false;
  }
  dump d = {bytes + HEADER + 1, bytes + length, true, false, 0};  // the byte behind the header: number of upvalues
  rewrite_function(&d, 0);
  *changed = d.changed;
  if (d.closes || !d.good) vm->closes = true;
  return d.good && d.at == d.end;
}

static int write(lua_State *L, const void *bytes, size_t length, void *context) {
  (void)context;
  nj_vm *vm = nj_of(L);
  return nj_append(vm, &vm->trace, bytes, length) ? 0 : 1;
}

/// Replaces the function on top by one without tail calls.
static void make_calls_plain(lua_State *L, const char *name) {
  nj_vm *vm = nj_of(L);
  int changed = 0;
  vm->trace.length = 0;
  if (lua_dump(L, write, NULL, 0) == 0 && rewrite(vm, vm->trace.bytes, vm->trace.length, &changed) && changed &&
      luaL_loadbufferx(L, (const char *)vm->trace.bytes, vm->trace.length, name, "b") == LUA_OK) {
    lua_remove(L, -2);
  }
  vm->trace.length = 0;
}

/// Pushes the function with its environment set, or the message. A first line "#!…" and a BOM are skipped.
int nj_chunk(lua_State *L, const char *source, size_t length, const char *name, int environment) {
  environment = lua_absindex(L, environment);
  if (length >= 3 && memcmp(source, "\xef\xbb\xbf", 3) == 0) source += 3, length -= 3;
  if (length && source[0] == '#') {
    while (length && source[0] != '\n') source++, length--;
  }
  int status = luaL_loadbufferx(L, source, length, name, "t");
  if (status != LUA_OK) return status;
  make_calls_plain(L, name);
  lua_pushvalue(L, environment);
  if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  return LUA_OK;
}

/// chunk(text, name, environment): the function, or nil and the message.
static int chunk(lua_State *L) {
  size_t length;
  const char *source = luaL_checklstring(L, 1, &length);
  const char *name = luaL_checkstring(L, 2);
  luaL_checkany(L, 3);
  nj_steps(L, (int64_t)length);
  if (strncmp(name, NJ_PRELUDE_PREFIX, sizeof NJ_PRELUDE_PREFIX - 1) == 0) name = "=script";
  if (nj_chunk(L, source, length, name, 3) == LUA_OK) return 1;
  luaL_pushfail(L);
  lua_insert(L, -2);
  return 2;
}

/// The file inside the script folder that `relative` names, or NULL: absent, not a file, or outside by a symbolic link.
static FILE *open_inside(nj_vm *vm, const char *relative) {
  char path[4096], real[4096], folder[4096];
  int length = snprintf(path, sizeof path, "%s/%s", vm->script_directory, relative);
  if (length < 0 || (size_t)length >= sizeof path) return NULL;
  // realpath with a buffer of one's own; PATH_MAX is 4096 on Linux.
  if (!realpath(path, real) || !realpath(vm->script_directory, folder)) return NULL;
  size_t prefix = strlen(folder);
  if (prefix > 1 && (strncmp(real, folder, prefix) != 0 || real[prefix] != '/')) return NULL;
  return fopen(real, "rbe");
}

/// read(relative path): the text of a file in the script folder, or nil.
static int read_file(lua_State *L) {
  nj_vm *vm = nj_of(L);
  const char *relative = luaL_checkstring(L, 1);
  if (!vm->script_directory || !vm->loading) return 0;
  FILE *file = open_inside(vm, relative);
  if (!file) return 0;
  vm->text.length = 0;
  bool good = true;
  size_t count;
  do {
    good = vm->text.length < NJ_MAX_FLAT && nj_reserve(vm, &vm->text, 16384);
    count = good ? fread(vm->text.bytes + vm->text.length, 1, 16384, file) : 0;
    vm->text.length += count;
  } while (count > 0);
  good = good && !ferror(file);
  fclose(file);
  if (!good) return nj_raise(L, "cannot read %s", relative);
  lua_pushlstring(L, (const char *)vm->text.bytes, vm->text.length);
  return 1;
}

void nj_open_chunks(lua_State *L) {
  static const luaL_Reg functions[] = {{"chunk", chunk}, {"read", read_file}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
