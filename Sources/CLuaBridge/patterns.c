// string.find, match, gmatch and gsub over the bounded matcher of matcher.c, whose notice holds here too.
#define _GNU_SOURCE
#include <ctype.h>
#include <string.h>

#include "matcher.h"

static void prepare(matcher *m, lua_State *L, const char *s, size_t length, const char *p, size_t pattern_length) {
  m->L = L;
  m->source = s;
  m->end = s + length;
  m->pattern_end = p + pattern_length;
  m->depth = MAX_DEPTH;
  m->level = 0;
  m->budget = BUDGET + (int64_t)length * 16;
}

static void push_capture(matcher *m, int level, const char *s, const char *e) {
  if (level >= m->level) {
    if (level != 0) luaL_error(m->L, "invalid capture index %%%d", level + 1);
    lua_pushlstring(m->L, s, (size_t)(e - s));
    return;
  }
  ptrdiff_t length = m->capture[level].length;
  if (length == OPEN) luaL_error(m->L, "unfinished capture");
  if (length == POSITION) lua_pushinteger(m->L, m->capture[level].start - m->source + 1);
  else lua_pushlstring(m->L, m->capture[level].start, (size_t)length);
}

static int push_captures(matcher *m, const char *s, const char *e) {
  int count = m->level == 0 && s ? 1 : m->level;
  luaL_checkstack(m->L, count, "too many captures");
  for (int i = 0; i < count; i++) push_capture(m, i, s, e);
  return count;
}

static void charge(matcher *m, size_t length) {
  int64_t spent = BUDGET + (int64_t)length * 16 - m->budget;
  nj_steps(m->L, (spent & 0x3fff) + 10);  // the rest was charged on the way
}

static bool is_plain(const char *p, size_t length) {
  for (size_t at = 0; at <= length; at += strlen(p + at) + 1) {  // a string of Lua may hold zeros
    if (strpbrk(p + at, "^$*+?.([%-")) return false;
  }
  return true;
}

static const char *find_plain(const char *s, size_t length, const char *p, size_t pattern_length) {
  return memmem(s, length, p, pattern_length);
}

static size_t start_position(lua_State *L, int index, size_t length) {
  lua_Integer start = luaL_optinteger(L, index, 1);
  if (start > 0) return (size_t)start - 1;
  if (start == 0 || start < -(lua_Integer)length) return 0;
  return length + (size_t)start;
}

static int find_or_match(lua_State *L, bool find) {
  size_t length, pattern_length;
  const char *s = luaL_checklstring(L, 1, &length), *p = luaL_checklstring(L, 2, &pattern_length);
  size_t start = start_position(L, 3, length);
  if (start > length) {
    luaL_pushfail(L);
    return 1;
  }
  if (find && (lua_toboolean(L, 4) || is_plain(p, pattern_length))) {
    nj_steps(L, (int64_t)(length - start) / 8);
    const char *found = find_plain(s + start, length - start, p, pattern_length);
    if (found) {
      lua_pushinteger(L, found - s + 1);
      lua_pushinteger(L, found - s + (lua_Integer)pattern_length);
      return 2;
    }
    luaL_pushfail(L);
    return 1;
  }
  matcher m;
  bool anchored = pattern_length > 0 && *p == '^';
  if (anchored) p++, pattern_length--;
  prepare(&m, L, s, length, p, pattern_length);
  const char *at = s + start;
  do {
    m.level = 0;
    spend(&m);
    const char *end = nj_match(&m, at, p);
    if (end) {
      charge(&m, length);
      if (!find) return push_captures(&m, at, end);
      lua_pushinteger(L, at - s + 1);
      lua_pushinteger(L, end - s);
      return push_captures(&m, NULL, NULL) + 2;
    }
  } while (at++ < m.end && !anchored);
  charge(&m, length);
  luaL_pushfail(L);
  return 1;
}

static int find(lua_State *L) { return find_or_match(L, true); }
static int match_(lua_State *L) { return find_or_match(L, false); }

typedef struct {
  const char *at, *last;
  matcher m;
  const char *pattern;
} iteration;

static int gmatch_next(lua_State *L) {
  iteration *i = lua_touserdata(L, lua_upvalueindex(3));
  i->m.L = L;
  size_t length = (size_t)(i->m.end - i->m.source);
  i->m.budget = BUDGET + (int64_t)length * 16;
  i->m.depth = MAX_DEPTH;
  for (const char *at = i->at; at <= i->m.end; at++) {
    i->m.level = 0;
    spend(&i->m);
    const char *end = nj_match(&i->m, at, i->pattern);
    if (end && end != i->last) {
      charge(&i->m, length);
      i->at = i->last = end;
      return push_captures(&i->m, at, end);
    }
  }
  charge(&i->m, length);
  return 0;
}

