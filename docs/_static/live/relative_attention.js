// Relative attention of a sequence of numbers to itself, made to convolve and to take maxima: the two
// figures, and before them the layer with its equations.

// The layer: scores W_Q W_K x_i x_j + p(i - j), values W_V x_j. `p` maps distances to scores.
function relativeAttention(x, queryKey, value, p) {
  const weights = x.map((query, i) => softmax(x.map((key, j) => queryKey * query * key + p(i - j))));
  return { weights, output: weights.map((row) => row.reduce((sum, weight, j) => sum + weight * value * x[j], 0)) };
}

// Its scores of distances: those of the two neighbours, and -M elsewhere; or 0 in a window.
const neighbours = (left, right, M) => (distance) => (distance === 1 ? left : distance === -1 ? right : -M);
const inWindow = (k) => (distance) => (Math.abs(distance) <= k ? 0 : -Infinity);

// What they come close to, away from the edges, and how close.
const convolution = (x) => x.map((_, i) => 2 * (x[i - 1] ?? 0) + (x[i + 1] ?? 0));
const maxPooling = (x, k) => x.map((_, i) => Math.max(...x.slice(Math.max(0, i - k), i + k + 1)));
const convolutionBound = (n, M, most) => {
  const leak = (n - 2) * Math.exp(-M);
  return (leak / (3 + leak)) * 3 * most;
};
const maxPoolingBound = (k, tau) => (2 * k) / (Math.E * tau);

const PLACES = 24;
const places = Array.from({ length: PLACES }, (_, i) => i);

// Bars of a sequence, to be drawn by a pointer. By keyboard, left and right go from place to place, up and
// down change what is there. The values are kept in hundredths, as text, which the address shows.
class Sequence {
  constructor(panel, start) {
    const { figure } = panel;
    [this.panel, this.figure, this.place] = [panel, figure, 11];
    const read = (text) => {
      const hundredths = text.split("-").map(Number);
      const fits = hundredths.length === PLACES && hundredths.every((v) => v >= 0 && v <= 100);
      return fits ? text : undefined;
    };
    figure.keep("x", start.map((v) => Math.round(100 * v)).join("-"), read);
    this.mark = svg("g", { class: "live-sequence", tabindex: 0, role: "slider", "aria-label": "sequence x",
      "aria-valuemin": 0, "aria-valuemax": 1 });
    panel.svg.insertBefore(this.mark, panel.layer);
    figure.shown.push(() => {
      const value = this.x[this.place];
      this.mark.setAttribute("aria-valuenow", value);
      this.mark.setAttribute("aria-valuetext", `place ${this.place}: ${number(value)}`);
    });
    this.mark.addEventListener("pointerdown", (event) => {
      this.mark.setPointerCapture(event.pointerId);
      this.mark.focus({ preventScroll: true });
      this.draw(event);
    });
    this.mark.addEventListener("pointermove", (event) => {
      if (this.mark.hasPointerCapture(event.pointerId)) this.draw(event);
      else this.go(event);
    });
    this.mark.addEventListener("pointerup", () => figure.settle());
    this.mark.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 0.05], ArrowDown: [0, -0.05] }[event.key];
      if (!way) return;
      event.preventDefault();
      this.place = Math.min(PLACES - 1, Math.max(0, this.place + way[0]));
      this.put(this.x[this.place] + way[1]);
      figure.settle();
    });
  }

  get x() {
    return this.figure.values.x.split("-").map((v) => v / 100);
  }

  put(value) {
    const x = this.x;
    x[this.place] = Math.min(1, Math.max(0, value));
    this.figure.set({ x: x.map((v) => Math.round(100 * v)).join("-") });
  }

  go(event) {
    const place = Math.min(PLACES - 1, Math.max(0, Math.round(this.panel.at(event)[0])));
    if (place === this.place) return;
    this.place = place;
    this.figure.update();
  }

  draw(event) {
    const [x, y] = this.panel.at(event);
    this.place = Math.min(PLACES - 1, Math.max(0, Math.round(x)));
    this.put(y);
  }

  // The bars, those that the chosen place looks at in colour: the darker, the more.
  show(weights) {
    const { panel, x, place } = this;
    const [, high] = panel.ys;
    this.mark.replaceChildren(svg("rect", { x: panel.box.left, y: panel.box.top, class: "live-touch",
      width: panel.box.right - panel.box.left, height: panel.box.bottom - panel.box.top }));
    const bar = (i, y, color, opacity) => {
      const part = panel.rect([i - 0.42, 0], [i + 0.42, y], color, opacity);
      this.mark.append(part);
    };
    bar(place, high, "faint", 0.14);
    x.forEach((v, i) => {
      bar(i, v, "faint", 0.45);
      bar(i, v, "c3", weights[place][i] ** 0.6);
    });
  }
}

