"""Chapter 4: the network by hand, many starts at once, and exercises."""

import numpy as np
import pytest
import torch

from lessons.exercises import verdict
from lessons.gradcheck import gradcheck
from lessons.xor import (
    INPUTS,
    OR,
    XOR,
    forward,
    loss_and_gradients,
    sigmoid,
    solved,
    start,
    step_by_hand,
    train_starts,
)

NAMES = "W1", "b1", "W2", "b2"


def draw(n, h):
    rng = np.random.default_rng(10 * n + h)
    X, Y = rng.normal(size=(n, 2)), rng.uniform(size=(n, 1))
    return X, Y, [rng.normal(size=s) for s in [(2, h), h, (h, 1), 1]]


@pytest.mark.parametrize(("n", "h"), [(4, 3), (1, 1), (300, 5)])
def test_gradients_are_those_of_nudging_and_of_pytorch(n, h):
    X, Y, parameters = draw(n, h)
    loss, gradients = loss_and_gradients(X, Y, *parameters)
    pairs = dict(
        zip(NAMES, zip(parameters, gradients, strict=True), strict=True)
    )
    found = gradcheck(
        lambda: loss_and_gradients(X, Y, *parameters)[0], pairs
    )
    assert found.ok and not found.unjudged, found

    theirs = [torch.tensor(p, requires_grad=True) for p in parameters]
    W1, b1, W2, b2 = theirs
    A = torch.sigmoid(torch.tensor(X) @ W1 + b1)
    Y_hat = torch.sigmoid(A @ W2 + b2)
    expected = torch.nn.functional.mse_loss(Y_hat, torch.tensor(Y))
    expected.backward()
    # Sums of n terms, each rounded a few times; relative to the largest.
    room = (n + 30) * 2**-52
    assert loss == pytest.approx(expected.item(), rel=room)
    for g, p in zip(gradients, theirs, strict=True):
        largest = np.abs(g).max()
        assert np.abs(g - p.grad.numpy()).max() <= room * largest


def test_the_sigmoid_is_pytorch_s_and_never_overflows():
    Z = np.array([-1000.0, -30.0, -1.0, 0.0, 0.5, 30.0, 1000.0])
    with np.errstate(all="raise", under="ignore"):
        ours = sigmoid(Z)
    theirs = torch.sigmoid(torch.tensor(Z)).numpy()
    assert ours == pytest.approx(theirs, rel=1e-15, abs=1e-300)


def test_a_step_moves_against_all_four_gradients():
    parameters = start(hidden=3, seed=4)
    loss, gradients = loss_and_gradients(INPUTS, OR, *parameters)
    expected = [
        p - 0.5 * g for p, g in zip(parameters, gradients, strict=True)
    ]
    assert step_by_hand(parameters, 0.5, OR) == loss
    for p, q in zip(parameters, expected, strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("hidden", [1, 3])
def test_many_starts_go_as_each_goes_alone(hidden, biases):
    seeds, lr = range(5), 0.7
    starts = [start(hidden, seed) for seed in seeds]
    losses, A, Y_hat = train_starts(
        starts, lr=lr, num_steps=60, Y=OR, biases=biases
    )
    for k, parameters in enumerate(starts):
        single = []
        for _ in range(60):
            single.append(step_by_hand(parameters, lr, OR))
            if not biases:
                parameters[1][:] = parameters[3][:] = 0
        # 60 short steps: no room for a difference to grow.
        assert losses[:, k] == pytest.approx(single, rel=1e-12)
        end = forward(INPUTS, *parameters)
        assert A[k] == pytest.approx(end[0], rel=1e-11)
        assert Y_hat[k] == pytest.approx(end[1], rel=1e-11)


def test_starts_are_left_as_they_were():
    given = start(hidden=2, seed=0)
    train_starts([given], lr=1, num_steps=3)
    for p, q in zip(given, start(hidden=2, seed=0), strict=True):
        np.testing.assert_array_equal(p, q)


def test_solved_wants_all_four_answers_of_each_network():
    almost = np.array([[0.1], [0.9], [0.9], [0.51]])
    assert solved(np.abs(XOR - 0.49)) and not solved(almost)
    assert list(solved(np.stack([almost, XOR]))) == [False, True]
    assert solved(almost, OR)


# -- Exercises: what each verdict says of wrong answers -------------------


def tanh_network(change):
    """The right answer to 4.2 but for what change makes of it."""

    def answer(X, Y, W1, b1, W2, b2):
        A = np.tanh(X @ W1 + b1)
        Y_hat = sigmoid(A @ W2 + b2)
        G2 = 2 / len(Y) * (Y_hat - Y) * Y_hat * (1 - Y_hat)
        G1 = G2 @ W2.T * (1 - A**2)
        gradients = [X.T @ G1, G1.sum(axis=0), A.T @ G2, G2.sum(axis=0)]
        loss = np.mean((Y_hat - Y) ** 2)
        return loss, change(gradients, A, G2 @ W2.T)

    return answer


def sign(g, A, G):
    return [-g[0], *g[1:]]


def no_two(g, A, G):
    return [p / 2 for p in g]


def sigmoid_s_slope(g, A, G):
    return [g[0], (G * A * (1 - A)).sum(axis=0), *g[2:]]


def mean_of_rows(g, A, G):
    return [*g[:3], g[3] / len(A)]


def in_place(W1, b1, W2, b2, lr):
    step_by_hand((W1, b1, W2, b2), lr)
    b2 += 1e-3


WRONG = [
    ("4.1", [np.eye(2), [0, 0], [1, 1], [0]], "W2: expected shape (2, 1)"),
    ("4.1", [np.eye(2), [0, 0], [[1], [1]], [0]], "Y_hat: another value"),
    ("4.2", tanh_network(sign), "sign"),
    ("4.2", tanh_network(no_two), "2 times too small"),
    ("4.2", tanh_network(mean_of_rows), "b2"),
    ("4.2", tanh_network(sigmoid_s_slope), "b1"),
    ("4.2", loss_and_gradients, "the loss of 4 rows"),
    ("4.3", lambda W1, *a: W1.sort(), "W1 after a step"),
    ("4.3", in_place, "b2 after a step"),
    ("4.4", ["0110"], "1 more"),
    ("4.4", ["0110", "1001", "0111"], "learns 1 of yours"),
    ("4.4", ["xor"], "is not four digits"),
    ("4.6", "more", "a run finds the opposite"),
    ("4.6", "same", 'expected "more" or "less"'),
]


@pytest.mark.parametrize(("name", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(name, answer, words, capsys):
    verdict(name, answer)
    said = capsys.readouterr().out
    assert said.startswith(f"{name}: not yet")
    assert words in said


def test_a_model_without_a_hidden_layer_does_not_do_for_parity(capsys):
    from lessons.modules import Linear, Sequential, Sigmoid

    def too_plain(rng):
        return Sequential(Linear(3, 1, rng=rng), Sigmoid())

    verdict("4.5", too_plain)
    assert "0 of ten models" in capsys.readouterr().out