static int gmatch(lua_State *L) {
  size_t length, pattern_length;
  const char *s = luaL_checklstring(L, 1, &length), *p = luaL_checklstring(L, 2, &pattern_length);
  size_t start = start_position(L, 3, length);
  if (start > length) start = length + 1;
  lua_settop(L, 2);
  iteration *i = lua_newuserdatauv(L, sizeof *i, 0);
  prepare(&i->m, L, s, length, p, pattern_length);
  i->at = s + start;
  i->last = NULL;
  i->pattern = p;
  lua_pushcclosure(L, gmatch_next, 3);
  return 1;
}

static void add_template(matcher *m, luaL_Buffer *b, const char *s, const char *e) {
  lua_State *L = m->L;
  size_t length;
  const char *text = lua_tolstring(L, 3, &length);
  const char *end = text + length;
  for (const char *escape; (escape = memchr(text, SPECIAL_ESCAPE, (size_t)(end - text))); text = escape + 1) {
    luaL_addlstring(b, text, (size_t)(escape - text));
    escape++;
    int c = escape < end ? (unsigned char)*escape : 0;
    if (c == SPECIAL_ESCAPE) {
      luaL_addchar(b, SPECIAL_ESCAPE);
    } else if (c == '0') {
      luaL_addlstring(b, s, (size_t)(e - s));
    } else if (isdigit(c)) {
      push_capture(m, c - '1', s, e);
      luaL_tolstring(L, -1, NULL);  // a position is a number
      lua_remove(L, -2);
      luaL_addvalue(b);
    } else {
      luaL_error(L, "invalid use of '%%' in replacement string");
    }
  }
  luaL_addlstring(b, text, (size_t)(end - text));
}

/// True when the match was replaced by something else.
static bool add_value(matcher *m, luaL_Buffer *b, const char *s, const char *e, int kind) {
  lua_State *L = m->L;
  if (kind == LUA_TFUNCTION) {
    lua_pushvalue(L, 3);
    lua_call(L, push_captures(m, s, e), 1);
  } else if (kind == LUA_TTABLE) {
    push_capture(m, 0, s, e);
    lua_gettable(L, 3);
  } else {
    add_template(m, b, s, e);
    return true;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    luaL_addlstring(b, s, (size_t)(e - s));
    return false;
  }
  if (!lua_isstring(L, -1)) {
    return luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  }
  luaL_addvalue(b);
  return true;
}

static int gsub(lua_State *L) {
  size_t length, pattern_length;
  const char *s = luaL_checklstring(L, 1, &length), *p = luaL_checklstring(L, 2, &pattern_length);
  int kind = lua_type(L, 3);
  luaL_argexpected(L, kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TFUNCTION || kind == LUA_TTABLE, 3,
                   "string/function/table");
  if (kind == LUA_TNUMBER) lua_tostring(L, 3);
  lua_Integer most_times = luaL_optinteger(L, 4, (lua_Integer)length + 1), times = 0;
  bool anchored = pattern_length > 0 && *p == '^', changed = false;
  if (anchored) p++, pattern_length--;
  matcher m;
  prepare(&m, L, s, length, p, pattern_length);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  const char *at = s, *last = NULL;
  while (times < most_times) {
    m.level = 0;
    m.depth = MAX_DEPTH;
    spend(&m);
    const char *end = nj_match(&m, at, p);
    if (end && end != last) {
      times++;
      nj_steps(L, 30);
      changed |= add_value(&m, &b, at, end, kind);
      at = last = end;
    } else if (at < m.end) {
      luaL_addchar(&b, *at++);
    } else {
      break;
    }
    if (anchored) break;
  }
  charge(&m, length);
  if (!changed) {
    lua_pushvalue(L, 1);
  } else {
    luaL_addlstring(&b, at, (size_t)(m.end - at));
    luaL_pushresult(&b);
  }
  lua_pushinteger(L, times);
  return 2;
}

void nj_open_patterns(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"find", find}, {"match", match_}, {"gmatch", gmatch}, {"gsub", gsub}, {NULL, NULL}};
  lua_getglobal(L, "string");
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}
