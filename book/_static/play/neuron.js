/* The figure of chapter 1: one neuron to take by its numbers. */

import { LR, START, run, step } from "./neuron-model.js";
import { Plot, add, button, figure, fixed, redraw, set, speaker } from "./draw.js";

const SLIDERS = [
  ["w", "weight", 3],
  ["b", "bias", 3],
  ["x", "input", 2],
  ["y", "target", 1],
];

const ROWS = [
  ["z", "*z* = *w* *x* + *b*"],
  ["yHat", "*ŷ* = tanh *z*"],
  ["L", "*L* = (*ŷ* − *y*)²"],
  ["dLdz", "∂*L*/∂*z* = 2 (*ŷ* − *y*) (1 − *ŷ*²)"],
  ["dLdw", "∂*L*/∂*w* = ∂*L*/∂*z* · *x*"],
  ["dLdb", "∂*L*/∂*b* = ∂*L*/∂*z*"],
];

/** Numbers evenly from low to high. */
const span = ([low, high], count = 160) =>
  Array.from({ length: count + 1 }, (_, k) => low + ((high - low) * k) / count);

export function mount(cell) {
  const root = figure(cell, "neuron", "One neuron, by hand");
  let neuron = { ...START };
  let steps = 0;

  // The pictures.
  const panels = add(root, "div", { class: "play-panels" });
  const curve = new Plot(panels, "The answer *ŷ* to each input *x*", {
    x: { range: [-2, 2], ticks: [-2, -1, 0, 1, 2], label: "*x*" },
    y: { range: [-1.1, 1.1], ticks: [-1, 0, 1], label: "*ŷ*" },
    tall: 0.4,
  });
  const lossBy = (p, title) =>
    new Plot(panels, title, {
      x: { range: [-3, 3], ticks: [], label: `*${p}*` },
      y: { range: [-0.2, 4.2], ticks: [0, 1, 2, 3, 4], label: "*L*" },
      tall: 0.72,
    });
  const losses = {
    w: lossBy("w", "The loss *L* by *w* alone"),
    b: lossBy("b", "The loss *L* by *b* alone"),
  };

  // The numbers.
  const controls = add(root, "div", { class: "play-controls" });
  const sliders = SLIDERS.map(([name, word, limit]) => {
    const place = add(controls, "div", { class: "play-slider" });
    const id = `play-neuron-${name}`;
    add(place, "label", { for: id }, `${word} *${name}*`);
    const value = add(place, "output", { "aria-live": "off" });
    const input = add(place, "input", { id, type: "range", step: 0.05 });
    input.addEventListener("input", () => change(name, Number(input.value)));
    return { name, limit, input, value };
  });
  const buttons = add(root, "div", { class: "play-buttons" });
  button(buttons, "Step", () => take(1));
  button(buttons, "10 steps", () => take(10));
  button(buttons, "Reset", () => {
    [neuron, steps] = [{ ...START }, 0];
    draw();
  });
  const count = add(buttons, "output", { "aria-live": "off" });
  const table = add(root, "dl", { class: "play-values" });
  const cells = ROWS.map(([name, formula]) => {
    const row = add(table, "div", { class: `play-row-${name}` });
    add(row, "dt", {}, formula);
    return [name, add(add(row, "dd"), "output", { "aria-live": "off" })];
  });
  const say = speaker(root);
  add(
    root,
    "p",
    { class: "play-help" },
    "Move the sliders, or drag the points: *ŷ* sideways changes *x*, the " +
      "target *y* moves freely, and the points on the lower curves change " +
      `*w* and *b*. A step takes ${LR} times its gradient from each of the ` +
      "two.",
  );

  function change(name, value) {
    neuron = { ...neuron, [name]: value };
    draw();
  }

  function take(n) {
    for (let k = 0; k < n; k++) neuron = step(neuron, LR);
    steps += n;
    draw();
  }

  curve.line("play-zero", []); // first made lies at the bottom
  curve.handle("play-grip-y", (x, y) => {
    neuron = { ...neuron, x, y: Math.min(Math.max(y, -1), 1) };
    draw();
  });
  curve.handle("play-grip-x", (x) => change("x", x));
  losses.w.handle("play-grip-w", (w) => change("w", w));
  losses.b.handle("play-grip-b", (b) => change("b", b));

  function drawCurve({ yHat, miss }) {
    if (!curve.fit()) return;
    const { w, b, x, y } = neuron;
    curve.line("play-zero", [[-2, 0], [2, 0]]);
    // The square on the miss, on the side where there is room: its area
    // is the loss.
    const side = ((x > 0 ? -1 : 1) * Math.abs(miss) * curve.h) / 2.2;
    const [left, top] = [curve.X(x), curve.Y(Math.max(y, yHat))];
    set(curve.mark("inner", "path", "play-square"), {
      d: `M${left} ${top}h${side}v${Math.abs(side)}h${-side}z`,
    });
    curve.line(
      "play-curve",
      span([-2, 2]).map((t) => [t, Math.tanh(w * t + b)]),
    );
    curve.line("play-miss", [[x, yHat], [x, y]]);
    curve.dot("play-value", x, yHat, 7);
    const [cx, cy] = [curve.X(x), curve.Y(y)];
    set(curve.mark("outer", "path", "play-target"), {
      d: `M${cx} ${cy - 9}l9 9l-9 9l-9 -9z`,
    });
    const anchor = x > 0 ? "start" : "end";
    const aside = x > 0 ? 13 : -13;
    const apart = Math.abs(curve.Y(yHat) - cy) < 20 ? Math.sign(miss || 1) : 0;
    curve.note("play-of-value", x, yHat, "*ŷ*", aside, 5 - 12 * apart, anchor);
    curve.note("play-of-target", x, y, "*y*", aside, 5 + 12 * apart, anchor);
    const roomy = Math.abs(side) > 34;
    curve.note("play-of-square", x, (y + yHat) / 2, roomy ? "*L*" : "",
      side / 2, 5, "middle");
    curve.dot("play-grip-y", x, y, 22);
    curve.dot("play-grip-x", x, yHat, apart ? 12 : 22);
  }

  function drawLoss(name, slope, L) {
    const plot = losses[name];
    const at = neuron[name];
    const limit = Math.max(3, Math.ceil(Math.abs(at))); // a step may lead out
    plot.x.range = [-limit, limit];
    plot.x.ticks = [-limit, 0, limit];
    if (!plot.fit()) return;
    plot.line(
      "play-curve",
      span(plot.x.range).map((t) => [t, run({ ...neuron, [name]: t }).L]),
    );
    const reach = 2 * limit;
    plot.line("play-tangent", [
      [at - reach, L - reach * slope],
      [at + reach, L + reach * slope],
    ]);
    plot.dot("play-value", at, L, 7);
    plot.dot(`play-grip-${name}`, at, L, 22);
    plot.reading.value = `slope ${fixed(slope, 3)}`;
    set(plot.svg, {
      "aria-label":
        `Loss against ${name}: at ${name} = ${fixed(at, 3)} it is ` +
        `${fixed(L, 3)}, and its slope there is ${fixed(slope, 3)}.`,
    });
  }

  function words({ yHat, L, dLdw, dLdb }) {
    if (L < 1e-6) return "The answer is on the target: both slopes are nearly 0.";
    const toward = (name, slope) =>
      Math.abs(slope) < 1e-6
        ? `leaves ${name} as it is`
        : `${slope > 0 ? "lowers" : "raises"} ${name}`;
    const side = yHat > neuron.y ? "above" : "below";
    return (
      `The answer ${fixed(yHat, 3)} is ${side} the target ` +
      `${fixed(neuron.y, 3)}. A step ${toward("w", dLdw)} and ` +
      `${toward("b", dLdb)}.`
    );
  }

  function draw() {
    const now = run(neuron);
    drawCurve(now);
    drawLoss("w", now.dLdw, now.L);
    drawLoss("b", now.dLdb, now.L);
    for (const { name, limit, input, value } of sliders) {
      const wide = name in losses ? losses[name].x.range[1] : limit;
      set(input, { min: -wide, max: wide });
      input.value = neuron[name];
      value.value = fixed(neuron[name], 4);
      set(input, { "aria-valuetext": fixed(neuron[name], 4) });
    }
    for (const [name, output] of cells) output.value = fixed(now[name], 6);
    count.value = `${steps.toLocaleString("en")} ${steps === 1 ? "step" : "steps"}`;
    set(curve.svg, {
      "aria-label":
        `The curve tanh(${fixed(neuron.w, 3)} x + ${fixed(neuron.b, 3)}). ` +
        `At x = ${fixed(neuron.x, 3)} it answers ${fixed(now.yHat, 3)}; ` +
        `the target is ${fixed(neuron.y, 3)}.`,
    });
    root.dataset.parameters = JSON.stringify(neuron);
    root.dataset.steps = steps;
    say(words(now));
  }

  cell.classList.add("play-still"); // the picture gives way, but in print
  draw();
  redraw(root, draw);
}
