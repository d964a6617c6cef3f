// tiny.cu - threads of op $(p.kind): $(t.lib.threads(c)).
% moe.include("half.cuh")
$(moe.args())
% for i = 1, c.unroll == 1 and 2 or 1 do
%   local name = c.unroll == 1 and (i == 1 and "first" or "second") or nil
extern "C" __global__ void $(moe.symbol(name))(const args_$(p.kind) args)
{
%   for j = 0, 1 do
    if (args.tokens == $(j)) asm volatile("mov.u32 %0, %%laneid;" : : "n"(BM * $(j + i)));
%   end
}
% end