const away = (k, values) => values.slice(k, PLACES - k); // from the edges

// -- The convolution -------------------------------------------------------------------------------
figures.convolution = (figure) => {
  const left = figure.panel({ label: "A sequence, its convolution, and attention", x: [-0.6, PLACES - 0.4], y: [0, 3.6],
    xlabel: "place *i*", ylabel: "output; bars: the sequence, to be drawn", interactive: true });
  const right = figure.panel({ label: "Largest error against M", x: [0, 16], y: [1e-7, 10], log: "y", xlabel: "*M*",
    ylabel: "largest error away from the edges", left: 46 });
  const start = places.map((i) => (i > 3 && i < 11 ? 1 : 0) + Math.exp(-((i - 17) ** 2) / 5));
  const sequence = new Sequence(left, start.map((v) => Math.min(1, v)));
  const score = { min: -3 * Math.LN2, max: 3 * Math.LN2, step: Math.LN2 / 60 };
  figure.knob("p1", { letter: "p₁", words: "score of the left neighbour", value: Math.LN2, ...score });
  figure.knob("p-1", { letter: "p₋₁", words: "score of the right neighbour", value: 0, ...score });
  figure.knob("M", { letter: "M", words: "all other scores are −<i>M</i>", min: 0, max: 16, step: 0.1, value: 8,
    text: (v) => number(v, 1) });

  const Ms = Array.from({ length: 65 }, (_, i) => i / 4);
  figure.draw = ({ p1, "p-1": p_1, M }) => {
    const x = sequence.x;
    const wanted = convolution(x);
    const attend = (M) => relativeAttention(x, 0, 3, neighbours(p1, p_1, M));
    const error = (output) => Math.max(...away(1, output.map((y, i) => Math.abs(y - wanted[i]))));
    const { weights, output } = attend(M);
    left.clear();
    sequence.show(weights);
    left.line(away(1, places.map((i) => [i, wanted[i]])), "c0");
    left.dots(away(1, places.map((i) => [i, output[i]])), "c1", 4);
    left.text(PLACES - 0.6, 3.42, "convolution", { color: "c0", anchor: "end" });
    left.text(PLACES - 0.6, 3.1, "attention", { color: "c1", anchor: "end" });

    const found = Ms.map((M) => [M, Math.max(1e-9, error(attend(M).output))]);
    const bound = Ms.map((M) => [M, convolutionBound(PLACES, M, Math.max(...x, 1e-9))]);
    right.clear();
    right.line([[M, 1e-9], [M, 100]], "faint", "thin");
    right.line(bound, "c0", "dashed");
    right.line(found, "c1");
    right.dots([[M, Math.max(1e-7, error(output))]], "c1", 5);
    right.text(...bound[20], "bound for *p*₁ = ln 2, *p*₋₁ = 0", { color: "c0", dx: 8, dy: -10 });
    right.text(...found[26], "this sequence", { color: "c1", anchor: "end", dx: -8, dy: 12 });

    const i = sequence.place > 0 && sequence.place < PLACES - 1 ? sequence.place : 11;
    const [before, after] = [3 * weights[i][i - 1], 3 * weights[i][i + 1]];
    figure.say(`Place ${i} takes <b class="c3">${number(before)}</b> of its left neighbour, <b class="c3">` +
      `${number(after)}</b> of its right one and ${number(3 - before - after)} of all others together. Largest error: ` +
      `<b class="c1">${power(error(output))}</b>.`);
  };
};

