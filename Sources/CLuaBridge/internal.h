// Shared by the bridge's files; not seen by Swift.
//
//   allocator.c   memory: who owns a block, caps, the failing allocator of the tests
//   pages.c       small blocks by size
//   limits.c      thread CPU: the count hook, slices, how a group is ended so that no pcall sees it
//   values.c      Lua values to flat bytes and back
//   host.c        host(), ask(), fail(): what a prelude calls
//   coroutines.c  coroutine.* whose inner waits and slices pass outward
//   tasks.c       groups and tasks: start, resume, close
//   failures.c    what is told of a step that failed
//   chunks.c      load, require, and tail calls made plain so that errors know their line
//   machine.c     the life of a machine
//   strings.c tables.c patterns.c matcher.c   library functions that never reach a hook, bounded
#pragma once
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "CLuaBridge.h"

enum { PENDING_NONE, PENDING_ASK, PENDING_SLICE };
enum { BREACH_NONE, BREACH_CPU, BREACH_MEMORY };
enum { TASK_FREE, TASK_READY, TASK_RUNNING, TASK_EVICTED };

/// Instructions between two looks at the clock.
#define NJ_HOOK_COUNT 1000
/// What one library call may loop over without a hook.
#define NJ_MAX_LOOP (1 << 20)
#define NJ_NO_TASK UINT32_MAX
/// The largest block, with its owner, that lies in a page (pages.c): a coroutine's stack still does.
#define NJ_POOLED 1024
/// Coroutines kept for the next tasks: making one and collecting it costs as much as the rest of a short task.
#define NJ_IDLE 32
#define NJ_PRELUDE_PREFIX "=[nightjar]"

typedef struct {
  uint8_t *bytes;
  size_t length, capacity;
} nj_buffer;

typedef struct nj_page nj_page;

typedef struct {
  uint64_t id;
  size_t used;        // bytes of live blocks that it allocated last
  int64_t cpu;        // ns, finished steps
  uint32_t generation;  // told apart from an earlier holder of the slot in block headers; 30 bits
  uint32_t tasks;
  uint32_t next_free;
  uint8_t breach;
  bool open;
} nj_group;

typedef struct {
  lua_State *thread;
  lua_Integer tag;  // a register of the prelude: which call this task works for
  uint32_t generation;
  uint32_t group;
  uint32_t next_free;
  uint8_t state;
} nj_task;

/// Who resumed the running coroutine, and who that one: for the author's line where a coroutine has no frame of his.
typedef struct nj_level {
  lua_State *thread;
  struct nj_level *outer;
} nj_level;

struct nj_vm {
  lua_State *main, *running;
  nj_limits limits;
  nj_host host;
  void *context;
  char *script_directory;

  size_t used, since_check;
  bool lifted;   // the cap is off: host calls, and the bridge's own messages
  bool refused;  // the last growth was refused once: Lua collects, then asks again
  bool collect;  // a cap has been crossed: the hook collects
  bool starved;  // an allocation was refused in this step, or a buffer could not grow
  bool evict;    // a group other than the running one is to be dropped after this step
  uint64_t allocations, fail_at, fail_end;
  nj_page *pages[NJ_POOLED / 16];  // by size: those with room

  nj_group *groups;
  uint32_t group_count, group_free, group;
  nj_task *tasks;
  uint32_t task_count, task_free, task, live_tasks;
  lua_State *idle[NJ_IDLE];  // finished coroutines, to be used again; anchored at -1, -2, …
  uint32_t idle_count;
  uint64_t *evicted;
  size_t evicted_count, evicted_room;

  int64_t slice_start, last_seen, cpu_base, prefix, next_check, burst, cpu_limit;
  int64_t steps;
  int pending;
  int32_t op;
  bool chain;     // every coroutine between the running one and the host may yield
  bool loading, closing;
  bool closes;    // a chunk has <close> variables: ask() looks whether it is called in __close

  nj_level *level;

