// Pattern matching, between matcher.c and the functions of patterns.c.
#pragma once
#include "internal.h"

enum { OPEN = -1, POSITION = -2, MAX_DEPTH = 200, MAX_CAPTURES = 32, SPECIAL_ESCAPE = '%' };
/// Steps that a match may take besides some for each byte of the subject; about 10 ms.
#define BUDGET 1000000

typedef struct {
  const char *source, *end, *pattern_end;
  lua_State *L;
  int64_t budget;
  int depth;
  int level;
  struct {
    const char *start;
    ptrdiff_t length;
  } capture[MAX_CAPTURES];
} matcher;

/// The end of the match of the pattern at `p` with the subject at `s`, or NULL. Raises for a malformed pattern and when
/// the budget is spent.
const char *nj_match(matcher *m, const char *s, const char *p);

/// Spends one step; the CPU clock is looked at now and then.
static inline void spend(matcher *m) {
  if (--m->budget < 0) nj_raise(m->L, "the pattern is too complex for this text: it backtracks without end");
  if ((m->budget & 0x3fff) == 0) nj_steps(m->L, 0x4000);
}
