// unused.cuh - no template names it, so it counts in no hash
