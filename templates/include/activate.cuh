// activate.cuh - the layer's own activation: activate(v) or, gated, activate(gate, up).
% local exact = p.x == "f32" and "true" or "false"
% local limits = ""
% if p.act_kind == "swiglu_clamp" then
%   limits = ", " .. moe.float(p.act_limit) .. ", " .. moe.float(p.act_alpha)
% end
% moe.include("activation.cuh")

__device__ __forceinline__ float activate(float gate$(p.gated and ", float up" or "")) {
    return act_$(p.act_kind)<$(exact)>(gate$(p.gated and ", up" or "")$(limits));
}
