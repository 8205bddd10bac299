// Groups and tasks. A group is a call; a task is a coroutine that the host starts and resumes. Both are slots with a
// generation, so that a stale name reaches nobody.
#include <stdlib.h>
#include <string.h>

#include "internal.h"

// MARK: groups

/// Makes room for one more in an array that doubles.
static bool grow(nj_vm *vm, void **array, uint32_t count, size_t size) {
  if (count & (count - 1)) return true;  // full only at powers of two
  if (count >= 1u << 24 || nj_fault(vm)) return false;
  void *moved = realloc(*array, size * (count ? (size_t)count * 2 : 1));
  if (moved) *array = moved;
  return moved != NULL;
}

uint32_t nj_group_open(nj_vm *vm, uint64_t id) {
  uint32_t slot = vm->group_free;
  if (slot == UINT32_MAX) {
    if (!grow(vm, (void **)&vm->groups, vm->group_count, sizeof(nj_group))) return UINT32_MAX;
    slot = vm->group_count++;
    vm->groups[slot] = (nj_group){0};
  } else {
    vm->group_free = vm->groups[slot].next_free;
  }
  uint32_t generation = vm->groups[slot].generation;
  vm->groups[slot] = (nj_group){.id = id, .generation = generation, .open = true};
  return slot;
}

/// Nil into a table of Lua takes no memory, so this cannot fail.
static void set_nil(nj_vm *vm, int reference, lua_Integer key) {
  lua_State *L = vm->main;
  lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
  lua_pushnil(L);
  lua_rawseti(L, -2, key);
  lua_pop(L, 1);
}

void nj_group_close(nj_vm *vm, uint32_t slot) {
  if (slot == 0 || slot >= vm->group_count || !vm->groups[slot].open) return;
  for (uint32_t i = 0; vm->groups[slot].tasks && i < vm->task_count; i++) {
    if (vm->tasks[i].state != TASK_FREE && vm->tasks[i].group == slot) nj_drop_task(vm, i);
  }
  nj_group *group = &vm->groups[slot];
  set_nil(vm, vm->records, (lua_Integer)group->id);
  group->open = false;
  group->generation = (group->generation + 1) & ((1u << 30) - 1);
  group->used = 0;
  group->next_free = vm->group_free;
  vm->group_free = slot;
}

size_t nj_group_memory(const nj_vm *vm, uint32_t slot) { return slot < vm->group_count ? vm->groups[slot].used : 0; }
int64_t nj_group_cpu(const nj_vm *vm, uint32_t slot) { return slot < vm->group_count ? vm->groups[slot].cpu : 0; }

// MARK: task slots

static uint32_t reserve_task(nj_vm *vm, uint32_t group) {
  uint32_t slot = vm->task_free;
  if (slot == UINT32_MAX) {
    if (!grow(vm, (void **)&vm->tasks, vm->task_count, sizeof(nj_task))) return NJ_NO_TASK;
    slot = vm->task_count++;
    vm->tasks[slot].generation = 0;
  } else {
    vm->task_free = vm->tasks[slot].next_free;
  }
  nj_task *task = &vm->tasks[slot];
  *task = (nj_task){.generation = task->generation, .group = group, .state = TASK_READY};
  vm->groups[group].tasks++;
  vm->live_tasks++;
  return slot;
}

/// Lets go of the coroutine.
static void unanchor(nj_vm *vm, uint32_t slot) {
  if (!vm->tasks[slot].thread) return;
  set_nil(vm, vm->anchors, (lua_Integer)slot + 1);
  vm->tasks[slot].thread = NULL;
}

void nj_drop_task(nj_vm *vm, uint32_t slot) {
  unanchor(vm, slot);
  nj_task *task = &vm->tasks[slot];
  vm->groups[task->group].tasks--;
  vm->live_tasks--;
  task->state = TASK_FREE;
  task->generation++;
  task->next_free = vm->task_free;
  vm->task_free = slot;
}

static nj_task *find(nj_vm *vm, uint32_t slot, uint32_t generation) {
  if (slot >= vm->task_count) return NULL;
  nj_task *task = &vm->tasks[slot];
  return task->generation == generation && task->state != TASK_FREE ? task : NULL;
}

/// Frees what the calls hold that allocator.c has chosen to end. Their tasks stay as names, so that a resume fails.
static void evict(nj_vm *vm) {
  vm->evict = false;
  for (uint32_t i = 0; i < vm->task_count; i++) {
    nj_task *task = &vm->tasks[i];
    if (task->state != TASK_READY || !vm->groups[task->group].breach || task->group == vm->group) continue;
    unanchor(vm, i);
    task->state = TASK_EVICTED;
    uint64_t id = vm->groups[task->group].id;
    if (vm->evicted_count && vm->evicted[vm->evicted_count - 1] == id) continue;
    if (vm->evicted_count == vm->evicted_room) {
      size_t room = vm->evicted_room ? vm->evicted_room * 2 : 8;
      uint64_t *moved = realloc(vm->evicted, room * sizeof *moved);
      if (!moved) continue;
      vm->evicted = moved;
      vm->evicted_room = room;
    }
    vm->evicted[vm->evicted_count++] = id;
  }
}

