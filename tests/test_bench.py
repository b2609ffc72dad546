"""The benchmark compares programs that do the same work.

How fast they are is never asserted; that their results are the same is.
"""

import numpy as np
import pytest

from tools import bench

# 600 rows, so that the last batch is a ragged one.
rng = np.random.default_rng(0)
X, Y = rng.uniform(size=(600, 784)), rng.integers(0, 10, size=600)


@pytest.mark.parametrize(
    "program", [bench.course, bench.on_tape, bench.pytorch]
)
def test_two_epochs_end_with_the_loss_and_weights_of_the_loop(program):
    one, other = bench.plain_numpy("float64"), program("float64")
    for _ in range(2):
        losses = [epoch(X, Y) for epoch, _ in (one, other)]
    # Rounding moves them by 1e-13 or so, a wrong formula by 1e-3.
    assert losses[0] == pytest.approx(losses[1], rel=1e-10)
    for p, q in zip(one[1](), other[1](), strict=True):
        np.testing.assert_allclose(p, q, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", bench.PROGRAMS)
def test_every_program_has_the_network_and_the_precision(name, dtype):
    epoch, parameters = bench.PROGRAMS[name](dtype)
    epoch(X.astype(dtype), Y)
    shapes = [(784, 256), (256,), (256, 10), (10,)]
    assert [p.shape for p in parameters()] == shapes
    assert {str(p.dtype) for p in parameters()} == {dtype}
