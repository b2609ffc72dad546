"""What each verdict says of a wrong answer.

That a stub is not solved and a solution is, each chapter shows in its own
output. Chapter 7 is judged in test_bugs.py.
"""

import ast
import importlib
import linecache

import numpy as np
import pytest

from lessons import chain, modules, xor
from lessons.exercises import verdict
from tests.support import cells, read
from tools.export import chapters

STEMS = {path.name[1]: stem for stem, path in chapters().items()}


def judge_solution(name, right, wrong):
    """Judge a chapter's own solution with a slip put into its text."""
    stem, number = STEMS[name[0]], name[2]
    code = {
        c.id: c.source for _, c in cells(read(chapters()[stem]), "code")
    }
    solution = code[f"solution-{number}"]
    assert solution.count(right) == 1, f"{solution}\nhas not one {right}"
    solution = solution.replace(right, wrong)
    module = importlib.import_module(f"lessons.{stem}")
    names = {**vars(modules), **vars(module), "np": np, "verdict": verdict}
    # As IPython does, so that an error can name the reader's line.
    linecache.cache["answer"] = 0, None, solution.splitlines(), "answer"
    for source in code[f"stub-{number}"], solution:
        body = ast.parse(source).body
        body = [n for n in body if isinstance(n, DEFINITION)]
        made = ast.Module(body, type_ignores=[])
        exec(compile(made, "answer", "exec"), names)
    exec(solution[solution.index("\nverdict(") :], names)


