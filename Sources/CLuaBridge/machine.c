// The life of a machine: made, given its preludes and the user's script, freed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static int panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "lua: an error outside a protected call: %s\n", message ? message : "?");
  abort();
}

static int open_body(lua_State *L) {
  nj_vm *vm = nj_of(L);
  static const luaL_Reg libraries[] = {{LUA_GNAME, luaopen_base},       {LUA_STRLIBNAME, luaopen_string},
                                       {LUA_TABLIBNAME, luaopen_table}, {LUA_MATHLIBNAME, luaopen_math},
                                       {LUA_UTF8LIBNAME, luaopen_utf8}, {LUA_OSLIBNAME, luaopen_os},
                                       {NULL, NULL}};
  lua_settop(L, 0);
  for (const luaL_Reg *library = libraries; library->name; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
  nj_open_coroutines(L);
  nj_open_tables(L);
  nj_open_strings(L);
  nj_open_patterns(L);
  lua_newtable(L);
  vm->anchors = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  vm->names = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  nj_open_host(L);
  nj_open_chunks(L);
  lua_newtable(L);
  lua_setfield(L, -2, "entries");
  lua_newtable(L);  // by a group's id, what preludes keep for it
  lua_pushvalue(L, -1);
  vm->records = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_setfield(L, -2, "records");
  lua_newtable(L);
  lua_setfield(L, -2, "OP");
  vm->internals = luaL_ref(L, LUA_REGISTRYINDEX);
  nj_hook_every(L, NJ_HOOK_COUNT);  // coroutines take the hook over from the one that makes them
  // Calls live for minutes and keep little: let garbage not double the machine.
  lua_gc(L, LUA_GCINC, 150, 200, 0);
  return 0;
}

nj_vm *nj_new(const nj_limits *limits, nj_host host, void *context, const char *script_directory, uint64_t fail_at,
              uint64_t fail_count) {
  nj_vm *vm = calloc(1, sizeof *vm);
  if (!vm) return NULL;
  vm->limits = *limits;
  vm->host = host;
  vm->context = context;
  vm->group_free = vm->task_free = UINT32_MAX;
  vm->task = NJ_NO_TASK;
  vm->anchors = vm->internals = vm->preludes = vm->names = vm->records = LUA_NOREF;
  nj_fail_allocation(vm, fail_at, fail_count);
  if (script_directory) vm->script_directory = strdup(script_directory);
  nj_step out = {0};
  if (nj_group_open(vm, 0) != 0 || (script_directory && !vm->script_directory) ||
      !(vm->main = lua_newstate(nj_allocate, vm))) {
    nj_free(vm);
    return NULL;
  }
  *nj_word(vm->main) = (uintptr_t)vm;
  lua_atpanic(vm->main, panic);
  vm->loading = true;
  nj_slice_begin(vm, INT64_MAX, limits->load_cpu_ns);
  bool opened = nj_protected(vm, open_body, NULL, &out);
  vm->loading = false;
  if (!opened) {
    nj_free(vm);
    return NULL;
  }
  return vm;
}

void nj_free(nj_vm *vm) {
  if (!vm) return;
  vm->lifted = true;
  vm->group = 0;
  vm->fail_at = 0;
  if (vm->main) lua_close(vm->main);
  nj_pages_free(vm);
  free(vm->out.bytes);
  free(vm->text.bytes);
  free(vm->trace.bytes);
  free(vm->inner.bytes);
  free(vm->groups);
  free(vm->tasks);
  free(vm->evicted);
  free(vm->op_names);
  free(vm->op_storage);
  free(vm->script_directory);
  free(vm);
}

typedef struct {
  nj_vm *vm;
  const char *source, *name;
  size_t length;
  nj_step *out;
} request;

/// Runs a body with the machine's own group and the limits of loading.
static bool load(request *r, lua_CFunction body) {
  nj_vm *vm = r->vm;
  *r->out = (nj_step){.status = NJ_FINISHED, .slot = NJ_NO_TASK};
  vm->group = 0;
  vm->task = NJ_NO_TASK;
  vm->groups[0].cpu = 0;
  vm->groups[0].breach = BREACH_NONE;
  vm->loading = true;
  nj_slice_begin(vm, INT64_MAX, vm->limits.load_cpu_ns);
  bool good = nj_protected(vm, body, r, r->out);
  nj_slice_end(vm);
  vm->loading = false;
  return good && r->out->status != NJ_FAILED;
}

static int operations_body(lua_State *L) {
  const request *r = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->vm->internals);
  lua_getfield(L, -1, "OP");
  for (int32_t i = 0; i < r->vm->op_count; i++) {
    lua_pushinteger(L, i);
    lua_setfield(L, -2, r->vm->op_names[i]);
  }
  return 0;
}

