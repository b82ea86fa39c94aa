/* One row through a fitted model: trees of LightGBM's kind, oblivious trees, small neural nets, and kernels.

   What `mlwright.models.rows` loads where a C compiler was there when the package was built; without it NumPy and
   LightGBM's own library give the same numbers, two to five times as slowly. Plain C: no Python, no state, no memory
   of its own. Whoever calls has checked that each index lies within its array. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Compiled for wider registers as well, and chosen by the processor when the file is loaded. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__x86_64__) && defined(__GLIBC__)
#define WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDE
#endif

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define MISSING_LEFT 0x40000000u
#define OF_CATEGORIES 0x80000000u
#define COLUMN 0x3fffffffu

/* Changes with what the functions are given; `rows.py` refuses another one. */
EXPORT int32_t mlwright_form(void) { return 2; }

/* 16 bytes, four to a line of the cache. A child below 0 is leaf ~child. */
typedef struct {
    union {
        double threshold;
        struct {
            uint32_t first, words;
        } set;
    } at;
    uint32_t column;
    int16_t child[2]; /* left, right */
} node;

/* Whether a category is in a set of bits; as LightGBM, digits after the point do not count, and what is no category is
   in no set. */
static int within(const uint32_t *sets, const node *at, double value) {
    if (!(value > -1.0 && value < 2147483648.0)) return 0;
    uint32_t category = (uint32_t)(int32_t)value, word = category >> 5;
    return word < at->at.set.words && (sets[at->at.set.first + word] >> (category & 31u)) & 1u;
}

/* Go one node down. Which way is looked up and not branched on, because it cannot be foreseen. */
static inline int32_t down(const node *tree, int32_t place, const double *row, const uint32_t *sets) {
    const node *at = tree + place;
    const double value = row[at->column & COLUMN];
    int left;
    if (at->column & OF_CATEGORIES)
        left = within(sets, at, value);
    else
        left = (value <= at->at.threshold) | (((at->column & MISSING_LEFT) != 0) & (value != value));
    return at->child[!left];
}

#define AT_ONCE 4 /* trees: while one waits for memory another goes on */

/* Add each tree's leaf to `sums` of n_outputs; tree i is of output i % n_outputs. A tree of one leaf has no node. */
EXPORT void mlwright_trees(const double *row, const node *nodes, const int64_t *first_node, const double *leaves,
                           const int64_t *first_leaf, const uint32_t *sets, int64_t n_trees, int64_t n_outputs,
                           double *sums) {
    memset(sums, 0, (size_t)n_outputs * sizeof(double));
    int64_t output = 0;
    for (int64_t i = 0; i < n_trees; i += AT_ONCE) {
        const int64_t n = n_trees - i < AT_ONCE ? n_trees - i : AT_ONCE;
        int32_t place[AT_ONCE];
        int going = 0;
        for (int64_t k = 0; k < n; k++) {
            place[k] = first_node[i + k] == first_node[i + k + 1] ? -1 : 0;
            going |= place[k] >= 0;
        }
        while (going) {
            going = 0;
            for (int64_t k = 0; k < n; k++)
                if (place[k] >= 0) {
                    place[k] = down(nodes + first_node[i + k], place[k], row, sets);
                    going |= place[k] >= 0;
                }
        }
        for (int64_t k = 0; k < n; k++) {
            sums[output] += leaves[first_leaf[i + k] + ~place[k]];
            if (++output == n_outputs) output = 0;
        }
    }
}

/* Where a row's leaves are: level k of a tree asks whether a number exceeds a border, and is bit k of its leaf. */
static inline size_t leaf_of(const float *row, const int32_t *columns, const float *borders, int64_t depth) {
    size_t leaf = 0;
    for (int64_t k = 0; k < depth; k++) leaf |= (size_t)(row[columns[k]] > borders[k]) << k;
    return leaf;
}

