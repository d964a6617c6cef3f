/* fit.h - how well a tuned row fits what is asked, and why.
 *
 * A row was tuned on some device, at some token count, for some routing and cache regime; a plan
 * asks for others. The grade (moe_match) says what kind of difference there is, the distance how
 * large it is among rows of one grade, and the reason says it in words. */
#ifndef MOE_FIT_H
#define MOE_FIT_H

#include "core/facts.h"
#include "core/launch.h"
#include "core/measurement.h"
#include "core/op.h"

enum { MOE_IMAGE_KEY_SIZE = 72, MOE_FIT_TEXT_SIZE = 384 };

/* What a plan asks for. */
typedef struct moe_want {
    const moe_facts *facts;
    moe_routing routing;
    moe_cache cache;
    int64_t k;      /* slots a token */
    bool any_order; /* kernels whose sums depend on the order of arrival are welcome */
} moe_want;

/* Where and for what a row was tuned. */
typedef struct moe_origin {
    char name[96];     /* the device's */
    char arch[16];
    int64_t sms;
    int64_t simulated; /* its time is a model's */
    int64_t tokens;
    moe_routing routing;
    moe_cache cache;
    moe_measurement measurement; /* n = 0: never timed */
    bool whole;         /* the time is that of a whole layer */
    char code_arch[16]; /* what its code was compiled for */
    bool has_cubin, has_ptx;
} moe_origin;

typedef struct moe_fit {
    moe_match match;
    double distance; /* 0 is best; comparable within one match */
} moe_fit;

/* How a device can run compiled code: not at all, as it is, or after compiling its PTX. */
typedef enum moe_code { MOE_CODE_NONE, MOE_CODE_CUBIN, MOE_CODE_PTX } moe_code;

moe_code moe_code_for(const char *arch, bool has_cubin, bool has_ptx, const moe_facts *facts);

/* Why the device cannot run a row's code, or may not; NULL: it can. */
const char *moe_fit_refusal(const moe_origin *origin, const moe_launch *launch,
                            const moe_want *want);

moe_fit moe_fit_of(const moe_origin *origin, const moe_want *want, int64_t tokens);

/* Writes the reason; `text` should hold MOE_FIT_TEXT_SIZE bytes. */
void moe_fit_reason(const moe_origin *origin, const moe_want *want, int64_t tokens, char *text,
                    size_t size);

/* True where `a` is the better fit, or as good with more tokens. */
bool moe_fit_better(moe_fit a, int64_t tokens_a, moe_fit b, int64_t tokens_b);

#endif
