"""The law's ``log1p``, of which every exponential duration is made, to the last bit and eight numbers at a time.

C libraries differ in the last bit of ``log1p``, which now and then moves an event by a microsecond, and the processor can compute but one of them
at a time. This one is the algorithm of fdlibm (Sun Microsystems 1993, ``s_log1p.c``) for arguments between -1 and 0, written without branches, with a
fused multiply-add wherever glibc 2.36 has one on a processor of today: it gives the bits that glibc gives there, on every machine.
"""

from __future__ import annotations

from sim.model.jit import bits_of, fma, inlined, number_of

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_P1, _P2, _P3 = 6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01
_P4, _P5, _P6 = 2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01
_P7 = 1.479819860511658591e-01
_FRACTION, _ONE, _HALF = 0x000FFFFFFFFFFFFF, 0x3FF0000000000000, 0x3FE0000000000000
_SQRT_2 = 0x6A09E
"""Upper 20 bits of the fraction of the square root of 2."""
_SMALL = -0.2928932309150695800781250
"""Above this the argument is not reduced."""
_TINY, _LEAST = -(2.0**-29), -(2.0**-54)


@inlined
def log1p(x: float) -> float:
    """Natural logarithm of 1 + x, for -1 < x < 0; its error is below one unit in the last place."""
    small = x > _SMALL
    y = 1.0 + x
    bits = bits_of(y)
    upper = (bits >> 32) & 0xFFFFF
    halved = upper >= _SQRT_2
    k = 0.0 if small else float((bits >> 52) - 1023 + (1 if halved else 0))
    rest = 0.0 if small else (x - (y - 1.0)) / y
    f = x if small else number_of((bits & _FRACTION) | (_HALF if halved else _ONE)) - 1.0
    near_one = not small and (((0x100000 - upper) >> 2) if halved else upper) == 0  # |f| < 2**-20

    square = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    z2 = z * z
    z4 = z2 * z2
    series = fma(z, _P1, z2 * fma(z, _P3, _P2))
    series = fma(z4 * z2, fma(z, _P7, _P6), fma(z4, fma(z, _P5, _P4), series))
    rest = fma(k, _LN2_LOW, rest)
    reduced = fma(k, _LN2_HIGH, -((square - (rest + s * (square + series))) - f))
    plain = f - (square - s * (square + series))
    found = plain if k == 0.0 else reduced

    third = square * fma(-0.66666666666666666, f, 1.0)
    short = f - third if k == 0.0 else fma(k, _LN2_HIGH, -((third - rest) - f))
    short = fma(k, _LN2_HIGH, rest) if f == 0.0 else short
    found = short if near_one else found
    found = fma(-(x * x), 0.5, x) if x > _TINY else found
    return x if x > _LEAST else found


@inlined
def standard_exponential(u: float) -> float:
    """Value below which the share u of the exponential distribution of mean 1 lies, for 0 < u < 1."""
    return -log1p(-u)