bool nj_operations(nj_vm *vm, const char *names, size_t length, nj_step *out) {
  request r = {vm, NULL, NULL, 0, out};
  *out = (nj_step){.slot = NJ_NO_TASK};
  int32_t count = 0;
  for (size_t i = 0; i < length; i++) count += names[i] == 0;
  if (vm->op_storage || nj_fault(vm) || !(vm->op_storage = malloc(length + 1)) ||
      !(vm->op_names = calloc((size_t)count + 1, sizeof *vm->op_names))) {
    nj_failed(out, NJ_MEMORY, "not enough memory");
    return false;
  }
  memcpy(vm->op_storage, names, length);
  vm->op_storage[length] = 0;
  char *name = vm->op_storage;
  for (int32_t i = 0; i < count; i++, name += strlen(name) + 1) vm->op_names[i] = name;
  vm->op_count = count;
  return load(&r, operations_body);
}

static int names_body(lua_State *L) {
  const request *r = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->vm->names);
  lua_Integer count = 0;
  for (size_t at = 0; at < r->length; at += strlen(r->source + at) + 1) {
    lua_pushstring(L, r->source + at);
    lua_rawseti(L, -2, ++count);
  }
  return 0;
}

bool nj_names(nj_vm *vm, const char *names, size_t length, nj_step *out) {
  request r = {vm, names, NULL, length, out};
  return load(&r, names_body);
}

static int run_chunk(lua_State *L, const request *r, int arguments) {
  // What lies on the stack: the chunk, its arguments.
  lua_pushcfunction(L, nj_trace_handler);
  int handler = lua_gettop(L) - arguments - 1;
  lua_insert(L, handler);
  int status = lua_pcall(L, arguments, 1, handler);
  lua_remove(L, handler);
  if (status == LUA_OK) return 1;
  nj_vm *vm = r->vm;
  if (nj_ended(vm)) return lua_error(L);  // nj_protected tells it
  nj_step *out = r->out;
  vm->where[0] = 0;
  bool starved = status == LUA_ERRMEM || nj_is_starvation(vm, L);
  size_t length;
  const char *text = luaL_tolstring(L, -1, &length);
  nj_fail_with(vm, out, starved ? NJ_MEMORY : NJ_RUNTIME, text, length);
  return 0;
}

static int syntax_error(lua_State *L, const request *r, int status) {
  r->vm->where[0] = 0;
  size_t length;
  const char *text = luaL_tolstring(L, -1, &length);
  nj_fail_with(r->vm, r->out, status == LUA_ERRMEM ? NJ_MEMORY : NJ_SYNTAX, text, length);
  return 0;
}

static int prelude_body(lua_State *L) {
  request *r = lua_touserdata(L, 1);
  nj_vm *vm = r->vm;
  bool first = vm->preludes == LUA_NOREF;
  char name[128];
  snprintf(name, sizeof name, NJ_PRELUDE_PREFIX " %s", r->name);
  int status = luaL_loadbufferx(L, r->source, r->length, name, "t");
  if (status != LUA_OK) return syntax_error(L, r, status);
  if (!first) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->preludes);
    lua_setupvalue(L, -2, 1);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm->internals);
  if (!run_chunk(L, r, 1)) return 0;
  if (first) {
    luaL_checktype(L, -1, LUA_TTABLE);
    vm->preludes = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  return 0;
}

bool nj_prelude(nj_vm *vm, const uint8_t *source, size_t length, const char *name, nj_step *out) {
  request r = {vm, (const char *)source, name, length, out};
  return load(&r, prelude_body);
}

static int load_body(lua_State *L) {
  request *r = lua_touserdata(L, 1);
  nj_vm *vm = r->vm;
  char name[256];
  snprintf(name, sizeof name, "@%s", r->name);
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm->internals);
  lua_getfield(L, -1, "environment");
  int status = nj_chunk(L, r->source, r->length, name, -1);
  if (status != LUA_OK) return syntax_error(L, r, status);
  if (!run_chunk(L, r, 0)) return 0;
  lua_settop(L, 2);
  lua_getfield(L, 2, "freeze");
  run_chunk(L, r, 0);
  return 0;
}

bool nj_load(nj_vm *vm, const uint8_t *source, size_t length, const char *name, nj_step *out) {
  request r = {vm, (const char *)source, name, length, out};
  return load(&r, load_body);
}

size_t nj_memory(const nj_vm *vm) { return vm->used; }
uint32_t nj_task_count(const nj_vm *vm) { return vm->live_tasks; }
void nj_collect(nj_vm *vm) { lua_gc(vm->main, LUA_GCCOLLECT); }

void nj_fail_allocation(nj_vm *vm, uint64_t at, uint64_t count) {
  vm->fail_at = at ? vm->allocations + at : 0;
  vm->fail_end = vm->fail_at + (count > UINT64_MAX - vm->fail_at ? UINT64_MAX - vm->fail_at : count);
}

uint64_t nj_allocations(const nj_vm *vm) { return vm->allocations; }