size_t nj_evicted(nj_vm *vm, uint64_t *ids, size_t room) {
  size_t count = vm->evicted_count < room ? vm->evicted_count : room;
  if (!count) return 0;
  memcpy(ids, vm->evicted, count * sizeof *ids);
  vm->evicted_count -= count;
  memmove(vm->evicted, vm->evicted + count, vm->evicted_count * sizeof *ids);
  return count;
}

size_t nj_evicted_count(const nj_vm *vm) { return vm->evicted_count; }

// MARK: steps

typedef struct {
  nj_vm *vm;
  uint32_t slot;
  const uint8_t *entry, *arguments;
  size_t entry_length, length;
  nj_step *out;
} request;

/// Runs the <close> handlers of a coroutine that an error ended. An error of theirs is told behind the traceback.
static void close_handlers(nj_vm *vm, lua_State *thread, nj_step *out) {
  const void *error = lua_topointer(thread, -1);
  vm->running = thread;
  vm->chain = false;
  vm->closing = true;
  int status = lua_resetthread(thread);
  vm->running = vm->main;
  vm->closing = false;
  if (status == LUA_OK || lua_type(thread, -1) != LUA_TSTRING || lua_topointer(thread, -1) == error) return;
  size_t length;
  const char *text = lua_tolstring(thread, -1, &length);
  static const char intro[] = "\n\tin __close: ";
  if (nj_append(vm, &vm->trace, intro, sizeof intro - 1) && nj_append(vm, &vm->trace, text, length)) {
    out->trace = vm->trace.bytes;
    out->trace_length = vm->trace.length;
  }
}

static void move_arguments(lua_State *L, lua_State *thread, const request *r) {
  int count = nj_decode(L, r->arguments, r->length);
  if (!lua_checkstack(thread, count + 1)) luaL_error(L, "not enough memory");
  lua_xmove(L, thread, count);
  lua_pushinteger(L, count);
}

/// A coroutine that has run to its end is as good as new.
static void keep_idle(lua_State *L, nj_vm *vm, lua_State *thread) {
  if (vm->idle_count == NJ_IDLE || lua_gettop(thread) != 0) return;
  luaL_checkstack(L, 3, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm->anchors);
  lua_rawgeti(L, -1, (lua_Integer)vm->task + 1);
  lua_rawseti(L, -2, -(lua_Integer)vm->idle_count - 1);
  vm->idle[vm->idle_count++] = thread;
}

/// Pushes a coroutine for a task, an idle one if there is one.
static lua_State *take_thread(lua_State *L, nj_vm *vm, int anchors) {
  if (vm->idle_count == 0) {
    lua_State *thread = lua_newthread(L);
    nj_set_root(thread);
    return thread;
  }
  lua_Integer place = -(lua_Integer)vm->idle_count;
  lua_rawgeti(L, anchors, place);
  lua_pushnil(L);  // else it would outlive a task that is dropped with all that it holds
  lua_rawseti(L, anchors, place);
  return vm->idle[--vm->idle_count];
}

static void step(lua_State *L, const request *r, lua_State *thread) {
  nj_vm *vm = r->vm;
  nj_step *out = r->out;
  move_arguments(L, thread, r);
  int arguments = (int)lua_tointeger(L, -1), results = 0;
  vm->running = thread;
  vm->chain = true;
  vm->pending = PENDING_NONE;
  vm->tasks[r->slot].state = TASK_RUNNING;
  if (lua_gethookcount(thread) != NJ_HOOK_COUNT) nj_hook_every(thread, NJ_HOOK_COUNT);
  int status = lua_resume(thread, L, arguments, &results);
  vm->running = L;
  vm->chain = vm->lifted = false;
  vm->tasks[r->slot].state = TASK_READY;
  if (nj_ended(vm)) {
    nj_describe(L, thread, status, out);
  } else if (status == LUA_YIELD) {
    if (vm->pending == PENDING_NONE) luaL_error(L, "a task yielded without a reason");
    out->status = vm->pending == PENDING_ASK ? NJ_ASKED : NJ_SLICED;
    out->op = vm->op;
    out->bytes = vm->out.bytes;
    out->length = vm->pending == PENDING_ASK ? vm->out.length : 0;
  } else if (status == LUA_OK) {
    luaL_checkstack(L, results + 8, "too many results");
    lua_settop(L, 0);
    lua_xmove(thread, L, results);
    nj_encode(L, 1, results, "result");
    out->status = NJ_FINISHED;
    out->bytes = vm->out.bytes;
    out->length = vm->out.length;
    keep_idle(L, vm, thread);
  } else {
    nj_describe(L, thread, status, out);
    close_handlers(vm, thread, out);
    if (nj_ended(vm)) nj_describe(L, thread, status, out);
  }
}

