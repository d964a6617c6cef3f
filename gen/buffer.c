/* buffer.c - text that grows. */
#include "buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 1024 };

static bool reserve(gen_buffer *buffer, size_t more) {
    if (buffer->failed) return false;
    if (buffer->size + more < buffer->room) return true;
    size_t room = buffer->room ? buffer->room : FIRST_ROOM;
    while (room <= buffer->size + more) room *= 2;
    char *data = realloc(buffer->data, room);
    if (!data) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->room = room;
    return true;
}

void gen_buffer_add(gen_buffer *buffer, const char *data, size_t size) {
    if (!reserve(buffer, size)) return;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void gen_buffer_format(gen_buffer *buffer, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    if (size >= 0 && reserve(buffer, (size_t)size)) {
        vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
    va_end(args);
}

void gen_buffer_free(gen_buffer *buffer) {
    free(buffer->data);
    *buffer = (gen_buffer){0};
}
