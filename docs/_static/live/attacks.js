// Two attacks on a linear classifier f(x) = w·x: the plain step goes against the gradient, which is w, the
// signed step against its signs. Beside them, how far the logit falls if the weights have the length c.

const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);
const fgmStep = (w, epsilon) => w.map((v) => -epsilon * v);
const fgsmStep = (w, epsilon) => w.map((v) => -epsilon * Math.sign(v));
const largest = (step) => Math.max(...step.map(Math.abs));

figures.attacks = (figure) => {
  const turn = (angle) => [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
  const plane = figure.panel({ label: "The plane of inputs", x: [-2, 2], y: [-1.5, 1.5], height: 298, left: 26, right: 4,
    top: 24, bottom: 26, grid: false, interactive: true, ylabel: "drag *x* and *w*" });
  const falls = figure.panel({ label: "How far the logit falls, against the scale of the weights", x: [0, 2], y: [0, 3],
    height: 298, xlabel: "scale *c* of the weights", ylabel: "fall of the logit", bottom: 46 });

  figure.knob("eps", { letter: "ε", words: "size of the attack", min: 0, max: 1.5, step: 0.01, value: 0.6 });
  figure.knob("c", { letter: "c", words: "scale of the weights", min: 0, max: 2, step: 0.01, value: 1 });
  const weights = ({ c, angle }) => turn(angle).map((v) => c * v);
  plane.handle({ names: ["x1", "x2"], start: [0.7, 0.85], label: "input x", letter: "*x*",
    at: ({ x1, x2 }) => [x1, x2],
    move: (x1, x2) => ({ x1: +x1.toFixed(2), x2: +x2.toFixed(2) }) });
  plane.handle({ names: ["angle"], start: [22], label: "weights w", letter: "*w*", color: "c3", at: weights,
    range: [-180, 180],
    move: (a, b) => (Math.hypot(a, b) < 0.02 ? { c: 0 } : {
      angle: Math.round((Math.atan2(b, a) * 180) / Math.PI), c: Math.min(2, +Math.hypot(a, b).toFixed(2)) }) });

  figure.draw = ({ eps, c, x1, x2, angle }) => {
    const [u, x, w] = [turn(angle), [x1, x2], weights(figure.values)];
    const far = (t, s) => [t * -u[1] + s * u[0], t * u[0] + s * u[1]]; // along the boundary, and across
    plane.clear();
    if (c > 0) {
      plane.area([far(-9, 0), far(9, 0), far(9, 9), far(-9, 9)], "c3");
      plane.line([far(-9, 0), far(9, 0)], "c3");
      plane.arrow([0, 0], w, "c3");
      const away = dot(x, far(1, 0)) > 0 ? -1 : 1; // along the boundary, where x is not
      const [a, b] = far(1.15 * away, 0.3);
      plane.text(a, b, "*f* > 0", { color: "c3", anchor: "middle" });
    }
    const ends = { c0: fgmStep(w, eps), c1: fgsmStep(w, eps) };
    plane.add(svg("rect", { x: plane.X(x1 - eps), y: plane.Y(x2 + eps), width: plane.X(eps) - plane.X(-eps),
      height: plane.Y(-eps) - plane.Y(eps), class: "live-curve thin c1 dashed" }));
    for (const [color, step] of Object.entries(ends)) {
      const end = x.map((v, i) => v + step[i]);
      plane.arrow(x, end, color);
      if (Math.hypot(...step) > 0.15) {
        const below = color === "c1" ? 16 : -12;
        plane.text(...end, color === "c0" ? "FGM" : "FGSM", { color, anchor: "middle", dy: below });
      }
    }

    const grid = Array.from({ length: 81 }, (_, i) => i / 40);
    const fall = (of) => (scale) => -dot(u.map((v) => scale * v), of(u.map((v) => scale * v), eps));
    const highest = Math.max(1, fall(fgmStep)(2), fall(fgsmStep)(2));
    falls.scale([0, 2], [0, highest * 1.08]);
    falls.clear();
    falls.line([[c, 0], [c, highest * 2]], "faint", "thin");
    const where = dot(w, x);
    falls.line([[0, where], [2, where]], "ink", "thin dashed");
    if (where > 0 && where < highest) falls.text(0, where, "*f*(*x*): enough to cross", { dx: 6, dy: -9 });
    for (const [color, of] of [["c0", fgmStep], ["c1", fgsmStep]]) {
      falls.line(grid.map((s) => [s, fall(of)(s)]), color);
      falls.dots([[c, fall(of)(c)]], color, 5);
    }
    // A name stands above the upper curve at its end, and below the lower one where that is farther left.
    const upper = fall(fgmStep)(1.95) > fall(fgsmStep)(1.95);
    for (const [of, name, color, above] of [[fgmStep, "plain (FGM)", "c0", upper], [fgsmStep, "signed (FGSM)", "c1", !upper]])
      falls.text(1.95, fall(of)(above ? 1.95 : 1.4), name, { color, anchor: "end", dy: above ? -10 : 12 });

    const told = ([step, name, color]) => {
      const after = dot(w, x.map((v, i) => v + step[i]));
      return `<b class="${color}">${name}</b> moves a coordinate by at most ${number(largest(step))}, and ` +
        `<i>f</i>(<i>x</i>′) = ${number(after)}${after < 0 && dot(w, x) > 0 ? ": fooled" : ""}`;
    };
    figure.say(`<i>f</i>(<i>x</i>) = ${number(dot(w, x))}. ${told([ends.c0, "FGM", "c0"])}. ${told([ends.c1, "FGSM", "c1"])}.`);
  };
};
