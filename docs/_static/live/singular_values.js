// Singular values through depth: those of the Jacobian of a recurrent network's last state by its first,
// and the bound on the largest, which knows only the largest of W and the steepest slope.

const ACTIVATIONS = {
  sigmoid: { of: (a) => 1 / (1 + Math.exp(-a)), slope: (a) => 1 / (2 + Math.exp(a) + Math.exp(-a)), steepest: 1 / 4 },
  tanh: { of: Math.tanh, slope: (a) => 1 - Math.tanh(a) ** 2, steepest: 1 },
  relu: { of: (a) => Math.max(0, a), slope: (a) => (a > 0 ? 1 : 0), steepest: 1 },
};
const product = (A, B) => A.map((row) => B[0].map((_, j) => row.reduce((sum, v, k) => sum + v * B[k][j], 0)));
const apply = (A, x) => A.map((row) => row.reduce((sum, v, j) => sum + v * x[j], 0));

// The Jacobians of x_1 to x_n by x_1, a layer at a time: A = D W, or I + D W with residual connections.
function jacobians(x, W, n, { of, slope }, residual) {
  const all = [x.map((_, i) => x.map((_, j) => (i === j ? 1 : 0)))];
  for (let t = 1; t < n; t++) {
    const a = apply(W, x);
    const A = W.map((row, i) => row.map((v, j) => slope(a[i]) * v + (residual && i === j ? 1 : 0)));
    x = a.map((v, i) => of(v) + (residual ? x[i] : 0));
    all.push(product(A, all.at(-1)));
  }
  return all;
}

// One-sided Jacobi: pairs of columns are turned until all are orthogonal; their lengths are the values.
function singularValues(A) {
  const columns = A[0].map((_, j) => A.map((row) => row[j]));
  const inner = (u, v) => u.reduce((sum, each, i) => sum + each * v[i], 0);
  for (let sweep = 0, turned = true; turned && sweep < 40; sweep++) {
    turned = false;
    for (let i = 0; i < columns.length; i++)
      for (let j = i + 1; j < columns.length; j++) {
        const [u, v] = [columns[i], columns[j]];
        const [uu, vv, uv] = [inner(u, u), inner(v, v), inner(u, v)];
        if (uv === 0 || Math.abs(uv) <= 1e-15 * Math.sqrt(uu * vv)) continue;
        turned = true;
        const z = (vv - uu) / (2 * uv);
        const t = (z < 0 ? -1 : 1) / (Math.abs(z) + Math.hypot(1, z));
        const c = 1 / Math.hypot(1, t);
        columns[i] = u.map((each, k) => c * (each - t * v[k]));
        columns[j] = v.map((each, k) => c * (each + t * u[k]));
      }
  }
  return columns.map((v) => Math.sqrt(inner(v, v))).sort((a, b) => b - a);
}

// Numbers that look drawn at random, the same for the same seed: mulberry32.
function randomNumbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Weights of which the largest singular value is 1: independent normal entries, or an orthogonal matrix.
function drawnWeights(kind, d, random) {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const W = Array.from({ length: d }, () => Array.from({ length: d }, normal));
  if (kind === "gaussian") {
    const [most] = singularValues(W);
    return W.map((row) => row.map((v) => v / most));
  }
  const rows = []; // Gram and Schmidt
  for (let row of W) {
    for (let again = 0; again < 2; again++)
      for (const other of rows) {
        const share = row.reduce((sum, v, i) => sum + v * other[i], 0);
        row = row.map((v, i) => v - share * other[i]);
      }
    const length = Math.hypot(...row);
    rows.push(row.map((v) => v / length));
  }
  return rows;
}

figures.recurrent = (figure) => {
  const [d, n] = [8, 40];
  const axis = { x: [1, n], y: [1, 10], log: "y", left: 46, xlabel: "states *n*", height: 280, xticks: [1, 10, 20, 30, 40] };
  const spectrum = figure.panel({ ...axis, label: "Singular values of the Jacobian against the number of states",
    ylabel: "singular values of ∂*x*ₙ / ∂*x*₁" });
  const shares = figure.panel({ ...axis, label: "The largest over the bound", ylabel: "largest / bound" });
  figure.knob("sigma", { letter: "σ", words: "largest singular value of <i>W</i>", min: 0.1, max: 8, step: 0.01, value: 0.25,
    log: true, text: (v) => String(+v.toPrecision(3)) });
  figure.knob("draw", { letter: "W", words: "which draw", min: 1, max: 48, step: 1, value: 1, whole: true, text: String });
  figure.choice("kind", { words: "entries of W", value: "gaussian", options: { gaussian: "Gaussian", orthogonal: "orthogonal" } });
  figure.choice("phi", { words: "activation", value: "sigmoid", options: { sigmoid: "sigmoid", tanh: "tanh", relu: "ReLU" } });
  figure.choice("skip", { words: "a layer adds its input", value: "no", options: { no: "no", yes: "yes" } });

  figure.draw = ({ sigma, draw, kind, phi, skip }) => {
    const random = randomNumbers(draw);
    const W = drawnWeights(kind, d, random).map((row) => row.map((v) => sigma * v));
    const x = Array.from({ length: d }, random);
    const values = jacobians(x, W, n, ACTIVATIONS[phi], skip === "yes").map(singularValues);
    const factor = ACTIVATIONS[phi].steepest * sigma + (skip === "yes" ? 1 : 0);
    const bound = values.map((_, t) => factor ** t);
    const curve = (i) => values.map((of, t) => [t + 1, of[i], of[0]]).filter(([, v, most]) => v > 1e-13 * most)
      .map(([t, v]) => [t, v]);
    const seen = [...bound, ...Array.from({ length: d }, (_, i) => curve(i)).flat().map(([, v]) => v)];
    spectrum.scale([1, n], [Math.min(0.1, ...seen) / 2, Math.max(1, ...seen) * 3]);
    spectrum.clear();
    for (let i = 1; i < d; i++) spectrum.line(curve(i), "c0", "thin pale");
    spectrum.line(bound.map((v, t) => [t + 1, v]), "c1", "dashed");
    spectrum.line(curve(0), "c0");
    const [side, anchor, dx] = factor > 1 ? [1, "start", 8] : [n, "end", -8]; // where the bound is not
    spectrum.text(side, spectrum.ofY(spectrum.box.top + 10), "bound", { color: "c1", anchor, dx });
    spectrum.text(side, spectrum.ofY(spectrum.box.top + 28), "all eight", { color: "c0", anchor, dx });

    const share = curve(0).map(([t, v]) => [t, v / bound[t - 1]]);
    shares.scale([1, n], [Math.min(0.01, ...share.map(([, v]) => v)) / 2, 3]);
    shares.clear();
    shares.line([[1, 1], [n, 1]], "c1", "dashed");
    shares.line(share, "c0");
    const last = values.at(-1)[0];
    figure.say(`The bound is multiplied by <b class="c1">${power(factor)}</b> a layer. After ${n - 1} layers the largest singular ` +
      `value is <b class="c0">${power(last)}</b>, ` + (last > 0 ? `${power(last / bound.at(-1))} of the bound.` : "as no unit is left alive."));
  };
};
