// Drives a verilated unit's streams `i` and `o` with gaps; the cycle-for-cycle twin of bench.py.
#include <cstdint>

#include "Vtop.h"
#include "verilated.h"

double sc_time_stamp() { return 0; }

template <typename Port>
static void put(Port& port, const uint32_t* words) {
    uint64_t value = words[0];
    if (sizeof(Port) > 4) value |= static_cast<uint64_t>(words[1]) << 32;
    port = static_cast<Port>(value);
}

template <std::size_t N>
static void put(VlWide<N>& port, const uint32_t* words) {
    for (std::size_t k = 0; k < N; ++k) port[k] = words[k];
}

template <typename Port>
static void get(const Port& port, uint32_t* words) {
    const uint64_t value = port;
    words[0] = static_cast<uint32_t>(value);
    if (sizeof(Port) > 4) words[1] = static_cast<uint32_t>(value >> 32);
}

template <std::size_t N>
static void get(const VlWide<N>& port, uint32_t* words) {
    for (std::size_t k = 0; k < N; ++k) words[k] = port[k];
}

struct Stream {
    int64_t transfers;
    int64_t capacity;
    int64_t words;
    uint32_t* payloads;
    int64_t* cycles;
};

struct Pattern {
    int64_t length;
    const uint8_t* stalls;
    bool at(int64_t cycle) const { return stalls[cycle % length] != 0; }
};

// Returns the cycles run. `in.capacity` payloads are offered; ends `drain` cycles after `expected`
// outputs, after `max_cycles`, or when `out` is full.
extern "C" int64_t run_stream(Stream* in, Stream* out, const Pattern* source, const Pattern* sink,
                              int64_t expected, int64_t drain, int64_t max_cycles) {
    VerilatedContext context;
    Vtop top{&context};
    top.rst = 0;
    bool is_offered = false;
    int64_t cycle = 0;
    for (; cycle < max_cycles && drain > 0 && out->transfers < out->capacity; ++cycle) {
        const bool has_more = in->transfers < in->capacity;
        is_offered = has_more && (is_offered || !source->at(cycle));
        top.i___05Fvalid = is_offered;
        if (is_offered) put(top.i___05Fpayload, in->payloads + in->transfers * in->words);
        top.o___05Fready = !sink->at(cycle);
        top.clk = 0;
        top.eval();
        const bool accepts = is_offered && top.i___05Fready;
        if (top.o___05Fvalid && top.o___05Fready) {
            out->cycles[out->transfers] = cycle;
            get(top.o___05Fpayload, out->payloads + out->transfers * out->words);
            ++out->transfers;
        }
        if (accepts) {
            in->cycles[in->transfers] = cycle;
            ++in->transfers;
            is_offered = false;
        }
        if (in->transfers == in->capacity && out->transfers >= expected) --drain;
        top.clk = 1;
        top.eval();
    }
    top.final();
    return cycle;
}
