// IsoFLOP valleys: at each budget a parabola of the loss in the logarithm of the size, its lowest point, and
// the power of compute with which that grows. Widths and seeds can be left out, or the reader's runs put in.

// Least squares of c0 + c1 z + c2 z², with z measured from its mean; none with fewer than three sizes.
function parabola(x, y) {
  if (new Set(x).size < 3) return null;
  const mean = x.reduce((a, b) => a + b) / x.length;
  const z = x.map((v) => v - mean);
  const sum = (...lists) => z.reduce((total, _, i) => total + lists.reduce((product, list) => product * list[i], 1), 0);
  const rows = [[z.length, sum(z), sum(z, z), sum(y)], [sum(z), sum(z, z), sum(z, z, z), sum(z, y)],
    [sum(z, z), sum(z, z, z), sum(z, z, z, z), sum(z, z, y)]];
  for (let i = 0; i < 3; i++) // elimination
    for (let j = 0; j < 3; j++) {
      const share = rows[j][i] / rows[i][i];
      if (i !== j) rows[j] = rows[j].map((v, k) => v - share * rows[i][k]);
    }
  const [c0, c1, c2] = rows.map((row, i) => row[3] / row[i]);
  return { at: (v) => c0 + c1 * (v - mean) + c2 * (v - mean) ** 2, bend: c2, lowest: mean - c1 / (2 * c2) };
}

// The fit at a budget: its parabola, and the best size if it lies within those tried.
function valley(runs) {
  const x = runs.map((run) => Math.log(run.params));
  const fitted = parabola(x, runs.map((run) => run.loss));
  const inside = fitted && fitted.bend > 0 && fitted.lowest >= Math.min(...x) && fitted.lowest <= Math.max(...x);
  return { runs, fitted, best: inside ? { params: Math.exp(fitted.lowest), loss: fitted.at(fitted.lowest) } : null };
}

// N* = k C^a through the optima, by least squares of the logarithms.
function growth(optima) {
  if (optima.length < 2) return null;
  const [x, y] = [optima.map(([C]) => Math.log(C)), optima.map(([, N]) => Math.log(N))];
  const mean = (v) => v.reduce((a, b) => a + b) / v.length;
  const [mx, my] = [mean(x), mean(y)];
  const a = x.reduce((sum, v, i) => sum + (v - mx) * (y[i] - my), 0) / x.reduce((sum, v) => sum + (v - mx) ** 2, 0);
  return { a, at: (C) => Math.exp(my + a * (Math.log(C) - mx)) };
}

// Runs of a pasted table, or what is wrong with it.
function readRuns(text) {
  const runs = [];
  for (const [i, line] of text.split("\n").entries()) {
    const cells = line.trim().split(/[\s,;]+/).filter(Boolean);
    if (!cells.length || (i === 0 && cells.every((cell) => !Number.isFinite(+cell)))) continue; // a heading
    const [params, flops, loss] = cells.map(Number);
    if (cells.length !== 3 || ![params, flops, loss].every((v) => v > 0 && v < Infinity))
      return { fault: `Line ${i + 1}: expected three positive numbers, the parameters, the FLOPs and the loss.` };
    runs.push({ params, flops, loss });
  }
  if (runs.length > 2000) return { fault: "At most 2000 runs." };
  const by = [...runs].sort((a, b) => a.flops - b.flops);
  by.forEach((run, i) => (run.budget = i && run.flops <= 1.1 * by[i - 1].flops ? by[i - 1].budget : run.flops));
  const sizes = new Map();
  for (const run of runs) sizes.set(run.budget, (sizes.get(run.budget) ?? new Set()).add(run.params));
  if (![...sizes.values()].some((of) => of.size > 2)) return { fault: "No budget of FLOPs has runs of three sizes." };
  return { runs };
}

