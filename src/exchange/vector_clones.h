// Marks a function that is compiled for several instruction sets; the loader chooses. Only what
// gives the same bits in all of them: no sums of floating-point numbers across elements, and no
// fused multiply-add (AVX2 alone does not bring it).
#pragma once

// Sanitizers instrument the choice itself, which runs before they do.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define GM_VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define GM_VECTOR_CLONES
#endif

// Becomes part of each clone that calls it.
#if defined(__GNUC__)
#define GM_INLINE [[gnu::always_inline]] inline
#else
#define GM_INLINE inline
#endif
