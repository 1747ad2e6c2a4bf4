// Panels of a live figure: axes, lines, points and handles to drag, as SVG in the page's colours.
// Colours are classes: c0 to c3 are the book's, "ink" is the text's, "faint" that of a grid.

function svg(tag, attributes = {}, ...children) {
  const part = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
  part.append(...children);
  return part;
}

// Words of which what stands between asterisks is slanted, as letters of mathematics are.
function slanted(words) {
  return words.split("*").map((part, i) => svg("tspan", i % 2 ? { class: "live-math" } : {}, part));
}

function niceTicks([low, high], most = 5) {
  const rough = (high - low) / most;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 5, 10].find((m) => m * unit >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(i * step);
  return ticks;
}

// Values whose logarithms are evenly spaced.
const spaced = (low, high, n) => Array.from({ length: n }, (_, i) => low * (high / low) ** (i / (n - 1)));

function powersOfTen([low, high], most = 6) {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const step = Math.ceil((last - first + 1) / most);
  const ticks = [];
  if (last - first < 1) // less than a decade: 1, 2 and 5 of each
    return [first - 1, first, last].flatMap((e) => [1, 2, 5].map((m) => m * 10 ** e)).filter((v, i, all) =>
      v >= low && v <= high && all.indexOf(v) === i);
  for (let e = first; e <= last; e += step) ticks.push(10 ** e);
  return ticks;
}