figures.isoflop = async (figure) => {
  const { arrays } = await loadData("isoflop");
  const { data, shape: [, columns] } = arrays.runs;
  const ours = Array.from({ length: data.length / columns }, (_, i) => {
    const [width, seed, params, budget, loss] = data.subarray(i * columns, (i + 1) * columns);
    return { width: String(width), seed: String(seed), params, budget, loss };
  });
  const all = (name) => Object.fromEntries([...new Set(ours.map((run) => run[name]))].map((v) => [v, v]));
  const axis = { log: "x", x: [1, 10], y: [1, 10], height: 300 };
  const valleys = figure.panel({ ...axis, label: "Loss against the number of parameters, a parabola for each budget",
    xlabel: "parameters *N*", ylabel: "loss (nats per token); a budget a curve" });
  const optima = figure.panel({ ...axis, label: "Best number of parameters against compute", log: "xy", left: 46,
    xlabel: "compute *C* (FLOPs)", ylabel: "best size (parameters)" });
  figure.several("widths", { words: "widths", options: all("width") });
  figure.several("seeds", { words: "seeds", options: all("seed") });
  const table = make("textarea", { rows: 5, spellcheck: "false", "aria-label": "Your runs: parameters, FLOPs and loss" });
  const own = make("details", { class: "live-own" }, make("summary", {}, "Your own runs"),
    make("p", {}, "A run a line: parameters, FLOPs, loss. The best sizes follow as you paste."), table);
  figure.knobs.append(own);
  table.addEventListener("input", () => figure.update());
  figure.reset = () => (table.value = "");

  figure.draw = ({ widths, seeds }) => {
    const pasted = table.value.trim() ? readRuns(table.value) : null;
    if (pasted?.fault) {
      figure.line.textContent = pasted.fault;
      return;
    }
    const out = (list, v) => list.split("-").includes(v);
    const shown = pasted ? pasted.runs : ours;
    const kept = pasted ? shown : ours.filter((run) => !out(widths, run.width) && !out(seeds, run.seed));
    const budgets = [...new Set(shown.map((run) => run.budget))].sort((a, b) => a - b);
    const fits = budgets.map((C) => ({ C, ...valley(kept.filter((run) => run.budget === C)) }));
    const span = (values, by) => [Math.min(...values) / by, Math.max(...values) * by];
    const [low, high] = [Math.min(...shown.map((run) => run.loss)), Math.max(...shown.map((run) => run.loss))];
    const sizes = span(shown.map((run) => run.params), 1.25);
    valleys.scale(sizes, [Math.max(0, low - 0.08 * (high - low)), high + 0.05 * (high - low)]);
    valleys.clear();
    valleys.dots(shown.filter((run) => !kept.includes(run)).map((run) => [run.params, run.loss]), "faint", 2.2, "bare");
    fits.forEach(({ C, runs, fitted, best }, i) => {
      const shade = 0.35 + (0.65 * (i + 1)) / fits.length;
      if (fitted) {
        const [from, to] = span(runs.map((run) => run.params), 1);
        valleys.line(spaced(from, to, 60).map((N) => [N, fitted.at(Math.log(N))]), "c0").style.strokeOpacity = shade;
      }
      valleys.dots(runs.map((run) => [run.params, run.loss]), "c0", 2.6, "bare");
      if (best) valleys.stars([[best.params, best.loss]]);
    });
    const found = fits.filter(({ best }) => best).map(({ C, best }) => [C, best.params]);
    const law = growth(found);
    const ends = span(budgets, 1.4);
    optima.scale(ends, sizes);
    optima.clear();
    if (law) optima.line(ends.map((C) => [C, law.at(C)]), "c0");
    optima.stars(found);
    const none = fits.length - found.length;
    const lost = none ? ` ${none} of the ${fits.length} budgets ${none > 1 ? "have" : "has"} no best size within the sizes tried.` : "";
    figure.say((law ? `<i>N</i>* grows as <i>C</i> to the power <b class="c0">${number(law.a)}</b>. The last best size is ` +
      `<b class="c1">${Math.round(found.at(-1)[1]).toLocaleString("en")}</b> parameters.`
      : "Fewer than two budgets have a best size, so there is no power.") + lost);
  };
};
