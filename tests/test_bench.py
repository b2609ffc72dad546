"""The benchmark compares programs that do the same work.

How fast they are is never asserted; that their results are the same is.
"""

import numpy as np
import pytest

from tools import bench


@pytest.fixture
def data():
    """600 rows, so that the last batch is a ragged one."""
    rng = np.random.default_rng(0)
    return rng.uniform(size=(600, 784)), rng.integers(0, 10, size=600)


def parameters(program):
    """W1, b1, W2, b2 of a program, as NumPy arrays."""
    if isinstance(program, bench.PlainNumpy):
        return program.parameters
    if isinstance(program, bench.Lessons):
        return [np.array(p) for p in program.model.parameters()]
    return [p.detach().numpy().T for p in program.model.parameters()]


@pytest.mark.parametrize("kind", [bench.Lessons, bench.Torch])
def test_two_epochs_leave_the_weights_of_the_plain_loop(kind, data):
    plain, program = bench.PlainNumpy(np.float64), kind(np.float64)
    for _ in range(2):
        plain.epoch(*data)
        program.epoch(*data)
    for p, q in zip(parameters(plain), parameters(program), strict=True):
        # Six steps, each a sum over 784 pixels: 6 * 784 * 1.1e-16 = 5e-13,
        # on numbers below 2; a wrong formula is off by 1e-3 and more.
        np.testing.assert_allclose(p, q, rtol=0, atol=1e-12)
    assert np.array_equal(plain.predict(data[0]), program.predict(data[0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", bench.PROGRAMS)
def test_every_program_computes_in_the_precision_it_is_given(
    name, dtype, data
):
    X, y = data
    program = bench.PROGRAMS[name](dtype)
    program.epoch(X.astype(dtype), y)
    if name == "five matrix products":
        found = program.W1.dtype
    elif name == "scikit-learn":
        found = program.model.coefs_[0].dtype
    else:
        found = parameters(program)[0].dtype
    assert found == dtype


def test_scikit_learn_has_the_same_network():
    program = bench.Sklearn(np.float64)
    program.epoch(np.zeros((300, 784)), np.arange(300) % 10)
    shapes = [w.shape for w in program.model.coefs_]
    assert shapes == [(784, 256), (256, 10)]
    settings = program.model.get_params()
    assert settings["batch_size"] == bench.BATCH
    assert settings["learning_rate_init"] == bench.LR
    assert settings["momentum"] == settings["alpha"] == 0
    assert settings["activation"] == "relu"
