// The logit scale: a batch of cosine similarities, its softmax, and two curves against the scale: the
// contrastive loss, and how many negatives count.

const logSumExp = (values) => {
  const most = Math.max(...values);
  return most + Math.log(values.reduce((sum, v) => sum + Math.exp(v - most), 0));
};
const rowsOf = ({ data, shape: [n, m] }) => Array.from({ length: n }, (_, i) => data.subarray(i * m, (i + 1) * m));
const columnsOf = (rows) => rows.map((_, j) => rows.map((row) => row[j]));

// Each image picks its caption among all, and each caption its image: the mean of both, in nats.
function contrastiveLoss(rows, columns, tau) {
  const picks = (lists) => lists.reduce((sum, s, i) => sum + logSumExp(Array.from(s, (v) => tau * v)) - tau * s[i], 0);
  return (picks(rows) + picks(columns)) / (2 * rows.length);
}

// e to the entropy of the shares of the wrong captions, the mean over the images.
function negativesThatCount(rows, tau) {
  const count = (s, i) => {
    const others = Array.from(s, (v) => tau * v).filter((_, j) => j !== i);
    const all = logSumExp(others);
    return Math.exp(-others.reduce((sum, v) => sum + Math.exp(v - all) * (v - all), 0));
  };
  return rows.reduce((sum, s, i) => sum + count(s, i), 0) / rows.length;
}

figures.temperature = async (figure) => {
  const SHOWN = 16;
  const square = figure.panel({ label: "Probabilities of the first captions, for each of the first images", x: [0, SHOWN],
    y: [0, SHOWN], width: 360, height: 370, bottom: 24, left: 26, right: 4, grid: false, xticks: [], yticks: [],
    xlabel: `captions, the first ${SHOWN} of 128`, ylabel: "images: softmax over all captions" });
  const beside = make("div", { class: "live-column" });
  figure.panels.append(beside);
  const axis = { x: [0.5, 200], log: "x", height: 185, bottom: 34, parent: beside, xticks: [1, 10, 100] };
  const counts = figure.panel({ ...axis, label: "Negatives that count, against the scale", y: [0, 130], yticks: [0, 50, 100],
    ylabel: "negatives that count" });
  const losses = figure.panel({ ...axis, label: "Loss against the scale", y: [0, 8], xlabel: "scale *τ*", ylabel: "loss (nats)" });
  figure.knob("tau", { letter: "τ", words: "logit scale", min: 0.5, max: 200, step: 0.005, value: 14.3, log: true,
    text: (v) => String(+v.toPrecision(3)) });
  figure.choice("noise", { words: "captions with", value: "3", options: { 1: "noise 1", 3: "noise 3" } });

  const { arrays } = await loadData("temperature");
  const taus = Array.from({ length: 40 }, (_, i) => 0.5 * 400 ** (i / 39));
  const batches = Object.fromEntries(["1", "3"].map((noise) => {
    const rows = rowsOf(arrays[`noise ${noise}`]);
    const columns = columnsOf(rows);
    return [noise, { rows, columns, losses: taus.map((tau) => [tau, contrastiveLoss(rows, columns, tau)]),
      counts: taus.map((tau) => [tau, negativesThatCount(rows, tau)]) }];
  }));
  figure.draw = ({ tau, noise }) => {
    const { rows, columns } = batches[noise];
    square.clear();
    rows.slice(0, SHOWN).forEach((s, i) => {
      const all = logSumExp(Array.from(s, (v) => tau * v));
      for (let j = 0; j < SHOWN; j++) {
        const p = Math.exp(tau * s[j] - all);
        square.rect([j + 0.04, SHOWN - i - 0.96], [j + 0.96, SHOWN - i - 0.04], i === j ? "c2" : "c1", 0.05 + 0.95 * p);
      }
    });
    const seen = [[counts, "counts", negativesThatCount(rows, tau)], [losses, "losses", contrastiveLoss(rows, columns, tau)]];
    for (const [panel, curve, value] of seen) {
      panel.clear();
      panel.line([[100, -1], [100, 999]], "faint", "thin dashed");
      panel.line([[tau, -1], [tau, 999]], "faint", "thin");
      for (const [other, batch] of Object.entries(batches))
        panel.line(batch[curve], "c0", other === noise ? "" : "thin pale");
      panel.dots([[tau, value]], "c0", 5);
    }
    losses.text(60, 4.4, "noise 3", { color: "c0", anchor: "end" });
    losses.text(5, 0.7, "noise 1", { color: "c0", anchor: "end" });
    counts.text(100, 118, "CLIP’s limit", { color: "faint", anchor: "end", dx: -5 });
    const own = rows.reduce((sum, s, i) => sum + Math.exp(tau * s[i] - logSumExp(Array.from(s, (v) => tau * v))), 0) / rows.length;
    figure.say(`At <i>τ</i> = ${+tau.toPrecision(3)} the loss is <b class="c0">${number(seen[1][2], 3)}</b> nats. An image gives its ` +
      `<b class="c2">own caption</b> a probability of ${number(own)} on average, and ${number(seen[0][2], 1)} ` +
      `<b class="c1">wrong ones</b> count.`);
  };
};
