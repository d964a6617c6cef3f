/* translate.h - the body of a template becomes a Lua chunk.
 *
 * In NAME.cu, a line whose first non-blank is `%` is Lua, `$(expr)` substitutes, and all else is
 * CUDA as written. One template line becomes exactly one Lua line, so that the positions in Lua's
 * own errors are template positions. A text line
 *
 *     float x[$(c.n)];        becomes        __line(12,"float x[",(c.n),"];")
 *
 * The chunk gets the function that takes these calls as its argument. */
#ifndef GEN_TRANSLATE_H
#define GEN_TRANSLATE_H

#include "buffer.h"

/* Appends the Lua text of a template body to `lua`. MOE_E_TEMPLATE ("label:LINE: ..."),
 * MOE_E_MEMORY. */
moe_status gen_translate(const char *label, const char *text, size_t size, gen_buffer *lua);

#endif
