/* sized.c - structs of the API that carry their size. */
#include "core/sized.h"

#include <string.h>

enum { MOST = 1 << 14 }; /* bytes of a struct: a size above is one that nobody set */

static bool is_zero(const void *bytes, size_t from, size_t to) {
    for (const char *at = bytes; from < to; from++)
        if (at[from]) return false;
    return true;
}

static moe_status check_size(const char *what, const char *type, size_t size) {
    if (size >= sizeof(size_t) && size <= MOST) return MOE_OK;
    return moe_fail(MOE_E_INVALID, "%s.size is %zu; set it to sizeof(%s)", what, size, type);
}

moe_status moe_sized_read(const char *what, const char *type, const void *given, void *own,
                          size_t size) {
    size_t theirs;
    memcpy(&theirs, given, sizeof theirs);
    MOE_TRY(check_size(what, type, theirs));
    if (!is_zero(given, size, theirs))
        return moe_fail(MOE_E_INVALID,
                        "%s.size is %zu, and members behind the %zu bytes that libmoetune %s knows "
                        "are set; set them to 0, or use the library that moetune.h came with",
                        what, theirs, size, MOE_VERSION);
    memset(own, 0, size);
    memcpy(own, given, theirs < size ? theirs : size);
    memcpy(own, &size, sizeof size);
    return MOE_OK;
}

moe_status moe_sized_write(const char *what, const char *type, const void *own, size_t size,
                           void *given, size_t room) {
    MOE_TRY(check_size(what, type, room));
    if (!is_zero(own, room, size))
        return moe_fail(MOE_E_UNSUPPORTED,
                        "%s: it has more than the %zu bytes of a %s hold that this program was "
                        "compiled with; compile it with the moetune.h of libmoetune %s",
                        what, room, type, MOE_VERSION);
    memset(given, 0, room);
    memcpy(given, own, room < size ? room : size);
    memcpy(given, &room, sizeof room);
    return MOE_OK;
}
