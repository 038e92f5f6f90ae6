"""The contrastive loss of SimCLR (Chen et al. 2020, arXiv:2002.05709)."""

from keras import ops


def nt_xent(first, second, *, temperature: float = 0.5):
    """Cross entropy of finding the other view of a picture among all views of a batch (equation 1).

    With z the 2N projections of N pictures and s their cosine similarity, the loss of a view i
    whose partner is j is `-s(i, j) / t + log(sum over k other than i of exp(s(i, k) / t))`.

    Computed in float32 whatever comes in: in bfloat16, similarities near 1 are 1/256 apart.

    Args:
        first, second: Projections of two views of each picture, `(batch, dim)`; not normalised.
        temperature: t; small ones make much of the most similar pictures.

    Returns:
        The mean over the views of the batch, a scalar in float32. `log(2 batch - 1)` is that of
        projections that are all the same.

    Raises:
        ValueError: If the temperature is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"temperature={temperature!r} must be positive.")
    first, second = _unit(first), _unit(second)
    z = ops.concatenate([first, second], axis=0)  # (2 batch, dim)
    similarity = ops.matmul(z, ops.transpose(z)) / temperature  # (2 batch, 2 batch)
    partner = ops.sum(first * second, axis=-1) / temperature  # (batch,), the same for both views
    # With the views of other pictures by themselves, the loss is log(1 + exp(others - partner)),
    # which keeps its digits where it is small.
    same_picture = ops.tile(ops.eye(ops.shape(first)[0], dtype="float32"), (2, 2))
    others = ops.logsumexp(similarity - 1e9 * same_picture, axis=-1)  # (2 batch,)
    return ops.mean(ops.softplus(others - ops.tile(partner, (2,))))


def _unit(x):
    """Rows of length 1 in float32; those of length 0 stay, with a gradient of 0."""
    x = ops.cast(x, "float32")
    squares = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, 1e-24))