// -- Max pooling -----------------------------------------------------------------------------------
figures.max_pooling = (figure) => {
  const left = figure.panel({ label: "A sequence, its maximum over a window, and attention", x: [-0.6, PLACES - 0.4],
    y: [0, 1.25], yticks: [0, 0.5, 1], xlabel: "place *i*", ylabel: "output; bars: the sequence, to be drawn", interactive: true });
  const right = figure.panel({ label: "Error against beta times the entry", x: [0.01, 1e4], y: [1e-8, 10], log: "xy",
    xlabel: "*β x*ᵢ", ylabel: "error of each place", left: 46 });
  const start = [37, 62, 20, 45, 90, 71, 55, 83, 30, 0, 96, 64, 25, 15, 48, 70, 34, 58, 78, 98, 40, 52, 86, 67];
  const sequence = new Sequence(left, start.map((v) => v / 100));
  sequence.place = 9;
  figure.knob("beta", { letter: "β", words: "= <i>W</i><sub>Q</sub><i>W</i><sub>K</sub>", min: 1, max: 1e4, step: 0.05,
    value: 100, log: true, text: (v) => String(v) });
  figure.knob("k", { letter: "k", words: "neighbours on each side", min: 1, max: 5, step: 1, value: 2, whole: true, text: String });

  const betas = Array.from({ length: 17 }, (_, i) => 10 ** (i / 4));
  figure.draw = ({ beta, k }) => {
    const x = sequence.x;
    const wanted = maxPooling(x, k);
    const attend = (beta) => relativeAttention(x, beta, 1, inWindow(k));
    const { weights, output } = attend(beta);
    const errors = (output) => output.map((y, i) => wanted[i] - y);
    const points = (beta, output) => away(k, errors(output).map((e, i) => [beta * x[i], Math.max(e, 1e-8)]))
      .filter(([tau]) => tau > 0.01);
    left.clear();
    sequence.show(weights);
    left.line(places.flatMap((i) => [[i - 0.5, wanted[i]], [i + 0.5, wanted[i]]]), "c0");
    left.dots(away(k, places.map((i) => [i, output[i]])), "c1", 4);
    left.text(PLACES - 0.6, 1.2, "maximum", { color: "c0", anchor: "end" });
    left.text(PLACES - 6, 1.2, "attention", { color: "c1", anchor: "end" });

    right.clear();
    for (const other of betas) right.dots(points(other, attend(other).output), "faint", 1.8, "bare");
    right.line([0.01, 1e4].map((tau) => [tau, maxPoolingBound(k, tau)]), "c0", "dashed");
    right.dots(points(beta, output), "c1", 4);
    right.text(30, maxPoolingBound(k, 30), "bound 2*k* / (e *β x*ᵢ)", { color: "c0", dx: 8, dy: -10 });

    const i = sequence.place;
    const inner = i >= k && i < PLACES - k;
    const bound = x[i] > 0 ? `at most ${power(maxPoolingBound(k, beta * x[i]))}` : "not bounded, as <i>x</i>ᵢ = 0";
    figure.say(`Place ${i}: the maximum is ${number(wanted[i])}, attention gives <b class="c1">${number(output[i])}</b>` +
      (inner ? `, an error of ${power(errors(output)[i])}; ${bound}.` : ". It is near an edge, and not in the bound.") +
      ` The largest of its weights is <b class="c3">${number(Math.max(...weights[i]))}</b>.`);
  };
};
