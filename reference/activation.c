/* activation.c - what stands between the two expert GEMMs.
 *
 * gelu: Hendrycks and Gimpel 2016, exact and tanh form; silu: Elfwing et al. 2017; gated forms:
 * Shazeer 2020 "GLU variants improve transformer"; relu2: So et al. 2021 (Primer); clamped swiglu:
 * the gpt-oss reference model. */
#include "activation.h"

#include <math.h>

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double silu(double x) { return x * sigmoid(x); }

/* x * Phi(x); erfc keeps the left tail's digits */
static double gelu(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752440); }

static double gelu_tanh(double x) {
    const double sqrt_2_over_pi = 0.79788456080286535588;
    return 0.5 * x * (1 + tanh(sqrt_2_over_pi * (x + 0.044715 * x * x * x)));
}

static double relu(double x) { return fmax(x, 0); }
static double relu2(double x) { return fmax(x, 0) * fmax(x, 0); }

static double one(double x) {
    (void)x;
    return 1;
}

static double swiglu_clamp(const moe_act *act, double gate, double up) {
    double g = fmin(gate, act->limit), u = fmax(fmin(up, act->limit), -act->limit);
    return (u + 1) * g * sigmoid(act->alpha * g);
}

/* Of the gate, which is multiplied with `up` where there is one; or of both. */
static const struct {
    double (*of_gate)(double gate);
    double (*of_both)(const moe_act *act, double gate, double up);
} functions[MOE_ACT_COUNT] = {
    [MOE_ACT_RELU] = {.of_gate = relu},
    [MOE_ACT_RELU2] = {.of_gate = relu2},
    [MOE_ACT_GELU] = {.of_gate = gelu},
    [MOE_ACT_GELU_TANH] = {.of_gate = gelu_tanh},
    [MOE_ACT_SILU] = {.of_gate = silu},
    [MOE_ACT_SWIGLU] = {.of_gate = silu},
    [MOE_ACT_GEGLU] = {.of_gate = gelu},
    [MOE_ACT_GEGLU_TANH] = {.of_gate = gelu_tanh},
    [MOE_ACT_SWIGLU_CLAMP] = {.of_both = swiglu_clamp},
    [MOE_ACT_NONE] = {.of_gate = one},
};

double moe_activate(const moe_act *act, double gate, double up) {
    if (functions[act->kind].of_both) return functions[act->kind].of_both(act, gate, up);
    const double value = functions[act->kind].of_gate(gate);
    return moe_act_table[act->kind].gated ? value * up : value;
}
