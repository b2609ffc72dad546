/* What both figures are drawn with: elements, a plot, a handle to drag.
   Colours and type are in play.css; nothing here knows a formula. */

const SVG = "http://www.w3.org/2000/svg";

/** Append an element to parent; what stands between *stars* is a symbol. */
export function add(parent, name, attributes = {}, text = "") {
  const drawn = name === "svg" || parent.namespaceURI === SVG;
  const element = document.createElementNS(
    drawn ? SVG : "http://www.w3.org/1999/xhtml",
    name,
  );
  set(element, attributes);
  text.split("*").forEach((part, k) => {
    if (k % 2) add(element, drawn ? "tspan" : "i", {}, part);
    else if (part) element.append(part);
  });
  parent.append(element);
  return element;
}

/** Set attributes; one that is false is taken away. */
export function set(element, attributes) {
  for (const [key, value] of Object.entries(attributes))
    if (value === false) element.removeAttribute(key);
    else element.setAttribute(key, value);
}

/** A number with a true minus sign. */
export const fixed = (value, digits) =>
  value.toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace(/^-/, "");

/** A titled group after the cell, in which a figure is built. */
export function figure(cell, name, title) {
  const root = document.createElement("div");
  set(root, { class: `play play-${name}`, role: "group" });
  const id = `play-${name}-title`;
  add(root, "p", { class: "play-title", id }, title);
  root.setAttribute("aria-labelledby", id);
  cell.after(root);
  return root;
}

export function button(parent, text, press) {
  const made = add(parent, "button", { type: "button" }, text);
  made.addEventListener("click", press);
  return made;
}

/** Show a line at once, and have it read out once the figure has stood
    still for a moment; what is read out may be another text. */
export function speaker(parent) {
  const shown = add(parent, "p", { class: "play-says", "aria-hidden": true });
  const heard = add(parent, "p", { class: "play-heard", role: "status" });
  let waiting, next;
  return (text, aloud = text) => {
    shown.textContent = text;
    if (aloud === next) return;
    next = aloud;
    clearTimeout(waiting);
    waiting = setTimeout(() => (heard.textContent = next), 400);
  };
}

/** Call draw whenever the width of the page or its colours change. */
export function redraw(root, draw) {
  const soon = () => requestAnimationFrame(draw);
  new ResizeObserver(soon).observe(root);
  new MutationObserver(soon).observe(document.documentElement, {
    attributeFilter: ["data-theme"],
  });
}

/** Axes in a frame. Lines are cut off at the frame, marks are not. */
export class Plot {
  /** x, y: { range: [low, high], ticks, label, log? }; tall is height by
      width; canvas, where there is one, its pixels across and down. */
  constructor(parent, title, { x, y, tall, canvas = false }) {
    const panel = add(parent, "div", { class: "play-panel" });
    const caption = add(panel, "p", { class: "play-caption" });
    add(caption, "span", {}, `${title} `);
    this.reading = add(caption, "output", { "aria-live": "off" });
    this.frame = add(panel, "div", { class: "play-frame" });
    if (canvas)
      this.canvas = add(this.frame, "canvas", {
        "aria-hidden": true, width: canvas, height: canvas,
      });
    this.svg = add(this.frame, "svg", { role: "img" });
    this.axes = add(this.svg, "g", { class: "play-axes" });
    this.inner = add(this.svg, "svg", { "aria-hidden": true });
    this.outer = add(this.svg, "g");
    Object.assign(this, { x, y, tall, marks: {} });
  }

  /** Fit the frame to the width that there is; true if it has any. */
  fit() {
    const width = this.frame.clientWidth;
    const em = parseFloat(getComputedStyle(this.svg).fontSize);
    const height = Math.max(width * this.tall, 12 * em);
    const [left, right] = this.canvas ? [2 * em, 0.4 * em] : [2.6 * em, 0.8 * em];
    const [top, below] = [0.8 * em, 2.6 * em];
    const [w, h] = [width - left - right, height - top - below];
    Object.assign(this, { left, top, w, h });
    if (!(this.w > 0)) return false;
    set(this.svg, { width, height });
    set(this.inner, { x: left, y: top, width: this.w, height: this.h });
    set(this.outer, { transform: `translate(${left} ${top})` });
    set(this.axes, { transform: `translate(${left} ${top})` });
    if (this.canvas) this.spread();
    this.drawAxes(em);
    return true;
  }