DEFINITION = ast.FunctionDef | ast.ClassDef
SIGN, TWICE = "the sign is turned", "2 times too large"
HALF, VALUE = "2 times too small", ": wrong"
SOFTMAX = "out * (G - (G * out).sum(axis=1, keepdims=True))"
# What stands in a solution, what is put there instead, and what is said.
SLIPS = {
    "1.1": [
        ("return g", "return -g", SIGN),
        ("return g", "return 2 * g", TWICE),
        ("return g", "return g / 2", HALF),
        ("self.a * (1 - self.a)", "(1 - self.a**2)", "dL/dz"),
        ("return g *", "return", "dL/dz"),
        (
            "1 / (1 + math.exp(-z))",
            "math.tanh(z)",
            f"forward(-2.0){VALUE}",
        ),
    ],
    "1.2": [
        ("self.w -=", "lr *", "w after the step, with lr=0.1"),
        ("self.b -=", "lr *", "b after the step, with lr=0.1"),
        ("dx = dz * self.w\n", "dx = dz\n", "backward"),
    ],
    "1.5": [
        ("return math", "return -math", SIGN),
        ("return math", "return 2 * math", TWICE),
        ("math.tanh(self.miss)", "math.tanh(self.miss) / 2", HALF),
        ("math.tanh(self.miss)", "self.miss", "dL/dy_hat"),
        (
            "size + math.log((1 + math.exp(-2 * size)) / 2)",
            "math.log(math.cosh(size))",
            "in your line `return math.log(math.cosh(size))`",
        ),
    ],
    "1.6": [("return max(", "return h or (", f"worst_error(0.1){VALUE}")],
    "2.1": [
        ("G = 2", "G = -2", SIGN),
        ("X.T @ G", "X.T @ G / 2", HALF),
        ("X.T @ G", "(X.T @ G)[::-1]", "reverse"),
        ("X.T @ G", "(X.T @ G).T", "expected shape"),
        ("return dW1, db1, dW2, db2", "return dW1, db1", "to get back"),
    ],
    "2.2": [
        ("np.sign", "-np.sign", SIGN),
        (" / y_hat.size", "", "times too large"),
        ("/ y_hat.size", "/ 2 / y_hat.size", HALF),
        ("np.abs", "0 * np.abs", f"mae{VALUE}"),
    ],
    "2.3": [
        ("self.out.grad", "-self.out.grad", SIGN),
        ("self.out.grad", "2 * self.out.grad", TWICE),
        ("self.out.grad", "self.out.grad / 2", HALF),
        ("np.where(self.Z > 0, 1, 0.1)", "(self.Z > 0)", "wrong"),
        ("Solution(ReLU)", "Solution", "parameters()"),
        ("Z * np.where(Z > 0, 1, 0.1)", "Z * 1", f"the output{VALUE}"),
    ],
    "2.4": [("loss, before", "loss, parameters", "another loss")],
    "2.6": [
        (" * (A > 0)", "", "mask is missing"),
        ("G = 2", "G = -2", SIGN),
        ("G = 2", "G = 4", TWICE),
    ],
    "3.1": [
        ("Sigmoid", "-Sigmoid", SIGN),
        ("Sigmoid", "2 * Sigmoid", TWICE),
        ("forward(X)\n", "forward(X) / 2\n", HALF),
        ("Sigmoid().forward(X)", "1 / (1 + np.exp(-X))", "overflow"),
        ("np.logaddexp(0, X)", "np.log(1 + np.exp(X))", "overflow"),
        ("np.logaddexp(0, X)", "np.abs(X)", f"the output{VALUE}"),
    ],
    "3.2": [
        ("v += p.grad", "v += p.grad / 2", "after step 1"),
        ("v *= self.momentum", "v *= 0.9", "after step 2"),
        ("v += p.grad", "p.grad += v; v[:] = p.grad", "is changed"),
    ],
    "3.3": [
        ("X.grad = X.grad + out.grad", "X.grad += out.grad", "solved"),
        ("X.grad + out.grad", "-X.grad - out.grad", SIGN),
        ("X.grad + out.grad", "2 * (X.grad + out.grad)", TWICE),
        ("X.grad + out.grad", "(X.grad + out.grad)[:, ::-1]", "reverse"),
        ("X.grad + out.grad", "X.grad", "wrong in 15"),
        ('if hasattr(X, "grad"):', "if True:", "AttributeError"),
        ("return self.inner.parameters()", "return []", "does not list"),
        ("X + self.inner(X)", "self.inner(X)", f"the output{VALUE}"),
    ],
    "3.4": [
        ("X.grad = out.grad - ", "X.grad = -out.grad + ", SIGN),
        ("out.grad - out.grad.mean(axis=0)", "out.grad", "wrong in 15"),
        ("out.grad.mean(axis=0)", "out.grad.mean()", "wrong in 15"),
    ],
    "3.5": [
        ("np.clip", "-np.clip", SIGN),
        (" / y.size", "", "5 times too large"),
        ("y.size", "len(y)", "(the outputs)"),
        (".mean()", ".sum()", f"the loss{VALUE}"),
        ("d - 0.5", "d", f"the loss{VALUE}"),
    ],
    "4.2": [
        ("X.T @ dL_dZ1", "-X.T @ dL_dZ1", "sign"),
        ("2 / len(Y)", "1 / len(Y)", HALF),
        ("dL_dZ2.sum(axis=0)", "dL_dZ2.mean(axis=0)", "b2"),
        ("dL_dZ1.sum(axis=0)\n", "dL_dZ1.mean(axis=0)\n", "b1"),
        ("np.tanh(", "sigmoid(", "the loss of 4 rows"),
    ],
    "4.3": [
        ("W1 -= lr", "W1 += lr", "W1 after a step"),
        ("G2.sum(axis=0)", "G2.mean(axis=0)", "b2 after a step"),
    ],
    "4.5": [
        ("first, Sigmoid(), second,", "Linear(3, 1, rng=rng),", "0 of"),
        (
            "    first,",
            "    rng = np.random.default_rng(0)\n    first,",
            "one start",
        ),
    ],
    "5.1": [
        (
            "np.exp(self.log_p) - self.Q",
            "self.Q - np.exp(self.log_p)",
            SIGN,
        ),
        (") / len(y)\n", ")\n", "too large"),
        ("Q) / len(y)", "Q) / y_hat.size", "too small"),
        ("0.1 / out", "0.1 / 10", f"the loss{VALUE}"),
        ("y_hat.grad = ", "_ = ", "leaves y_hat.grad as it was"),
    ],
    "5.2": [
        ("sigmoid - y", "y - sigmoid", SIGN),
        ("(sigmoid - y)", "2 * (sigmoid - y)", TWICE),
        ("(sigmoid - y) / len(y)", "sigmoid - y", "too large"),
        ("np.log1p(e)", "0 * e", f"the loss{VALUE}"),
        (
            "np.maximum(z, 0) + np.log1p(e)",
            "np.log(1 + np.exp(z))",
            "10,000",
        ),
    ],
    "5.3": [
        ("(0, len(X)", "(0, len(X) - batch_size", "has 8"),
        ("y[rows]", "y[np.sort(rows)]", "another row's label"),
        ("rng.permutation(len(X))", "np.arange(len(X))", "not a new one"),
    ],
    "5.5": [
        ("self.lr * self.decay", "self.decay", "array 0"),
        ("().step()\n", "().step(); p.grad *= 2\n", "is changed"),
        ("p *= 1 - self.lr * self", "p.grad = p.grad + p * self", "read"),
    ],
    "5.7": [("X / 16, y, 32", "X / 16, y * 0, 32", "images are right")],
    "6.1": [
        ("pull / y.size", "-pull / y.size", SIGN),
        ("pull / y.size", "2 * pull / y.size", TWICE),
        ("self.pos_weight * y * (p - 1)", "y * (p - 1)", "wrong in"),
        (".mean())", ".sum())", f"the loss{VALUE}"),
    ],
    "6.2": [("(X_test - mean)", "(X_test - scaling(X_test)[0])", VALUE)],
    "6.3": [
        ("p *= 1 - self.lr * self.decay", "p.grad = p.grad + p", "array"),
        ("().step()\n", "().step(); p.grad = 2 * p.grad\n", "only read"),
    ],
    "6.5": [("p[:] = best", "pass", "")],
    "8.1": [
        ("return G", "return -G", SIGN),
        ("(2 * out)", "out", TWICE),
        ("(2 * out)", "(4 * out)", HALF),
        ("G / (2 * out)", "1 / (2 * out)", "multiply by G"),
        ("G / (2 * out)", "(G / (2 * out),)", "a tuple"),
        ("    return", "    G *= 1.5\n    return", "G is changed"),
        ("    return", "    out += 1\n    return", "out is changed"),
    ],
    "8.2": [
        ("return out", "return -out", SIGN),
        ("return out", "return 2 * out", TWICE),
        (SOFTMAX, f"({SOFTMAX})[:, ::-1]", "in reverse"),
        (SOFTMAX, "out * (1 - out) * G", "wrong"),
        ("return out", "return np.exp(Z) * 0 + out", "overflow"),
    ],
    "8.3": [
        ("a.shape[axis]", "a.size", "4 times too small"),
        ("a.shape[axis]", "1", "3 times too large"),
        ("a.shape[axis]", "-a.shape[axis]", SIGN),
    ],
    "8.4": [
        ("np.exp(a - out)", "np.exp(b - out)", "b's gradient"),
        ("np.exp(a - out)", "-np.exp(a - out)", SIGN),
        ("np.exp(a - out)", "2 * np.exp(a - out)", TWICE),
        ("np.exp(a - out)", "np.exp(a) / np.exp(out)", "overflow"),
    ],
    "8.6": [
        ("W.grad = None", "pass", "W after step 2"),
        ("lr * W.grad", "2 * lr * W.grad", "W after step 1"),
        ("W -= lr", "_ = lr", "W is what it was"),
    ],
    "9.1": [
        (" if c)", ")", "[4, 0, 3] rows"),
        (" / sum(counts)", "", f"[2, 2] rows{VALUE}"),
        ("c * g", "g", f"[2, 2] rows{VALUE}"),
    ],
    "9.2": [
        ("(rank, n, size)", "(0, n, size)", "row 0 is taken 2 times"),
        ("(rank, n, size)", "(rank, n - 1, size)", "is taken 0 times"),
        ("(rank, n, size)", "(rank, n + 1, size)", "there is no row"),
        ("range(rank, n, size)", "range(n)[: n * (not rank)]", "dealt as"),
    ],
    "9.3": [
        ("[seed, epoch]", "[seed, epoch, rank]", " times"),
        ("[seed, epoch]", "seed", "the same order"),
        ("rng.permutation(n)", "np.roll(range(n), 0)", "the same order"),
    ],
    "9.4": [
        ("2**t", "1", "4 ranks: what rank 0 has"),
        ("2**t", "0", "rank 0's partner is 0"),
        ("^", "+", "partner is 1, whose own is another"),
    ],
    "9.6": [
        ("size * mine", "mine", "[2, 2] rows"),
        ("mine / n", "1 / size", "[3, 1] rows"),
    ],
}
SLIPS = [(name, *slip) for name, slips in SLIPS.items() for slip in slips]