class Panel {
  // `label` names the panel for who cannot see it; `log` has the names of axes in powers of ten.
  constructor(figure, { label, x, y, width = 360, height = 250, log = "", xlabel = "", ylabel = "", xticks, yticks,
    left = 38, right = 10, top = 24, bottom = 40, grid = true, interactive = false, parent = figure.panels }) {
    this.figure = figure;
    this.box = { left, right: width - right, top, bottom: height - bottom };
    this.options = { xlabel, ylabel, log, xticks, yticks, grid };
    this.axes = svg("g");
    this.layer = svg("g", { "pointer-events": "none" });
    this.handles = svg("g");
    const clip = `clip-${Panel.count++}`;
    this.clip = `url(#${clip})`;
    const frame = svg("rect", { x: left, y: top - 2, width: width - left - right + 2, height: height - top - bottom + 4 });
    this.svg = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "live-panel", "aria-label": label,
      role: interactive ? "group" : "img" },
      svg("defs", {}, svg("clipPath", { id: clip }, frame)), this.axes, this.layer, this.handles);
    parent.append(this.svg);
    this.scale(x, y);
  }

  // Say where the axes begin and end, and draw them.
  scale(x, y) {
    const { left, right, top, bottom } = this.box;
    const { xlabel, ylabel, log, xticks, yticks, grid } = this.options;
    const map = (range, from, to, logarithmic) => {
      const of = logarithmic ? Math.log10 : (v) => v;
      const [low, high] = range.map(of);
      const inverse = logarithmic ? (v) => 10 ** v : (v) => v;
      return [(v) => from + ((of(v) - low) / (high - low)) * (to - from),
        (pixel) => inverse(low + (high - low) * Math.min(1, Math.max(0, (pixel - from) / (to - from))))];
    };
    [this.xs, this.ys] = [x, y];
    [this.X, this.ofX] = map(x, left, right, log.includes("x"));
    [this.Y, this.ofY] = map(y, bottom, top, log.includes("y"));
    this.axes.replaceChildren();
    const ticksOf = (range, name, given) => given ?? (log.includes(name) ? powersOfTen(range) : niceTicks(range));
    const written = (v, name) => (log.includes(name) && (v < 0.01 || v > 100)
      ? power(v).replace("1·", "") : String(+v.toPrecision(6)).replace("-", "−"));
    for (const v of ticksOf(y, "y", yticks)) {
      if (grid) this.axes.append(svg("line", { x1: left, x2: right, y1: this.Y(v), y2: this.Y(v), class: "live-grid" }));
      this.axes.append(svg("text", { x: left - 6, y: this.Y(v), dy: "0.35em", "text-anchor": "end" }, written(v, "y")));
    }
    for (const v of ticksOf(x, "x", xticks)) {
      if (grid) this.axes.append(svg("line", { x1: this.X(v), x2: this.X(v), y1: top, y2: bottom, class: "live-grid" }));
      this.axes.append(svg("text", { x: this.X(v), y: bottom + 16, "text-anchor": "middle" }, written(v, "x")));
    }
    this.axes.append(svg("path", { d: `M${left},${top}V${bottom}H${right}`, class: "live-axis" }),
      svg("text", { x: (left + right) / 2, y: bottom + (xticks?.length === 0 ? 18 : 34), "text-anchor": "middle",
        class: "live-label" }, ...slanted(xlabel)),
      svg("text", { x: left - 6, y: top - 10, class: "live-label" }, ...slanted(ylabel)));
  }

  clear() {
    this.layer.replaceChildren();
  }

  add(part, clipped = true) {
    if (clipped) part.setAttribute("clip-path", this.clip);
    this.layer.append(part);
    return part;
  }

  path(points) {
    return points.map(([x, y], i) => `${i ? "L" : "M"}${this.X(x).toFixed(1)},${this.Y(y).toFixed(1)}`).join("");
  }

  line(points, color = "c0", extra = "") {
    return this.add(svg("path", { d: this.path(points), class: `live-curve ${color} ${extra}` }));
  }

  area(points, color = "c0") {
    return this.add(svg("path", { d: `${this.path(points)}Z`, class: `live-area ${color}` }));
  }

  dots(points, color = "c0", r = 4, extra = "") {
    for (const [x, y] of points)
      this.add(svg("circle", { cx: this.X(x), cy: this.Y(y), r, class: `live-dot ${color} ${extra}` }), false);
  }

  stars(points, color = "c1", r = 9) {
    for (const [x, y] of points) {
      const corners = Array.from({ length: 10 }, (_, i) => {
        const [angle, reach] = [(i * Math.PI) / 5, i % 2 ? 0.45 * r : r];
        return [this.X(x) + reach * Math.sin(angle), this.Y(y) - reach * Math.cos(angle)];
      });
      this.add(svg("polygon", { points: corners.join(" "), class: `live-dot ${color}` }), false);
    }
  }

  // A rectangle between two corners, in the units of the axes.
  rect([x0, y0], [x1, y1], color = "c0", opacity = 1) {
    const [left, right, top, bottom] = [this.X(x0), this.X(x1), this.Y(y1), this.Y(y0)];
    return this.add(svg("rect", { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top),
      class: `live-fill ${color}`, "fill-opacity": opacity }));
  }

  arrow(from, to, color = "ink") {
    const [x0, y0, x1, y1] = [this.X(from[0]), this.Y(from[1]), this.X(to[0]), this.Y(to[1])];
    const length = Math.hypot(x1 - x0, y1 - y0);
    if (length < 1) return;
    const [a, b] = [(x1 - x0) / length, (y1 - y0) / length];
    const head = Math.min(9, length);
    const tip = [[x1, y1], [x1 - head * a + 0.5 * head * b, y1 - head * b - 0.5 * head * a],
      [x1 - head * a - 0.5 * head * b, y1 - head * b + 0.5 * head * a]];
    this.add(svg("line", { x1: x0, y1: y0, x2: x1 - 0.8 * head * a, y2: y1 - 0.8 * head * b, class: `live-curve ${color}` }));
    this.add(svg("polygon", { points: tip.join(" "), class: `live-fill ${color}` }));
  }

  text(x, y, words, { color = "ink", anchor = "start", dx = 0, dy = 0, size } = {}) {
    const part = svg("text", { x: this.X(x) + dx, y: this.Y(y) + dy, dy: "0.35em", "text-anchor": anchor,
      class: `live-text ${color}` }, ...slanted(words));
    if (size) part.style.fontSize = `${size}px`;
    return this.add(part, false);
  }

  // The place of a pointer, in the units of the axes.
  at(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [this.ofX(x), this.ofY(y)];
  }

  // A point to drag, or to move by arrow keys. Values of its own have names and starting values in the state;
  // `at` gives its place for a state, `move` the values for a place, `text` its place in words.
  handle({ names, start, label, letter = "", color = "ink", at, move, range = this.xs,
    text = (x, y) => `at ${number(x)} and ${number(y)}` }) {
    const { figure } = this;
    const mark = svg("g", { class: `live-handle ${color}`, tabindex: 0, role: "slider", "aria-label": label,
      "aria-valuemin": this.xs[0], "aria-valuemax": this.xs[1] },
      svg("circle", { r: 17, class: "live-touch" }), svg("circle", { r: 7, class: "live-dot" }),
      svg("text", { x: 11, y: -11, class: "live-text" }, ...slanted(letter)));
    const show = () => {
      const [x, y] = at(figure.values);
      mark.setAttribute("transform", `translate(${this.X(x)},${this.Y(y)})`);
      mark.setAttribute("aria-valuenow", +x.toPrecision(3));
      mark.setAttribute("aria-valuetext", text(x, y));
    };
    names.forEach((name, i) => {
      const limits = names.length > 1 ? [this.xs, this.ys][i] : range;
      figure.keep(name, start[i], (text) => readNumber(text, ...limits));
    });
    figure.shown.push(show);
    mark.addEventListener("pointerdown", (event) => {
      mark.setPointerCapture(event.pointerId);
      mark.focus({ preventScroll: true });
    });
    mark.addEventListener("pointermove", (event) => {
      if (mark.hasPointerCapture(event.pointerId)) figure.set(move(...this.at(event)));
    });
    mark.addEventListener("pointerup", () => figure.settle());
    mark.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!way) return;
      event.preventDefault();
      const [x, y] = at(figure.values);
      figure.set(move(this.ofX(this.X(x) + 4 * way[0]), this.ofY(this.Y(y) - 4 * way[1])), true);
    });
    this.handles.append(mark);
  }
}
Panel.count = 0;
