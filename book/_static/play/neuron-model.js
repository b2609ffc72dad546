/* One neuron with the formulas and letters of chapter 1. It knows no page;
   its numbers are float64, as Python's are. */

/** The neuron of the chapter's first section. */
export const START = { w: 0.8, b: 0.1, x: 0.5, y: Math.tanh(-1.2) };

/** The learning rate of the chapter's first step. */
export const LR = 0.1;

/** Every value on the way forward, every derivative on the way back. */
export function run({ w, b, x, y }) {
  const z = w * x + b;
  const yHat = Math.tanh(z);
  const miss = yHat - y;
  const dLdz = 2 * miss * (1 - yHat * yHat);
  return { z, yHat, miss, L: miss * miss, dLdz, dLdw: dLdz * x, dLdb: dLdz };
}

/** The neuron after one step against its two gradients. */
export function step(neuron, lr) {
  const { dLdw, dLdb } = run(neuron);
  return { ...neuron, w: neuron.w - lr * dLdw, b: neuron.b - lr * dLdb };
}
