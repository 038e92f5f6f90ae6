"""How weights start: Keras's initialisers, and why their variance is what it is.

A layer sums `fan_in` products of an input and a weight, so that its output has the variance
`fan_in var(w) E[x^2]`; on the way back `fan_out` products sum up in the gradient. (The fans of a
convolution are those of one output pixel: channels times the area of the kernel.)

    name             var(w)                   limits
    glorot_normal    2 / (fan_in + fan_out)   cut at two deviations
    glorot_uniform   2 / (fan_in + fan_out)   +-sqrt(6 / (fan_in + fan_out))
    he_normal        2 / fan_in               cut at two deviations
    he_uniform       2 / fan_in               +-sqrt(6 / fan_in)
    lecun_normal     1 / fan_in               cut at two deviations
    lecun_uniform    1 / fan_in               +-sqrt(3 / fan_in)

- Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
  AISTATS 2010, equation 16: `1 / fan_in` would keep the signal's variance, `1 / fan_out` that of
  the gradient, and the mean of the fans is the compromise. It holds where the activation is the
  identity near 0, as tanh is.
- He et al., "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852, equation 10: ReLU sets
  half of the values to 0, which halves E[x^2]; twice the variance makes up for it.
- LeCun et al., "Efficient BackProp", 1998, section 4.6: the variance of the signal alone, which
  self-normalising networks need (arXiv:1706.02515).

A normal distribution that is cut at two deviations is widened in Keras, so that the deviation that
remains is the one above.
"""

import math

# The numerator over the fans, which are both or those of the inputs.
_FAMILIES = {"glorot": (2.0, True), "he": (2.0, False), "lecun": (1.0, False)}
INITIALIZERS = tuple(f"{family}_{shape}" for family in _FAMILIES for shape in ("normal", "uniform"))


def standard_deviation(name: str, fan_in: int, fan_out: int) -> float:
    """The standard deviation of the weights that an initialiser draws.

    Args:
        name: One of `INITIALIZERS`.
        fan_in, fan_out: Products that sum up in an output, and in the gradient of an input.

    Raises:
        ValueError: If the name is none of them.
    """
    if name not in INITIALIZERS:
        raise ValueError(f"initializer={name!r} must be one of {INITIALIZERS}.")
    numerator, both = _FAMILIES[name.split("_")[0]]
    return math.sqrt(numerator / (fan_in + both * fan_out))
