/* The figure of chapter 4: a network that learns XOR while you watch. */

import * as model from "./xor-model.js";
import { Plot, add, button, figure, fixed, redraw, set, speaker } from "./draw.js";

const NAMES = ["00", "01", "10", "11"];
const LENGTH = 5000; // steps of a run, as in the chapter
const PACE = 240; // steps a second
const STRIDE = 500; // steps from picture to picture for who wants no motion
const FINE = 48; // a field has FINE x FINE values

const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Where a field on a lattice crosses 1/2: the ends of short pieces. */
function contour({ values, at }) {
  const found = [];
  const value = (i, j) => values[j * FINE + i] - 0.5;
  for (let j = 0; j < FINE - 1; j++)
    for (let i = 0; i < FINE - 1; i++) {
      const round = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
      round.forEach((p, k) => {
        const q = round[(k + 1) % 4];
        const [from, to] = [value(...p), value(...q)];
        if (from < 0 === to < 0) return;
        const t = from / (from - to);
        found.push(at(p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])));
      });
    }
  return found;
}

/** "#rrggbb" of a style sheet's variable, as three numbers. */
function colour(root, name) {
  const hex = getComputedStyle(root).getPropertyValue(name).trim();
  return [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
}

/** Shade a plot by f(x, y), from 0 to 1; returns the lattice of values. */
function shade(root, plot, f) {
  const [zero, one] = ["--play-zero", "--play-one"].map((n) => colour(root, n));
  const on = ([low, high], t) => low + ((high - low) * t) / (FINE - 1);
  const at = (i, j) => [on(plot.x.range, i), on(plot.y.range, FINE - 1 - j)];
  const pen = plot.canvas.getContext("2d");
  const image = pen.createImageData(FINE, FINE);
  const values = [];
  for (let j = 0; j < FINE; j++)
    for (let i = 0; i < FINE; i++) {
      const value = f(...at(i, j));
      const mixed = zero.map((c, k) => c + (one[k] - c) * value);
      image.data.set([...mixed, 255], 4 * values.length);
      values.push(value);
    }
  pen.putImageData(image, 0, 0);
  return { values, at };
}

export function mount(cell) {
  const root = figure(cell, "xor", "A network that learns XOR");
  let [hidden, seed] = [2, 8];
  let parameters, steps, losses, trails, running, last;
  const ended = new Map(); // "units, seed" of each run to the end: solved?

  const controls = add(root, "div", { class: "play-buttons" });
  const sizes = add(controls, "label", {}, "hidden units ");
  const size = add(sizes, "select");
  for (const h of [1, 2, 3, 4, 5])
    add(size, "option", { value: h, selected: h === hidden }, String(h));
  const seeds = add(controls, "label", {}, "seed ");
  const choice = add(seeds, "input", {
    type: "number", min: 0, max: 9999, step: 1, value: seed,
  });
  const buttons = add(root, "div", { class: "play-buttons" });
  const runs = button(buttons, "Run", () => (running ? pause() : go()));
  set(runs, { class: "play-run" }); // as wide as "Pause", or the row jumps
  button(buttons, "Step", () => by(1));
  button(buttons, "100 steps", () => by(100));
  button(buttons, "To the end", () => by(left()));
  button(buttons, "Next start", () => choose(seed + 1));
  button(buttons, "Reset", reset);
  size.addEventListener("change", () => {
    hidden = Number(size.value);
    reset();
  });
  choice.addEventListener("change", () => choose(Number(choice.value)));

  const panels = add(root, "div", { class: "play-panels" });
  const square = (title, range, x, y) =>
    new Plot(panels, title, {
      x: { range, ticks: [0, 1], label: x },
      y: { range, ticks: [0, 1], label: y },
      tall: 1,
      canvas: FINE,
    });
  const plane = square("The switches and the answers",
    [-0.5, 1.5], "*x*₁", "*x*₂");
  const space = square("The hidden values of the rows",
    [-0.2, 1.2], "*A*₁", "*A*₂");
  const course = new Plot(panels, "The loss", {
    x: { range: [1, LENGTH], ticks: [1, 10, 100, [1000, "1,000"]],
      label: "step", log: true },
    y: { range: [0, 0.3], ticks: [0, [0.125, "⅛"], [0.25, "¼"]],
      label: "*L*" },
    tall: 0.62,
  });

  const table = add(panels, "table", { class: "play-table" });
  const heads = add(table, "tr");
  for (const head of ["row", "target *Y*", "answer *Ŷ*"])
    add(heads, "th", { scope: "col" }, head);
  const answers = NAMES.map((name, i) => {
    const row = add(table, "tr");
    add(row, "th", { scope: "row" }, name);
    add(row, "td", {}, String(model.XOR[i]));
    return add(row, "td");
  });
  const say = speaker(root);
  const tally = add(root, "p", { class: "play-tally" });
  add(
    root,
    "p",
    { class: "play-help" },
    "Filled points are rows whose target is 1, hollow ones 0; the bluer the " +
      "ground, the nearer the answer to 1, and the line is where it " +
      `is ½. The learning rate is ${model.LR}, and every step takes all ` +
      "four rows, as in the chapter. The starts are He’s too, but drawn by " +
      "the browser with mulberry32 and Box and Muller’s method: a seed " +
      "here is not NumPy’s seed. Of the starts with two units, seed 1 is " +
      "one that stops at ⅛.",
  );
  const notice = add(root, "p", { class: "play-help" });

  function choose(wanted) {
    choice.value = seed = Math.min(Math.max(Math.trunc(wanted) || 0, 0), 9999);
    reset();
  }

  function reset() {
    pause();
    parameters = model.start(hidden, seed);
    steps = 0;
    const { loss, A } = model.forward(parameters);
    losses = [loss];
    trails = A.map((a) => [a.slice(0, 2)]);
    draw();
  }

  function train(n) {
    for (let k = 0; k < n; k++) {
      parameters = model.step(parameters, model.LR);
      const { loss, A, yHat } = model.forward(parameters);
      losses[++steps] = loss;
      if (steps === LENGTH)
        ended.set(`${hidden}, ${seed}`, model.right(yHat).every(Boolean));
      if (steps < 100 || steps % 10 === 0) A.forEach((a, i) => trails[i].push(a.slice(0, 2)));
    }
    draw();
  }

  /** Steps to where a run of the chapter stops. */
  const left = () => LENGTH - (steps % LENGTH);

  function by(n) {
    pause();
    train(n);
  }

  function go() {
    running = true;
    last = undefined;
    requestAnimationFrame(frame);
    draw();
  }

  function pause() {
    running = false;
    if (parameters) draw();
  }

  /** Train by the clock, to the end of a run. */
  function frame(time) {
    if (!running) return;
    last ??= time - 1000;
    const passed = time - last;
    const due = calm.matches
      ? STRIDE * (passed >= 1000)
      : Math.min(Math.round((passed / 1000) * PACE), 40);
    if (due) {
      last = time;
      train(Math.min(due, left()));
      if (steps % LENGTH === 0) return pause();
    }
    requestAnimationFrame(frame);
  }

  /** The four rows. Of the two on the left the names stand to the left, of
      the others to the right, the upper one's above and the lower one's
      below: wherever the points are, no name lies on another. */
  function points(plot, places) {
    const beside = [];
    const by = (k) => (i, j) => places[i][k] - places[j][k];
    const order = [0, 1, 2, 3].sort(by(0));
    for (const [pair, dx] of [[order.slice(0, 2), -11], [order.slice(2), 11]])
      pair.sort(by(1)).forEach((i, k) => (beside[i] = [dx, k ? -10 : 18]));
    places.forEach(([x, y], i) => {
      const name = `play-row play-row-${NAMES[i]}`;
      const kind = model.XOR[i] ? "play-one" : "play-nought";
      plot.dot(`${name} ${kind}`, x, y, Math.min(7, plot.w / 24));
      const [dx, dy] = beside[i];
      plot.note(`play-of-row ${name}`, x, y, NAMES[i], dx, dy,
        dx < 0 ? "end" : "start");
    });
  }

  function drawPlane() {
    if (!plane.fit()) return;
    const ends = contour(
      shade(root, plane, (x1, x2) =>
        model.answer(model.hidden([x1, x2], parameters), parameters),
      ),
    );
    const pieces = [];
    for (let k = 0; k < ends.length; k += 2)
      pieces.push(plane.path(ends.slice(k, k + 2)));
    set(plane.mark("inner", "path", "play-half"), { d: pieces.join("") });
    points(plane, model.INPUTS);
  }

  function drawSpace(A) {
    space.y.label = hidden === 1 ? "" : "*A*₂";
    space.y.ticks = hidden === 1 ? [] : [0, 1];
    if (!space.fit()) return;
    // With more than two units, the others stand at their mean.
    const mean = A[0].map((_, j) => A.reduce((s, a) => s + a[j], 0) / 4);
    const place = ([a1, a2 = 0.5]) => [a1, a2];
    shade(root, space, (a1, a2) =>
      model.answer([a1, a2, ...mean.slice(2)].slice(0, hidden), parameters),
    );
    // The output unit's line, where its sum is 0: through the point of it
    // that is nearest to the origin, four units to either side.
    const [u, v = 0, ...others] = parameters.W2;
    const sum = others.reduce((s, w, j) => s + w * mean[j + 2], parameters.b2);
    const far = Math.hypot(u, v);
    const along = (t) => [(-sum * u) / far ** 2 - (t * v) / far,
      (-sum * v) / far ** 2 + (t * u) / far];
    space.line("play-half", [along(-4), along(4)]);
    space.marks["play-half"].classList.toggle("play-slice", hidden > 2);
    trails.forEach((trail, i) => {
      const path = [...trail, A[i]].map(place);
      space.line(`play-trail play-trail-${NAMES[i]}`, path);
    });
    points(space, A.map(place));
  }

  function drawCourse() {
    course.x.range = [1, Math.max(LENGTH, steps)];
    if (!course.fit()) return;
    for (const level of [0.125, 0.25])
      course.line(`play-level play-level-${8 * level}`,
        course.x.range.map((x) => [x, level]));
    const path = [];
    for (let n = 1; n < steps; n = Math.ceil(n * 1.03)) path.push([n, losses[n]]);
    path.push([steps, losses[steps]]);
    course.line("play-curve", path);
    course.dot("play-value", steps, losses[steps], 6);
  }

  function words(loss, yHat) {
    const good = model.right(yHat).filter(Boolean).length;
    const verdict = good === 4
      ? "Solved: all four answers are on the right side of ½."
      : `Not solved: ${good} of 4 answers are on the right side of ½.`;
    return `${verdict} Step ${steps.toLocaleString("en")}, loss ${loss.toFixed(4)}.`;
  }

  /** How many starts with as many units were run to the end, and solved. */
  function count() {
    const units = `${hidden} hidden unit${hidden > 1 ? "s" : ""}`;
    const runs = [...ended].filter(([key]) => key.startsWith(`${hidden},`));
    const good = runs.filter(([, solved]) => solved).length;
    return runs.length
      ? `Run to the end with ${units}: ${good} solved, ` +
        `${runs.length - good} not.`
      : `No start with ${units} has been run to the end yet.`;
  }

  function draw() {
    const { A, yHat, loss } = model.forward(parameters);
    drawPlane();
    drawSpace(A);
    drawCourse();
    yHat.forEach((y_i, i) => {
      answers[i].textContent = y_i.toFixed(3);
      set(answers[i], { class: model.right(yHat)[i] ? "play-right" : "play-wrong" });
    });
    course.reading.value = `step ${steps.toLocaleString("en")}, loss ${loss.toFixed(4)}`;
    notice.textContent = hidden > 2
      ? `Of the ${hidden} hidden units the right-hand picture shows two; its ` +
        "dashed line is the cut with the others held at their mean."
      : hidden === 1
        ? "One hidden unit has one value: the rows lie on a line, and the " +
          "height in the right-hand picture means nothing."
        : "";
    const list = (values) => NAMES.map((n, i) => `${n}: ${values[i]}`).join(", ");
    set(plane.svg, { "aria-label":
      `The plane of the two switches. Answers, ${list(yHat.map((v) => v.toFixed(2)))}.` });
    set(space.svg, { "aria-label":
      "Hidden space. Values of the first two hidden units, " +
      `${list(A.map((a) => a.slice(0, 2).map((v) => v.toFixed(2)).join(" and ")))}.` });
    set(course.svg, { "aria-label":
      `Loss curve: from ${losses[0].toFixed(4)} at the start to ` +
      `${loss.toFixed(4)} after ${steps} steps.` });
    runs.textContent = running ? "Pause" : "Run";
    Object.assign(root.dataset, {
      parameters: JSON.stringify(parameters),
      steps,
      state: running ? "running" : steps ? "paused" : "ready",
    });
    tally.textContent = count();
    const verdict = words(loss, yHat);
    say(verdict, running ? "Running." : `${verdict} ${count()}`);
  }

  reset();
  redraw(root, draw);
}
