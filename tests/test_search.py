"""What people type into the search finds the section that answers it."""

import re
from fnmatch import fnmatchcase

FIRST = 3  # among so many it has to be
ADVICE = """\
give the section the words, a symptom in a paragraph that begins with Also,
or see to the ranking in book/_static/scripts/search.js:"""
QUERIES = """
symptoms
  nan: loss is nan / nan
  overflow: RuntimeWarning: overflow encountered in exp / overflow softmax
  ten-percent: accuracy stuck at 10%
  stuck: loss does not decrease / loss not going down
  stuck: my network is not learning
  log-classes: loss = 2.3026 / loss equals log of the number of classes
  xor-half: XOR outputs 0.5 / XOR always 0.5
  xor-stuck: xor not converging
  same: all predictions the same / feature scaling
  gradcheck: gradient check fails
  kink: kink
  zero: gradient zero
  dead: dead relu / dead neurons
  vanishing: vanishing gradient
  float32: works in float64 not in float32
  validation-better: validation better than training
  diverges: diverges / exploding gradient / loss explodes
  matmul: shapes not aligned / matmul mismatch core dimension
  matmul: mat1 and mat2 shapes cannot be multiplied
  key-error: KeyError: 0
  up: loss goes up / loss increasing
  accuracy-stands: loss falls but accuracy does not
  broadcast: operands could not be broadcast together
  strings: could not convert string to float
  zero-grad: forgot zero_grad
  optimizer: optimizer does nothing / weights not updating
  optimizer: weights do not change
  seed: different results every run / reproducible float64
  dtype: expected Float but found Double
  memory: memory leak / MemoryError
  slow: training is slow
  grad-none: grad is None
  overfit: overfitting
  look-up-a-symptom: debug
  dropout: model.eval forgotten / predictions change every time
  rare: imbalanced classes accuracy
  softmax-twice: loss stuck at 1.46
  baseline: network predicts the mean
  leak: data leakage
  labels: index 10 is out of bounds / Target 10 is out of bounds
  no-graph: element 0 of tensors does not require grad
  first-loss: initial loss too high
  symmetry: symmetry breaking
  in-place: leaf Variable being used in an in-place operation
  graph: backward through the graph a second time
01-chain
  ask-by-nudging: numerical derivative
02-matrix
  a-loss-that-equals-the-baseline: loss equals the baseline
  a-comma-in-a-shape: broadcasting
  where-to-start: He initialization
  give-an-array-a-place-for-its-gradient: GradArray
  what-must-a-network-beat: least squares
03-modules
  save-the-weights-and-load-them: save and load weights
  exercise-1-softplus: softplus
04-xor
  solve-xor-with-a-hidden-layer: hidden layer XOR
05-mnist
  from-scores-to-a-loss: log-sum-exp trick
  a-few-hundred-at-a-time: mini-batches / DataLoader
  what-has-it-learnt: confusion matrix
  a-network-with-what-you-have: one-hot
  a-start-that-is-certain-of-everything: sigmoid saturates
  where-to-start-and-how-far-to-step: validation set
06-own-data
  a-table-becomes-x-and-y: pandas
  better-steps: Adam / momentum
  what-decay-does-to-a-bias: weight decay
  stop-early-or-drop-units: dropout / early stopping
  in-the-company-of-scikit-learn: scikit-learn estimator
08-autograd
  why-pytorch-is-as-it-is: torch
  what-is-detach-for: detach
  why-do-gradients-accumulate: accumulate gradients
  why-is-the-graph-freed-*: retain_graph
  why-may-a-parameter-not-be-changed-in-place: no_grad
glossary
  term-all-reduce: all-reduce
  term-learning-rate: learning rate
  term-cross-entropy: cross entropy gradient
  term-chain-rule: chain rule
"""


def queries():
    """Yield (query, address), whose end may be left open."""
    for part in re.split(r"\n(?=\S)", QUERIES.strip()):
        page, *lines = part.splitlines()
        for line in lines:
            anchor, typed = line.strip().split(": ", 1)
            for query in typed.split(" / "):
                yield query, f"book/{page}.html#{anchor}"


def test_what_people_type_finds_its_section(browser, url):
    tab, missed = browser.new_page(), []
    tab.on("pageerror", lambda error: missed.append(str(error)))
    tab.goto(f"{url}/search.html")
    for query, address in queries():
        tab.fill(".bd-search-container input", query)
        tab.keyboard.press("Enter")
        links = tab.eval_on_selector_all(
            "#search-results li > a",
            "links => links.map((a) => a.getAttribute('href'))",
        )
        found = [re.sub(r"\?[^#]*", "", link) for link in links]
        right = [fnmatchcase(place, address) for place in found]
        if not any(right[:FIRST]):
            rank = right.index(True) + 1 if any(right) else "missing"
            missed.append(f"{query}: {address} is {rank}; {found[:FIRST]}")
    tab.close()
    assert not missed, "\n".join([ADVICE, *missed])
