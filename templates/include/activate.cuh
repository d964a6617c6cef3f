// activate.cuh - the layer's own activation: activate(v) or, gated, activate(half 0, half 1), where
// the halves are gate and up or, for layout=up_gate, up and gate.
% local halves = not p.gated and "gate" or p.layout == "up_gate" and "up, float gate"
%     or "gate, float up"
% local exact = p.x == "f32" and "true" or "false"
% local limits = ""
% if p.act_limit > 0 then
%   limits = ", " .. moe.float(p.act_limit) .. ", " .. moe.float(p.act_alpha)
% end
% moe.include("activation.cuh")

__device__ __forceinline__ float activate(float $(halves)) {
    return act_$(p.act_kind)<$(exact)>(gate$(p.gated and ", up" or "")$(limits));
}
