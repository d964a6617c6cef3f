/* layer_forms.h - a whole layer in every form of pipeline that serves it, for tests. */
#ifndef TESTS_LAYER_FORMS_H
#define TESTS_LAYER_FORMS_H

#include "judge/layer_case.h"

/* Runs the layer from default configs, chosen for `tuned` tokens, in each form that the templates
 * serve on the device, at 0, 1, 7, 64 and 129 tokens as far as its kernels serve them. Fails the
 * running test where y, routing, maps or statistics are wrong. Returns a set of bits: 1 << form of
 * those that ran. */
unsigned layer_forms_check(const char *device, const char *layer, int64_t tuned,
                           moe_routing routing, moe_entry entry);

/* True where the kernels of one layer are right for the weights of another, of the same shapes. */
bool layer_forms_agree(const char *device, const char *kernels, const char *weights,
                       int64_t tokens);

/* The same for kernels that must be right for their own layer and wrong for the other: fails the
 * running test where they are wrong for their own. */
bool layer_forms_differ(const char *device, const char *kernels, const char *weights,
                        int64_t tokens);

/* Runs the layer step by step `runs` times, each on ids and weights [runs,T,k] of its own, which
 * need not be what a router would choose. Fails the running test where anything is wrong. y
 * [runs,T,d] may be NULL. */
void layer_forms_routed(const char *device, const char *layer, int64_t tokens, int runs,
                        const int *ids, const float *weights, double *y);

#endif
