// ring.cuh - a place in a ring of STAGES stages; `phase` flips at every turn.
struct ring_place {
    int stage = 0;
    unsigned phase = 0;

    __device__ __forceinline__ void advance() {
        if (++stage < STAGES) return;
        stage = 0;
        phase ^= 1;
    }

    __device__ __forceinline__ void skip(int stages) {
        stage += stages;
        phase ^= stage / STAGES & 1;
        stage %= STAGES;
    }
};
