// The noisy quadratic model: what is left of the start after T steps, and the noise that they have added;
// then the figures of one weight and of many directions.

// Both parts of the expected loss. `model` has the curvature h, the noise c and the start E[w²] of each direction.
function lossParts({ h, c, start }, T, eta, B) {
  let [left, noise] = [0, 0];
  for (let i = 0; i < h.length; i++) {
    const x = eta * h[i];
    const logShrink = T === 0 ? 0 : 2 * T * (x < 1 ? Math.log1p(-x) : Math.log(x - 1)); // of (1 - x)^(2T)
    const total = x === 0 || x === 2 ? T : -Math.expm1(logShrink) / (x * (2 - x));
    left += (h[i] * start[i] * Math.exp(logShrink)) / 2;
    noise += (h[i] * eta * eta * (c[i] / B) * total) / 2;
  }
  return [left, noise];
}
const expectedLoss = (...all) => lossParts(...all).reduce((a, b) => a + b);

// The rate of least loss after T steps: the best of a grid over 16 decades, then of ever finer ones.
function bestRate(model, T, B, precision = 1e-9) {
  const limit = Math.log(2 / Math.max(...model.h));
  let reach = Math.log(1e16) / 2;
  let center = limit - reach;
  for (; reach > precision; reach /= 16) {
    const grid = Array.from({ length: 65 }, (_, i) => Math.min(limit, center + reach * (i / 32 - 1)));
    const losses = grid.map((log) => expectedLoss(model, T, Math.exp(log), B));
    center = grid[losses.indexOf(Math.min(...losses))];
  }
  return Math.exp(center);
}

// The first number of steps with at most such a loss at a rate, or Infinity: on a grid, then by bisection.
function stepsTo(model, target, eta, B) {
  const there = (T) => expectedLoss(model, T, eta, B) <= target;
  let low = 0;
  for (let T = 1; T < 1e9; T = Math.ceil(T * 1.15)) {
    if (there(T)) {
      for (let high = T; ; ) {
        if (high - low <= 1) return high;
        const middle = Math.floor((low + high) / 2);
        if (there(middle)) high = middle;
        else low = middle;
      }
    }
    low = T;
  }
  return Infinity;
}

// The fewest steps to such a loss with the best rate for as many, and that rate.
function fewestSteps(model, target, B) {
  const missed = (T) => expectedLoss(model, T, bestRate(model, T, B, 1e-4), B) > target;
  let [low, high] = [0, 1];
  while (missed(high)) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (missed(middle)) low = middle;
    else high = middle;
  }
  return [high, bestRate(model, high, B)];
}

const short = (v) => (v >= 1000 ? Math.round(v).toLocaleString("en").replace(/,/g, " ") : String(+v.toPrecision(3)));

// -- One weight ------------------------------------------------------------------------------------
figures.learning_rate = (figure) => {
  const model = { h: [1], c: [1], start: [1] };
  const rates = figure.panel({ label: "Best learning rate against batch size", x: [0.01, 1e6], y: [1e-4, 10], log: "xy", left: 46,
    xlabel: "batch size *B* (in units of *σ*² / *a*² *w*₀²)", ylabel: "learning rate *η* (in units of 1/*a*); drag the point", interactive: true });
  const descent = figure.panel({ label: "Expected loss against the step", x: [0, 100], y: [1e-5, 1], log: "y", left: 46,
    xlabel: "step", ylabel: "expected loss" });
  figure.knob("B", { letter: "B", words: "batch size", min: 0.01, max: 1e6, step: 0.02, value: 100, log: true, text: short });
  figure.knob("eta", { letter: "η", words: "learning rate", min: 1e-4, max: 2.2, step: 0.005, value: 0.3, log: true, text: short });
  figure.knob("T", { letter: "T", words: "steps", min: 1, max: 1000, step: 0.02, value: 100, log: true, whole: true, text: String });
  rates.handle({ names: [], label: "batch size and learning rate", color: "c1", at: ({ B, eta }) => [B, eta],
    move: (B, eta) => ({ B: +B.toPrecision(3), eta: Math.min(2.2, +eta.toPrecision(3)) }),
    text: (B, eta) => `batch size ${short(B)}, rate ${short(eta)}` });

  const batches = spaced(0.01, 1e6, 41);
  const soonest = batches.map((B) => [B, fewestSteps(model, 1e-3 / 2, B)[1]]);
  const kept = {};
  const curve = (T) => (kept[T] ??= batches.map((B) => [B, bestRate(model, T, B)]));
  figure.draw = ({ B, eta, T }) => {
    rates.clear();
    for (const [limit, name] of [[1, "1/*a*"], [2, "2/*a*: stability"]]) {
      rates.line([[0.01, limit], [1e6, limit]], "faint", "thin");
      rates.text(0.012, limit, name, { color: "faint", dy: limit > 1 ? -9 : 11 });
    }
    rates.line(soonest, "faint", "thick pale");
    for (const other of [1, 10, 100, 1000]) {
      rates.line(curve(other), "c0", "thin pale");
      rates.text(...curve(other)[9], `*T* = ${other}`, { color: "faint", dx: 5, dy: 9, size: 11 });
    }
    rates.line(curve(T), "c0");
    const best = bestRate(model, T, B);
    rates.dots([[B, best]], "c0", 4.5, "hollow");

    descent.scale([0, T], [1e-5, 1]);
    descent.clear();
    const steps = T <= 100 ? Array.from({ length: T + 1 }, (_, t) => t) : Array.from({ length: 101 }, (_, i) => Math.round((i * T) / 100));
    const along = (rate, of) => steps.map((t) => [t, Math.min(1e3, Math.max(1e-9, of(lossParts(model, t, rate, B))))]);
    descent.line(along(best, ([left, noise]) => left + noise), "c0", "dashed");
    descent.line(along(eta, ([left]) => left), "c2", "thin");
    descent.line(along(eta, ([, noise]) => noise), "c3", "thin");
    descent.line(along(eta, ([left, noise]) => left + noise), "c1");
    const [left, noise] = lossParts(model, T, eta, B);
    descent.dots([[T, Math.min(1, Math.max(1e-5, left + noise))]], "c1", 5);
    const stable = eta < 2 ? "" : " The rate is beyond 2/<i>a</i>: the weight diverges.";
    figure.say(`After ${T} step${T > 1 ? "s" : ""} the expected loss is <b class="c1">${power(left + noise)}</b>: <b class="c2">` +
      `${power(left)}</b> is left of the start, <b class="c3">${power(noise)}</b> is noise. The best rate, ` +
      `<b class="c0">${short(best)}</b>, gives ${power(expectedLoss(model, T, best, B))}.${stable}`);
  };
};

