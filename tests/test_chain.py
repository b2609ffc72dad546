"""Chapter 1: gradients, training and exercises of the chain of neurons."""

import math
import random
from itertools import pairwise

import numpy as np
import pytest
import torch

from lessons.chain import (
    Chain,
    Linear,
    SquaredError,
    Tanh,
    gradients,
    numerical_derivative,
    parameters,
    train,
)
from lessons.exercises import verdict

# A gradient of 40 neurons takes some 300 operations in each program, each
# off by at most 1.1e-16 of its result: 7e-14. Cancellation in 1 - a**2
# makes that up to 14 times as much where |z| is at most 2.
ROUNDING = 1e-12


def draw(depth, seed):
    rng = random.Random(seed)
    w, b = ([rng.uniform(-1, 1) for _ in range(depth)] for _ in "wb")
    return w, b, rng.uniform(-1, 1), rng.uniform(-1, 1)


def by_torch(w, b, x, y):
    w, b = (torch.tensor(p, dtype=torch.float64) for p in (w, b))
    w.requires_grad_(), b.requires_grad_()
    a = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    x = a
    for w_k, b_k in zip(w, b, strict=True):
        a = torch.tanh(w_k * a + b_k)
    loss = (a - y) ** 2
    loss.backward()
    pairs = zip(w.grad.tolist(), b.grad.tolist(), strict=True)
    return loss.item(), [g for pair in pairs for g in pair], x.grad.item()


@pytest.mark.parametrize("depth", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradients_are_those_of_pytorch(depth, seed):
    w, b, x, y = draw(depth, seed)
    chain, loss_fn = Chain(w, b), SquaredError()
    loss = loss_fn.forward(chain.forward(x), y)
    below = chain.backward(loss_fn.backward(), lr=0)
    expected, theirs, x_grad = by_torch(w, b, x, y)
    assert loss == pytest.approx(expected, rel=ROUNDING)
    assert gradients(chain) == pytest.approx(theirs, rel=ROUNDING, abs=0)
    assert below == pytest.approx(x_grad, rel=ROUNDING, abs=0)
    assert parameters(chain) == [
        p for pair in zip(w, b, strict=True) for p in pair
    ]


@pytest.mark.parametrize("depth", [1, 3])
def test_training_equals_pytorch_at_each_of_500_steps(depth):
    w, b, _, _ = draw(depth, 9)
    rng = random.Random(0)
    samples = [(x, math.tanh(-0.6 * x - 0.9)) for x in draw(500, 1)[0]]
    rng.shuffle(samples)
    p = [q for pair in zip(w, b, strict=True) for q in pair]
    for (x, y), (loss, state) in zip(
        samples, train(Chain(w, b), samples, lr=0.01), strict=True
    ):
        expected, theirs, _ = by_torch(p[::2], p[1::2], x, y)
        p = [q - 0.01 * g for q, g in zip(p, theirs, strict=True)]
        assert loss == pytest.approx(expected, rel=0, abs=1e-12)
        assert state == pytest.approx(p, rel=0, abs=1e-12)


def test_a_layer_steps_downhill_and_passes_down_the_old_w():
    linear = Linear(0.8, 0.1)
    linear.forward(0.5)
    assert linear.backward(2.0, lr=0.1) == 2.0 * 0.8
    assert (linear.w, linear.b) == (0.8 - 0.1 * 1.0, 0.1 - 0.1 * 2.0)
    linear.forward(0.25)
    linear.backward(4.0, lr=0)
    assert (linear.w_grad, linear.b_grad) == (1.0, 4.0)  # not added up


def test_a_chain_of_unequal_lists_is_refused():
    with pytest.raises(ValueError, match="zip"):
        Chain([1.0, 2.0], [0.0])


def test_layers_print_as_what_they_are():
    text = "Chain([Linear(w=0.800000, b=0.100000), Tanh()])"
    assert repr(Chain([0.8], [0.1])) == text


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.5, 2000.0, 1e6, 1e10, 1e11])
def test_the_numerical_derivative_is_right_at_any_size(x):
    # A line has no bend: what is left is rounding, at most 2**-53 of x,
    # twice, over a step of 2e-5 times x.
    slope = numerical_derivative(lambda t: 3 * t, x)
    assert slope == pytest.approx(3, rel=2e-11)
    slope = numerical_derivative(lambda t: t * t, x)
    assert slope == pytest.approx(2 * x, rel=1e-9, abs=1e-9)