  /** Lay the canvas so that the centres of its outer pixels frame it. */
  spread() {
    const { left, top, w, h } = this;
    const [x, y] = [w, h].map((size) => size / (this.canvas.width - 1) / 2);
    Object.assign(this.canvas.style, {
      left: `${left - x}px`,
      top: `${top - y}px`,
      width: `${w + 2 * x}px`,
      height: `${h + 2 * y}px`,
      clipPath: `inset(${y}px ${x}px)`,
    });
  }

  drawAxes(em) {
    const { axes, left, w, h, x, y } = this;
    axes.replaceChildren();
    add(axes, "path", { d: `M0 0V${h}H${w}` });
    const tick = (at, text) =>
      add(axes, "text", at, String(text).replace("-", "−"));
    for (const [value, text = value] of x.ticks.map((t) => [t].flat())) {
      const at = this.X(value);
      add(axes, "path", { d: `M${at} ${h}v4` });
      tick({ x: at, y: h + 1.25 * em, "text-anchor": "middle" }, text);
    }
    for (const [value, text = value] of y.ticks.map((t) => [t].flat())) {
      const at = this.Y(value);
      add(axes, "path", { d: `M0 ${at}h-4` });
      tick({ x: -7, y: at + 0.33 * em, "text-anchor": "end" }, text);
    }
    const names = { class: "play-name", "text-anchor": "middle" };
    add(axes, "text", { ...names, x: w / 2, y: h + 2.4 * em }, x.label);
    add(axes, "text", { ...names, x: 0.45 * em - left, y: h / 2 + 5 }, y.label);
  }

  X(value) {
    const place = this.x.log ? (v) => Math.log10(Math.max(v, 1)) : (v) => v;
    const [low, high] = this.x.range.map(place);
    return ((place(value) - low) / (high - low)) * this.w;
  }

  Y(value) {
    const [low, high] = this.y.range;
    return (1 - (value - low) / (high - low)) * this.h;
  }

  /** The path through points [x, y], for the attribute d. */
  path(points) {
    const text = points.map(
      ([x, y]) => `${this.X(x).toFixed(1)} ${this.Y(y).toFixed(1)}`,
    );
    return text.length ? `M${text.join("L")}` : "";
  }

  /** The mark of this name, made where it is first asked for. */
  mark(layer, kind, name) {
    this.marks[name] ??= add(this[layer], kind, { class: name });
    return this.marks[name];
  }

  line(name, points) {
    set(this.mark("inner", "path", name), { d: this.path(points) });
  }

  dot(name, x, y, r) {
    const place = { cx: this.X(x), cy: this.Y(y), r };
    set(this.mark("outer", "circle", name), place);
  }

  /** Text beside a point, dx and dy pixels from it. */
  note(name, x, y, text, dx, dy, anchor = "start") {
    const mark = this.mark("outer", "text", name);
    mark.textContent = "";
    text.split("*").forEach((part, k) => {
      add(mark, "tspan", k % 2 ? { class: "play-symbol" } : {}, part);
    });
    const place = { x: this.X(x) + dx, y: this.Y(y) + dy };
    set(mark, { ...place, "text-anchor": anchor });
  }

  /** A handle over a point; move gets the axes' numbers under the finger. */
  handle(name, move) {
    const grip = this.mark("outer", "circle", name);
    set(grip, { class: `play-grip ${name}`, r: 22 });
    grip.addEventListener("pointerdown", (event) => {
      grip.setPointerCapture(event.pointerId);
      event.preventDefault(); // or the drag marks the text of the page
    });
    grip.addEventListener("pointermove", (event) => {
      if (!grip.hasPointerCapture(event.pointerId)) return;
      const box = this.svg.getBoundingClientRect();
      const across = (event.clientX - box.left - this.left) / this.w;
      const down = (event.clientY - box.top - this.top) / this.h;
      const at = ([low, high], t) =>
        low + (high - low) * Math.min(Math.max(t, 0), 1);
      move(at(this.x.range, across), at(this.y.range, 1 - down));
    });
  }
}
