// Thread CPU. A look at CLOCK_THREAD_CPUTIME_ID is a system call (0.2–0.7 µs), a look at CLOCK_MONOTONIC is not
// (25 ns), and no thread uses more CPU than time passes: so the wall clock says when the CPU clock is worth asking.
//
// A group that is over its limit must not learn of it: where the running coroutine can yield, it yields and is never
// resumed. Where it cannot (a callback of gsub or sort, __close, a metamethod called from C) the hook raises on every
// instruction until it is back where it can.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "internal.h"

/// A step shorter than this is charged by the wall clock, without a look at the CPU's.
#define UNSAMPLED 500000
/// What a thousand instructions without a hook may cost at most; if more time has passed the thread was pre-empted.
#define UNSEEN 100000

static int64_t nanoseconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void nj_hook_every(lua_State *L, int instructions) { lua_sethook(L, nj_hook, LUA_MASKCOUNT, instructions); }

void nj_slice_begin(nj_vm *vm, int64_t burst, int64_t cpu_limit) {
  vm->slice_start = nanoseconds(CLOCK_MONOTONIC);
  vm->last_seen = vm->slice_start;
  vm->cpu_base = -1;
  vm->burst = burst;
  vm->cpu_limit = cpu_limit;
  int64_t first = burst / 2 < UNSAMPLED ? burst / 2 : UNSAMPLED;
  int64_t left = cpu_limit - vm->groups[vm->group].cpu;  // many short steps make a long one
  if (left < first) first = left > 0 ? left : 0;
  vm->next_check = vm->slice_start + first;
  vm->steps = 0;
  vm->where[0] = 0;
  vm->noted = false;
}

static int64_t slice_used(nj_vm *vm, int64_t now) {
  if (vm->cpu_base >= 0) return vm->prefix + nanoseconds(CLOCK_THREAD_CPUTIME_ID) - vm->cpu_base;
  // Nobody sampled the start, which would have cost every short step a system call: take the wall time.
  int64_t unseen = now - vm->last_seen;
  int64_t used = vm->last_seen - vm->slice_start + (unseen < UNSEEN ? unseen : UNSEEN);
  if (now >= vm->next_check) {
    vm->prefix = used;
    vm->cpu_base = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
  }
  return used;
}

void nj_slice_end(nj_vm *vm) {
  nj_group *group = &vm->groups[vm->group];
  group->cpu += slice_used(vm, nanoseconds(CLOCK_MONOTONIC));
}

/// True when the running coroutine has had its turn. Marks the group when it is over its limit.
static bool turn_is_over(nj_vm *vm) {
  int64_t now = nanoseconds(CLOCK_MONOTONIC);
  if (now < vm->next_check) {
    vm->last_seen = now;
    return false;
  }
  nj_group *group = &vm->groups[vm->group];
  int64_t used = slice_used(vm, now);
  int64_t left = vm->cpu_limit - group->cpu - used;
  if (left <= 0) {
    nj_breach(vm, vm->group, BREACH_CPU);
    return false;
  }
  int64_t turn = vm->burst - used;
  int64_t wait = turn <= 0 ? 200000 : turn;
  if (wait > left) wait = left;
  vm->next_check = now + (wait < 20000 ? 20000 : wait);
  return turn <= 0;
}

bool nj_ended(const nj_vm *vm) { return vm->groups[vm->group].breach != BREACH_NONE; }

const char *nj_breach_text(nj_vm *vm, uint8_t kind) {
  if (kind == BREACH_CPU) {
    return vm->loading ? "script limit: loading took too much CPU time"
                       : "script limit: the call used too much CPU time";
  }
  return vm->loading || vm->group == 0 ? "script limit: not enough memory"
                                       : "script limit: the call used too much memory";
}

/// The first to see the breach stands where it happened.
void nj_note_where(nj_vm *vm, lua_State *L) {
  if (vm->noted) return;
  vm->noted = true;
  nj_where(L, vm->where, sizeof vm->where);
  vm->lifted = true;
  nj_take_trace(L, L);
  vm->lifted = false;
}

/// Leaves the running coroutine of an ended group: by a yield that nobody answers, else by an error that the next
/// instruction repeats.
int nj_stop(lua_State *L) {
  nj_vm *vm = nj_of(L);
  nj_note_where(vm, L);
  vm->lifted = false;
  if (lua_gethookcount(L) != 1) nj_hook_every(L, 1);
  if (vm->chain && lua_isyieldable(L)) return lua_yield(L, 0);
  vm->lifted = true;
  lua_pushstring(L, nj_breach_text(vm, vm->groups[vm->group].breach));
  vm->lifted = false;
  return lua_error(L);
}

void nj_hook(lua_State *L, lua_Debug *record) {
  (void)record;
  nj_vm *vm = nj_of(L);
  vm->lifted = false;
  if (vm->collect) {
    vm->collect = false;
    lua_gc(L, LUA_GCCOLLECT);
    nj_after_collection(vm);
  }
  bool over = !nj_ended(vm) && turn_is_over(vm);
  if (nj_ended(vm)) {
    nj_stop(L);
    return;
  }
  if (lua_gethookcount(L) != NJ_HOOK_COUNT) nj_hook_every(L, NJ_HOOK_COUNT);
  if (over && vm->chain && lua_isyieldable(L)) {
    vm->pending = PENDING_SLICE;
    lua_yield(L, 0);
  }
}

/// Called by library functions that loop without a hook; one step is some nanoseconds.
void nj_steps(lua_State *L, int64_t steps) {
  nj_vm *vm = nj_of(L);
  vm->steps += steps;
  if (vm->steps < 20000) return;
  vm->steps = 0;
  if (!nj_ended(vm) && turn_is_over(vm)) nj_hook_every(L, 1);
  if (nj_ended(vm)) nj_stop(L);
}
