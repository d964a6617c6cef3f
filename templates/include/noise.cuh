// noise.cuh - noise of logits whose size is learned: softplus of a second product of x.
% moe.include("philox.cuh")

// What joins the logit of `expert`, from its product with router_noise.
__device__ __forceinline__ float noise(unsigned long long seed, int token, int expert, float raw) {
    const float size = fmaxf(raw, 0.0f) + log1pf(expf(-fabsf(raw))) + $(moe.float(p.router_noise));
    return normal(draw(seed, token, expert, DRAW_NOISE)) * size;
}