static inline void add_oblivious(const float *row, const int32_t *columns, const float *borders, const double *leaves,
                                 int64_t n_trees, int64_t depth, int64_t n_outputs, double *sums) {
    if (n_outputs == 1) {
        double sum = 0.0;
        for (int64_t i = 0; i < n_trees; i++) {
            sum += leaves[((size_t)i << depth) + leaf_of(row, columns, borders, depth)];
            columns += depth;
            borders += depth;
        }
        sums[0] = sum;
        return;
    }
    memset(sums, 0, (size_t)n_outputs * sizeof(double));
    for (int64_t i = 0; i < n_trees; i++) {
        const double *values = leaves + (((size_t)i << depth) + leaf_of(row, columns, borders, depth)) * (size_t)n_outputs;
        for (int64_t output = 0; output < n_outputs; output++) sums[output] += values[output];
        columns += depth;
        borders += depth;
    }
}

/* As `ObliviousTrees`: sums are made in the order of the trees, the bias last, as for many rows. `narrow` has room for
   n_columns; where `row` is null, it holds the row already. */
EXPORT void mlwright_oblivious(const double *row, float *narrow, int64_t n_columns, const int32_t *columns,
                               const float *borders, const double *leaves, const double *bias, int64_t n_trees,
                               int64_t depth, int64_t n_outputs, double *sums) {
    if (row)
        for (int64_t i = 0; i < n_columns; i++) narrow[i] = (float)row[i];
    if (depth == 6) /* the usual one: known to the compiler, all levels go side by side */
        add_oblivious(narrow, columns, borders, leaves, n_trees, 6, n_outputs, sums);
    else
        add_oblivious(narrow, columns, borders, leaves, n_trees, depth, n_outputs, sums);
    for (int64_t output = 0; output < n_outputs; output++) sums[output] += bias[output];
}

typedef struct {
    int64_t n_columns;
    /* parts of keys: digits of categories, whether one is a certain digit, whether a column exceeds a border */
    int64_t n_categories, n_equal, n_bits;
    const int32_t *columns;
    const int64_t *levels;
    const int32_t *equal, *bit_columns;
    const float *bit_borders;
    /* tables: keys of combination i, ascending, from starts[i] on; `widths` is how many numbers each one has */
    int64_t n_combinations, n_parts;
    const int32_t *parts;
    const int64_t *weights, *starts, *keys, *widths;
    const int32_t *slots, *unseen;
    const float *values;
    /* room for all parts */
    int64_t *answers;
} categories;

/* As `CategoryTables.widen`: write a row as float32 into `wide`, and behind it the answers about categories. */
EXPORT void mlwright_categories(const double *row, const categories *of, float *wide) {
    for (int64_t i = 0; i < of->n_columns; i++) wide[i] = (float)row[i];
    float *added = wide + of->n_columns;
    int64_t *answer = of->answers;
    for (int64_t i = 0; i < of->n_categories; i++) {
        const double code = (double)wide[of->columns[i]];
        const int64_t levels = of->levels[i];
        const int known = code >= 0.0 && code < (double)levels && code == floor(code);
        *answer++ = known ? (int64_t)code + 1 : code != code ? 0 : levels + 1;
    }
    for (int64_t i = 0; i < of->n_equal; i++) {
        *answer = of->answers[of->equal[2 * i]] == of->equal[2 * i + 1];
        *added++ = (float)*answer++;
    }
    for (int64_t i = 0; i < of->n_bits; i++) *answer++ = wide[of->bit_columns[i]] > of->bit_borders[i];
    const int32_t *part = of->parts;
    const int64_t *weight = of->weights;
    for (int64_t i = 0; i < of->n_combinations; i++, part += of->n_parts, weight += of->n_parts) {
        int64_t key = 0;
        for (int64_t k = 0; k < of->n_parts && part[k]; k++) key += weight[k] * of->answers[part[k] - 1];
        int64_t low = of->starts[i], end = of->starts[i + 1], high = end;
        while (low < high) {
            const int64_t middle = low + (high - low) / 2;
            if (of->keys[middle] < key)
                low = middle + 1;
            else
                high = middle;
        }
        const float *value = of->values + (low < end && of->keys[low] == key ? of->slots[low] : of->unseen[i]);
        for (int64_t k = 0; k < of->widths[i]; k++) *added++ = value[k];
    }
}

