/* The sigmoid network of chapter 4, with its formulas and letters. It knows
   no page; its numbers are float64, as NumPy's are.

   Parameters are { W1, b1, W2, b2 }: W1 two rows of h numbers, b1 and W2
   h numbers, b2 one. A is four rows of h numbers, the rest four numbers. */

export const INPUTS = [[0, 0], [0, 1], [1, 0], [1, 1]];
export const XOR = [0, 1, 1, 0];
export const LR = 2;

/** mulberry32 (Tommy Ettinger): numbers in (0, 1] from a 32-bit seed. */
export function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 1) / 2 ** 32;
  };
}

/** Normal numbers, mean 0, variance 1, by Box and Muller; two draws each. */
export function normal(seed) {
  const draw = uniform(seed);
  return () =>
    Math.sqrt(-2 * Math.log(draw())) * Math.cos(2 * Math.PI * draw());
}

/** He's start: W1 row by row, then W2; biases zero. */
export function start(hidden, seed) {
  const draw = normal(seed);
  const he = (fanIn) =>
    Array.from({ length: hidden }, () => draw() * Math.sqrt(2 / fanIn));
  const W1 = [he(2), he(2)];
  const b1 = W1[0].map(() => 0);
  return { W1, b1, W2: he(hidden), b2: 0 };
}

const sigmoid = (z) => 1 / (1 + Math.exp(-z));

/** The output unit: the answer to one row of hidden values. */
export const answer = (a, { W2, b2 }) =>
  sigmoid(a.reduce((sum, a_j, j) => sum + a_j * W2[j], 0) + b2);

/** The hidden layer: the hidden values of one row of inputs. */
export const hidden = ([x1, x2], { W1, b1 }) =>
  b1.map((b_j, j) => sigmoid(x1 * W1[0][j] + x2 * W1[1][j] + b_j));

/** A, the answers and their mean squared error. */
export function forward(parameters) {
  const A = INPUTS.map((x) => hidden(x, parameters));
  const yHat = A.map((a) => answer(a, parameters));
  const squares = yHat.map((y_i, i) => (y_i - XOR[i]) ** 2);
  const loss = squares.reduce((sum, s) => sum + s, 0) / XOR.length;
  return { A, yHat, loss };
}

/** The parameters after one step on all four rows. */
export function step(parameters, lr) {
  const { A, yHat } = forward(parameters);
  const { W1, b1, W2, b2 } = parameters;
  const over = (f) => XOR.reduce((sum, _, i) => sum + f(i), 0);
  const dZ2 = yHat.map(
    (y_i, i) => (2 / XOR.length) * (y_i - XOR[i]) * y_i * (1 - y_i),
  );
  const dZ1 = A.map((a, i) =>
    a.map((a_j, j) => dZ2[i] * W2[j] * a_j * (1 - a_j)),
  );
  return {
    W1: W1.map((row, k) =>
      row.map((w, j) => w - lr * over((i) => INPUTS[i][k] * dZ1[i][j])),
    ),
    b1: b1.map((b, j) => b - lr * over((i) => dZ1[i][j])),
    W2: W2.map((w, j) => w - lr * over((i) => A[i][j] * dZ2[i])),
    b2: b2 - lr * over((i) => dZ2[i]),
  };
}

/** For each row, whether its answer is on the right side of 1/2. */
export const right = (yHat) =>
  yHat.map((y_i, i) => Math.abs(y_i - XOR[i]) < 0.5);