  nj_buffer out, text, trace, inner;
  const void *inner_error;  // the error value that `inner` is the trace of: a wrapped coroutine's
  char where[200];  // script position of the breach
  bool noted;       // `where` and `trace` have been taken
  char **op_names;
  char *op_storage;
  int32_t op_count;
  int anchors, internals, preludes, names, records;  // references in the registry
  lua_CFunction insert, remove, concat, unpack, move, sort, rep, byte, utf8_length, xpcall, setmetatable_;
};

/// The word in front of a lua_State: the machine, and in its low bits what kind of coroutine this is.
static inline uintptr_t *nj_word(lua_State *L) { return lua_getextraspace(L); }
static inline nj_vm *nj_of(lua_State *L) { return (nj_vm *)(*nj_word(L) & ~(uintptr_t)3); }
/// A task's own coroutine, which only the host resumes.
static inline bool nj_is_root(lua_State *L) { return *nj_word(L) & 1; }
static inline void nj_set_root(lua_State *L) { *nj_word(L) |= 1; }
/// One that a script made and that has passed a wait or a slice outward.
static inline bool nj_is_passing(lua_State *L) { return *nj_word(L) & 2; }
static inline void nj_set_passing(lua_State *L, bool passing) {
  *nj_word(L) = (*nj_word(L) & ~(uintptr_t)2) | (passing ? 2 : 0);
}

// allocator.c
void *nj_allocate(void *vm, void *block, size_t old_size, size_t new_size);
bool nj_fault(nj_vm *vm);
bool nj_reserve(nj_vm *vm, nj_buffer *buffer, size_t more);
bool nj_append(nj_vm *vm, nj_buffer *buffer, const void *bytes, size_t length);
void nj_check_caps(nj_vm *vm);
void nj_after_collection(nj_vm *vm);
void nj_breach(nj_vm *vm, uint32_t group, uint8_t kind);

// pages.c
void *nj_page_take(nj_vm *vm, size_t size, uint32_t *place);
void nj_page_give(nj_vm *vm, void *block, uint32_t place);
bool nj_page_fits(void *block, uint32_t place, size_t size);
void nj_pages_free(nj_vm *vm);

// limits.c
void nj_hook(lua_State *L, lua_Debug *record);
void nj_hook_every(lua_State *L, int instructions);
void nj_slice_begin(nj_vm *vm, int64_t burst, int64_t cpu_limit);
void nj_slice_end(nj_vm *vm);
void nj_steps(lua_State *L, int64_t steps);
bool nj_ended(const nj_vm *vm);
int nj_stop(lua_State *L);
void nj_note_where(nj_vm *vm, lua_State *L);
const char *nj_breach_text(nj_vm *vm, uint8_t kind);

// values.c
void nj_encode(lua_State *L, int first, int count, const char *what);
int nj_decode(lua_State *L, const uint8_t *bytes, size_t length);

// host.c
bool nj_where(lua_State *L, char *text, size_t room);
int nj_raise(lua_State *L, const char *format, ...);
void nj_open_host(lua_State *L);

// coroutines.c, strings.c, tables.c, patterns.c, chunks.c
void nj_open_coroutines(lua_State *L);
void nj_open_strings(lua_State *L);
lua_CFunction nj_replace(lua_State *L, const char *name, lua_CFunction ours);
void nj_open_tables(lua_State *L);
void nj_open_patterns(lua_State *L);
void nj_open_chunks(lua_State *L);
int nj_chunk(lua_State *L, const char *source, size_t length, const char *name, int environment);

// failures.c
void nj_failed(nj_step *out, int32_t kind, const char *message);
void nj_fail_with(nj_vm *vm, nj_step *out, int32_t kind, const char *message, size_t length);
void nj_describe(lua_State *L, lua_State *thread, int status, nj_step *out);
void nj_take_trace(lua_State *L, lua_State *thread);
void nj_take_inner_trace(lua_State *L, lua_State *thread);
bool nj_is_starvation(const nj_vm *vm, lua_State *L);
int nj_trace_handler(lua_State *L);
bool nj_protected(nj_vm *vm, lua_CFunction body, void *request, nj_step *out);

// tasks.c
void nj_drop_task(nj_vm *vm, uint32_t slot);
