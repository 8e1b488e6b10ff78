// Host only, in front of each file: unpacks argument pointers into a kernel's parameters.

#ifndef TAGI_PACKED
#define TAGI_PACKED

template <int... I>
struct Indices {};
template <int N, int... I>
struct Count : Count<N - 1, N - 1, I...> {};
template <int... I>
struct Count<0, I...> {
    typedef Indices<I...> type;
};

template <typename... A, int... I>
inline void unpack(void (*kernel)(A...), void **arguments, Indices<I...>) {
    kernel(*(A *)arguments[I]...);
}

#define PACKED(kernel)                                                       \
    template <typename... A>                                                 \
    inline void kernel##_unpack(void (*f)(A...), void **arguments) {         \
        unpack(f, arguments, typename Count<sizeof...(A)>::type());          \
    }                                                                        \
    extern "C" void kernel##_packed(void **arguments) { kernel##_unpack(kernel, arguments); }

#endif
