/* traffic.h - how the tokens of a benchmark spread over experts: a routing class, a Zipf law of any
 * exponent, or the recorded ids of a file.
 *
 * Text: uniform | zipf | zipf:1.2 | one | empty | trace:FILE. */
#ifndef MOE_TRAFFIC_H
#define MOE_TRAFFIC_H

#include "core/op.h"

enum { MOE_TRAFFIC_TEXT_SIZE = 256 };

typedef struct moe_traffic {
    moe_routing routing; /* the class that kernels are tuned for: zipf for any exponent, uniform for
                            traces */
    double exponent;     /* of zipf: popularity of expert i ~ 1/(i+1)^exponent; else 1 */
    char trace[MOE_TRAFFIC_TEXT_SIZE - 8]; /* a safetensors file with ids [n,k] i32 and perhaps
                                              weights [n,k] f32, as `moetune run` writes it; or
                                              "" */
} moe_traffic;

/* MOE_E_PARSE. */
moe_status moe_traffic_parse(const char *text, moe_traffic *out);
void moe_traffic_print(const moe_traffic *traffic, moe_text *out);

/* True where its routing class says all of it. */
bool moe_traffic_plain(const moe_traffic *traffic);

/* ids and weights [T,k] of T tokens: the first T of a trace. Weights that a trace has not are 1/k.
 * MOE_E_MEMORY; of a trace MOE_E_NOT_FOUND, MOE_E_CORRUPT, MOE_E_INVALID (shorter, another k). */
moe_status moe_traffic_route(const moe_traffic *traffic, const moe_layer *layer, int64_t tokens,
                             uint64_t seed, int *ids, float *weights);

#endif