def test_a_tenth_of_the_step_leaves_a_hundredth_of_the_error():
    errors = [
        numerical_derivative(math.sin, 1.0, h) - math.cos(1.0)
        for h in (1e-1, 1e-2, 1e-3)
    ]
    for large, small in pairwise(errors):
        assert large / small == pytest.approx(100, rel=0.01)


# -- Exercises: what each verdict says of wrong answers -------------------


def sigmoid(slope):
    class Answer:
        def forward(self, z):
            self.a = 1 / (1 + math.exp(-z))
            return self.a

        def backward(self, g, lr):
            return slope(g, self.a)

    return Answer


def log_cosh(slope):
    class Answer:
        def forward(self, y_hat, y):
            self.miss = y_hat - y
            size = abs(self.miss)
            return size + math.log((1 + math.exp(-2 * size)) / 2)

        def backward(self):
            return slope(self.miss)

    return Answer


class NoStep(Linear):
    def forward(self, x):
        self.a = math.tanh(super().forward(x))
        return self.a

    def backward(self, g, lr):
        return super().backward(g * (1 - self.a**2), 0)


WRONG = [
    ("1.1", sigmoid(lambda g, a: -g * a * (1 - a)), "the sign is turned"),
    (
        "1.1",
        sigmoid(lambda g, a: g * 2 * a * (1 - a)),
        "2 times too large",
    ),
    (
        "1.1",
        sigmoid(lambda g, a: g * a * (1 - a) / 2),
        "2 times too small",
    ),
    ("1.1", sigmoid(lambda g, a: g * (1 - a**2)), "dL/dz"),
    ("1.1", sigmoid(lambda g, a: a * (1 - a)), "dL/dz"),
    ("1.1", Tanh, "forward(-2.0): another value"),
    ("1.2", NoStep, "w after the step, with lr=0.1"),
    ("1.2", Linear, "forward: another value"),
    ("1.3", 1, "a run finds another depth"),
    ("1.3", "two", "expected a number"),
    ("1.4", ["w_1"], "1 more that you do not name"),
    ("1.4", ["w_1", "b_1", "w_3"], "of yours, 1 not zero"),
    ("1.4", ["w1"], "is none of"),
    ("1.5", log_cosh(lambda m: -math.tanh(m)), "the sign is turned"),
    ("1.5", log_cosh(lambda m: 2 * math.tanh(m)), "2 times too large"),
    ("1.5", log_cosh(math.sinh), "dL/dy_hat"),
    ("1.5", log_cosh(lambda m: math.tanh(m) / 2), "2 times too small"),
    ("1.6", lambda h: h**2, "worst_error(0.1): another value"),
]


@pytest.mark.parametrize(("name", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(name, answer, words, capsys):
    verdict(name, answer)
    said = capsys.readouterr().out
    assert said.startswith(f"{name}: not yet")
    assert words in said


def test_an_overflow_is_told_with_the_reader_s_line(capsys):
    def naive(y_hat, y):
        return math.log(math.cosh(y_hat - y))

    answer = log_cosh(math.tanh)
    answer.forward = lambda self, y_hat, y: (
        setattr(self, "miss", y_hat - y) or naive(y_hat, y)
    )
    verdict("1.5", answer)
    said = capsys.readouterr().out
    assert "OverflowError" in said and "math.log(math.cosh" in said


def test_a_random_row_of_numbers_is_no_answer(capsys):
    verdict("1.4", np.arange(3))
    assert "expected a list" in capsys.readouterr().out