/* Rows of weights that wait to be added, each with its factor: four at once, so that sums are read and written once for
   all four. Weights are float32, sums are not. */
typedef struct {
    double factor[4];
    const float *weights[4];
    int n;
} waiting;

static inline void add_waiting(waiting *rows, double *restrict sums, int64_t n) {
    const float *a = rows->weights[0], *b = rows->weights[1], *c = rows->weights[2], *d = rows->weights[3];
    const double *f = rows->factor;
    if (rows->n == 4)
        for (int64_t i = 0; i < n; i++)
            sums[i] += (f[0] * (double)a[i] + f[1] * (double)b[i]) + (f[2] * (double)c[i] + f[3] * (double)d[i]);
    else
        for (int k = 0; k < rows->n; k++)
            for (int64_t i = 0; i < n; i++) sums[i] += f[k] * (double)rows->weights[k][i];
    rows->n = 0;
}

static inline void add_row(waiting *rows, double *restrict sums, const float *weights, double factor, int64_t n) {
    rows->factor[rows->n] = factor;
    rows->weights[rows->n] = weights;
    if (++rows->n == 4) add_waiting(rows, sums, n);
}

/* exp for numbers from -708 to 700, to the last bit or two: 2^k times a series around 0. Unlike the library's, compilers
   can do several at once. */
static inline double exp_of(double x) {
    const double magic = 6755399441055744.0; /* 1.5 * 2^52: added to a number, it leaves the nearest integer in the low bits */
    const double k = x * 1.4426950408889634 + magic;
    const double whole = k - magic;
    const double r = (x - whole * 0.693147180369123816490) - whole * 1.90821492927058770002e-10; /* log(2) in two parts */
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    union {
        double number;
        uint64_t bits;
    } scale = {k};
    scale.bits = (scale.bits + 1023) << 52;
    return p * scale.number;
}

/* SiLU of numbers that stand with the other sign, as in `Layers`. */
static inline void activate(double *values, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const double low = values[i] < 700.0 ? values[i] : 700.0;
        values[i] /= 1.0 + exp_of(low > -708.0 ? low : -708.0);
    }
}

static inline double bounded(double value) {
    return value < -1e100 ? -1e100 : value > 1e100 ? 1e100 : value; /* NaN stays */
}

/* Columns less their centre, scaled and bounded, and flags of missing values; as `RobustInputs`. */
typedef struct {
    int64_t n_inputs, n_flags, steep;
    const int32_t *columns;
    const double *center, *scale;
    const int32_t *flagged;
} robust;

static inline double input(const double *row, const robust *of, int64_t i) {
    double value = (bounded(row[of->columns[i]]) - of->center[i]) * of->scale[i];
    value /= of->steep ? hypot(value / 3.0, 1.0) : sqrt(1.0 + value * value / 9.0);
    return value == value ? value : 0.0;
}

static inline int is_missing(const double *row, const robust *of, int64_t i) {
    return row[of->flagged[i]] != row[of->flagged[i]];
}

typedef struct {
    robust inputs;
    /* pieces, column after column */
    int64_t n_piece_columns;
    const int32_t *piece_columns, *piece_counts;
    const double *piece_starts, *piece_slopes;
    /* layers: rows of the first are inputs, flags, bias, pieces */
    int64_t n_nets, width, n_middle, n_outputs;
    const float *first, *middle;
    const double *middle_bias, *last, *last_bias;
    /* room for 2 * n_nets * width numbers */
    double *room;
} nets;