@pytest.mark.parametrize("name, right, wrong, words", SLIPS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_slip_is_named(capsys, name, right, wrong, words):
    judge_solution(name, right, wrong)
    said = capsys.readouterr().out
    solved = "solved" if words == "solved" else "not yet: "
    assert said.startswith(f"{name}: {solved}") and words in said


ANSWERS = [
    ("1.2", chain.Linear, f"forward{VALUE}"),
    ("1.3", 1, "a run finds another depth"),
    ("1.3", "two", "expected a number"),
    ("1.4", ["w_1"], "1 more that you do not name"),
    ("1.4", ["w_1", "b_1", "w_3"], "of yours, 1 not zero"),
    ("1.4", ["w1"], "is none of"),
    ("1.4", np.arange(3), "expected a list"),
    ("2.5", 0.01387, "goes on below"),
    ("2.5", 0.0001, "as low as that"),
    ("3.6", [4, -10, -6.125], "not yet: SGD"),
    ("3.6", [-4, 4, -6.125], "not yet: PyTorch's SGD, uncl"),
    ("3.6", [-4, -10, 4], "not yet: momentum"),
    ("3.6", [1], "three numbers"),
    ("4.1", [np.eye(2), [0, 0], [1, 1], [0]], "W2: expected shape (2, 1)"),
    ("4.1", [np.eye(2), [0, 0], [[1], [1]], [0]], f"Y_hat{VALUE}"),
    ("4.2", xor.loss_and_gradients, "the loss of 4 rows"),
    ("4.4", ["0110"], "1 more"),
    ("4.4", ["0110", "1001", "0111"], "learns 1 of yours"),
    ("4.4", ["xor"], "is not four digits"),
    ("4.6", "more", "a run finds the opposite"),
    ("4.6", "same", 'expected "more" or "less"'),
    ("8.5", [5, 8, 11, 12], "after line 1"),
    ("8.5", [6, 8, 11, 5], "after line 4"),
    ("8.5", [1], "expected four"),
    ("9.5", [0, 600, 800, 1000], "sent by each of 2"),
    ("9.5", [1], "expected four"),
]


@pytest.mark.parametrize("name, answer, words", ANSWERS)
def test_a_wrong_answer_is_told_what_is_wrong(capsys, name, answer, words):
    verdict(name, answer)
    said = capsys.readouterr().out
    assert said.startswith(f"{name}: not yet: ") and words in said


class Half(modules.Activation):
    def forward(self, X):
        return X

    def slope(self, out, X): ...


@pytest.mark.parametrize(
    "name, answers, what",
    [
        ("3.1", [Half], "not all written yet: slope"),
        (
            "3.6",
            [[..., -10, ...]],
            "not all written yet: number 1, number 3",
        ),
        ("3.6", [[..., ..., ...]], "nothing written yet"),
        ("5.4", [[True, True], [..., 1]], "not all written yet: number 3"),
        ("2.5", [...], "nothing written yet"),
    ],
)
def test_what_is_not_written_is_named(capsys, name, answers, what):
    verdict(name, *answers)
    assert capsys.readouterr().out == f"{name}: {what}\n"


def test_two_answers_are_judged_together(capsys):
    verdict("5.4", [True, True], [True, True, True, True])
    assert "the network: 1 of 4 are right" in capsys.readouterr().out
    verdict("6.4", [-0.2, -0.29, -0.2], [-200, -290, -200])
    assert "6.4: not yet: " in capsys.readouterr().out
    verdict("6.4", [-0.2, -0.29, -0.2], [..., ..., ...])
    assert "6.4: not all written yet" in capsys.readouterr().out
