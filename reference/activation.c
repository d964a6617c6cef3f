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

static double swiglu_clamp(const moe_act *act, double gate, double up) {
    double g = fmin(gate, act->limit), u = fmax(fmin(up, act->limit), -act->limit);
    return (u + 1) * g * sigmoid(act->alpha * g);
}

double moe_activate(const moe_act *act, double gate, double up) {
    switch (act->kind) {
    case MOE_ACT_RELU: return fmax(gate, 0);
    case MOE_ACT_RELU2: return fmax(gate, 0) * fmax(gate, 0);
    case MOE_ACT_GELU: return gelu(gate);
    case MOE_ACT_GELU_TANH: return gelu_tanh(gate);
    case MOE_ACT_SILU: return silu(gate);
    case MOE_ACT_SWIGLU: return silu(gate) * up;
    case MOE_ACT_GEGLU: return gelu(gate) * up;
    case MOE_ACT_GEGLU_TANH: return gelu_tanh(gate) * up;
    case MOE_ACT_NONE: return 1;
    default: return swiglu_clamp(act, gate, up);
    }
}
