// stage.cuh - results on their way out: a warp packs them in shared memory, the copy engine writes
// them. Needs XT, STORE, OUT_N, PIECE, WIDTH.
//
// A warp has STORE pieces of 16 rows x PIECE columns, laid out as the tensor map's boxes are: 64 or
// 32 columns are swizzled; 40, 48 and 56 are not, as eight of their rows meet the banks evenly
// anyway. It fills one while the copy engine still reads the others. A box that would reach behind
// an expert's last row is not for the copy engine, since the rows there are the next expert's:
// lanes copy it.
% moe.include("memory.cuh")
% moe.include("tma.cuh")

constexpr int PIECES = OUT_N / PIECE, PIECE_ROW = PIECE * $(p.xbytes), PIECE_BYTES = 16 * PIECE_ROW;
constexpr unsigned PIECE_SWIZZLE = PIECE == 64 ? 0x70 : PIECE == 32 ? 0x30 : 0; // bits that change

// COUNT (2, 4) 8x8 matrices of 16-bit elements; lane i gives the address of row i%8 of matrix i/8,
// and of each matrix two elements of row i/4.
template <int COUNT>
__device__ __forceinline__ void store_matrix(unsigned address, const unsigned (&in)[4]) {
    if constexpr (COUNT == 4)
        asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};"
                     ::"r"(address),
                     "r"(in[0]), "r"(in[1]), "r"(in[2]), "r"(in[3])
                     : "memory");
    else
        asm volatile("stmatrix.sync.aligned.m8n8.x2.shared.b16 [%0], {%1, %2};" ::"r"(address),
                     "r"(in[0]), "r"(in[1])
                     : "memory");
}

__device__ __forceinline__ chunk load_shared(unsigned address) {
    chunk out;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out.word[0]), "=r"(out.word[1]), "=r"(out.word[2]), "=r"(out.word[3])
                 : "r"(address)
                 : "memory");
    return out;
}

// A place in a piece: chunk of 16 bytes, row.
__device__ __forceinline__ unsigned piece_place(int row, int chunk) {
    const unsigned at = row * PIECE_ROW + chunk * 16;
    return at ^ (at >> 3 & PIECE_SWIZZLE);
}

struct outbox {
    unsigned first; // address of this warp's pieces
    int turn;

    __device__ __forceinline__ unsigned piece() const { return first + turn * PIECE_BYTES; }

    // Waits until the piece may be filled; then word(i, ...) makes what lane/4 of rows 0-7 and 8-15
    // has in columns 8*i .. 8*i+7, two of them each.
    template <typename Words> __device__ __forceinline__ void fill(Words words) {
        const int lane = (int)threadIdx.x & 31;
        tensor_store_wait_read<STORE - 1>();
        __syncwarp();
        constexpr int COUNT = PIECE / 8;
#pragma unroll
        for (int i = 0; i < COUNT; i += 2) {
            unsigned out[4];
            const unsigned to =
                piece() + piece_place(lane & 15, i + (i + 1 < COUNT ? lane / 16 : 0));
            words(i, out[0], out[1]);
            if (i + 1 < COUNT) {
                words(i + 1, out[2], out[3]);
                store_matrix<4>(to, out);
            } else {
                store_matrix<2>(to, out);
            }
        }
    }

    // Writes `rows` of the piece's rows from (row, column) of the result on.
    __device__ __forceinline__ void send(const tensor_map &map, XT *result, int row, int column,
                                         int rows) {
        const int lane = (int)threadIdx.x & 31;
        async_proxy_fence();
        __syncwarp();
        if (rows >= 16) {
            if (lane == 0) tensor_store(map, piece(), column, row);
        } else {
            constexpr int CHUNKS = PIECE / 8, ROWS = 32 / CHUNKS; // at once
            const int mine = lane % CHUNKS, at = column + mine * 8;
            const bool takes_part = at < WIDTH && lane < ROWS * CHUNKS;
            for (int r = lane / CHUNKS; r < rows && takes_part; r += ROWS)
                store_chunk(result + (long long)(row + r) * WIDTH + at,
                            load_shared(piece() + piece_place(r, mine)));
        }
        if (lane == 0) tensor_store_commit();
        turn = turn + 1 < STORE ? turn + 1 : 0;
    }
};
