// The pattern matcher, with a budget of steps. A pattern such as (.-)(.-)(.-)x backtracks for longer
// than the universe lasts, and the library's matcher reaches no hook. The language of patterns is that of the manual,
// §6.4.1; the matcher follows lstrlib.c of Lua 5.4.
//
// Copyright © 1994–2022 Lua.org, PUC-Rio. Permission is hereby granted, free of charge, to any person obtaining a copy
// of this software and associated documentation files (the "Software"), to deal in the Software without restriction,
// including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
// copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following
// conditions: The above copyright notice and this permission notice shall be included in all copies or substantial
// portions of the Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND.
#include <ctype.h>
#include <string.h>

#include "matcher.h"

static int open_capture(matcher *m) {
  for (int level = m->level - 1; level >= 0; level--) {
    if (m->capture[level].length == OPEN) return level;
  }
  return luaL_error(m->L, "invalid pattern capture");
}

static int capture_index(matcher *m, int digit) {
  int level = digit - '1';
  if (level < 0 || level >= m->level || m->capture[level].length == OPEN) {
    return luaL_error(m->L, "invalid capture index %%%d", level + 1);
  }
  return level;
}

static const char *class_end(matcher *m, const char *p) {
  if (*p++ == SPECIAL_ESCAPE) {
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 1;
  }
  if (p[-1] != '[') return p;
  if (*p == '^') p++;
  do {
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
    if (*p++ == SPECIAL_ESCAPE && p < m->pattern_end) p++;
  } while (p == m->pattern_end || *p != ']');
  return p + 1;
}

static bool in_class(int c, int class) {
  bool in;
  switch (tolower(class)) {
    case 'a': in = isalpha(c); break;
    case 'c': in = iscntrl(c); break;
    case 'd': in = isdigit(c); break;
    case 'g': in = isgraph(c); break;
    case 'l': in = islower(c); break;
    case 'p': in = ispunct(c); break;
    case 's': in = isspace(c); break;
    case 'u': in = isupper(c); break;
    case 'w': in = isalnum(c); break;
    case 'x': in = isxdigit(c); break;
    case 'z': in = c == 0; break;
    default: return class == c;
  }
  return isupper(class) ? !in : in;
}

/// `p` is at '[', `last` at its ']'.
static bool in_set(int c, const char *p, const char *last) {
  bool wanted = true;
  if (p[1] == '^') {
    wanted = false;
    p++;
  }
  while (++p < last) {
    if (*p == SPECIAL_ESCAPE) {
      p++;
      if (in_class(c, (unsigned char)*p)) return wanted;
    } else if (p[1] == '-' && p + 2 < last) {
      p += 2;
      if ((unsigned char)p[-2] <= c && c <= (unsigned char)*p) return wanted;
    } else if ((unsigned char)*p == c) {
      return wanted;
    }
  }
  return !wanted;
}

static bool single(matcher *m, const char *s, const char *p, const char *next) {
  if (s >= m->end) return false;
  int c = (unsigned char)*s;
  switch (*p) {
    case '.': return true;
    case SPECIAL_ESCAPE: return in_class(c, (unsigned char)p[1]);
    case '[': return in_set(c, p, next - 1);
    default: return (unsigned char)*p == c;
  }
}

static const char *balanced(matcher *m, const char *s, const char *p) {
  if (p >= m->pattern_end - 1) luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  if (s >= m->end || *s != *p) return NULL;
  int opening = *p, closing = p[1], nested = 1;
  while (++s < m->end) {
    spend(m);
    if (*s == closing) {
      if (--nested == 0) return s + 1;
    } else if (*s == opening) {
      nested++;
    }
  }
  return NULL;
}

static const char *most(matcher *m, const char *s, const char *p, const char *next) {
  ptrdiff_t count = 0;
  while (single(m, s + count, p, next)) {
    spend(m);
    count++;
  }
  for (; count >= 0; count--) {
    const char *end = nj_match(m, s + count, next + 1);
    if (end) return end;
  }
  return NULL;
}

static const char *least(matcher *m, const char *s, const char *p, const char *next) {
  for (;;) {
    const char *end = nj_match(m, s, next + 1);
    if (end) return end;
    if (!single(m, s, p, next)) return NULL;
    s++;
  }
}

static const char *start_capture(matcher *m, const char *s, const char *p, ptrdiff_t what) {
  if (m->level >= MAX_CAPTURES) luaL_error(m->L, "too many captures");
  m->capture[m->level].start = s;
  m->capture[m->level].length = what;
  m->level++;
  const char *end = nj_match(m, s, p);
  if (!end) m->level--;
  return end;
}

static const char *end_capture(matcher *m, const char *s, const char *p) {
  int level = open_capture(m);
  m->capture[level].length = s - m->capture[level].start;
  const char *end = nj_match(m, s, p);
  if (!end) m->capture[level].length = OPEN;
  return end;
}

static const char *back_reference(matcher *m, const char *s, int digit) {
  int level = capture_index(m, digit);
  ptrdiff_t length = m->capture[level].length;
  if (length < 0) return NULL;  // a position is no text
  m->budget -= length;
  return m->end - s >= length && memcmp(m->capture[level].start, s, (size_t)length) == 0 ? s + length : NULL;
}

static bool frontier(matcher *m, const char *s, const char *p, const char *next) {
  int before = s == m->source ? 0 : (unsigned char)s[-1];
  int here = s < m->end ? (unsigned char)*s : 0;
  return !in_set(before, p, next - 1) && in_set(here, p, next - 1);
}

const char *nj_match(matcher *m, const char *s, const char *p) {
  if (m->depth-- == 0) luaL_error(m->L, "pattern too complex");
  while (s && p < m->pattern_end) {
    spend(m);
    if (*p == '(') {
      s = p[1] == ')' ? start_capture(m, s, p + 2, POSITION) : start_capture(m, s, p + 1, OPEN);
      break;
    }
    if (*p == ')') {
      s = end_capture(m, s, p + 1);
      break;
    }
    if (*p == '$' && p + 1 == m->pattern_end) {
      s = s == m->end ? s : NULL;
      break;
    }
    if (*p == SPECIAL_ESCAPE && p + 1 < m->pattern_end) {
      if (p[1] == 'b') {
        s = balanced(m, s, p + 2);
        p += 4;
        continue;
      }
      if (p[1] == 'f') {
        p += 2;
        if (p >= m->pattern_end || *p != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
        const char *next = class_end(m, p);
        if (!frontier(m, s, p, next)) s = NULL;
        p = next;
        continue;
      }
      if (isdigit((unsigned char)p[1])) {
        s = back_reference(m, s, (unsigned char)p[1]);
        p += 2;
        continue;
      }
    }
    const char *next = class_end(m, p);
    char suffix = next < m->pattern_end ? *next : 0;
    if (suffix == '*') {
      s = most(m, s, p, next);
      break;
    }
    if (suffix == '-') {
      s = least(m, s, p, next);
      break;
    }
    bool fits = single(m, s, p, next);
    if (suffix == '+') {
      s = fits ? most(m, s + 1, p, next) : NULL;
      break;
    }
    if (suffix == '?') {
      const char *end = fits ? nj_match(m, s + 1, next + 1) : NULL;
      if (end) {
        s = end;
        break;
      }
      p = next + 1;
      continue;
    }
    s = fits ? s + 1 : NULL;
    p = next;
  }
  m->depth++;
  return s;
}
