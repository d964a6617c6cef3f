// half.cuh - types of the tiny template.
% moe.include("base.cuh")
using XT = bits;
using WT = bits;
