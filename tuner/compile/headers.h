/* headers.h - where a CUDA file that somebody wrote finds what it includes. */
#ifndef MOE_HEADERS_H
#define MOE_HEADERS_H

enum { MOE_HEADER_OPTIONS = 40, MOE_HEADER_OPTION_SIZE = 600 };

typedef struct moe_headers {
    int options;
    char *option[MOE_HEADER_OPTIONS]; /* "-IDIR" */
    int count;                        /* headers that are given as text, */
    const char *const *name, *const *text;
    char room[MOE_HEADER_OPTIONS][MOE_HEADER_OPTION_SIZE];
} moe_headers;

/* The caller's folders (ends with NULL; as many as fit), then CUDA's own, as far as they lie beside
 * the NVRTC library `nvrtc`. To be freed with free; NULL: no memory. */
moe_headers *moe_headers_find(const char *nvrtc, const char *const *folders);

#endif
