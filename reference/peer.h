/* peer.h - product keys: each head's query finds the best of keys^2 experts by its two halves. */
#ifndef MOE_PEER_H
#define MOE_PEER_H

#include "reference.h"

/* logits [T,HEADS,2,KEYS] of queries [T,HEADS*WIDTH]: the products of their halves with keys. */
void moe_peer_logits(const moe_layer *layer, int64_t tokens, const void *keys,
                     const double *queries, double *logits);

/* The logit of a head's expert, from the head's part [2,KEYS] of a token's logits. */
double moe_peer_logit(const moe_layer *layer, const double *sides, int expert);

/* ids [k] of one token: each head's largest logits, best first (ties: lower id), one head after the
 * other. Weights [k] of ids are the softmax over each head's, or what relu leaves of each. */
void moe_peer_choose(const moe_layer *layer, const double *logits, int *ids);
void moe_peer_weights(const moe_layer *layer, const double *logits, const int *ids,
                      double *weights);

#endif