// -- Many directions -------------------------------------------------------------------------------
figures.batch_size = async (figure) => {
  const curve = figure.panel({ label: "Steps to the target against batch size", x: [0.1, 1e7], y: [30, 1e6], log: "xy", left: 46,
    xlabel: "batch size *B*", ylabel: "steps to the target" });
  const descent = figure.panel({ label: "Expected loss against the step", x: [1, 1e6], y: [0.02, 1.3], log: "x", left: 40,
    xlabel: "step (log scale)", ylabel: "expected loss, of that at the start" });
  const { arrays, about } = await loadData("batch-size");
  const [B_, steps, rate, h, sizes] = ["B", "steps", "rate", "h", "sizes"].map((key) => [...arrays[key].data]);
  const model = { h, c: h.map((v) => 1 / v), start: h.map((v) => 1 / v) };
  const before = expectedLoss(model, 0, 0, 1);
  figure.knob("B", { letter: "B", words: "batch size", min: 0.1, max: 1e7, step: 0.02, value: +sizes[0].toPrecision(3),
    log: true, text: short });
  figure.knob("f", { letter: "η", words: "learning rate, as a multiple of the best", min: 0.05, max: 20, step: 0.02, value: 1,
    log: true, text: (v) => `${short(v)} ×` });

  // between the page's batch sizes, along a straight line in logarithms
  const tuned = (B) => {
    const at = Math.min(B_.length - 2, Math.max(0, B_.findIndex((size) => size > B) - 1));
    const share = Math.log(B / B_[at]) / Math.log(B_[at + 1] / B_[at]);
    return rate[at] ** (1 - share) * rate[at + 1] ** share;
  };
  figure.draw = ({ B, f }) => {
    const eta = f * tuned(B);
    const needed = stepsTo(model, about.target, eta, B);
    const [examples, fewest] = [steps[0] * B_[0], steps.at(-1)];
    curve.clear();
    curve.line(B_.map((size) => [size, examples / size]), "c1", "thin dashed");
    curve.line([[0.1, fewest], [1e7, fewest]], "c2", "thin dashed");
    curve.line(B_.map((size, i) => [size, steps[i]]), "c0");
    ["A", "C", "B"].forEach((name, i) => {
      const least = stepsTo(model, about.target, tuned(sizes[i]), sizes[i]);
      curve.dots([[sizes[i], least]], "c3", 4.5, "hollow");
      curve.text(sizes[i], least, name, { color: "c3", dx: 7, dy: -10 });
    });
    curve.text(1e7, fewest, "fewest steps without noise", { color: "c2", anchor: "end", dy: 12 });
    curve.text(3, examples / 3, "fewest examples", { color: "c1", dx: 8, dy: -4 });
    curve.line([[B, 1], [B, Number.isFinite(needed) ? needed : 1e9]], "faint", "thin");
    if (Number.isFinite(needed)) curve.dots([[B, needed]], "ink", 6);

    const along = (eta) => spaced(1, 1e6, 140).map((T) => [T, Math.min(9, expectedLoss(model, T, eta, B) / before)]);
    descent.clear();
    descent.line([[1, about.target / before], [1e6, about.target / before]], "faint", "thin dashed");
    descent.text(1, about.target / before, "target", { color: "faint", dx: 6, dy: -9 });
    if (f !== 1) descent.line(along(tuned(B)), "c0", "thin pale");
    descent.line(along(eta), "c0");
    if (Number.isFinite(needed)) descent.dots([[needed, about.target / before]], "ink", 6);

    const times = (v) => (v < 1.995 ? `${number(v, 2)}` : short(v));
    const steep = eta * Math.max(...h) >= 2 ? "the steepest direction diverges" : "the noise stays above it";
    figure.say(Number.isFinite(needed)
      ? `<b>${short(needed)} steps</b>: <b class="c2">${times(needed / fewest)} times</b> the fewest, with ` +
        `<b class="c1">${times((needed * B) / examples)} times</b> the fewest examples.`
      : `The target is never reached: ${steep}.`);
  };
};