static int start_body(lua_State *L) {
  const request *r = lua_touserdata(L, 1);
  nj_vm *vm = r->vm;
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm->anchors);
  lua_State *thread = take_thread(L, vm, lua_gettop(L));
  lua_rawseti(L, -2, (lua_Integer)r->slot + 1);
  vm->tasks[r->slot].thread = thread;
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm->internals);
  lua_getfield(L, -1, "entries");
  lua_pushlstring(L, (const char *)r->entry, r->entry_length);
  if (lua_rawget(L, -2) != LUA_TFUNCTION) {
    nj_failed(r->out, NJ_NOT_FOUND, "the script has no such entry");
    return 0;
  }
  lua_xmove(L, thread, 1);
  step(L, r, thread);
  return 0;
}

static int resume_body(lua_State *L) {
  const request *r = lua_touserdata(L, 1);
  step(L, r, r->vm->tasks[r->slot].thread);
  return 0;
}

static int close_body(lua_State *L) {
  const request *r = lua_touserdata(L, 1);
  lua_State *thread = r->vm->tasks[r->slot].thread;
  r->vm->running = thread;
  r->vm->closing = true;
  int status = lua_resetthread(thread);
  r->vm->running = L;
  if (status != LUA_OK) nj_describe(L, thread, status, r->out);
  return 0;
}

/// Runs a body as the task, charged to its group, and drops the task when that was its last step.
static void run(nj_vm *vm, lua_CFunction body, request *r, bool last) {
  nj_task *task = &vm->tasks[r->slot];
  r->out->slot = r->slot;
  r->out->generation = task->generation;
  vm->group = task->group;
  vm->task = r->slot;
  if (vm->group == 0) {  // the machine's own work is limited a step at a time
    vm->groups[0].cpu = 0;
    vm->groups[0].breach = BREACH_NONE;
  }
  nj_slice_begin(vm, vm->limits.burst_ns, vm->limits.call_cpu_ns);
  bool returned = nj_protected(vm, body, r, r->out);
  nj_slice_end(vm);
  if (!returned || last || r->out->status == NJ_FINISHED || r->out->status == NJ_FAILED) nj_drop_task(vm, r->slot);
  if (vm->evict) evict(vm);
  vm->group = 0;
  vm->task = NJ_NO_TASK;
}

void nj_start(nj_vm *vm, uint32_t group, const uint8_t *entry, size_t entry_length, const uint8_t *arguments,
              size_t length, nj_step *out) {
  *out = (nj_step){.slot = NJ_NO_TASK};
  nj_group *owner = &vm->groups[group];
  if (owner->breach && group) return nj_failed(out, owner->breach == BREACH_CPU ? NJ_CPU : NJ_MEMORY, "script limit");
  if (group && owner->tasks >= vm->limits.group_tasks) return nj_failed(out, NJ_TASKS, "script limit: too many tasks");
  uint32_t slot = reserve_task(vm, group);
  if (slot == NJ_NO_TASK) return nj_failed(out, NJ_MEMORY, "not enough memory");
  request r = {vm, slot, entry, arguments, entry_length, length, out};
  run(vm, start_body, &r, false);
}

void nj_resume(nj_vm *vm, uint32_t slot, uint32_t generation, const uint8_t *arguments, size_t length, nj_step *out) {
  *out = (nj_step){.slot = slot, .generation = generation};
  nj_task *task = find(vm, slot, generation);
  if (!task) return nj_failed(out, NJ_NOT_FOUND, "no such task");
  nj_group *owner = &vm->groups[task->group];
  if (task->state == TASK_EVICTED || (owner->breach && task->group)) {
    bool cpu = owner->breach == BREACH_CPU;
    bool evicted = task->state == TASK_EVICTED;
    nj_drop_task(vm, slot);
    return nj_failed(out, cpu ? NJ_CPU : NJ_MEMORY,
                     evicted ? "script limit: the scripts' memory was full and this call held the most"
                             : "script limit: another task of the call was over it");
  }
  request r = {vm, slot, NULL, arguments, 0, length, out};
  run(vm, resume_body, &r, false);
}

void nj_close(nj_vm *vm, uint32_t slot, uint32_t generation, nj_step *out) {
  *out = (nj_step){.slot = slot, .generation = generation};
  nj_task *task = find(vm, slot, generation);
  if (!task) return;
  if (task->state == TASK_EVICTED || (vm->groups[task->group].breach && task->group)) {
    nj_drop_task(vm, slot);
    return;
  }
  request r = {vm, slot, NULL, NULL, 0, 0, out};
  run(vm, close_body, &r, true);
}

static int traceback_body(lua_State *L) {
  const request *r = lua_touserdata(L, 1);
  nj_take_trace(L, r->vm->tasks[r->slot].thread);
  return 0;
}

void nj_traceback(nj_vm *vm, uint32_t slot, uint32_t generation, nj_step *out) {
  *out = (nj_step){.slot = slot, .generation = generation};
  nj_task *task = find(vm, slot, generation);
  if (!task || !task->thread) return;
  request r = {vm, slot, NULL, NULL, 0, 0, out};
  nj_slice_begin(vm, vm->limits.burst_ns, vm->limits.call_cpu_ns);
  nj_protected(vm, traceback_body, &r, out);
  out->trace = vm->trace.bytes;
  out->trace_length = vm->trace.length;
}