/* As `Layers.predict` before the link. */
WIDE
EXPORT void mlwright_nets(const double *row, const nets *net, double *scores) {
    const int64_t total = net->n_nets * net->width, width = net->width;
    double *hidden = net->room, *sums = net->room + total;
    const float *weights = net->first;
    const robust *inputs = &net->inputs;
    const float *bias = weights + (inputs->n_inputs + inputs->n_flags) * total;
    waiting rows = {.n = 0};
    for (int64_t i = 0; i < total; i++) hidden[i] = bias[i];
    for (int64_t i = 0; i < inputs->n_inputs; i++, weights += total) {
        const double value = input(row, inputs, i);
        if (value != 0.0) add_row(&rows, hidden, weights, value, total);
    }
    for (int64_t i = 0; i < inputs->n_flags; i++, weights += total)
        if (is_missing(row, inputs, i)) add_row(&rows, hidden, weights, 1.0, total);
    weights = bias + total;
    const double *start = net->piece_starts, *slope = net->piece_slopes;
    for (int64_t i = 0; i < net->n_piece_columns; i++) {
        const double value = bounded(row[net->piece_columns[i]]);
        for (int32_t k = 0; k < net->piece_counts[i]; k++, start++, slope++, weights += total) {
            const double filled = (value - *start) * *slope;
            if (filled > 0.0) add_row(&rows, hidden, weights, filled < 1.0 ? filled : 1.0, total);
        }
    }
    add_waiting(&rows, hidden, total);
    activate(hidden, total);
    weights = net->middle;
    const double *shift = net->middle_bias;
    for (int64_t layer = 0; layer < net->n_middle; layer++, shift += total) {
        memcpy(sums, shift, (size_t)total * sizeof(double));
        for (int64_t first = 0; first < total; first += width) {
            for (int64_t i = first; i < first + width; i++, weights += width)
                add_row(&rows, sums + first, weights, hidden[i], width);
            add_waiting(&rows, sums + first, width);
        }
        activate(sums, total);
        double *spare = hidden;
        hidden = sums;
        sums = spare;
    }
    memcpy(scores, net->last_bias, (size_t)net->n_outputs * sizeof(double));
    const double *last = net->last;
    for (int64_t i = 0; i < total; i++, last += net->n_outputs)
        for (int64_t output = 0; output < net->n_outputs; output++) scores[output] += hidden[i] * last[output];
}

typedef struct {
    robust inputs;
    int64_t n_centres, n_outputs;
    double scale;
    /* rows of `all` are inputs, flags, bias: exponents of the centres, then straight lines */
    const double *all, *weights;
    /* room for n_centres + n_outputs numbers */
    double *room;
} kernel;

/* As `Kernel.predict` before the link. */
WIDE
EXPORT void mlwright_kernel(const double *row, const kernel *of, double *scores) {
    const int64_t n_centres = of->n_centres, n_outputs = of->n_outputs, total = n_centres + n_outputs;
    const robust *inputs = &of->inputs;
    const int64_t n_inputs = inputs->n_inputs, n_all = n_inputs + inputs->n_flags;
    double *restrict sums = of->room;
    const double *weights = of->all;
    double size = 0.0;
    memcpy(sums, of->all + n_all * total, (size_t)total * sizeof(double));
    for (int64_t i = 0; i < n_all; i++, weights += total) {
        const double value = i < n_inputs ? input(row, inputs, i) : is_missing(row, inputs, i - n_inputs);
        if (value == 0.0) continue;
        size += value * value;
        for (int64_t k = 0; k < total; k++) sums[k] += value * weights[k];
    }
    for (int64_t k = 0; k < n_centres; k++) {
        const double exponent = sums[k] + size * of->scale, low = exponent < 0.0 ? exponent : 0.0;
        sums[k] = exp_of(low > -708.0 ? low : -708.0);
    }
    memcpy(scores, sums + n_centres, (size_t)n_outputs * sizeof(double));
    weights = of->weights;
    for (int64_t k = 0; k < n_centres; k++, weights += n_outputs)
        for (int64_t output = 0; output < n_outputs; output++) scores[output] += sums[k] * weights[output];
}
